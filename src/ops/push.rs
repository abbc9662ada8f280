//! `push`: store, tree, bundle or layouts → registry.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::StreamExt as _;

use super::batch::Batch;
use super::{BatchOutcome, Catalog, Context, Effect, OpsError};
use crate::list::{ImageList, RenameRules};
use crate::oci::Registry;
use crate::registry::{Client, Repo};
use crate::transfer::{OnFailure, RegistrySink, Sink, TransferError};

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
    pub effect: Effect,
    pub on_failure: OnFailure,
}

/// Pushes images to a registry.
///
/// An image whose tag names the same digest already costs one HEAD. Otherwise each blob is looked
/// for, uploaded once and mounted into the other repositories; then the children, and the tag last.
pub async fn push(cx: &Context, options: &PushOptions) -> Result<BatchOutcome, OpsError> {
    for warning in options.list.iter().flat_map(|list| &list.warnings) {
        cx.warn(warning);
    }
    let catalog = Catalog::open(&options.source)?;
    let wanted = catalog.wanted(options.list.as_ref(), &options.renames)?;
    let mut batch = Batch::resolve(cx, catalog.source(), wanted, options.on_failure).await;
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
    let sink = RegistrySink::new(client, options.registry.clone());
    cx.stage(&format!("asking {} what it has", options.registry));
    let answers = ask(&sink, &batch).await;
    batch.settle(answers);
    if options.effect == Effect::Real && !batch.must_stop() {
        batch
            .run(cx, catalog.source(), Sink::Registry(Arc::new(sink)))
            .await;
    }
    Ok(batch.finish())
}

/// Asks for every image whether its destination names it already.
async fn ask(sink: &RegistrySink, batch: &Batch) -> Vec<Result<bool, TransferError>> {
    futures_util::stream::iter(&batch.plan.images)
        .map(|image| async move {
            let top = image.top().digest();
            let current = sink.current(&image.wanted.destination, top).await?;
            Ok(current.as_ref() == Some(top))
        })
        .buffered(ASK_AT_ONCE)
        .collect()
        .await
}
