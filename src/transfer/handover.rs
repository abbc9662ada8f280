//! One blob on its way to a sink.

use std::sync::Arc;

use super::{Plan, PlannedBlob, Source};
use hod_oci::RepositoryName;
use hod_report::Reporter;
use hod_retry::RetryPolicy;

/// One blob on its way: where it is, who waits for it, and whom to tell.
#[derive(Clone, Copy)]
pub struct Handover<'a> {
    pub(super) source: &'a Arc<dyn Source>,
    pub(super) plan: &'a Plan,
    pub(super) blob: &'a PlannedBlob,
    pub(super) reporter: &'a Arc<dyn Reporter>,
    /// How what failed is tried again.
    pub(super) retry: RetryPolicy,
}

impl std::fmt::Debug for Handover<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { source, blob, .. } = self;
        f.debug_struct("Handover")
            .field("source", source)
            .field("blob", blob)
            .finish_non_exhaustive()
    }
}

impl<'a> Handover<'a> {
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
