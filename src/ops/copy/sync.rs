//! What `sync` does beside copying: it asks first which images are unchanged, goes on beside lines and
//! targets that cannot be used, and sends each image to the registries that its line names.

use std::sync::Arc;

use futures_util::future::join_all;

use super::assigned::Assigned;
use super::refusals::Refusals;
use super::steps::{checks_platforms_later, fill, name_one, require_all, require_readable_again};
use super::target::{CopyOptions, Prepared, SyncMode};
use super::unchanged;
use crate::batch::{Batch, require_space_of_all};
use crate::input::OpenInput;
use crate::{BatchOutcome, Context, ImageReport, ImageStatus, OpsError, RunMode};
use hod_report::Event;
use hod_report::amount::format_count;
use hod_transfer::{TransferError, Wanted};

/// What happened to a target.
enum Synced {
    Batch(Box<BatchOutcome>),
    /// It was refused; these are its images.
    Refused(Box<Batch>),
}

pub(super) async fn run(
    cx: &Context,
    options: &CopyOptions,
    mode: SyncMode,
) -> Result<BatchOutcome, OpsError> {
    let mut refusals = Refusals::new(&options.targets);
    for (at, target) in options.targets.iter().enumerate() {
        refusals.note(at, target.check().await)?;
    }
    refusals.leave_one()?;
    let known = match options.targets.as_slice() {
        [single] => single.known().await?,
        _ => None,
    };
    let input = OpenInput::open_usable(cx, &options.from, known).await?;
    require_readable_again(options, &input)?;
    for at in refusals.accepted() {
        refusals.note(at, options.targets[at].accept(cx, &input).await)?;
    }
    refusals.leave_one()?;
    let problems = problems(cx, &input);
    let (mut images, mut assigned) = assign(options, mode, &input).await?;
    let settled = unchanged::find(cx, options, &input, (&images, &assigned)).await?;
    let done: Vec<_> = assigned
        .iter_mut()
        .map(|one| one.settle(&settled))
        .collect();
    let mut is_settled = settled.iter().map(Option::is_some);
    images.retain(|_| !is_settled.next().unwrap_or(false));
    let mut outcomes: Vec<Synced> = Vec::new();
    if images.is_empty() {
        let nothing = || Synced::Batch(Box::new(BatchOutcome::of_reports(Vec::new())));
        outcomes.extend(assigned.iter().map(|_| nothing()));
    } else {
        let batch = input
            .resolve(cx, images, options.on_failure, options.policy.as_ref())
            .await?;
        outcomes.extend(carry(cx, options, &input, (batch, &assigned), &mut refusals).await?);
    }
    let mut joined = Vec::with_capacity(outcomes.len());
    for (at, (outcome, done)) in outcomes.into_iter().zip(done).enumerate() {
        let mut outcome = match outcome {
            Synced::Batch(outcome) => *outcome,
            Synced::Refused(batch) => refusals.refused(at, *batch),
        };
        for (place, report) in done {
            outcome
                .images
                .insert(place.min(outcome.images.len()), report);
        }
        let name = options.targets[at].name();
        if mode == SyncMode::Listed {
            outcome.name(&name);
        }
        joined.push((name, outcome));
    }
    let mut outcome = BatchOutcome::joined(joined);
    leave_out_filtered(cx, &mut outcome);
    outcome.images.extend(problems);
    Ok(outcome)
}

/// Takes out images that have none of the platforms of a filter.
fn leave_out_filtered(cx: &Context, outcome: &mut BatchOutcome) {
    let n_all = outcome.images.len();
    let is_filtered = |image: &ImageReport| {
        let error = image.status.error();
        error.is_some_and(|error| matches!(error, TransferError::Filtered { .. }))
    };
    outcome.images.retain(|image| !is_filtered(image));
    let n_out = n_all - outcome.images.len();
    if n_out > 0 {
        cx.note(&format!(
            "left out {}: none of their platforms was asked for",
            format_count(n_out, "image")
        ));
    }
}

/// Reports the lines that cannot be used.
fn problems(cx: &Context, input: &OpenInput<'_>) -> Vec<ImageReport> {
    let mut reports = Vec::new();
    for problem in input.problems() {
        let image = problem.name();
        let status = ImageStatus::failed(Arc::new(problem.clone().into()));
        if let ImageStatus::Failed { text, .. } = &status {
            cx.reporter.event(Event::ImageFailed {
                image: &image,
                error: text,
            });
        }
        reports.push(ImageReport::named(image, status));
    }
    reports
}

/// All images, and those of each target.
async fn assign(
    options: &CopyOptions,
    mode: SyncMode,
    input: &OpenInput<'_>,
) -> Result<(Vec<Wanted>, Vec<Assigned>), OpsError> {
    let targets = &options.targets;
    if mode == SyncMode::Listed {
        let mut all = input.wanted(&[None], options.referrers).await?;
        let images = all.pop().unwrap_or_default();
        let of = |registry| Assigned::of(input.routed(registry, &images));
        let registries = targets.iter().filter_map(|target| target.registry());
        let assigned = registries.map(of).collect();
        return Ok((images, assigned));
    }
    let renames: Vec<_> = targets
        .iter()
        .map(|target| target.renames(&options.renames))
        .collect();
    let mut names = input.wanted(&renames, options.referrers).await?;
    for (target, wanted) in targets.iter().zip(&mut names) {
        name_one(target.as_ref(), wanted)?;
    }
    let images = names.first().cloned().unwrap_or_default();
    let assigned = names
        .into_iter()
        .map(|wanted| Assigned::of(wanted.into_iter().enumerate()));
    Ok((images, assigned.collect()))
}

/// Carries the images of a batch to their targets.
async fn carry(
    cx: &Context,
    options: &CopyOptions,
    input: &OpenInput<'_>,
    (mut batch, assigned): (Batch, &[Assigned]),
    refusals: &mut Refusals<'_>,
) -> Result<Vec<Synced>, OpsError> {
    require_all(options, &batch)?;
    if !batch.must_stop() && !checks_platforms_later(options) {
        input.check_platforms(cx, &mut batch).await;
        require_all(options, &batch)?;
    }
    let is_stopped = batch.must_stop();
    let batches: Vec<Batch> = assigned
        .iter()
        .map(|one| batch.assigned(one.images()))
        .collect();
    if is_stopped {
        let finished = |batch: Batch| Synced::Batch(Box::new(batch.finish()));
        return Ok(batches.into_iter().map(finished).collect());
    }
    let looks = refusals.accepted().into_iter().map(|at| {
        let (target, batch) = (&options.targets[at], batches[at].clone());
        async move { (at, target.prepare(cx, options, input, batch).await) }
    });
    let mut prepared: Vec<Box<dyn Prepared + '_>> = Vec::new();
    let mut places = Vec::new();
    for (at, looked) in join_all(looks).await {
        let looked = looked.and_then(|mut one| match one.not_ready() {
            Some(not_ready) => Err(not_ready.into()),
            None => Ok(one),
        });
        if let Some(one) = refusals.note(at, looked)? {
            prepared.push(one);
            places.push(at);
        }
    }
    refusals.leave_one()?;
    let spaces = prepared.iter().filter_map(|one| one.space());
    let spaces: Vec<_> = spaces.map(|(path, len)| (path.to_owned(), len)).collect();
    hod_bridge::run(move || require_space_of_all(&spaces)).await?;
    if options.mode == RunMode::Real {
        fill(input, &mut prepared).await?;
    }
    let mut synced: Vec<Synced> = batches
        .into_iter()
        .map(|batch| Synced::Refused(Box::new(batch)))
        .collect();
    for (at, one) in places.into_iter().zip(prepared) {
        synced[at] = Synced::Batch(Box::new(one.finish()));
    }
    Ok(synced)
}

impl Refusals<'_> {
    /// The outcome of a target that was refused while others were filled.
    fn refused(&mut self, at: usize, mut batch: Batch) -> BatchOutcome {
        if let Some(error) = self.take(at) {
            batch.fail_rest(&error);
        }
        batch.finish()
    }
}
