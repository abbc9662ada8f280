//! Success needs evidence: what lies, what is damaged, and what was lost meanwhile.

mod answers;
mod sources;
mod stores;
