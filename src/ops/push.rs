//! `push`: store, tree, bundle or layouts → registry.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::StreamExt as _;

use super::base;
use super::batch::{Batch, Standing};
use super::platforms::{self, PlatformOptions};
use super::preflight::{Look, Present, would_create};
use super::{BatchOutcome, Catalog, Context, Effect, OpsError, Preflight, ProjectReport};
use crate::list::{ImageList, RenameRules};
use crate::oci::Registry;
use crate::registry::{Client, Repo};
use crate::transfer::{OnFailure, ReferrerMode, RegistrySink, Sink, TransferError};

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
}

/// Pushes images to a registry.
///
/// First all is looked for that would stop it, unless that is not wanted. An image whose tag names
/// the same digest already costs one HEAD. Otherwise each blob is looked
/// for, uploaded once and mounted into the other repositories; then the children, and the tag last.
pub async fn push(cx: &Context, options: &PushOptions) -> Result<BatchOutcome, OpsError> {
    for warning in options.list.iter().flat_map(|list| &list.warnings) {
        cx.warn(warning);
    }
    let catalog = Catalog::open_once(&options.source, &cx.reading).await?;
    let mut wanted = catalog.wanted(options.list.as_ref(), &options.renames, options.referrers)?;
    options.platforms.apply(&mut wanted);
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
    let origin = catalog.source().clone();
    let sink = RegistrySink::new(client, options.registry.clone())
        .healing_from(origin, Arc::clone(&cx.reporter));
    cx.stage(&format!("asking {} what it has", options.registry));
    let answers = ask(&sink, &batch, look.as_ref()).await;
    let present: Vec<Present> = answers
        .iter()
        .filter_map(|answer| answer.as_ref().ok().copied())
        .filter(|present| *present != Present::Same)
        .collect();
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
    let projects = match look {
        Some(look) => finish_look(look, (cx, options), (&sink, &batch, &present)).await?,
        None => Vec::new(),
    };
    if options.effect == Effect::Real && !batch.must_stop() {
        batch
            .run(cx, catalog.source(), Sink::Registry(Arc::new(sink)))
            .await;
        batch.warn_of_the_rest(cx, catalog.source()).await;
    }
    let mut outcome = batch.finish();
    outcome.projects = projects;
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

/// Asks for every image what its destination names already, and has of what is about it.
async fn ask(
    sink: &RegistrySink,
    batch: &Batch,
    look: Option<&Look<'_>>,
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
                let head = sink.current(destination, top.digest()).await?;
                Present::of(head.as_ref(), top)
            };
            if present == Present::Same && !sink.has_referrers(image).await? {
                return Ok(Present::SameWithoutReferrers);
            }
            Ok(present)
        })
        .buffered(ASK_AT_ONCE)
        .collect()
        .await
}
