//! `select`: store → store, by hardlink.

use std::path::PathBuf;
use std::sync::Arc;

use super::batch::{Batch, require_other, require_same_filesystem, require_space};
use super::platforms::{self, PlatformOptions};
use super::{BatchOutcome, Catalog, Context, OpsError, SourceKind};
use crate::fsx::{Durability, LinkMode};
use crate::list::{ImageList, RenameRules};
use crate::store::Store;
use crate::transfer::{OnFailure, ReferrerMode, Sink, StoreSink, StoreSinkOptions, Visibility};

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
}

/// Puts the listed images' blobs and link files into the output tree.
///
/// Blob data is linked as `link` says, never otherwise; link files are always new. Adds to an
/// existing tree and deletes nothing. Not synced: a tree can be made again in no time.
pub async fn select(cx: &Context, options: &SelectOptions) -> Result<BatchOutcome, OpsError> {
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
    Ok(batch.finish())
}
