//! `copy`: images from any endpoint to others. The verbs that move images are presets of it.
//!
//! The source is opened and resolved once. Each target has its own batch, because targets lack
//! different blobs, and is checked before anything moves; then all are filled at once, and a blob
//! that several lack is read once.

mod bundle;
mod layouts;
mod lock;
mod refusals;
mod registry;
mod store;
mod sync;
mod target;
mod unchanged;

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::{join_all, try_join};

use super::batch::{Batch, require_space_of_all};
use super::input::OpenInput;
use super::{BatchOutcome, Context, OpsError, RunMode, Verb};
use hod_transfer::{Feed, Plan, SharedFetch, Wanted};

use self::refusals::Refusals;
pub use bundle::{
    BundleTarget, CarryError, CarryOptions, ExtraFile, NotATool, OwnTool, PackFacts, PackForecast,
    PackOutcome, ProjectNeed, Reading, TargetNeeds, VolumeForecast,
};
pub(super) use bundle::{require_lens, require_others, stale_volumes, tell_manifests, with_files};
pub use layouts::{DirLayouts, DockerArchive, LayoutFormat, LayoutTarget, OciArchive, OciLayout};
pub use registry::{Recheck, RegistryTarget};
pub(super) use store::files_besides;
pub use store::{Others, StoreTarget};
use target::Prepared;
pub use target::{CopyOptions, CopyTarget, SyncMode};

/// Copies images.
///
/// First checks everything that would stop the copy at any target: with any finding, nothing is
/// changed anywhere. Then fills all targets at once. An image becomes visible at a target when it
/// is complete there.
///
/// A slow or failing target delays the others by at most a few seconds.
pub fn copy<'a>(cx: &'a Context, options: &'a CopyOptions) -> Verb<'a, BatchOutcome> {
    match options.sync {
        None => Box::pin(run(cx, options)),
        Some(mode) => Box::pin(sync::run(cx, options, mode)),
    }
}

async fn run(cx: &Context, options: &CopyOptions) -> Result<BatchOutcome, OpsError> {
    let mut refusals = Refusals::new(&options.targets);
    for (at, target) in options.targets.iter().enumerate() {
        refusals.note(at, target.check().await)?;
    }
    refusals.leave_one()?;
    let known = match options.targets.as_slice() {
        [single] => single.known().await?,
        _ => None,
    };
    let input = OpenInput::open(cx, &options.from, known).await?;
    require_readable_again(options, &input)?;
    for at in refusals.accepted() {
        refusals.note(at, options.targets[at].accept(cx, &input).await)?;
    }
    refusals.leave_one()?;
    let targets = options.targets.iter();
    let renames: Vec<_> = targets.map(|t| t.renames(&options.renames)).collect();
    let mut names = input.wanted(&renames, options.referrers).await?;
    for (target, wanted) in options.targets.iter().zip(&mut names) {
        name_one(target.as_ref(), wanted)?;
    }
    let first = names.first().cloned().unwrap_or_default();
    let accepted = refusals.accepted().into_iter();
    let reach = |at: usize| options.targets[at].reach(&names[at], options.mode);
    let reached = join_all(accepted.map(reach));
    let resolved = input.resolve(cx, first, options.on_failure);
    let (mut batch, _) = try_join(resolved, reached.map(Ok)).await?;
    require_all(options, &batch)?;
    if batch.must_stop() || (batch.plan.is_empty() && batch.has_failures()) {
        refusals.end()?;
        return Ok(batch.finish());
    }
    if !checks_platforms_later(options) {
        input.check_platforms(cx, &mut batch).await;
        require_all(options, &batch)?;
        if batch.must_stop() {
            refusals.end()?;
            return Ok(batch.finish());
        }
    }
    let batches = match options.targets.as_slice() {
        // The names are those that it was resolved with.
        [_] => vec![batch],
        _ => names
            .iter()
            .map(|wanted| batch.assigned(wanted.iter().enumerate()))
            .collect(),
    };
    let mut batches: Vec<Option<Batch>> = batches.into_iter().map(Some).collect();
    let looks = refusals.accepted().into_iter().map(|at| {
        let batch = batches[at].take().expect("one for each target");
        let (target, input) = (&options.targets[at], &input);
        async move { (at, target.prepare(cx, options, input, batch).await) }
    });
    let looked = join_all(looks).await;
    let mut prepared = Vec::new();
    for (at, looked) in looked {
        let looked = looked.and_then(|mut one| match one.not_ready() {
            Some(not_ready) => Err(not_ready.into()),
            None => Ok(one),
        });
        prepared.extend(refusals.note(at, looked)?);
    }
    refusals.end()?;
    let spaces = prepared.iter().filter_map(|one| one.space());
    let spaces: Vec<(PathBuf, u64)> = spaces.map(|(path, len)| (path.to_owned(), len)).collect();
    hod_bridge::run(move || require_space_of_all(&spaces)).await?;
    if options.mode == RunMode::Real {
        fill(&input, &mut prepared).await?;
        if let (Some(path), [single]) = (&options.lock, prepared.as_mut_slice()) {
            lock::write(cx, path, &input, single.batch())?;
        }
    }
    let targets = options.targets.iter().map(|target| target.name());
    let outcomes = prepared.into_iter().map(Prepared::finish);
    Ok(BatchOutcome::joined(targets.zip(outcomes).collect()))
}

/// Refuses a source that is read once, for several targets.
fn require_readable_again(options: &CopyOptions, input: &OpenInput<'_>) -> Result<(), OpsError> {
    if options.targets.len() > 1
        && input.source.is_sequential()
        && let Some(catalog) = input.catalog()
    {
        return Err(OpsError::OneTarget {
            path: catalog.path().to_owned(),
            kind: catalog.kind(),
        });
    }
    Ok(())
}

/// Refuses a batch with a failed image, if the target takes all images or none.
fn require_all(options: &CopyOptions, batch: &Batch) -> Result<(), OpsError> {
    let mut targets = options.targets.iter();
    match batch.first_failure() {
        Some(failure) if targets.any(|target| target.is_whole()) => Err(failure.into()),
        _ => Ok(()),
    }
}

/// Whether all targets look at the platforms of images themselves.
fn checks_platforms_later(options: &CopyOptions) -> bool {
    let mut targets = options.targets.iter();
    options.mode == RunMode::Real && targets.all(|target| target.checks_platforms(&options.from))
}

/// Gives the only image the name that its target states.
fn name_one(target: &dyn CopyTarget, wanted: &mut [Wanted]) -> Result<(), OpsError> {
    let Some(image) = target.image() else {
        return Ok(());
    };
    let [single] = wanted else {
        return Err(OpsError::OneName {
            target: target.name().to_string(),
            image: image.to_string(),
            n_images: wanted.len(),
        });
    };
    single.destination = image.rename(single.destination.clone());
    Ok(())
}

/// Starts and fills all targets at once.
///
/// With several targets, an error of a whole target fails its images.
async fn fill(
    input: &OpenInput<'_>,
    prepared: &mut [Box<dyn Prepared + '_>],
) -> Result<(), OpsError> {
    if let [single] = prepared {
        single.begin().await?;
        return single.fill(Feed::alone(&input.source)).await;
    }
    let begun = prepared.iter_mut().map(|one| async move {
        let begun = one.begin().await;
        if let Err(error) = &begun {
            one.batch().fail_rest(error);
        }
        begun.is_ok()
    });
    let begun: Vec<bool> = join_all(begun).await;
    let plans: Vec<Arc<Plan>> = prepared
        .iter_mut()
        .map(|one| Arc::clone(&one.batch().plan))
        .collect();
    let shared = SharedFetch::new(Arc::clone(&input.source), &plans);
    let targets = prepared.iter_mut().enumerate();
    let fills = targets.filter(|(at, _)| begun[*at]).map(|(at, one)| {
        let feed = Feed::shared(&input.source, shared.of_target(at));
        async move {
            if let Err(error) = one.fill(feed).await {
                one.batch().fail_rest(&error);
            }
        }
    });
    join_all(fills).await;
    Ok(())
}
