//! Which blobs were verified before, and how the progress of copying is reported.

use std::ops::ControlFlow;

use crate::error::BundleError;
use hod_fsx::FileRange;
use hod_oci::Digest;

/// Remembers which blobs were verified. Only used for blobs, not for the user's own files.
pub trait VerificationCache: Send + Sync {
    /// Returns whether the blob was verified before, so that it need not be hashed again.
    fn is_verified(&self, digest: &Digest, blob: &FileRange) -> bool;

    /// Records that the blob was read and matches its digest.
    fn record_verified(&self, digest: &Digest, blob: &FileRange);

    /// Called when the content of a blob does not match its digest.
    fn record_damaged(&self, blob: &FileRange);
}

/// Remembers nothing: every blob is read and hashed.
#[derive(Debug, Clone, Copy)]
pub struct NoCache;

impl VerificationCache for NoCache {
    fn is_verified(&self, _digest: &Digest, _blob: &FileRange) -> bool {
        false
    }

    fn record_verified(&self, _digest: &Digest, _blob: &FileRange) {}

    fn record_damaged(&self, _blob: &FileRange) {}
}

/// What copying a blob requires besides the blob.
#[derive(Clone, Copy)]
pub struct CopyContext<'a> {
    /// The blobs that were verified before.
    pub cache: &'a dyn VerificationCache,
    /// Called with the number of bytes after each write; may cancel the work.
    pub on_bytes: &'a (dyn Fn(u64) -> ControlFlow<()> + Sync),
}

impl std::fmt::Debug for CopyContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CopyContext").finish_non_exhaustive()
    }
}

impl CopyContext<'_> {
    /// Reports `len` more bytes; fails if the work was cancelled.
    pub(crate) fn report(&self, len: u64) -> Result<(), BundleError> {
        match (self.on_bytes)(len) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(BundleError::Stopped),
        }
    }
}
