//! What blobs are known to be, and how copying one is reported.

use std::ops::ControlFlow;

use crate::error::BundleError;
use hod_fsx::FileRange;
use hod_oci::Digest;

/// What is known about the blobs to be packed, before and after they are read. It is not used for
/// the user's own files.
pub trait VerificationCache: Send + Sync {
    /// Whether the blob is known to be what its digest names, so that it need not be read.
    fn is_verified(&self, digest: &Digest, blob: &FileRange) -> bool;

    /// Hears that the blob was read, and is what its digest names.
    fn note_verified(&self, digest: &Digest, blob: &FileRange);

    /// Hears that the blob was read, and is something else.
    fn note_damaged(&self, blob: &FileRange);
}

/// Nothing is known, and nothing learned: every blob is read.
#[derive(Debug, Clone, Copy)]
pub struct NoCache;

impl VerificationCache for NoCache {
    fn is_verified(&self, _digest: &Digest, _blob: &FileRange) -> bool {
        false
    }

    fn note_verified(&self, _digest: &Digest, _blob: &FileRange) {}

    fn note_damaged(&self, _blob: &FileRange) {}
}

/// How bytes are put into a bundle.
#[derive(Clone, Copy)]
pub struct CopyContext<'a> {
    /// Which blobs need not be read.
    pub cache: &'a dyn VerificationCache,
    /// Hears of every byte of a blob that was written; may end the work.
    pub on_bytes: &'a (dyn Fn(u64) -> ControlFlow<()> + Sync),
}

impl std::fmt::Debug for CopyContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CopyContext").finish_non_exhaustive()
    }
}

impl CopyContext<'_> {
    /// Tells of `len` bytes more, and fails when the work is to end.
    pub(crate) fn report(&self, len: u64) -> Result<(), BundleError> {
        match (self.on_bytes)(len) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(BundleError::Stopped),
        }
    }
}
