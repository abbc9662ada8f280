//! `copy`: images from any end to registries, to each of them in one go. `push` is its preset.
//!
//! What is carried is opened and resolved once. Each registry gets a batch of its own, since it
//! lacks other things, and is looked at before anything moves; then all are filled at once, and a
//! blob that several lack is fetched once.

mod listing;
mod origin;
mod registry;

use std::sync::Arc;

use futures_util::future::join_all;

use super::batch::Batch;
use super::{BatchOutcome, Context, Effect, OpsError};
use crate::list::RenameRules;
use crate::transfer::{OnFailure, ReferrerMode, SharedFetch, Sink, Source};

pub use listing::registry_list;
pub(super) use listing::{no_catalog, tags};
use origin::Opened;
pub use origin::{CopyFrom, Registries};
use registry::Prepared;
pub use registry::{Recheck, RegistryTarget};

/// What to copy, and where to.
#[derive(Debug)]
pub struct CopyOptions {
    pub from: CopyFrom,
    /// One or more.
    pub targets: Vec<RegistryTarget>,
    pub renames: RenameRules,
    pub referrers: ReferrerMode,
    pub effect: Effect,
    pub on_failure: OnFailure,
}

/// Copies images to registries.
///
/// First all is looked for that would stop it at any of them, unless that is not wanted: with any
/// finding nothing is changed anywhere. An image whose tag names the same digest already costs one
/// HEAD, and one for each foreign layer that the source has, unless all its parts are to be asked
/// for. Otherwise each blob is looked for, uploaded once and mounted into the other repositories;
/// then the children, and the tag last.
///
/// A registry that is slow or fails holds up the others by a few seconds at most.
pub async fn copy(cx: &Context, options: &CopyOptions) -> Result<BatchOutcome, OpsError> {
    let opened = Opened::open(cx, options).await?;
    let source = opened.source.as_ref();
    let targets = options.targets.iter();
    let renames: Vec<RenameRules> = targets.map(|t| t.renames(&options.renames)).collect();
    let names = opened.wanted(&renames, options.referrers).await?;
    let first = names.first().cloned().unwrap_or_default();
    opened.check(cx, &first).await?;
    let mut batch = Batch::resolve(cx, source, first, options.on_failure).await;
    opened.check_platforms(cx, &mut batch).await;
    if batch.must_stop() {
        return Ok(batch.finish());
    }
    let batches = match options.targets.as_slice() {
        // The names are those that it was resolved with.
        [_] => vec![batch],
        _ => names
            .iter()
            .map(|wanted| batch.redirected(wanted))
            .collect(),
    };
    let targets = options.targets.iter().zip(batches);
    let prepared =
        targets.map(|(target, batch)| Prepared::new(cx, options, (&opened, target, batch)));
    let prepared: Result<Vec<Prepared<'_>>, OpsError> =
        join_all(prepared).await.into_iter().collect();
    let mut prepared = prepared?;
    let not_ready = prepared.iter_mut().filter_map(Prepared::not_ready);
    let not_ready: Vec<_> = not_ready.collect();
    if !not_ready.is_empty() {
        return Err(not_ready.into());
    }
    if options.effect == Effect::Real {
        for prepared in &mut prepared {
            prepared.create_projects().await?;
        }
        fill(&opened, &mut prepared).await;
    }
    let outcomes = prepared.into_iter().map(Prepared::finish);
    Ok(BatchOutcome::joined(outcomes.collect()))
}

/// Fills all targets at once.
async fn fill(opened: &Opened<'_>, prepared: &mut [Prepared<'_>]) {
    let [single] = prepared else {
        let plans: Vec<_> = prepared.iter().map(|one| Arc::clone(one.plan())).collect();
        let shared = SharedFetch::new(Arc::clone(&opened.source), &plans);
        let fills = prepared.iter_mut().enumerate().map(|(at, one)| {
            let (source, sink) = shared.for_target(at, one.sink());
            one.fill(source, sink)
        });
        join_all(fills).await;
        return;
    };
    let (source, sink): (Arc<dyn Source>, Arc<dyn Sink>) =
        (Arc::clone(&opened.source), single.sink());
    single.fill(source, sink).await;
}
