//! `export`: anything local → skopeo `dir:` layouts.

use std::path::PathBuf;
use std::sync::Arc;

use super::base;
use super::batch::{Batch, existing_ancestor, require_same_filesystem, require_space};
use super::{BatchOutcome, Catalog, Context, OpsError, SourceKind};
use crate::fsx::{self, LinkMode};
use crate::list::{ImageList, RenameRules};
use crate::transfer::{LayoutSink, OnFailure, ReferrerMode, Sink};

/// What to export, and where to.
#[derive(Debug)]
pub struct ExportOptions {
    pub source: PathBuf,
    pub output: PathBuf,
    /// Only these images; all when there is none.
    pub list: Option<ImageList>,
    pub renames: RenameRules,
    pub referrers: ReferrerMode,
    /// How blobs that are files are taken over; `None` hardlinks on one file system, else copies.
    pub link: Option<LinkMode>,
    pub on_failure: OnFailure,
}

/// Writes each image as a `dir:` layout at `OUTPUT/<repository>:<tag>`.
///
/// A layout appears when it is complete; layouts of one output share their blobs by hardlink.
pub async fn export(cx: &Context, options: &ExportOptions) -> Result<BatchOutcome, OpsError> {
    for warning in options.list.iter().flat_map(|list| &list.warnings) {
        cx.warn(warning);
    }
    let catalog = Catalog::open_once(&options.source, &cx.reading).await?;
    let wanted = catalog.wanted(options.list.as_ref(), &options.renames, options.referrers)?;
    let mut batch = Batch::resolve(cx, catalog.source(), wanted, options.on_failure).await;
    if batch.must_stop() {
        return Ok(batch.finish());
    }
    base::require_whole(catalog.source(), &options.source, &batch.plan)?;
    let has_files = matches!(catalog.kind(), SourceKind::Store | SourceKind::Layouts);
    let is_near =
        has_files && fsx::same_filesystem(catalog.path(), existing_ancestor(&options.output)?)?;
    let link = match options.link {
        Some(LinkMode::Hard) if has_files => {
            let needed = batch.plan.len();
            require_same_filesystem(catalog.path(), &options.output, needed)?;
            LinkMode::Hard
        }
        Some(link) => link,
        None if is_near => LinkMode::Hard,
        None => LinkMode::Copy,
    };
    if link == LinkMode::Copy || !has_files {
        require_space(&options.output, batch.plan.len())?;
    }
    let sink = LayoutSink::create(&options.output, link, &batch.plan)?;
    batch
        .run(cx, catalog.source(), Sink::Layouts(Arc::new(sink)))
        .await;
    batch.warn_of_the_rest(cx, catalog.source()).await;
    Ok(batch.finish())
}
