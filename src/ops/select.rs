//! `select`: store → store, by hardlink.

use std::path::PathBuf;
use std::sync::Arc;

use super::batch::{Batch, require_space};
use super::{BatchOutcome, Catalog, Context, OpsError, SourceKind};
use crate::bridge;
use crate::fsx::{self, Durability, LinkMode};
use crate::list::{ImageList, RenameRules};
use crate::store::Store;
use crate::transfer::{OnFailure, Sink, StoreSink, StoreSinkOptions, Visibility};

/// What to select, and how.
#[derive(Debug)]
pub struct SelectOptions {
    pub list: ImageList,
    pub store: PathBuf,
    pub output: PathBuf,
    pub link: LinkMode,
    pub renames: RenameRules,
}

/// Puts the listed images' blobs and link files into the output tree.
///
/// Blob data is linked as `link` says, never otherwise; link files are always new. Adds to an
/// existing tree and deletes nothing. Not synced: a tree can be made again in no time.
pub async fn select(cx: &Context, options: &SelectOptions) -> Result<BatchOutcome, OpsError> {
    for warning in &options.list.warnings {
        cx.warn(warning);
    }
    let catalog = Catalog::open(&options.store)?;
    if catalog.kind() != SourceKind::Store {
        let kind = catalog.kind().as_str();
        return Err(OpsError::WrongSource {
            verb: "select",
            path: options.store.clone(),
            kind,
        });
    }
    let wanted = catalog.wanted(Some(&options.list), &options.renames)?;
    let mut batch = Batch::resolve(cx, catalog.source(), wanted, OnFailure::Stop).await;
    if batch.must_stop() {
        return Ok(batch.finish());
    }
    if options.link == LinkMode::Copy {
        require_space(&options.output, batch.plan.len())?;
    }
    let output = options.output.clone();
    let store = bridge::run(move || Store::create(&output)).await?;
    if fsx::stat(&options.store)?.identity == fsx::stat(&options.output)?.identity {
        return Err(OpsError::OutputIsSource {
            path: options.output.clone(),
        });
    }
    if options.link == LinkMode::Hard && !fsx::same_filesystem(&options.store, &options.output)? {
        return Err(OpsError::CrossDevice {
            path: options.output.clone(),
            needed: batch.plan.len(),
            available: fsx::available(&options.output)?,
        });
    }
    let sink_options = StoreSinkOptions {
        link: Some(options.link),
        durability: Durability::Deferred,
        visibility: Visibility::Growing,
    };
    let sink = Sink::Store(Arc::new(StoreSink::new(store, sink_options)));
    batch.run(cx, catalog.source(), sink).await;
    Ok(batch.finish())
}
