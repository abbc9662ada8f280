//! The attempts to move one blob: failures are retried if that can help.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Source, TransferError};
use hod_oci::Digest;
use hod_report::Reporter;
use hod_retry::{Failed, Failure, Retries, RetryPolicy};

/// The failed attempts at one blob.
pub struct Attempts<'a> {
    source: &'a dyn Source,
    reporter: &'a Arc<dyn Reporter>,
    digest: &'a Digest,
    retries: Retries,
    /// The places that sent wrong bytes.
    garblers: HashSet<String>,
}

impl std::fmt::Debug for Attempts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempts")
            .field("digest", self.digest)
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}

impl<'a> Attempts<'a> {
    /// Starts with no failure.
    pub fn new(
        source: &'a dyn Source,
        digest: &'a Digest,
        policy: RetryPolicy,
        reporter: &'a Arc<dyn Reporter>,
    ) -> Self {
        Self {
            source,
            reporter,
            digest,
            retries: Retries::new(policy),
            garblers: HashSet::new(),
        }
    }

    /// Waits until the next attempt, after one that left `progress` bytes; returns the error if
    /// there is no further attempt.
    pub async fn failed(
        &mut self,
        error: TransferError,
        failure: Failure,
        progress: u64,
    ) -> Result<(), TransferError> {
        if let TransferError::Registry(error) = &error
            && let Some(place) = error.garbler()
            && self.garblers.insert(place)
        {
            self.retries.other_place();
        }
        let failed = Failed {
            what: &format!("blob {}", self.digest.short()),
            error: &error,
            failure,
            progress,
            host: self.source.host_state(&error, self.retries.began_at()),
        };
        if self.retries.wait(&failed, self.reporter.as_ref()).await {
            Ok(())
        } else {
            Err(error)
        }
    }
}
