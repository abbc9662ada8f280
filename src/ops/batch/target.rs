//! The previous content of a push's destinations, and the planned changes.

use std::sync::Arc;

use super::destination::Target;
use super::{Batch, ImageStatus};
use crate::OpsError;
use hod_oci::Digest;
use hod_report::{Diagnose as _, chain};
use hod_transfer::TransferError;

impl Batch {
    /// Records the previous manifest of each destination in the plan.
    pub(crate) fn set_targets(&mut self, found: Vec<Option<(Target, Option<Digest>)>>) {
        for (&position, found) in self.positions.iter().zip(found) {
            if let Some((target, replaces)) = found {
                let report = &mut self.reports[position];
                report.target = Some(target);
                report.replaces = replaces;
            }
        }
    }

    /// Notes that images of the plan are at their destination, unchanged.
    pub(crate) fn mark_unchanged(&mut self, images: impl IntoIterator<Item = usize>) {
        for image in images {
            let status = &mut self.reports[self.positions[image]].status;
            if matches!(status, ImageStatus::Done | ImageStatus::Planned) {
                *status = ImageStatus::Unchanged;
            }
        }
    }

    /// Marks images that arrived as failed, because their container (bundle, archive or layout)
    /// failed.
    pub(crate) fn withdraw(&mut self) {
        for report in &mut self.reports {
            if matches!(report.status, ImageStatus::Done) {
                report.status = ImageStatus::Planned;
            }
        }
    }

    /// Marks the remaining images as failed, for a reason that is independent of them.
    pub(crate) fn fail_rest(&mut self, error: &OpsError) {
        let failed = Arc::new(TransferError::TargetFailed {
            text: chain(error),
            diagnosis: error.diagnose(),
            is_damaged_source: error.is_damaged_source(),
        });
        let at = self.positions.iter().copied();
        for position in at {
            let status = &mut self.reports[position].status;
            if matches!(status, ImageStatus::Planned | ImageStatus::NotTried) {
                *status = ImageStatus::failed(Arc::clone(&failed));
            }
        }
    }

    /// Marks images as failed for the same reason, unless they have already failed.
    pub(crate) fn mark_failed(&mut self, images: &[usize], error: TransferError) {
        let error = Arc::new(error);
        for &image in images {
            let status = &mut self.reports[self.positions[image]].status;
            if !status.is_failed() {
                *status = ImageStatus::failed(Arc::clone(&error));
            }
        }
    }
}
