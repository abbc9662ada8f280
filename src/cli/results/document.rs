//! The content of a report, in any format.

use std::io;

use serde::Serialize;

use super::amounts::Amounts;
use super::run::Run;
use crate::cli::error::CommandError;
use crate::cli::ui::visible_json;
use hod_list::ListLine;
use hod_oci::Digest;
use hod_ops::{ImageReport, ImageStatus, TargetName};
use hod_report::amount::format_volumes;
use hod_report::{Diagnose as _, Diagnosis, ErrorClass, chain};

/// The report of a run.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    hod: &'static str,
    pub(super) verb: &'static str,
    pub(super) exit: u8,
    #[serde(flatten)]
    pub(super) moved: Amounts,
    /// Why some or all of the work was not tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<Failure>,
    pub(super) images: Vec<ReportedImage>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// One image.
#[derive(Debug, Serialize)]
pub(super) struct ReportedImage {
    pub(super) image: String,
    #[serde(flatten)]
    pub(super) at: Option<TargetName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) destination: Option<String>,
    pub(super) status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) original_digest: Option<Digest>,
    pub(super) bytes: u64,
    pub(super) referrers: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seconds: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<Failure>,
}

/// The result for an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Status {
    Done,
    Unchanged,
    /// Of a dry run.
    Planned,
    /// Some of it is in missing volumes.
    Waiting,
    Failed,
    /// Another image failed before, and the run stopped there.
    NotTried,
    /// The run was refused, or broke off.
    NotDone,
}

impl Status {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Unchanged => "unchanged",
            Self::Planned => "planned",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
            Self::NotTried => "not-tried",
            Self::NotDone => "not-done",
        }
    }
}

/// An error in a document.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Failure {
    pub(super) class: ErrorClass,
    pub(super) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<String>,
}

impl Failure {
    pub(crate) fn of_run(error: &CommandError) -> Self {
        let Diagnosis { class, hint, .. } = error.diagnose();
        Self {
            class,
            message: chain(error),
            hint,
        }
    }
}

impl Document {
    pub(super) fn new(verb: &'static str, run: &Run<'_>) -> Self {
        let at = run.target.cloned().map(TargetName::Registry);
        let (error, images) = match run.found {
            Ok(found) => {
                let images = found.images.iter();
                let images: Vec<ReportedImage> = images
                    .map(|image| ReportedImage::of(image, image.at.clone().or(at.clone())))
                    .collect();
                (None, images)
            }
            Err(error) => {
                let failure = Failure::of_run(error);
                let lines = run.list.iter().flat_map(|list| &list.lines);
                let mut names: Vec<String> = lines.map(ListLine::name).collect();
                names.extend(
                    run.list
                        .is_none()
                        .then(|| run.names.clone())
                        .into_iter()
                        .flatten(),
                );
                let failed = match error {
                    CommandError::Ops(error) => error.failed_image(),
                    _ => None,
                };
                let of_name = |name: String| {
                    if run.done.contains(&name) {
                        return ReportedImage::without_details(name, at.clone(), Status::Done);
                    }
                    let error = (failed == Some(name.as_str())).then(|| failure.clone());
                    ReportedImage::not_done(name, at.clone(), error)
                };
                let images = names.into_iter().map(of_name).collect();
                (Some(failure), images)
            }
        };
        Self {
            hod: env!("CARGO_PKG_VERSION"),
            verb,
            exit: run.exit.code(),
            moved: run.moved,
            error,
            images,
            warnings: run.warnings.clone(),
        }
    }

    /// The report of nothing but these images.
    #[cfg(test)]
    pub(super) fn of_images(
        verb: &'static str,
        moved: Amounts,
        images: Vec<ReportedImage>,
    ) -> Self {
        Self {
            hod: "0",
            verb,
            exit: 0,
            moved,
            error: None,
            images,
            warnings: Vec::new(),
        }
    }

    /// The report as JSON.
    pub(super) fn json(&self) -> Result<Vec<u8>, io::Error> {
        let text = serde_json::to_string_pretty(self)?;
        Ok(format!("{}\n", visible_json(&text)).into_bytes())
    }
}

impl ReportedImage {
    fn of(report: &ImageReport, at: Option<TargetName>) -> Self {
        let (status, error) = match &report.status {
            ImageStatus::Done => (Status::Done, None),
            ImageStatus::Unchanged => (Status::Unchanged, None),
            ImageStatus::Planned => (Status::Planned, None),
            ImageStatus::NotTried => (Status::NotTried, None),
            ImageStatus::Waiting { volumes } => {
                let failure = Failure {
                    class: ErrorClass::NotFound,
                    message: format!("waits for {}", format_volumes(volumes)),
                    hint: None,
                };
                (Status::Waiting, Some(failure))
            }
            ImageStatus::Failed {
                text, class, hint, ..
            } => {
                let failure = Failure {
                    class: *class,
                    message: text.clone(),
                    hint: hint.clone(),
                };
                (Status::Failed, Some(failure))
            }
        };
        Self {
            image: report.image.clone(),
            at,
            destination: Some(report.destination.clone()),
            status,
            digest: report.digest.clone(),
            original_digest: report.original_digest.clone(),
            bytes: report.bytes,
            referrers: report.referrers,
            seconds: report.seconds,
            warnings: report.warnings.clone(),
            error,
        }
    }

    fn not_done(image: String, at: Option<TargetName>, error: Option<Failure>) -> Self {
        let status = if error.is_some() {
            Status::Failed
        } else {
            Status::NotDone
        };
        Self {
            error,
            ..Self::without_details(image, at, status)
        }
    }

    /// An image with nothing but its status.
    fn without_details(image: String, at: Option<TargetName>, status: Status) -> Self {
        Self {
            image,
            at,
            destination: None,
            status,
            digest: None,
            original_digest: None,
            bytes: 0,
            referrers: 0,
            seconds: None,
            warnings: Vec::new(),
            error: None,
        }
    }
}
