//! `select --replace`: afterwards the tree holds the selected images and no others.

use std::path::Path;

use super::{SelectOptions, run};
use crate::bridge;
use crate::fsx;
use crate::ops::batch::{Batch, error_chain};
use crate::ops::{BatchOutcome, Catalog, Context, Effect, OpsError, RemovedImage};
use crate::report::amount::{format_count, format_len};
use crate::store::{Kept, Store, Surplus};
use crate::transfer::{ReferrerTags, publications};

/// Maximum number of files named in a line.
const SHOWN_MAX: usize = 5;

/// Selects the images of the batch into a tree that is locked for this run, then removes all
/// other images from it.
///
/// Refused, with nothing changed, when the store does not have all of an image that would go: what
/// is removed can be selected again. Nothing is removed when an image failed.
pub(super) async fn replace(
    cx: &Context,
    options: &SelectOptions,
    (catalog, mut batch): (&Catalog, Batch),
) -> Result<BatchOutcome, OpsError> {
    require_apart(&options.store, &options.output)?;
    let origin = Store::open(&options.store)?;
    if options.effect == Effect::DryRun {
        let tree = super::existing(&options.output)?;
        let surplus = match &tree {
            Some(tree) => Some(survey(cx, options, &batch, (tree, &origin)).await?),
            None => None,
        };
        let would_move = batch.forecast(catalog.source(), tree).await?;
        let mut outcome = batch.finish();
        outcome.would_move = Some(would_move);
        if let Some(surplus) = surplus
            && may_remove(cx, options, &surplus, &outcome)
        {
            describe(cx, options, &surplus, &mut outcome);
        }
        return Ok(outcome);
    }
    let tree = cx.open_store(&options.output, Store::create_alone).await;
    let (tree, mut made) = tree?;
    let surplus = match tree.require_apart(&origin) {
        Ok(()) => survey(cx, options, &batch, (&tree, &origin)).await,
        Err(error) => Err(error.into()),
    };
    let surplus = match surplus {
        Ok(surplus) => surplus,
        Err(error) => {
            drop(tree);
            if let Err(error) = bridge::run(move || made.discard()).await {
                cx.warn(&format!("empty directories stay in the output: {error}"));
            }
            return Err(error);
        }
    };
    run(
        cx,
        options,
        (catalog, &mut batch),
        (tree.clone(), ReferrerTags::Carried),
    )
    .await;
    let mut outcome = batch.finish();
    if !may_remove(cx, options, &surplus, &outcome) {
        return Ok(outcome);
    }
    describe(cx, options, &surplus, &mut outcome);
    cx.stage("removing what is not selected");
    let removal = bridge::run_stoppable(move |stop| surplus.remove(&stop)).await;
    let removal = removal.map_err(|source| OpsError::NotRemoved {
        path: options.output.clone(),
        source,
    })?;
    outcome.left_files = removal
        .left
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    if removal.n_blobs > 0 {
        cx.note(&format!(
            "removed {} ({}) that no selected image uses from `{}`",
            format_count(removal.n_blobs, "blob"),
            format_len(removal.len),
            options.output.display()
        ));
    }
    Ok(outcome)
}

/// Determines the surplus to remove; refuses when an image would be lost.
async fn survey(
    cx: &Context,
    options: &SelectOptions,
    batch: &Batch,
    (tree, origin): (&Store, &Store),
) -> Result<Surplus, OpsError> {
    require_apart(&options.store, &options.output)?;
    cx.stage("comparing the tree with the store");
    let kept = Kept::of(&publications(&batch.plan));
    let (tree, origin) = (tree.clone(), origin.clone());
    let surplus = bridge::run_stoppable(move |stop| tree.surplus(&kept, &origin, &stop)).await?;
    if surplus.lost().is_empty() {
        return Ok(surplus);
    }
    Err(OpsError::WouldLose {
        path: options.output.clone(),
        store: options.store.clone(),
        images: surplus.lost().iter().map(ToString::to_string).collect(),
    })
}

/// Whether the surplus may go: not when an image failed, which is said.
fn may_remove(
    cx: &Context,
    options: &SelectOptions,
    surplus: &Surplus,
    outcome: &BatchOutcome,
) -> bool {
    if outcome.n_failed() == 0 {
        return true;
    }
    if !surplus.images().is_empty() {
        let verb = match options.effect {
            Effect::Real => "was",
            Effect::DryRun => "would be",
        };
        cx.warn(&format!(
            "nothing {verb} removed from `{}`: some images failed",
            options.output.display()
        ));
    }
    false
}

/// Says which images go, and what stays that is not an image.
fn describe(cx: &Context, options: &SelectOptions, surplus: &Surplus, outcome: &mut BatchOutcome) {
    let path = options.output.display();
    let images = surplus.images();
    if !images.is_empty() {
        let verb = match options.effect {
            Effect::Real => "removing",
            Effect::DryRun => "would remove",
        };
        let mut text = format!(
            "{verb} {} from `{path}`:",
            format_count(images.len(), "image")
        );
        for image in images {
            text.push('\n');
            text.push_str(&image.to_string());
            if image.tag.is_some() {
                text.push('@');
                text.push_str(image.digest.as_str());
            }
            if surplus.is_untagged(image) {
                text.push_str(" (the store has it without a tag: select it by its digest)");
            }
        }
        cx.note(&text);
    }
    outcome.removed = images
        .iter()
        .map(|image| RemovedImage {
            image: image.to_string(),
            digest: image.digest.clone(),
            untagged_in_store: surplus.is_untagged(image),
        })
        .collect();
    for tag in surplus.unreadable() {
        let cause = error_chain(&tag.error);
        cx.warn(&format!("tag `{tag}` in `{path}` stays: {cause}"));
    }
    let mut left: Vec<String> = surplus
        .left()
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    if !left.is_empty() {
        let n_files = format_count(left.len(), "file");
        cx.warn(&format!(
            "{n_files} in `{path}` that `select` did not write stay: {}",
            some(&left)
        ));
    }
    let tags = surplus.unreadable_files().iter();
    left.extend(tags.map(|path| path.display().to_string()));
    outcome.left_files = left;
}

/// The first of some names, and how many there are besides.
fn some(names: &[String]) -> String {
    let shown = names.len().min(SHOWN_MAX);
    let text = names[..shown].join(", ");
    match names.len() - shown {
        0 => text,
        n => format!("{text} and {n} more"),
    }
}

/// Refuses when the store and the output are one directory, however they are named, or one is
/// inside the other.
fn require_apart(store: &Path, output: &Path) -> Result<(), OpsError> {
    let refused = || OpsError::OutputIsSource {
        path: output.to_owned(),
    };
    for (inner, outer) in [(store, output), (output, store)] {
        if fsx::is_within(inner, outer)? {
            return Err(refused());
        }
    }
    if Store::detect(output)? && Store::open(output)?.shares_directory(&Store::open(store)?)? {
        return Err(refused());
    }
    Ok(())
}
