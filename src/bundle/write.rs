//! Writing a bundle: laid out first, then filled.

mod cache;
mod checksums;
mod copy;
mod file;
mod in_order;
mod in_place;
mod options;
mod plan;
mod planned;
mod replace;
mod split;
mod writer;

pub use cache::{CopyContext, NoCache, VerificationCache};
pub use checksums::checksum_files;
pub use file::{BundleFile, FileContent};
pub use options::{Compression, WriteOptions};
pub use plan::{PackBlob, PackPlan};
pub use planned::{Planned, PlannedFile};
pub use writer::{BundleWriter, IncomingBlob, WriteOutcome};
