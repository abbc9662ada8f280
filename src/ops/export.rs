//! `export`: anything local → the formats of the neighbours.

mod docker;
mod oci;

use std::path::PathBuf;
use std::sync::Arc;

use super::base;
use super::batch::{
    Batch, existing_ancestor, require_links, require_other, require_same_filesystem, require_space,
};
use super::carry::Carry;
use super::platforms::{self, PlatformOptions};
use super::{BatchOutcome, Catalog, Context, Fewer, OpsError, OutputError, SourceKind};
use crate::fsx::{self, LinkMode};
use crate::layout::{self, CollectionKind, LayoutError};
use crate::list::{ImageList, RenameRules};
use crate::store::Store;
use crate::transfer::{LayoutSink, LinkChoice, OnFailure, ReferrerMode};

/// The images to export, and the destination.
#[derive(Debug)]
pub struct ExportOptions {
    pub source: PathBuf,
    pub output: PathBuf,
    pub format: ExportFormat,
    /// Only these images; all when there is none.
    pub list: Option<ImageList>,
    pub renames: RenameRules,
    pub referrers: ReferrerMode,
    pub platforms: PlatformOptions,
    /// How blobs that are files are linked; `None` for hardlinks where possible, otherwise copies.
    pub link: Option<LinkMode>,
    pub on_failure: OnFailure,
    /// The time of every member of an archive, in seconds since 1970.
    pub mtime: u64,
}

/// The format of exported images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// A `dir:` layout for each image, below the output directory.
    Dir,
    /// One OCI layout for all, which is the output directory.
    Oci,
    /// The same as a tar.
    OciArchive,
    /// A tar for `docker load`.
    DockerArchive,
}

/// Writes images in another tool's format: `dir:` layouts at `OUTPUT/<repository>:<tag>`, or all in
/// one layout or archive at `OUTPUT`.
///
/// A layout or archive appears when it is complete; `dir:` layouts of one output share their blobs
/// by hardlink. Only an image that the format cannot hold, or that is damaged, fails by itself; any
/// other failure leaves no archive.
pub async fn export(cx: &Context, options: &ExportOptions) -> Result<BatchOutcome, OpsError> {
    for warning in options.list.iter().flat_map(|list| &list.warnings) {
        cx.warn(warning);
    }
    let catalog = Catalog::open_once(&options.source, &cx.reading).await?;
    if options.format == ExportFormat::DockerArchive && catalog.source().is_sequential() {
        return Err(OpsError::WrongSource {
            verb: "export for `docker load`",
            path: options.source.clone(),
            kind: catalog.kind(),
        });
    }
    require_free(cx, options)?;
    let wanted = catalog
        .wanted(
            options.list.as_ref(),
            &options.renames,
            &Carry::local(&options.platforms, options.referrers),
        )
        .await?;
    let mut batch = Batch::resolve(cx, catalog.source(), wanted, options.on_failure).await;
    platforms::check(cx, catalog.source(), &mut batch, options.platforms.mismatch).await;
    if batch.must_stop() {
        return Ok(batch.finish());
    }
    if options.format != ExportFormat::DockerArchive {
        platforms::warn_of_partial(cx, &batch, platforms::NOT_KEPT);
    }
    base::require_whole(catalog.source(), &options.source, &batch.plan)?;
    let has_files = matches!(
        catalog.kind(),
        SourceKind::Store | SourceKind::Layouts | SourceKind::Collection(CollectionKind::OciLayout)
    );
    let is_near =
        has_files && fsx::same_filesystem(catalog.path(), existing_ancestor(&options.output)?)?;
    let link = match options.link {
        Some(LinkMode::Hard) if has_files => {
            let needed = batch.plan.len();
            require_same_filesystem(catalog.path(), &options.output, needed)?;
            require_links(
                (catalog.source(), &batch.plan),
                &options.output,
                LinkMode::Hard,
            )?;
            LinkChoice::Only(LinkMode::Hard)
        }
        Some(LinkMode::Reflink) if has_files => {
            let from = (catalog.source(), batch.plan.as_ref());
            require_links(from, &options.output, LinkMode::Reflink)?;
            LinkChoice::Only(LinkMode::Reflink)
        }
        Some(link) => LinkChoice::Only(link),
        None if is_near => LinkChoice::HardOrCopy,
        None => LinkChoice::Only(LinkMode::Copy),
    };
    match options.format {
        ExportFormat::DockerArchive => {
            docker::write(cx, options, (&catalog, &mut batch)).await?;
            return Ok(batch.finish());
        }
        ExportFormat::OciArchive => {
            oci::write(cx, (options, link), (&catalog, &mut batch)).await?;
            return Ok(batch.finish());
        }
        ExportFormat::Dir | ExportFormat::Oci => {}
    }
    if link == LinkChoice::Only(LinkMode::Copy) || !has_files {
        require_space(&options.output, batch.plan.len(), Fewer::Only)?;
    }
    if options.format == ExportFormat::Oci {
        oci::write(cx, (options, link), (&catalog, &mut batch)).await?;
        return Ok(batch.finish());
    }
    let sink = LayoutSink::create(&options.output, link)?;
    batch.narrow(cx, |image| sink.add(image));
    if batch.must_stop() {
        return Ok(batch.finish());
    }
    batch.run(cx, catalog.shared_source(), Arc::new(sink)).await;
    batch.check_the_rest(cx, catalog.source()).await;
    Ok(batch.finish())
}

/// Refuses an output where something is that the format does not add to.
fn require_free(cx: &Context, options: &ExportOptions) -> Result<(), OpsError> {
    let output = options.output.as_path();
    require_other(output, [options.source.as_path()])?;
    let path = output.to_owned();
    if Store::detect(output)? {
        return Err(OutputError::IsStore { path }.into());
    }
    let stat = fsx::try_stat(output)?;
    match options.format {
        ExportFormat::OciArchive | ExportFormat::DockerArchive => {
            if stat.is_some_and(|stat| stat.is_file) {
                let there = Catalog::open(output, &cx.reading).ok();
                let found = there.map(|there| there.kind().as_str());
                return Err(OutputError::Exists { path, found }.into());
            }
        }
        ExportFormat::Dir => {
            if stat.is_some_and(|stat| !stat.is_dir) {
                return Err(LayoutError::Occupied { path, found: None }.into());
            }
            if let Some(kind) = layout::kind_of_one(output)? {
                return Err(OutputError::IsLayout { path, kind }.into());
            }
        }
        ExportFormat::Oci => {}
    }
    Ok(())
}
