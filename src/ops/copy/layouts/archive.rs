//! Filling an archive, which is whole or does not appear.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::format::{Filler, Looked};
use crate::{Catalog, Context, OpsError, OutputError};
use hod_layout::LayoutError;
use hod_transfer::{Feed, OnFailure, Sink};

/// An archive that is being written.
pub(super) struct Archive {
    pub(super) sink: Arc<dyn Sink>,
    /// Makes it appear. Blocks.
    pub(super) finish: Box<dyn FnOnce() -> Result<(), LayoutError> + Send>,
}

/// A format that is one new file.
#[async_trait(?Send)]
pub(super) trait Archiver: Send {
    /// Starts an archive of the images of the plan.
    async fn start(&self, looked: &Looked<'_>) -> Result<Archive, OpsError>;
}

/// If an image fails, the archive is useless, so it is started again without the images that
/// failed, if the source can be read again.
#[async_trait(?Send)]
impl<A: Archiver> Filler for A {
    async fn fill(&mut self, looked: &mut Looked<'_>, feed: &mut Feed<'_>) -> Result<(), OpsError> {
        loop {
            let must_stop =
                looked.options.on_failure == OnFailure::Stop && looked.batch.has_failures();
            if looked.batch.plan.is_empty() || must_stop {
                return Ok(());
            }
            let archive = self.start(looked).await?;
            let n_refused = looked.batch.n_failed();
            looked.batch.run(looked.cx, feed, archive.sink).await;
            if looked.batch.n_failed() == n_refused {
                hod_bridge::run(archive.finish).await?;
                looked.batch.announce(looked.cx);
                return Ok(());
            }
            if feed.source().is_sequential() {
                return match looked.batch.first_failure() {
                    Some(failure) => Err(failure.into()),
                    None => Ok(()),
                };
            }
            drop(archive.finish);
            looked.batch.leave_failed(feed.source().as_ref())?;
        }
    }
}

/// Refuses an existing file.
pub(super) fn require_no_file(cx: &Context, path: &Path) -> Result<(), OpsError> {
    if !hod_fsx::try_stat(path)?.is_some_and(|stat| stat.is_file) {
        return Ok(());
    }
    let there = Catalog::open(path, &cx.reading).ok();
    Err(OutputError::Exists {
        path: path.to_owned(),
        found: there.map(|there| there.kind().as_str()),
    }
    .into())
}
