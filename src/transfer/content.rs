//! The content of one blob on its way to a sink.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};

use super::{
    BlobContent, BlobTask, Location, Origins, Pieces, PlannedBlob, Presence, TransferError, again,
};
use hod_registry::UploadBody;
use hod_report::Event;
use hod_store::PartialBlob;

/// Maximum length of a blob that is opened before it can be sent: for longer ones, one round trip
/// does not matter.
const EARLY_LEN_MAX: u64 = 64 * 1024 * 1024;
/// Maximum time that a blob is held open before it can be sent: others may wait for its connection.
const EARLY_WAIT_MAX: Duration = Duration::from_secs(2);

/// A blob's content, opened when a sink asks for it.
#[derive(Debug)]
pub struct Content<'a> {
    pub(crate) task: BlobTask<'a>,
    given: Option<BlobContent>,
    once: bool,
    /// The content that was opened early.
    early: Option<BlobContent>,
    /// The origins of the bytes of this attempt.
    origins: Origins,
    /// The place that was opened last.
    location: Option<Location>,
    /// The partial blob of a failed attempt.
    pub(crate) partial: Option<Box<PartialBlob>>,
    /// The number of bytes from an earlier run.
    pub(crate) kept: u64,
    /// The number of bytes that stay at the sink even if the current attempt fails.
    pub(crate) progress: u64,
}

impl<'a> Content<'a> {
    /// The content of a blob: `given`, which can be read once, otherwise opened again in each
    /// attempt.
    pub(crate) fn new(task: BlobTask<'a>, given: Option<BlobContent>) -> Self {
        Self {
            task,
            once: given.is_some(),
            given,
            early: None,
            origins: Origins::default(),
            location: None,
            partial: None,
            kept: 0,
            progress: 0,
        }
    }

    /// The blob.
    pub fn blob(&self) -> &'a PlannedBlob {
        self.task.blob
    }

    /// Whether it comes over a network and can be opened in the middle.
    pub(crate) fn is_resumable(&self) -> bool {
        !self.once && self.task.source.is_remote()
    }

    /// Opens the content; a second time too, unless the source can be read only once. A connection
    /// that is lost in the middle is replaced.
    pub(crate) async fn open(&mut self) -> Result<BlobContent, TransferError> {
        let content = self.open_from(0).await?;
        if !self.is_resumable() {
            return Ok(content);
        }
        Ok(again::read_on(&self.task, content, 0))
    }

    /// Opens the content from the byte `from` on.
    pub(crate) async fn open_from(&mut self, from: u64) -> Result<BlobContent, TransferError> {
        let BlobTask {
            source,
            share,
            blob,
            ..
        } = self.task;
        if blob.presence != Presence::Source {
            let digest = blob.descriptor.digest.clone();
            return Err(TransferError::BaseLost { digest });
        }
        if self.once {
            let digest = blob.descriptor.digest.clone();
            return self.given.take().ok_or(TransferError::ReadOnce { digest });
        }
        let (content, location) =
            again::open_from(source.as_ref(), share, &blob.from, &blob.descriptor, from).await?;
        self.origins.opened_at(from, &content.origins());
        self.location = Some(location.clone());
        Ok(content)
    }

    /// Opens a blob that comes over a network while `other` is awaited, after which it is sent. What
    /// failed to open is opened again then, and reported.
    pub(crate) async fn open_during<T, E>(
        &mut self,
        other: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.close_early();
        let BlobTask {
            source,
            share,
            blob,
            ..
        } = self.task;
        let is_long = blob.descriptor.size > EARLY_LEN_MAX;
        if is_long || blob.presence != Presence::Source || !self.is_resumable() {
            return other.await;
        }
        let mut other = std::pin::pin!(other);
        let mut opening = std::pin::pin!(again::open_from(
            source.as_ref(),
            share,
            &blob.from,
            &blob.descriptor,
            0
        ));
        let opened = tokio::select! {
            biased;
            result = &mut other => {
                let value = result?;
                // The upload waits meanwhile.
                let opened = tokio::time::timeout(EARLY_WAIT_MAX, opening).await;
                self.early = opened.ok().and_then(Result::ok).map(|(content, _)| content);
                return Ok(value);
            }
            opened = &mut opening => opened.ok().map(|(content, _)| content),
        };
        let Ok(result) = tokio::time::timeout(EARLY_WAIT_MAX, &mut other).await else {
            drop(opened);
            return other.await;
        };
        let value = result?;
        self.early = opened;
        Ok(value)
    }

    /// Closes the content that was opened early.
    pub(crate) fn close_early(&mut self) {
        self.early = None;
    }

    /// Opens the content, and passes it to `work` piece by piece. On failure, the moved bytes are
    /// lost.
    pub async fn pour<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Pieces) -> Result<T, TransferError> + Send + 'static,
    ) -> Result<T, TransferError> {
        let opened = self.open().await?;
        let moved = Arc::new(AtomicU64::new(0));
        let (counted, reporter) = (Arc::clone(&moved), Arc::clone(self.task.reporter));
        let on_bytes = move |len: u64| {
            counted.fetch_add(len, Ordering::Relaxed);
            reporter.event(Event::BytesMoved { len });
        };
        let result = opened.pour(on_bytes, work).await;
        if result.is_err() {
            self.lost(moved.load(Ordering::Relaxed));
        }
        result
    }

    /// The reader for an upload, which buffers nothing if the content can be opened at any byte.
    pub(crate) async fn upload_body(&mut self) -> Result<UploadBody, TransferError> {
        if self.is_resumable() && self.task.blob.presence == Presence::Source {
            let early = self.early.take();
            return Ok(UploadBody::Again(again::reopen(
                &self.task,
                early,
                &self.origins,
            )));
        }
        Ok(match self.open().await? {
            BlobContent::File(range) => UploadBody::File(range),
            BlobContent::Stream(stream, _) => {
                UploadBody::Stream(stream.map_err(std::io::Error::other).boxed())
            }
        })
    }

    /// The path of a file that is the blob and nothing else.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        let BlobTask { source, blob, .. } = self.task;
        let location: &Location = blob.from.first()?;
        if self.once {
            None
        } else {
            source.blob_file(location, &blob.descriptor.digest)
        }
    }

    pub(crate) fn blame(&self, error: TransferError) -> TransferError {
        let BlobTask { source, blob, .. } = self.task;
        match self.location.as_ref().or(blob.from.first()) {
            Some(location) => {
                let digest = &blob.descriptor.digest;
                source.blame(location, digest, &self.origins, error)
            }
            None => error,
        }
    }

    pub(crate) fn lost(&self, len: u64) {
        if len > 0 {
            self.task.reporter.event(Event::BytesLost { len });
        }
    }
}

#[cfg(test)]
mod tests;
