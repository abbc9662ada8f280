//! Damage found in one image of a batch, and its consequences for the others.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Batch, BatchFailure, ImageStatus};
use crate::Context;
use hod_oci::Digest;
use hod_report::Event;
use hod_transfer::{Plan, Source, TransferError};

impl Batch {
    /// Takes the images that failed out of the plan, so that the others can be tried again, if only
    /// single images of the source failed: damaged content, or content that a registry does not
    /// return.
    pub(crate) fn leave_failed(&mut self, source: &dyn Source) -> Result<(), BatchFailure> {
        let is_single = |error: &TransferError| {
            error.is_damaged_source()
                || matches!(error, TransferError::BlobAbsent { .. })
                || source.is_remote() && error.file_error().is_none()
        };
        let (mut rest, mut positions) = (Vec::new(), Vec::new());
        for (image, &position) in self.plan.images.iter().zip(&self.positions) {
            let report = &mut self.reports[position];
            match &report.status {
                ImageStatus::Failed { error, .. } if is_single(error) => {}
                ImageStatus::Failed { error, .. } => {
                    return Err(BatchFailure {
                        image: report.image.clone(),
                        error: Arc::clone(error),
                    });
                }
                _ => {
                    report.status = ImageStatus::Planned;
                    rest.push(image.clone());
                    positions.push(position);
                }
            }
        }
        self.positions = positions;
        self.plan = Arc::new(Plan::new(rest));
        Ok(())
    }

    /// Fails the unchanged images that have a blob which another image has shown to be damaged.
    pub(super) fn fail_unchanged(&mut self, cx: &Context) {
        let mut damaged: HashMap<Digest, Arc<TransferError>> = HashMap::new();
        for report in &self.reports {
            if let ImageStatus::Failed { error, .. } = &report.status
                && let Some(digest) = error.damaged_blob()
            {
                let error = Arc::clone(error);
                damaged.entry(digest.clone()).or_insert(error);
            }
        }
        for (position, image) in &self.unchanged {
            let mut blobs = image.all_blobs();
            let found = blobs.find_map(|(blob, _)| damaged.get(&blob.digest));
            let Some(error) = found else { continue };
            let status = ImageStatus::failed(Arc::clone(error));
            if let ImageStatus::Failed { text, .. } = &status {
                let image = &image.wanted.name;
                cx.reporter.event(Event::ImageFailed { image, error: text });
            }
            self.reports[*position].status = status;
        }
    }
}
