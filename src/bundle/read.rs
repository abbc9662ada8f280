//! Reading a bundle: in place, or in one pass; and verifying one.

mod bundle;
mod expected;
mod head;
mod siblings;
mod stream;
pub(crate) mod verify;
pub(crate) mod volume;

pub use bundle::{Bundle, BundleKind};
pub use siblings::{fold_volumes, stale_volumes};
pub use stream::{BlobCheck, StreamSink, read_stream};
pub use verify::{BundleVerifyOutcome, Partial, VerifyOptions, verify, verify_once};
pub use volume::ReadOptions;
