//! `copy`: images from any endpoint to others. The verbs that move images are presets of it.
//!
//! The source is opened and resolved once. Each target has its own batch, because targets lack
//! different blobs, and is checked before anything moves; then all are filled at once, and a blob
//! that several lack is read once.

mod assigned;
mod bundle;
mod layouts;
mod lock;
mod refusals;
mod registry;
mod steps;
mod store;
mod sync;
mod target;
mod unchanged;

use std::path::PathBuf;

use futures_util::FutureExt as _;
use futures_util::future::{join_all, try_join};

use self::refusals::Refusals;
use super::batch::{Batch, require_space_of_all};
use super::input::OpenInput;
use super::{BatchOutcome, Context, OpsError, RunMode, Verb};
pub use bundle::{
    BundleTarget, CarryError, CarryOptions, ExtraFile, NotATool, OwnTool, PackFacts, PackForecast,
    PackOutcome, ProjectNeed, Reading, TargetNeeds, VolumeForecast,
};
pub(super) use bundle::{require_lens, require_others, stale_volumes, tell_manifests, with_files};
pub use layouts::{DirLayouts, DockerArchive, LayoutFormat, LayoutTarget, OciArchive, OciLayout};
pub use registry::{Recheck, RegistryTarget};
use steps::{checks_platforms_later, fill, name_one, require_all, require_readable_again};
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
    let resolved = input.resolve(cx, first, options.on_failure, options.policy.as_ref());
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
