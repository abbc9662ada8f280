//! What verbs that only look find in an input.

use super::{Input, OpenInput};
use crate::absent::Absent;
use crate::batch::Batch;
use crate::carry::Carry;
use crate::{Context, OpsError};
use hod_list::Collision;
use hod_report::chain;
use hod_transfer::{OnFailure, ReferrerMode, Resolution, TransferError};

/// The images of an input, resolved.
pub(crate) struct Survey {
    /// Every image that was found, under the name that a push without flags gives it.
    pub(crate) batch: Batch,
    /// Images that were named and not found.
    pub(crate) absent: Vec<Absent>,
    /// Different images under one name.
    pub(crate) problems: Vec<String>,
}

impl OpenInput<'_> {
    /// Resolves every image. Unreadable and missing images are part of the result.
    pub(crate) async fn survey(
        &self,
        cx: &Context,
        referrers: ReferrerMode,
    ) -> Result<Survey, OpsError> {
        let source = self.source.as_ref();
        match (self.input, &self.catalog) {
            (Input::Registries(registries), _) => {
                let wanted = registries.surveyed(&self.images, referrers)?;
                let how = (wanted, OnFailure::GoOn);
                let resolutions = registries.resolve(cx, (source, None), how).await?;
                let (mut found, mut absent) = (Vec::new(), Vec::new());
                for resolution in resolutions {
                    match resolution {
                        Resolution::Failed(wanted, error) if is_absent(&error) => {
                            absent.push(Absent::of_wanted(&wanted, chain(&error)));
                        }
                        resolution => found.push(resolution),
                    }
                }
                let batch = Batch::of(cx, source, (found, OnFailure::GoOn));
                registries.note_budgets(cx);
                Ok(Survey {
                    batch,
                    absent,
                    problems: Vec::new(),
                })
            }
            (
                Input::Local {
                    path,
                    list,
                    platforms,
                    ..
                },
                Some(catalog),
            ) => {
                let carry = Carry::local(platforms, referrers);
                let surveyed = catalog.survey(list.as_ref(), &carry).await?;
                let error = format!("not found in `{}`", path.display());
                let absent = surveyed.missing.iter();
                let absent = absent.map(|line| Absent::of_line(line, error.clone()));
                Ok(Survey {
                    absent: absent.collect(),
                    problems: surveyed.collisions.iter().map(ambiguous_name).collect(),
                    batch: Batch::resolve(cx, source, surveyed.wanted, OnFailure::GoOn).await,
                })
            }
            (Input::Local { .. }, None) => unreachable!("a local input is opened as a catalog"),
        }
    }
}

/// Whether a registry does not have an image at all.
fn is_absent(error: &TransferError) -> bool {
    matches!(
        error,
        TransferError::ImageAbsent {
            registry: Some(_),
            ..
        }
    )
}

/// The message about different images with one name.
pub(crate) fn ambiguous_name(collision: &Collision) -> String {
    format!("one name for different images: {collision}")
}
