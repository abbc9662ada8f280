//! `select`: store → store, by hardlink.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::batch::{Batch, require_other, require_same_filesystem, require_space};
use super::catalog::require_store_path;
use super::platforms::{self, PlatformOptions};
use super::{BatchOutcome, Catalog, Context, OpsError, SourceKind};
use crate::fsx::{Durability, LinkMode};
use crate::list::{ImageList, RenameRules};
use crate::oci::{Manifest, Tag};
use crate::report::amount::format_count;
use crate::store::{Store, StoredImage};
use crate::transfer::{
    Destination, OnFailure, Plan, ReferrerMode, Sink, StoreSink, StoreSinkOptions, Visibility,
};

/// What to select, and how.
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
}

/// What becomes of images that the output tree has and that are not selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// The selection is refused where there are any.
    Refuse,
    Keep,
}

/// Puts the listed images' blobs and link files into the output tree.
///
/// Blob data is linked as `link` says, never otherwise; link files are always new. What an earlier run
/// of the same selection left is completed. Nothing is ever removed from a tree. Not synced: a tree
/// can be made again in no time.
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
    let mut wanted = catalog.wanted(Some(&options.list), &options.renames, options.referrers)?;
    options.platforms.apply(&mut wanted);
    let mut batch = Batch::resolve(cx, catalog.source(), wanted, OnFailure::GoOn).await;
    platforms::check(cx, catalog.source(), &mut batch, options.platforms.mismatch).await;
    if batch.plan.is_empty() {
        return Ok(batch.finish());
    }
    let n_others = n_others(&options.output, &batch.plan)?;
    if n_others > 0 && options.others == Others::Refuse {
        return Err(OpsError::OtherImages {
            path: options.output.clone(),
            n_others,
        });
    }
    match options.link {
        LinkMode::Hard => {
            require_same_filesystem(&options.store, &options.output, batch.plan.len())?;
        }
        LinkMode::Copy => require_space(&options.output, batch.plan.len())?,
        LinkMode::Reflink => {}
    }
    platforms::warn_of_partial(cx, &batch, platforms::NOT_KEPT);
    require_other(&options.output, [options.store.as_path()])?;
    let store = cx.open_store(&options.output, Store::create).await?;
    let sink_options = StoreSinkOptions {
        link: Some(options.link),
        durability: Durability::Deferred,
        visibility: Visibility::Growing,
    };
    let sink = Sink::Store(Arc::new(StoreSink::new(store, sink_options)));
    batch.run(cx, catalog.source(), sink).await;
    let outcome = batch.finish();
    if outcome.n_failed() == 0 {
        tell_rest(cx, options, n_others)?;
    }
    Ok(outcome)
}

/// How many images the output has that are not selected.
fn n_others(output: &Path, plan: &Plan) -> Result<usize, OpsError> {
    if !Store::detect(output)? {
        return Ok(0);
    }
    let mut selected = HashSet::new();
    for image in &plan.images {
        let Destination { repository, tag } = &image.wanted.destination;
        let mut add = |tag: Option<&Tag>, manifest: &Manifest| {
            selected.insert((repository.clone(), tag.cloned(), manifest.digest().clone()));
        };
        add(tag.as_ref(), image.top());
        // By digest, every manifest of a selected image is one that the tree is to have.
        for manifest in image.all_manifests() {
            add(None, manifest);
        }
        for referrer in &image.referrers {
            add(Some(&referrer.tag), &referrer.top());
            for manifest in referrer.with_top() {
                add(None, &manifest);
            }
        }
    }
    let images = Store::open(output)?.images()?;
    let is_other = |image: &&StoredImage| {
        let name = (
            image.repository.clone(),
            image.tag.clone(),
            image.digest.clone(),
        );
        !selected.contains(&name)
    };
    Ok(images.images.iter().filter(is_other).count() + images.unreadable.len())
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
