//! Success needs evidence: what lies, what is damaged, and what was lost meanwhile.

mod answers;
mod forecasts;
mod local;
mod lost;
mod second_runs;
mod sources;
mod stores;
