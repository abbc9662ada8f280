//! What the batches have in common: resolve, plan, move, and say what became of each image.

mod damage;
mod lacking;
mod notes;
mod room;
mod target;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

pub(super) use room::{
    existing_ancestor, require_file_len, require_links, require_other, require_same_filesystem,
    require_space,
};
pub use target::{Target, WouldMove};

use super::{Context, ProjectReport};
use crate::oci::{Digest, Platform, Registry, sum_len};
use crate::report::Event;
use crate::report::amount::format_count;
use crate::transfer::{
    Ended, ImageOutcome, OnFailure, Plan, PlannedBlob, Presence, Resolution, Resolved, Sink,
    Source, Transfer, TransferError, Wanted, join_referrers, resolve_all,
};

/// Number of images resolved at once: each needs a few small requests, mostly waiting.
const RESOLVE_AT_ONCE: usize = 16;

/// Whether the verb does its work or only describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Real,
    DryRun,
}

impl Effect {
    /// Converts the verb's `--dry-run`.
    pub fn of(is_dry_run: bool) -> Self {
        if is_dry_run { Self::DryRun } else { Self::Real }
    }
}

/// The result for an image.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case", tag = "status")]
pub enum ImageStatus {
    /// It is complete at its destination.
    Done,
    /// It was there already, unchanged.
    Unchanged,
    /// It would be carried (`--dry-run`).
    Planned,
    /// Some of its blobs are in volumes of the bundle that are not here, and the target lacks them.
    Waiting { volumes: Vec<u32> },
    /// Another image failed before it was complete, and the run stopped there (`--fail-fast`).
    NotTried,
    /// It was given up.
    Failed {
        #[serde(skip)]
        error: Arc<TransferError>,
        #[serde(rename = "error")]
        text: String,
    },
}

/// One image of a batch, in the order of the list.
#[derive(Debug, Clone, Serialize)]
pub struct ImageReport {
    /// As the user wrote it.
    pub image: String,
    /// The destination: `repository[:tag]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry: Option<String>,
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
    /// Bytes of its blobs and those of its referrers, shared ones included.
    pub bytes: u64,
    /// The number of signatures, attestations, SBOMs and the like carried with it.
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
#[derive(Debug, Clone, Serialize)]
pub struct BatchOutcome {
    pub images: Vec<ImageReport>,
    /// Unique blobs of all images that were resolved.
    pub n_blobs: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Additional bytes that carrying each image separately would have moved.
    pub shared_bytes: u64,
    /// The data that would be sent, where a dry run asked the target for every blob.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_move: Option<WouldMove>,
    /// The volumes that images wait for and that should come next: one, or those that have the
    /// parts of one layer and are needed together.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub next_volumes: Vec<u32>,
    /// The volumes that were read, where images wait for others.
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
    /// Projects of a Harbor that were created, or would be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<ProjectReport>,
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
    /// The number of images that wait for volumes.
    pub(super) fn joined(outcomes: Vec<(Registry, Self)>) -> Self {
        let is_one = outcomes.len() == 1;
        let mut outcomes = outcomes.into_iter();
        let Some((registry, mut joined)) = outcomes.next() else {
            unreachable!("images are copied somewhere");
        };
        if is_one {
            return joined;
        }
        joined.name(&registry);
        for (registry, mut other) in outcomes {
            other.name(&registry);
            joined.images.extend(other.images);
            joined.n_blobs += other.n_blobs;
            joined.bytes = sum_len([joined.bytes, other.bytes]);
            joined.shared_bytes = sum_len([joined.shared_bytes, other.shared_bytes]);
            if let (Some(all), Some(one)) = (&mut joined.would_move, other.would_move) {
                all.blobs += one.blobs;
                all.bytes = sum_len([all.bytes, one.bytes]);
            }
            joined.source_damage = joined.source_damage.or(other.source_damage);
            joined.projects.extend(other.projects);
        }
        joined
    }

    fn name(&mut self, registry: &Registry) {
        for image in &mut self.images {
            image.registry = Some(registry.to_string());
        }
    }

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
    pub(super) fn of(image: &Resolved, status: ImageStatus) -> Self {
        Self {
            image: image.wanted.name.clone(),
            registry: None,
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
    fn unresolved(wanted: &Wanted, status: ImageStatus) -> Self {
        Self {
            image: wanted.name.clone(),
            registry: None,
            destination: wanted.destination.to_string(),
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
    pub(super) fn is_failed(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }

    pub(super) fn failed(error: Arc<TransferError>) -> Self {
        let text = error_chain(error.as_ref());
        Self::Failed { error, text }
    }
}

/// Whether a number is zero, and so left out.
pub(super) fn is_zero<N: Default + PartialEq>(n: &N) -> bool {
    *n == N::default()
}

/// The bytes of an image's blobs and of its referrers', each blob once.
fn bytes_of(image: &Resolved) -> u64 {
    let blobs: BTreeMap<&Digest, u64> = image
        .all_blobs()
        .map(|(blob, _)| (&blob.digest, blob.size))
        .collect();
    sum_len(blobs.into_values())
}

/// The extent to which the destination of an image has it already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Not this image.
    New,
    /// The image, but not all of its referrers.
    WithoutReferrers,
    /// All of it.
    Unchanged,
}

/// An error and its causes on one line.
pub(super) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// The image at which an all-or-nothing verb broke off.
#[derive(Debug, thiserror::Error)]
#[error("image `{image}` failed, so nothing was done")]
pub struct BatchFailure {
    pub image: String,
    #[source]
    pub error: Arc<TransferError>,
}

/// A batch whose images are resolved: a report for every image, a plan for those that continue.
#[derive(Clone)]
pub(super) struct Batch {
    reports: Vec<ImageReport>,
    /// The position in `reports` of each image of the plan.
    positions: Vec<usize>,
    /// The images that their destination has, with their positions in `reports`.
    unchanged: Vec<(usize, Resolved)>,
    pub(super) plan: Arc<Plan>,
    on_failure: OnFailure,
    pub(super) next_volumes: Vec<u32>,
    pub(super) present_volumes: Option<PresentVolumes>,
    source_damage: Option<String>,
}

/// Resolves images, and reports nothing of them yet.
pub(super) async fn resolve_images(
    cx: &Context,
    source: &dyn Source,
    wanted: Vec<Wanted>,
    on_failure: OnFailure,
) -> Vec<Resolution> {
    source.notes().iter().for_each(|note| cx.note(note));
    cx.stage(&format!(
        "resolving {}",
        format_count(wanted.len(), "image")
    ));
    let limits = (RESOLVE_AT_ONCE, on_failure);
    resolve_all(source, wanted, limits, &cx.reporter).await
}

impl Batch {
    /// Resolves all images and plans their blobs.
    pub(super) async fn resolve(
        cx: &Context,
        source: &dyn Source,
        wanted: Vec<Wanted>,
        on_failure: OnFailure,
    ) -> Self {
        let resolutions = resolve_images(cx, source, wanted, on_failure).await;
        Self::of(cx, source, (resolutions, on_failure))
    }

    /// Plans the blobs of images that are resolved, and reports those that failed.
    pub(super) fn of(
        cx: &Context,
        source: &dyn Source,
        (resolutions, on_failure): (Vec<Resolution>, OnFailure),
    ) -> Self {
        let mut batch = Self {
            reports: Vec::with_capacity(resolutions.len()),
            positions: Vec::new(),
            unchanged: Vec::new(),
            plan: Arc::new(Plan::new(Vec::new())),
            on_failure,
            next_volumes: Vec::new(),
            present_volumes: None,
            source_damage: None,
        };
        let mut images = Vec::new();
        let (mut n_unsigned, mut n_left) = (0, 0);
        for resolution in resolutions {
            match resolution {
                Resolution::Resolved(image) => {
                    let image = *image;
                    if !image.foreign.is_empty() {
                        cx.note(&notes::foreign_note(source, &image));
                    }
                    for text in &image.warnings {
                        cx.warn(&format!("{}: {text}", image.wanted.name));
                    }
                    n_left += image.n_left_referrers;
                    n_unsigned += usize::from(image.leaves_referrers);
                    batch.positions.push(batch.reports.len());
                    batch
                        .reports
                        .push(ImageReport::of(&image, ImageStatus::Planned));
                    images.push(image);
                }
                Resolution::NotTried(wanted) => {
                    let status = ImageStatus::NotTried;
                    batch.reports.push(ImageReport::unresolved(&wanted, status));
                }
                Resolution::Failed(wanted, error) => {
                    let report = ImageReport::unresolved(&wanted, ImageStatus::failed(error));
                    if let ImageStatus::Failed { text, .. } = &report.status {
                        cx.reporter.event(Event::ImageFailed {
                            image: &wanted.name,
                            error: text,
                        });
                    }
                    batch.reports.push(report);
                }
            }
        }
        notes::note_left(cx, n_unsigned, n_left);
        for note in join_referrers(&mut images) {
            cx.warn(&note);
        }
        batch.plan = Arc::new(Plan::new(images));
        batch
    }

    /// The same images under the names of `wanted`, in whose order they were wanted here.
    pub(super) fn redirected(&self, wanted: &[Wanted]) -> Self {
        let mut batch = self.clone();
        let mut images = self.plan.images.clone();
        for (image, &position) in images.iter_mut().zip(&self.positions) {
            image.wanted.destination = wanted[position].destination.clone();
        }
        batch.plan = Arc::new(Plan::new(images));
        for (report, wanted) in batch.reports.iter_mut().zip(wanted) {
            report.destination = wanted.destination.to_string();
        }
        batch
    }

    /// Whether an image failed already and the batch is to stop at the first failure.
    pub(super) fn must_stop(&self) -> bool {
        self.on_failure == OnFailure::Stop && self.has_failures()
    }

    /// The number of images that failed so far.
    pub(super) fn n_failed(&self) -> usize {
        let failed = |report: &&ImageReport| report.status.is_failed();
        self.reports.iter().filter(failed).count()
    }

    pub(super) fn has_failures(&self) -> bool {
        self.n_failed() > 0
    }

    /// The first failure, for verbs that do all or nothing.
    pub(super) fn first_failure(&self) -> Option<BatchFailure> {
        self.reports.iter().find_map(|report| match &report.status {
            ImageStatus::Failed { error, .. } => Some(BatchFailure {
                image: report.image.clone(),
                error: Arc::clone(error),
            }),
            _ => None,
        })
    }

    /// Takes images out of the plan that their destination has unchanged, or about which it cannot
    /// be asked, and of others what it has; one answer for each image of the plan.
    pub(super) fn settle(&mut self, answers: Vec<Result<Standing, TransferError>>) {
        let (mut rest, mut positions) = (Vec::new(), Vec::new());
        for (at, answer) in answers.into_iter().enumerate() {
            let position = self.positions[at];
            match answer {
                Ok(standing @ (Standing::New | Standing::WithoutReferrers)) => {
                    let mut image = self.plan.images[at].clone();
                    if standing == Standing::WithoutReferrers {
                        image.is_in_place = true;
                        image.blobs.clear();
                    }
                    rest.push(image);
                    positions.push(position);
                }
                Ok(Standing::Unchanged) => {
                    self.reports[position].status = ImageStatus::Unchanged;
                    let image = self.plan.images[at].clone();
                    self.unchanged.push((position, image));
                }
                Err(error) => self.reports[position].status = ImageStatus::failed(Arc::new(error)),
            }
        }
        self.positions = positions;
        self.plan = Arc::new(Plan::new(rest));
    }

    /// Notes who has which blob, by position in the plan.
    pub(super) fn set_presence(&mut self, found: Vec<(usize, Presence)>) {
        let plan = Arc::get_mut(&mut self.plan).expect("only a run shares the plan");
        for (at, presence) in found {
            plan.blobs[at].presence = presence;
        }
    }

    /// Notes what each image of the plan runs on, where that was found.
    pub(super) fn set_platforms(&mut self, found: Vec<Option<Platform>>) {
        let plan = Arc::get_mut(&mut self.plan).expect("only a run shares the plan");
        for (image, platform) in plan.images.iter_mut().zip(found) {
            image.platform = image.platform.take().or(platform);
        }
    }

    /// Says what the user should know of the image at a position in the plan.
    pub(super) fn warn(&mut self, cx: &Context, image: usize, text: String) {
        let report = &mut self.reports[self.positions[image]];
        cx.warn(&format!("{}: {text}", report.image));
        report.warnings.push(text);
    }

    /// Notes that the image at a position in the plan waits for volumes that are not here.
    pub(super) fn wait(&mut self, image: usize, volumes: Vec<u32>) {
        self.reports[self.positions[image]].status = ImageStatus::Waiting { volumes };
    }

    /// Lets `check` change every image of the plan, and takes out those that it refuses.
    pub(super) fn narrow<E: Into<Arc<TransferError>>>(
        &mut self,
        cx: &Context,
        mut check: impl FnMut(&mut Resolved) -> Result<(), E>,
    ) {
        let (mut rest, mut positions) = (Vec::new(), Vec::new());
        for (image, &position) in self.plan.images.iter().zip(&self.positions) {
            let mut image = image.clone();
            match check(&mut image) {
                Ok(()) => {
                    self.reports[position] = ImageReport::of(&image, ImageStatus::Planned);
                    rest.push(image);
                    positions.push(position);
                }
                Err(error) => {
                    let status = ImageStatus::failed(error.into());
                    if let ImageStatus::Failed { text, .. } = &status {
                        let image = &image.wanted.name;
                        cx.reporter.event(Event::ImageFailed { image, error: text });
                    }
                    self.reports[position].status = status;
                }
            }
        }
        self.positions = positions;
        self.plan = Arc::new(Plan::new(rest));
    }

    /// Moves and publishes what was planned.
    pub(super) async fn run(&mut self, cx: &Context, source: Arc<dyn Source>, sink: Arc<dyn Sink>) {
        let blobs = &self.plan.blobs;
        let is_at_hand = |blob: &&PlannedBlob| blob.presence != Presence::Nowhere;
        let at_hand = || blobs.iter().filter(is_at_hand);
        cx.reporter.event(Event::Planned {
            n_images: self.plan.images.len(),
            n_blobs: at_hand().count(),
            len: sum_len(at_hand().map(|blob| blob.descriptor.size)),
        });
        let transfer = Transfer {
            source,
            sink,
            reporter: Arc::clone(&cx.reporter),
            jobs: cx.jobs,
            on_failure: self.on_failure,
            retry: cx.retry,
            timings: Arc::default(),
        };
        let outcomes = transfer.run(&self.plan).await;
        for (at, &position) in self.positions.iter().enumerate() {
            let took = transfer.timings.took(at);
            self.reports[position].seconds = took.map(|took| took.as_secs_f64());
        }
        self.record(outcomes);
        self.fail_unchanged(cx);
    }

    /// Records that everything planned was moved by other means than [`Batch::run`].
    pub(super) fn mark_done(&mut self) {
        self.record(vec![Ok(()); self.plan.images.len()]);
    }

    /// Reads a bundle that comes once to its end, and notes what is wrong behind the last blob that
    /// was wanted. All that was carried is verified by then, but the sender may have failed.
    pub(super) async fn check_the_rest(&mut self, cx: &Context, source: &dyn Source) {
        if !self.must_stop()
            && let Ended::Untold(error) = source.end().await
        {
            let text = error_chain(&error);
            cx.warn(&text);
            self.source_damage = Some(text);
        }
    }

    fn record(&mut self, outcomes: Vec<ImageOutcome>) {
        for (at, outcome) in outcomes.into_iter().enumerate() {
            let status = &mut self.reports[self.positions[at]].status;
            *status = match outcome {
                Ok(()) => ImageStatus::Done,
                Err(error) if matches!(*error, TransferError::Stopped) => match status {
                    ImageStatus::Waiting { .. } => continue,
                    _ => ImageStatus::NotTried,
                },
                Err(error) => ImageStatus::failed(error),
            };
        }
    }

    /// The result for each image so far, in the order of the list.
    pub(super) fn reports(&self) -> &[ImageReport] {
        &self.reports
    }

    /// The images of the plan that are complete at their destination, by position in the list.
    pub(super) fn done(&self) -> impl Iterator<Item = (usize, &Resolved)> {
        let images = self.positions.iter().copied().zip(&self.plan.images);
        images.filter(|(at, _)| matches!(self.reports[*at].status, ImageStatus::Done))
    }

    pub(super) fn finish(mut self) -> BatchOutcome {
        // When the batch stopped, images that were only planned were not done.
        if self.must_stop() {
            for report in &mut self.reports {
                if matches!(report.status, ImageStatus::Planned) {
                    report.status = ImageStatus::NotTried;
                }
            }
        }
        BatchOutcome {
            n_blobs: self.plan.blobs.len(),
            bytes: self.plan.len(),
            shared_bytes: self.plan.shared_len(),
            would_move: None,
            next_volumes: self.next_volumes,
            present_volumes: self.present_volumes,
            source_damage: self.source_damage,
            removed: Vec::new(),
            left_files: Vec::new(),
            projects: Vec::new(),
            images: self.reports,
        }
    }
}
