//! `export --format oci` and `oci-archive`: all images in one layout.

use std::sync::Arc;

use super::{Batch, ExportFormat, ExportOptions, OpsError};
use crate::bridge;
use crate::fsx::Durability;
use crate::layout::{OciArchiveWriter, OciDirWriter};
use crate::ops::batch::require_space;
use crate::ops::{Catalog, Context, Fewer};
use crate::report::amount::format_count;
use crate::transfer::{LinkChoice, OciSink, OnFailure, Resolved};

/// Part of Docker's media types only.
const DOCKER: &str = "vnd.docker.";

/// Writes the images of the batch that are complete.
pub(super) async fn write(
    cx: &Context,
    (options, link): (&ExportOptions, LinkChoice),
    (catalog, batch): (&Catalog, &mut Batch),
) -> Result<(), OpsError> {
    let is_docker = |image: &&Resolved| image.top().media_type().as_str().contains(DOCKER);
    let n_docker = batch.plan.images.iter().filter(is_docker).count();
    if n_docker > 0 {
        cx.note(&format!(
            "{} with manifests in Docker's format, which are kept as they are: containerd finds \
             them in an OCI layout, skopeo only those in OCI's; `--format dir` is for skopeo too",
            format_count(n_docker, "image")
        ));
    }
    if options.format == ExportFormat::OciArchive {
        if batch
            .plan
            .images
            .iter()
            .any(|image| !image.referrers.is_empty())
        {
            cx.note(
                "the archive has signatures or other referrers, at which `ctr images import` of \
                 containerd fails: export with `--no-referrers`, or import with `--no-unpack`",
            );
        }
        return write_archive(cx, options, (catalog, batch)).await;
    }
    let output = options.output.clone();
    let create = bridge::run(move || OciDirWriter::create(&output));
    let sink = Arc::new(OciSink::directory(create.await?, link));
    batch.run(cx, catalog.shared_source(), sink.clone()).await;
    if options.on_failure == OnFailure::Stop && batch.has_failures() {
        return Ok(());
    }
    bridge::run(move || sink.finish(Durability::Synced)).await?;
    Ok(())
}

/// Writes an archive. If a blob is damaged, the archive is useless, so it is started again without
/// the images of that blob, if the source can be read again.
async fn write_archive(
    cx: &Context,
    options: &ExportOptions,
    (catalog, batch): (&Catalog, &mut Batch),
) -> Result<(), OpsError> {
    loop {
        let plan = OciSink::archive_plan(&batch.plan, options.mtime);
        if plan.images.is_empty() || options.on_failure == OnFailure::Stop && batch.has_failures() {
            return Ok(());
        }
        require_space(&options.output, plan.archive_len(), Fewer::Only)?;
        let output = options.output.clone();
        let create = bridge::run(move || OciArchiveWriter::create(&output, &plan));
        let sink = Arc::new(OciSink::archive(create.await?));
        let n_refused = batch.n_failed();
        batch.run(cx, catalog.shared_source(), sink.clone()).await;
        if batch.n_failed() == n_refused {
            bridge::run(move || sink.finish(Durability::Synced)).await?;
            return Ok(());
        }
        if catalog.source().is_sequential() {
            return match batch.first_failure() {
                Some(failure) => Err(failure.into()),
                None => Ok(()),
            };
        }
        batch.leave_failed()?;
    }
}
