//! The result of a batch and of each of its images.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::{Target, TargetName, WouldMove};
use crate::{PackForecast, PackOutcome, ProjectReport};
use hod_oci::{Digest, sum_len};
use hod_report::amount::is_zero;
use hod_report::{Diagnose as _, Diagnosis, ErrorClass, chain};
use hod_transfer::{Resolved, TransferError, Wanted};

/// The result for an image.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case", tag = "status")]
pub enum ImageStatus {
    /// It is complete at its destination.
    Done,
    /// The target already had it.
    Unchanged,
    /// It would be carried (`--dry-run`).
    Planned,
    /// Some of its blobs are in absent volumes of the bundle, and the target lacks them.
    Waiting { volumes: Vec<u32> },
    /// Another image failed before it was complete, and the run stopped there (`--fail-fast`).
    NotTried,
    /// It was given up.
    Failed {
        #[serde(skip)]
        error: Arc<TransferError>,
        #[serde(rename = "error")]
        text: String,
        class: ErrorClass,
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
}

/// One image of a batch, in the order of the list.
#[derive(Debug, Clone, Serialize)]
pub struct ImageReport {
    /// As the user wrote it.
    pub image: String,
    /// The target, if there are several.
    #[serde(flatten)]
    pub at: Option<TargetName>,
    /// The destination: `repository[:tag]`.
    pub destination: String,
    /// The digest of its destination; absent when it was not found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The index that was rewritten, or replaced by one of its manifests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_digest: Option<Digest>,
    /// The previous digest of its destination; only for a push.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// The digest that its tag is moved from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Digest>,
    /// Bytes of its blobs and its referrers' blobs, including shared ones.
    pub bytes: u64,
    /// The number of referrers (signatures, attestations, SBOMs) carried with it.
    #[serde(skip_serializing_if = "is_zero")]
    pub referrers: usize,
    /// From the start of its first blob until it was complete or given up; absent for one that
    /// needed no work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Notes for the user.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    #[serde(flatten)]
    pub status: ImageStatus,
}

/// The result of a batch.
#[derive(Debug, Serialize)]
pub struct BatchOutcome {
    pub images: Vec<ImageReport>,
    /// Unique blobs of all images that were resolved.
    pub n_blobs: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Additional bytes that carrying each image separately would have moved.
    pub shared_bytes: u64,
    /// The data that would be sent, if a dry run checked every blob at the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_move: Option<WouldMove>,
    /// The volumes that images wait for and that should come next: one, or those that have the
    /// parts of one layer and are needed together.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub next_volumes: Vec<u32>,
    /// The volumes that were read, if images wait for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub present_volumes: Option<PresentVolumes>,
    /// A problem in a bundle from a pipe after the last blob that was needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_damage: Option<String>,
    /// Images that are not selected, and were removed from the tree or would be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<RemovedImage>,
    /// Files that are not images: of a bundle, those that were left in it; of a tree, those that
    /// hod did not write, and the links of tags that cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_files: Vec<String>,
    /// Whether no images can be added to the output later, as to a bundle or an archive.
    #[serde(skip)]
    pub is_closed: bool,
    /// Projects of a Harbor that were created, or would be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<ProjectReport>,
    /// Bundles that were written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bundles: Vec<PackOutcome>,
    /// Bundles that would be written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forecasts: Vec<PackForecast>,
}

/// An image that was removed from a tree, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RemovedImage {
    /// `repository:tag`, or `repository@digest` of one without a tag.
    pub image: String,
    pub digest: Digest,
    /// The store has it without a tag, so that it is found there by its digest only.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub untagged_in_store: bool,
}

/// The volumes of a bundle that a run had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PresentVolumes {
    /// Counted from 1.
    pub present: Vec<u32>,
    pub n_volumes: u32,
}

impl BatchOutcome {
    /// The outcomes of several targets as one, with the target named with each image.
    pub(crate) fn joined(outcomes: Vec<(TargetName, Self)>) -> Self {
        let is_one = outcomes.len() == 1;
        let mut outcomes = outcomes.into_iter();
        let Some((target, mut joined)) = outcomes.next() else {
            unreachable!("images are copied somewhere");
        };
        if is_one {
            return joined;
        }
        joined.name(&target);
        for (target, mut other) in outcomes {
            other.name(&target);
            joined.images.extend(other.images);
            joined.n_blobs += other.n_blobs;
            joined.bytes = sum_len([joined.bytes, other.bytes]);
            joined.shared_bytes = sum_len([joined.shared_bytes, other.shared_bytes]);
            joined.would_move = match (joined.would_move, other.would_move) {
                (Some(all), Some(one)) => Some(WouldMove {
                    blobs: all.blobs + one.blobs,
                    bytes: sum_len([all.bytes, one.bytes]),
                }),
                (all, one) => all.or(one),
            };
            joined.source_damage = joined.source_damage.or(other.source_damage);
            joined.next_volumes.extend(other.next_volumes);
            joined.next_volumes.sort_unstable();
            joined.next_volumes.dedup();
            joined.present_volumes = joined.present_volumes.or(other.present_volumes);
            joined.is_closed |= other.is_closed;
            joined.removed.extend(other.removed);
            joined.left_files.extend(other.left_files);
            joined.projects.extend(other.projects);
            joined.bundles.extend(other.bundles);
            joined.forecasts.extend(other.forecasts);
        }
        joined
    }

    /// The outcome of a batch that moves no blobs.
    pub(crate) fn of_reports(images: Vec<ImageReport>) -> Self {
        Self {
            images,
            n_blobs: 0,
            bytes: 0,
            shared_bytes: 0,
            would_move: None,
            next_volumes: Vec::new(),
            present_volumes: None,
            source_damage: None,
            removed: Vec::new(),
            left_files: Vec::new(),
            is_closed: false,
            projects: Vec::new(),
            bundles: Vec::new(),
            forecasts: Vec::new(),
        }
    }

    /// Names the target with each image.
    pub(crate) fn name(&mut self, target: &TargetName) {
        for image in &mut self.images {
            image.at = Some(target.clone());
        }
    }

    /// The number of images that wait for volumes.
    pub fn n_waiting(&self) -> usize {
        let waits = |image: &&ImageReport| matches!(image.status, ImageStatus::Waiting { .. });
        self.images.iter().filter(waits).count()
    }

    /// The number of images that were not tried after another had failed.
    pub fn n_not_tried(&self) -> usize {
        let is_left = |image: &&ImageReport| matches!(image.status, ImageStatus::NotTried);
        self.images.iter().filter(is_left).count()
    }

    /// The number of images that failed.
    pub fn n_failed(&self) -> usize {
        self.images
            .iter()
            .filter(|image| image.status.is_failed())
            .count()
    }
}

impl ImageReport {
    pub(crate) fn of(image: &Resolved, status: ImageStatus) -> Self {
        Self {
            image: image.wanted.name.clone(),
            at: None,
            destination: image.wanted.destination.to_string(),
            digest: Some(image.top().digest().clone()),
            original_digest: image.original.clone(),
            target: None,
            replaces: None,
            bytes: bytes_of(image),
            referrers: image.n_referrers(),
            seconds: None,
            warnings: image.warnings.clone(),
            status,
        }
    }

    /// An image of which only the requested name is known.
    pub(crate) fn unresolved(wanted: &Wanted, status: ImageStatus) -> Self {
        Self {
            destination: wanted.destination.to_string(),
            ..Self::named(wanted.name.clone(), status)
        }
    }

    /// An image with nothing but its name, which is its destination too.
    pub(crate) fn named(image: String, status: ImageStatus) -> Self {
        Self {
            at: None,
            destination: image.clone(),
            image,
            digest: None,
            original_digest: None,
            target: None,
            replaces: None,
            bytes: 0,
            referrers: 0,
            seconds: None,
            warnings: Vec::new(),
            status,
        }
    }
}

impl ImageStatus {
    /// Whether the image was given up.
    pub(crate) fn is_failed(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }

    pub(crate) fn failed(error: Arc<TransferError>) -> Self {
        let Diagnosis { class, hint, .. } = error.diagnose();
        Self::Failed {
            text: chain(error.as_ref()),
            error,
            class,
            hint,
        }
    }

    /// Why the image was given up.
    pub fn error(&self) -> Option<&TransferError> {
        match self {
            Self::Failed { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// The bytes of an image's blobs and of its referrers', each blob once.
fn bytes_of(image: &Resolved) -> u64 {
    let blobs: BTreeMap<&Digest, u64> = image
        .all_blobs()
        .map(|(blob, _)| (&blob.digest, blob.size))
        .collect();
    sum_len(blobs.into_values())
}
