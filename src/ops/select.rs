//! `select`: store → store, by hardlink.

mod replace;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::batch::{Batch, require_links, require_other, require_same_filesystem, require_space};
use super::carry::Carry;
use super::catalog::require_store_path;
use super::indirect;
use super::platforms::{self, PlatformOptions};
use super::{BatchOutcome, Catalog, Context, Effect, Fewer, OpsError, SourceKind};
use crate::fsx::{Durability, LinkMode};
use crate::list::{ImageList, RenameRules};
use crate::report::amount::format_count;
use crate::store::{Kept, Store};
use crate::transfer::{
    OnFailure, Plan, ReferrerMode, ReferrerTags, StoreSink, StoreSinkOptions, Visibility,
    publications,
};

/// The images to select, and the options.
#[derive(Debug)]
pub struct SelectOptions {
    pub list: ImageList,
    pub store: PathBuf,
    pub output: PathBuf,
    pub link: LinkMode,
    pub renames: RenameRules,
    pub referrers: ReferrerMode,
    pub platforms: PlatformOptions,
    pub others: Others,
    pub effect: Effect,
}

/// How to treat images in the output tree that are not selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// The selection is refused where there are any.
    Refuse,
    Keep,
    /// They are removed, where the store has them as well.
    Remove,
}

/// Puts the listed images' blobs and link files into the output tree.
///
/// Blob data is linked as `link` says, never otherwise; link files are always new. What an earlier run
/// of the same selection left is completed. Not synced: a tree can be made again in no time.
pub async fn select(cx: &Context, options: &SelectOptions) -> Result<BatchOutcome, OpsError> {
    require_store_path(&options.output)?;
    for warning in &options.list.warnings {
        cx.warn(warning);
    }
    let catalog = Catalog::open(&options.store, &cx.reading)?;
    if catalog.kind() != SourceKind::Store {
        let kind = catalog.kind();
        return Err(OpsError::WrongSource {
            verb: "select",
            path: options.store.clone(),
            kind,
        });
    }
    // Until the end, so that nothing that is relied on is removed from the store.
    let hold = |path: &Path| Store::open(path)?.hold();
    let _held = match options.others {
        Others::Remove => cx.open_store(&options.store, hold).await?,
        Others::Refuse | Others::Keep => None,
    };
    let wanted = catalog
        .wanted(
            Some(&options.list),
            &options.renames,
            &Carry::local(&options.platforms, options.referrers),
        )
        .await?;
    let mut batch = Batch::resolve(cx, catalog.source(), wanted, OnFailure::GoOn).await;
    platforms::check(cx, catalog.source(), &mut batch, options.platforms.mismatch).await;
    if batch.plan.is_empty() {
        return Ok(batch.finish());
    }
    let from = (catalog.source(), batch.plan.as_ref());
    match options.link {
        LinkMode::Hard => {
            require_same_filesystem(&options.store, &options.output, batch.plan.len())?;
            require_links(from, &options.output, LinkMode::Hard)?;
        }
        LinkMode::Copy => require_space(&options.output, batch.plan.len(), Fewer::List)?,
        LinkMode::Reflink => require_links(from, &options.output, LinkMode::Reflink)?,
    }
    platforms::warn_of_partial(cx, &batch, platforms::NOT_KEPT);
    require_other(&options.output, [options.store.as_path()])?;
    indirect::require_real(&options.output, &batch.plan, OnFailure::GoOn).await?;
    if options.others == Others::Remove {
        return replace::replace(cx, options, (&catalog, batch)).await;
    }
    let n_others = n_others(&options.output, &batch.plan)?;
    if n_others > 0 && options.others == Others::Refuse {
        return Err(OpsError::OtherImages {
            path: options.output.clone(),
            n_others,
        });
    }
    if options.effect == Effect::DryRun {
        let tree = existing(&options.output)?;
        let would_move = batch.forecast(catalog.source(), tree).await?;
        let mut outcome = batch.finish();
        outcome.would_move = Some(would_move);
        return Ok(outcome);
    }
    let store = cx.open_store(&options.output, Store::create).await?;
    let at = (store, ReferrerTags::Joined);
    run(cx, options, (&catalog, &mut batch), at).await;
    let outcome = batch.finish();
    if outcome.n_failed() == 0 {
        tell_rest(cx, options, n_others)?;
    }
    Ok(outcome)
}

async fn run(
    cx: &Context,
    options: &SelectOptions,
    (catalog, batch): (&Catalog, &mut Batch),
    (tree, referrers): (Store, ReferrerTags),
) {
    let sink_options = StoreSinkOptions {
        link: Some(options.link),
        durability: Durability::Deferred,
        visibility: Visibility::Growing,
        referrers,
    };
    let sink = Arc::new(StoreSink::new(tree, sink_options));
    batch.run(cx, catalog.shared_source(), sink).await;
}

/// The tree, if it exists.
fn existing(output: &Path) -> Result<Option<Store>, OpsError> {
    if Store::detect(output)? {
        return Ok(Some(Store::open(output)?));
    }
    Ok(None)
}

/// The number of images in the output that are not selected.
fn n_others(output: &Path, plan: &Plan) -> Result<usize, OpsError> {
    let Some(tree) = existing(output)? else {
        return Ok(0);
    };
    let selected = Kept::of(&publications(plan));
    let images = tree.images()?;
    let others = images.images.iter().filter(|image| !selected.has(image));
    Ok(others.count() + images.unreadable.len())
}

/// Says what became of images that were in the tree before.
fn tell_rest(cx: &Context, options: &SelectOptions, n_others: usize) -> Result<(), OpsError> {
    if n_others == 0 {
        return Ok(());
    }
    let n_all = Store::open(&options.output)?.images()?.images.len();
    let path = options.output.display();
    let n_all = format_count(n_all, "image");
    cx.note(&format!(
        "`{path}` now has {n_all}, {n_others} of them from before"
    ));
    Ok(())
}
