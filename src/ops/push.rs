//! `push`: store, tree, bundle or layouts → registry.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::StreamExt as _;

use super::base;
use super::batch::{Batch, Standing, WouldMove};
use super::carry::Carry;
use super::platforms::{self, PlatformOptions};
use super::preflight::{Look, Present, require_no_proxy_cache, would_create};
use super::{BatchOutcome, Catalog, Context, Effect, OpsError, Preflight, ProjectReport};
use crate::list::{ImageList, RenameRules};
use crate::oci::{Registry, sum_len};
use crate::registry::{Client, Repo};
use crate::report::amount::format_count;
use crate::transfer::{
    OnFailure, Presence, ReferrerMode, RegistrySink, Resolved, Source, TransferError,
};

/// How many destinations are asked at once what they have.
const ASK_AT_ONCE: usize = 16;

/// What to push, and where to.
#[derive(Debug)]
pub struct PushOptions {
    pub source: PathBuf,
    pub registry: Registry,
    pub client: Client,
    /// Only these images; all when there is none.
    pub list: Option<ImageList>,
    pub renames: RenameRules,
    pub referrers: ReferrerMode,
    pub platforms: PlatformOptions,
    pub effect: Effect,
    pub on_failure: OnFailure,
    pub preflight: Preflight,
    pub recheck: Recheck,
}

/// Whether images that are at their destination already are asked for in all their parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recheck {
    Skip,
    /// Ask for every blob and manifest, and send what is missing or differs.
    All,
}

/// Pushes images to a registry.
///
/// First all is looked for that would stop it, unless that is not wanted. An image whose tag names
/// the same digest already costs one HEAD, and one for each foreign layer that the source has,
/// unless all its parts are to be asked for. Otherwise each blob is looked for, uploaded once and
/// mounted into the other repositories; then the children, and the tag last.
pub async fn push(cx: &Context, options: &PushOptions) -> Result<BatchOutcome, OpsError> {
    for warning in options.list.iter().flat_map(|list| &list.warnings) {
        cx.warn(warning);
    }
    let catalog = Catalog::open_once(&options.source, &cx.reading).await?;
    let wanted = catalog.wanted(
        options.list.as_ref(),
        &options.renames,
        &Carry::local(&options.platforms, options.referrers),
    ).await?;
    let mut batch = Batch::resolve(cx, catalog.source(), wanted, options.on_failure).await;
    platforms::check(cx, catalog.source(), &mut batch, options.platforms.mismatch).await;
    if batch.must_stop() {
        return Ok(batch.finish());
    }
    let client = match options.effect {
        Effect::Real => options.client.for_push(),
        Effect::DryRun => options.client.clone(),
    };
    let repos: Vec<Repo> = batch
        .plan
        .images
        .iter()
        .map(|image| Repo {
            registry: options.registry.clone(),
            name: image.wanted.destination.repository.clone(),
        })
        .collect();
    client.expect(&repos);
    let look = look(cx, options, &batch).await?;
    let origin = catalog.shared_source();
    let sink = RegistrySink::new(client, options.registry.clone())
        .healing_from(origin, Arc::clone(&cx.reporter));
    cx.stage(&format!("asking {} what it has", options.registry));
    let answers = ask(&sink, &batch, (look.as_ref(), options.recheck)).await;
    let present: Vec<Present> = answers
        .iter()
        .filter_map(|answer| answer.as_ref().ok().cloned())
        .filter(|present| *present != Present::Same)
        .collect();
    let found = answers.iter().map(|answer| answer.as_ref().ok());
    batch.set_targets(found.map(|answer| answer.map(Present::target)).collect());
    let at_target = |wanted: &[Present]| {
        let images = batch.plan.images.iter().zip(&answers);
        let is_wanted = |answer: &Result<Present, TransferError>| {
            answer
                .as_ref()
                .is_ok_and(|present| wanted.contains(present))
        };
        let images = images.filter(|(_, answer)| is_wanted(answer));
        images
            .map(|(image, _)| image.wanted.destination.clone())
            .collect::<BTreeSet<_>>()
    };
    let unchanged = at_target(&[Present::Same, Present::SameToRecheck]);
    let sink = sink.rechecking(at_target(&[Present::SameToRecheck]));
    if look.is_none() {
        let repositories = unchanged.iter().map(|destination| &destination.repository);
        require_no_proxy_cache((&options.client, &options.registry), repositories).await?;
    }
    batch.settle(
        answers
            .into_iter()
            .map(|answer| answer.map(Standing::from))
            .collect(),
    );
    let at = (&sink, &options.renames, look.as_ref());
    let from = (cx, catalog.source(), options.source.as_path());
    let awaited = base::await_at_registry(from, at, &mut batch).await;
    // What else is wrong may be why it is not there.
    if look.as_ref().is_none_or(|look| look.findings.is_empty()) {
        awaited?;
    }
    let mut would_move = None;
    if options.effect == Effect::DryRun {
        would_move = Some(rehearse(cx, catalog.source(), (&sink, look.as_ref()), &mut batch).await);
    }
    let projects = match look {
        Some(look) => finish_look(look, (cx, options), (&sink, &batch, &present)).await?,
        None => Vec::new(),
    };
    if options.effect == Effect::Real && !batch.must_stop() {
        let sink = Arc::new(sink);
        batch.run(cx, catalog.shared_source(), sink.clone()).await;
        let images = batch.plan.images.iter().enumerate();
        let is_unchanged = |at: usize, image: &Resolved| {
            sink.rechecks(&image.wanted.destination) && !sink.has_sent(at)
        };
        let unchanged = images.filter(|(at, image)| is_unchanged(*at, image));
        let unchanged: Vec<usize> = unchanged.map(|(at, _)| at).collect();
        batch.mark_unchanged(unchanged);
        batch.check_the_rest(cx, catalog.source()).await;
    }
    let mut outcome = batch.finish();
    outcome.projects = projects;
    outcome.would_move = would_move;
    Ok(outcome)
}

/// The first look, unless it is not wanted; an error where nothing more can be asked.
async fn look<'a>(
    cx: &'a Context,
    options: &'a PushOptions,
    batch: &Batch,
) -> Result<Option<Look<'a>>, OpsError> {
    let Preflight::Run { create } = options.preflight else {
        return Ok(None);
    };
    let at = (&options.client, &options.registry);
    let mut look = Look::first(cx, at, (options.effect, create), &batch.plan).await;
    if look.is_hopeless() {
        look.go_on()?;
        return Ok(None);
    }
    Ok(Some(look))
}

/// The second look, at what is left to do; returns the projects that were created or would be.
async fn finish_look(
    mut look: Look<'_>,
    (cx, options): (&Context, &PushOptions),
    (sink, batch, present): (&RegistrySink, &Batch, &[Present]),
) -> Result<Vec<ProjectReport>, OpsError> {
    look.second(sink, (&batch.plan, present)).await;
    look.go_on()?;
    look.create_projects().await;
    look.go_on()?;
    let projects = look.projects();
    if let Preflight::Run { create: Some(new) } = options.preflight
        && options.effect == Effect::DryRun
        && !projects.is_empty()
    {
        cx.note(&would_create(&projects, new));
    }
    Ok(projects)
}

/// Finds out, for a dry run, which blobs would be sent and whether the source has them; images that
/// would fail for one of them are noted.
async fn rehearse(
    cx: &Context,
    source: &dyn Source,
    (sink, look): (&RegistrySink, Option<&Look<'_>>),
    batch: &mut Batch,
) -> WouldMove {
    let plan = Arc::clone(&batch.plan);
    let n_blobs = format_count(plan.blobs.len(), "blob");
    cx.stage(&format!("asking {} for {n_blobs}", sink.registry()));
    let plan = &plan;
    let answers: Vec<Result<bool, TransferError>> = futures_util::stream::iter(&plan.blobs)
        .enumerate()
        .map(|(at, blob)| async move {
            if blob.presence != Presence::Source {
                return Ok(false);
            }
            let names = base::destinations(plan, at, look);
            let mut n_there = 0;
            for name in &names {
                if sink.has_blob(name, &blob.descriptor).await? {
                    n_there += 1;
                }
            }
            if n_there > 0 {
                return Ok(false);
            }
            source.check_blob(blob).await.map(|()| true)
        })
        .buffered(ASK_AT_ONCE)
        .collect()
        .await;
    let mut would_move = WouldMove { blobs: 0, bytes: 0 };
    let mut incomplete: BTreeSet<usize> = BTreeSet::new();
    for (blob, answer) in plan.blobs.iter().zip(answers) {
        match answer {
            Ok(false) => {}
            Ok(true) => {
                would_move.blobs += 1;
                would_move.bytes = sum_len([would_move.bytes, blob.descriptor.size]);
                incomplete.extend(&blob.images);
            }
            Err(error) => batch.mark_failed(&blob.images, error),
        }
    }
    for (at, image) in plan.images.iter().enumerate() {
        if !sink.rechecks(&image.wanted.destination) || incomplete.contains(&at) {
            continue;
        }
        match sink.has_manifests(image).await {
            Ok(true) => batch.mark_unchanged([at]),
            Ok(false) => {}
            Err(error) => batch.mark_failed(&[at], error),
        }
    }
    would_move
}

/// Asks for every image what its destination names already, and has of what is about it.
async fn ask(
    sink: &RegistrySink,
    batch: &Batch,
    (look, recheck): (Option<&Look<'_>>, Recheck),
) -> Vec<Result<Present, TransferError>> {
    futures_util::stream::iter(&batch.plan.images)
        .map(|image| async move {
            let destination = &image.wanted.destination;
            if look.is_some_and(|look| !look.may_ask(destination)) {
                return Ok(Present::Nothing);
            }
            let top = image.top();
            let answered = look.and_then(|look| look.answer(destination, top));
            let present = if let Some(present) = answered {
                present
            } else {
                match sink.current(destination, top.digest()).await {
                    Ok(head) => Present::of(head.as_ref(), top),
                    // It is there, or there would be nothing to hide; a PUT needs not read it.
                    Err(TransferError::Registry(error)) if error.is_hidden_by_policy() => {
                        Present::Hidden
                    }
                    Err(error) => return Err(error),
                }
            };
            match (present, recheck) {
                (Present::Same, Recheck::All) => Ok(Present::SameToRecheck),
                (Present::Same, Recheck::Skip) if !has_foreign_layers(sink, image).await? => {
                    Ok(Present::SameToRecheck)
                }
                (Present::Same, Recheck::Skip) if !sink.has_referrers(image).await? => {
                    Ok(Present::SameWithoutReferrers)
                }
                (present, _) => Ok(present),
            }
        })
        .buffered(ASK_AT_ONCE)
        .collect()
        .await
}

/// Whether a destination that has the manifests of an image has the foreign layers of the source,
/// too: a registry takes a manifest without them.
async fn has_foreign_layers(sink: &RegistrySink, image: &Resolved) -> Result<bool, TransferError> {
    let repository = &image.wanted.destination.repository;
    for layer in image.blobs.iter().filter(|blob| blob.is_foreign()) {
        if !sink.has_blob(repository, layer).await? {
            return Ok(false);
        }
    }
    Ok(true)
}
