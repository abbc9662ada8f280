//! The common part of batches: resolve, plan, move, and report the result of each image.

mod damage;
mod destination;
mod failure;
mod lacking;
mod notes;
mod outcome;
mod room;
mod target;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

pub use destination::{Target, TargetName, WouldMove};
pub use failure::BatchFailure;
pub(super) use lacking::{Parts, parts};
pub use outcome::{BatchOutcome, ImageReport, ImageStatus, PresentVolumes, RemovedImage};
pub use room::require_writable_file;
pub(super) use room::{
    existing_ancestor, require_file_len, require_links, require_other, require_reachable,
    require_same_filesystem, require_space, require_space_of_all, require_writable,
};

use super::{Context, OpsError};
use hod_oci::{Digest, Platform, sum_len};
use hod_report::Event;
use hod_report::amount::format_count;
use hod_report::chain;
use hod_transfer::{
    Ended, Feed, ImageOutcome, OnFailure, Plan, PlannedBlob, Presence, Resolution, Resolved, Sink,
    Source, Transfer, TransferError, Wanted, join_referrers, resolve_all,
};

/// Number of images resolved at once: each needs a few small requests, mostly waiting.
const RESOLVE_AT_ONCE: usize = 16;

/// Whether the verb does its work or only describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunMode {
    Real,
    DryRun,
}

impl RunMode {
    /// Converts the verb's `--dry-run`.
    pub fn of(is_dry_run: bool) -> Self {
        if is_dry_run { Self::DryRun } else { Self::Real }
    }
}

/// The extent to which the destination of an image has it already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TargetState {
    /// Not this image.
    New,
    /// The image, but not all of its referrers.
    WithoutReferrers,
    /// All of it.
    Unchanged,
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

/// Resolves images, without reporting them.
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
    resolve_all(source, wanted, RESOLVE_AT_ONCE, on_failure, &cx.reporter).await
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
        Self::of(cx, source, resolutions, on_failure)
    }

    /// Plans the blobs of images that are resolved, and reports those that failed.
    pub(super) fn of(
        cx: &Context,
        source: &dyn Source,
        resolutions: Vec<Resolution>,
        on_failure: OnFailure,
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
                    let is_filtered = matches!(*error, TransferError::Filtered { .. });
                    let report = ImageReport::unresolved(&wanted, ImageStatus::failed(error));
                    if let ImageStatus::Failed { text, .. } = &report.status
                        && !is_filtered
                    {
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

    /// The images at these positions, which may repeat, under the names of `wanted`.
    pub(super) fn assigned<'w>(&self, wanted: impl Iterator<Item = (usize, &'w Wanted)>) -> Self {
        let places = self.positions.iter().enumerate();
        let places: HashMap<usize, usize> = places.map(|(at, position)| (*position, at)).collect();
        let mut batch = self.clone();
        let mut images = Vec::new();
        batch.reports.clear();
        batch.positions.clear();
        for (position, wanted) in wanted {
            if let Some(&at) = places.get(&position) {
                let mut image = self.plan.images[at].clone();
                image.wanted.destination = wanted.destination.clone();
                images.push(image);
                batch.positions.push(batch.reports.len());
            }
            batch.reports.push(ImageReport {
                destination: wanted.destination.to_string(),
                ..self.reports[position].clone()
            });
        }
        batch.plan = Arc::new(Plan::new(images));
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

    /// Fails with the first failure if no image could be read.
    pub(super) fn require_one(&self, word: &Path) -> Result<(), OpsError> {
        match self.first_failure() {
            Some(failure) if self.plan.images.is_empty() => Err(OpsError::NothingRead {
                word: word.to_owned(),
                undone: "",
                source: failure.error,
            }),
            _ => Ok(()),
        }
    }

    /// Removes from the plan images that their destination has unchanged, or whose destination
    /// cannot be checked, and the content that it has; one answer for each image of the plan.
    pub(super) fn settle(&mut self, answers: Vec<Result<TargetState, TransferError>>) {
        let (mut rest, mut positions) = (Vec::new(), Vec::new());
        for (at, answer) in answers.into_iter().enumerate() {
            let position = self.positions[at];
            match answer {
                Ok(state @ (TargetState::New | TargetState::WithoutReferrers)) => {
                    let mut image = self.plan.images[at].clone();
                    if state == TargetState::WithoutReferrers {
                        image.is_in_place = true;
                        image.blobs.clear();
                    }
                    rest.push(image);
                    positions.push(position);
                }
                Ok(TargetState::Unchanged) => {
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

    /// Records the holder of each blob, by position in the plan.
    pub(super) fn set_presence(&mut self, found: Vec<(usize, Presence)>) {
        let plan = Arc::get_mut(&mut self.plan).expect("only a run shares the plan");
        for (at, presence) in found {
            plan.blobs[at].presence = presence;
        }
    }

    /// Records the platforms of each image of the plan, if known.
    pub(super) fn set_platforms(&mut self, found: Vec<Option<Platform>>) {
        let plan = Arc::get_mut(&mut self.plan).expect("only a run shares the plan");
        for (image, platform) in plan.images.iter_mut().zip(found) {
            image.platform = image.platform.take().or(platform);
        }
    }

    /// Warns the user about the image at a position in the plan.
    pub(super) fn warn(&mut self, cx: &Context, image: usize, text: String) {
        let report = &mut self.reports[self.positions[image]];
        cx.warn(&format!("{}: {text}", report.image));
        report.warnings.push(text);
    }

    /// Marks the image at a position in the plan as waiting for absent volumes.
    pub(super) fn wait(&mut self, image: usize, volumes: Vec<u32>) {
        self.reports[self.positions[image]].status = ImageStatus::Waiting { volumes };
    }

    /// Lets `check` change every image of the plan, and removes those that it refuses.
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
                    let mut report = ImageReport::of(&image, ImageStatus::Planned);
                    let said = std::mem::take(&mut self.reports[position].warnings);
                    let new = said.iter().filter(|text| !image.warnings.contains(text));
                    report.warnings.extend(new.cloned());
                    self.reports[position] = report;
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

    /// Moves the planned blobs and publishes the images.
    pub(super) async fn run(&mut self, cx: &Context, feed: &mut Feed<'_>, sink: Arc<dyn Sink>) {
        let blobs = &self.plan.blobs;
        let is_at_hand = |blob: &&PlannedBlob| blob.presence != Presence::Nowhere;
        let at_hand = || blobs.iter().filter(is_at_hand);
        cx.reporter.event(Event::Planned {
            n_images: self.plan.images.len(),
            n_blobs: at_hand().count(),
            len: sum_len(at_hand().map(|blob| blob.descriptor.size)),
        });
        let transfer = self.transfer(cx, feed, sink);
        let outcomes = transfer.run(&self.plan).await;
        self.note_times(&transfer);
        self.record(outcomes);
        self.fail_unchanged(cx);
    }

    /// Moves the planned blobs for a target at which all images appear together or none: stops at
    /// the first failure and returns it. [`Batch::mark_done`] marks the images as done.
    pub(super) async fn run_as_one(
        &mut self,
        cx: &Context,
        feed: &mut Feed<'_>,
        sink: Arc<dyn Sink>,
    ) -> Result<(), OpsError> {
        let transfer = Transfer {
            on_failure: OnFailure::Stop,
            ..self.transfer(cx, feed, sink)
        };
        let outcomes = transfer.run(&self.plan).await;
        self.note_times(&transfer);
        let failed = outcomes
            .into_iter()
            .enumerate()
            .filter_map(|(at, outcome)| {
                let image = self.plan.images[at].wanted.name.clone();
                outcome.err().map(|error| BatchFailure { image, error })
            });
        // Stopped images report nothing.
        let is_reason = |failure: &BatchFailure| !matches!(*failure.error, TransferError::Stopped);
        let (reasons, stopped): (Vec<_>, Vec<_>) = failed.partition(is_reason);
        match reasons.into_iter().chain(stopped).next() {
            Some(failure) => Err(failure.into()),
            None => Ok(()),
        }
    }

    fn transfer(&self, cx: &Context, feed: &mut Feed<'_>, sink: Arc<dyn Sink>) -> Transfer {
        Transfer {
            source: Arc::clone(feed.source()),
            share: feed.take_share(),
            sink,
            reporter: Arc::clone(&cx.reporter),
            jobs: cx.jobs,
            on_failure: self.on_failure,
            retry: cx.retry,
            timings: Arc::default(),
        }
    }

    fn note_times(&mut self, transfer: &Transfer) {
        for (at, &position) in self.positions.iter().enumerate() {
            let took = transfer.timings.took(at);
            self.reports[position].seconds = took.map(|took| took.as_secs_f64());
        }
    }

    /// Leaves blobs out that are not to be moved, though images need them.
    pub(super) fn keep_blobs(&mut self, is_kept: impl Fn(&Digest) -> bool) {
        let plan = Arc::get_mut(&mut self.plan).expect("only a run shares the plan");
        plan.blobs.retain(|blob| is_kept(&blob.descriptor.digest));
    }

    /// Records that all images that were planned are at their target.
    pub(super) fn mark_done(&mut self) {
        self.record(vec![Ok(()); self.plan.images.len()]);
    }

    /// Tells of the images that can be seen from now on.
    pub(super) fn announce(&self, cx: &Context) {
        for (_, image) in self.done() {
            let image = image.wanted.name.as_str();
            cx.reporter.event(Event::ImageDone { image });
        }
    }

    /// Reads a bundle on a stream to its end, and records problems after the last requested blob.
    /// The carried blobs are already verified, but the sender may have failed.
    pub(super) async fn check_the_rest(&mut self, cx: &Context, source: &dyn Source) {
        if !self.must_stop()
            && let Ended::Untold(error) = source.end().await
        {
            let text = chain(&error);
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

    /// The number of images.
    pub(super) fn len(&self) -> usize {
        self.reports.len()
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
            is_closed: false,
            projects: Vec::new(),
            bundles: Vec::new(),
            forecasts: Vec::new(),
            images: self.reports,
        }
    }
}
