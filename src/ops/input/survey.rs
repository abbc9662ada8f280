//! What verbs that only look find in an input.

use super::{Input, OpenInput};
use crate::batch::{Batch, resolve_images};
use crate::carry::Carry;
use crate::unread::Unread;
use crate::{Context, OpsError};
use hod_list::{Collision, ListLine};
use hod_transfer::{OnFailure, ReferrerMode, Resolution, TransferError, Wanted};

/// The images of an input, resolved.
pub(crate) struct Survey {
    /// Every image that was found, under the name that a push without flags gives it.
    pub(crate) batch: Batch,
    /// Images that were named and not found.
    pub(crate) absent: Vec<Unread>,
    /// Images that cannot be read.
    pub(crate) unread: Vec<Unread>,
    /// Different images under one name.
    pub(crate) problems: Vec<String>,
}

impl OpenInput<'_> {
    /// The images by the names of the source, before anything of them is read, and the lines of a
    /// list that the source lacks.
    pub(crate) async fn named(
        &self,
        referrers: ReferrerMode,
    ) -> Result<(Vec<Wanted>, Vec<String>), OpsError> {
        match (self.input, &self.catalog) {
            (Input::Registries(registries), _) => {
                let wanted = registries.surveyed(&self.images, referrers)?;
                Ok((wanted, Vec::new()))
            }
            (
                Input::Local {
                    list, platforms, ..
                },
                Some(catalog),
            ) => {
                let carry = Carry::local(platforms, referrers);
                let surveyed = catalog.survey(list.as_ref(), &carry).await?;
                let missing = surveyed.missing.iter().map(ListLine::name);
                Ok((surveyed.wanted, missing.collect()))
            }
            (Input::Local { .. }, None) => unreachable!("a local input is opened as a catalog"),
        }
    }

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
                let how = OnFailure::GoOn;
                let resolutions = registries.resolve(cx, source, None, wanted, how).await?;
                let (mut found, mut absent) = (Vec::new(), Vec::new());
                for resolution in resolutions {
                    match resolution {
                        Resolution::Failed(wanted, error) if is_absent(&error) => {
                            absent.push(Unread::of_wanted(&wanted, &error));
                        }
                        resolution => found.push(resolution),
                    }
                }
                let unread = unread(&found);
                let batch = Batch::of(cx, source, found, OnFailure::GoOn);
                registries.note_budgets(cx);
                Ok(Survey {
                    batch,
                    absent,
                    unread,
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
                let absent = absent.map(|line| Unread::of_line(line, error.clone()));
                let how = OnFailure::GoOn;
                let resolutions = resolve_images(cx, source, surveyed.wanted, how).await;
                Ok(Survey {
                    unread: unread(&resolutions),
                    absent: absent.collect(),
                    problems: surveyed.collisions.iter().map(ambiguous_name).collect(),
                    batch: Batch::of(cx, source, resolutions, how),
                })
            }
            (Input::Local { .. }, None) => unreachable!("a local input is opened as a catalog"),
        }
    }
}

/// The images that could not be resolved.
fn unread(resolutions: &[Resolution]) -> Vec<Unread> {
    let unread = resolutions
        .iter()
        .filter_map(|resolution| match resolution {
            Resolution::Failed(wanted, error) => Some(Unread::of_wanted(wanted, error)),
            Resolution::Resolved(_) | Resolution::NotTried(_) => None,
        });
    unread.collect()
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
