//! One blob on its way to a sink.

use std::sync::Arc;

use super::{Plan, PlannedBlob, Share, Source};
use hod_oci::RepositoryName;
use hod_report::Reporter;
use hod_retry::RetryPolicy;

/// One blob in flight: its location, its images and its reporter.
#[derive(Clone, Copy)]
pub struct BlobTask<'a> {
    pub(super) source: &'a Arc<dyn Source>,
    /// If other targets read the same source.
    pub(super) share: Option<&'a Share>,
    pub(super) plan: &'a Plan,
    pub(super) blob: &'a PlannedBlob,
    pub(super) reporter: &'a Arc<dyn Reporter>,
    /// The retry policy.
    pub(super) retry: RetryPolicy,
}

impl std::fmt::Debug for BlobTask<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { source, blob, .. } = self;
        f.debug_struct("BlobTask")
            .field("source", source)
            .field("blob", blob)
            .finish_non_exhaustive()
    }
}

impl<'a> BlobTask<'a> {
    /// The images that need the blob in a repository, by position in the plan.
    pub(super) fn images_in(
        &self,
        repository: &'a RepositoryName,
    ) -> impl Iterator<Item = usize> + use<'a> {
        let plan = self.plan;
        let is_in = move |at: &usize| plan.images[*at].wanted.destination.repository == *repository;
        self.blob.images.iter().copied().filter(is_in)
    }
}
