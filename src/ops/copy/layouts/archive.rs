//! Filling an archive, which is whole or does not appear.

use std::sync::Arc;

use super::LayoutFormat;
use super::fill::Looked;
use crate::bridge;
use crate::fsx::Durability;
use crate::layout::{LayoutError, OciArchiveWriter};
use crate::ops::OpsError;
use crate::ops::copy::target::Feed;
use crate::transfer::{DockerSink, OciSink, OnFailure, Sink};

/// An archive that is being written.
enum Archive {
    Oci(Arc<OciSink>),
    Docker(Arc<DockerSink>),
}

impl Archive {
    fn sink(&self) -> Arc<dyn Sink> {
        match self {
            Self::Oci(sink) => sink.clone(),
            Self::Docker(sink) => sink.clone(),
        }
    }

    /// Makes it appear. Blocks.
    fn finish(&self) -> Result<(), LayoutError> {
        match self {
            Self::Oci(sink) => sink.finish(Durability::Synced).map(|_| ()),
            Self::Docker(sink) => sink.finish(Durability::Synced),
        }
    }
}

/// Writes an archive. If an image fails, the archive is useless, so it is started again without the
/// images that failed, if the source can be read again.
pub(super) async fn fill(looked: &mut Looked<'_>, feed: &mut Feed<'_>) -> Result<(), OpsError> {
    loop {
        let must_stop = looked.options.on_failure == OnFailure::Stop && looked.batch.has_failures();
        if looked.batch.plan.is_empty() || must_stop {
            return Ok(());
        }
        let archive = start(looked).await?;
        let n_refused = looked.batch.n_failed();
        let (source, sink) = feed.ends(archive.sink());
        looked.batch.run(looked.cx, source, sink).await;
        if looked.batch.n_failed() == n_refused {
            bridge::run(move || archive.finish()).await?;
            looked.batch.announce(looked.cx);
            return Ok(());
        }
        if feed.source().is_sequential() {
            return match looked.batch.first_failure() {
                Some(failure) => Err(failure.into()),
                None => Ok(()),
            };
        }
        drop(archive);
        looked.batch.leave_failed(feed.source())?;
    }
}

async fn start(looked: &Looked<'_>) -> Result<Archive, OpsError> {
    let target = looked.target;
    let (path, mtime) = (target.path.clone(), target.mtime);
    if target.format == LayoutFormat::DockerArchive {
        let images = looked.configs.images(&looked.batch.plan)?;
        let create = bridge::run(move || DockerSink::create(&path, images, mtime));
        return Ok(Archive::Docker(Arc::new(create.await?)));
    }
    let plan = OciSink::archive_plan(&looked.batch.plan, mtime);
    let create = bridge::run(move || OciArchiveWriter::create(&path, &plan));
    Ok(Archive::Oci(Arc::new(OciSink::archive(create.await?))))
}
