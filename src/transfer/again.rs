//! A blob from a network: can be opened at any byte, and continues after a lost connection.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _};

use super::{
    Attempts, BlobContent, BlobStream, BlobTask, Location, Origins, Share, Source, TransferError,
};
use hod_oci::Descriptor;
use hod_registry::{Reopen, UploadStream};
use hod_report::Reporter;
use hod_retry::{Failure, RetryPolicy};

/// A connection that was lost after this number of bytes is replaced here; otherwise the engine
/// restarts the blob.
const PROGRESS_MIN: u64 = 4 * 1024 * 1024;

/// Maximum time to wait for a host that went down during a blob: the target waits meanwhile, and
/// gives up after a minute. Longer waits are left to the engine, too.
const OUTAGE_MAX: Duration = Duration::from_secs(20);

/// Opens a blob from the byte `from` on, wherever it can be had; places that sent wrong bytes before
/// are asked last.
pub(super) async fn open_from<'a>(
    source: &dyn Source,
    share: Option<&Share>,
    locations: &'a [Location],
    descriptor: &Descriptor,
    from: u64,
) -> Result<(BlobContent, &'a Location), TransferError> {
    let mut last = TransferError::BlobAbsent {
        digest: descriptor.digest.clone(),
    };
    let (last_ones, first_ones): (Vec<_>, Vec<_>) = locations
        .iter()
        .partition(|location| source.garbles(location, descriptor));
    for location in first_ones.into_iter().chain(last_ones) {
        let opened = match share {
            Some(share) => share.open_from(location, descriptor, from).await,
            None => source.open_blob_from(location, descriptor, from).await,
        };
        match opened {
            Ok(content) => return Ok((content, location)),
            // Another repository may still have it; a tired server is left to the retries.
            Err(error) => match error.failure(source.caps().reach) {
                Failure::Passing { .. } | Failure::Limited { .. } => return Err(error),
                Failure::Lasting | Failure::Garbled => last = error,
            },
        }
    }
    Err(last)
}

/// The bytes of a blob that is open at `from`, also beyond the end of a connection.
pub(super) fn read_on(task: &BlobTask<'_>, content: BlobContent, from: u64) -> BlobContent {
    let origins = content.origins();
    let blob = Arc::new(Blob::new(task, &origins));
    BlobContent::Stream(blob.read_on(content.into_stream(), from), origins)
}

/// The blob as an upload reads it; `early` is already open at its beginning. Opened origins are
/// recorded in `origins`.
pub(super) fn reopen(task: &BlobTask<'_>, early: Option<BlobContent>, origins: &Origins) -> Reopen {
    let blob = Arc::new(Blob::new(task, origins));
    let early = Mutex::new(early);
    Box::new(move |from| {
        let blob = Arc::clone(&blob);
        let early = early.lock().expect("no panic with the lock").take();
        let early = early.filter(|_| from == 0);
        Box::pin(async move {
            let content = match early {
                Some(content) => content,
                None => blob.open(from).await.map_err(std::io::Error::other)?,
            };
            blob.origins.opened_at(from, &content.origins());
            let stream = blob.read_on(content.into_stream(), from);
            Ok(Box::pin(stream.map_err(std::io::Error::other)) as UploadStream)
        })
    })
}

struct Blob {
    source: Arc<dyn Source>,
    share: Option<Share>,
    locations: Vec<Location>,
    descriptor: Descriptor,
    origins: Origins,
    reporter: Arc<dyn Reporter>,
    retry: RetryPolicy,
}

impl Blob {
    fn new(task: &BlobTask<'_>, origins: &Origins) -> Self {
        Self {
            source: Arc::clone(task.source),
            share: task.share.cloned(),
            locations: task.blob.from.clone(),
            descriptor: task.blob.descriptor.clone(),
            origins: origins.clone(),
            reporter: Arc::clone(task.reporter),
            retry: task.retry,
        }
    }

    async fn open(&self, from: u64) -> Result<BlobContent, TransferError> {
        let (source, share) = (self.source.as_ref(), self.share.as_ref());
        let (locations, blob) = (&self.locations, &self.descriptor);
        let (content, _) = open_from(source, share, locations, blob, from).await?;
        Ok(content)
    }

    /// Opens it at `from` after a connection was lost for `error`, which had brought `gained` bytes.
    async fn replace(
        &self,
        mut error: TransferError,
        gained: u64,
        from: u64,
    ) -> Result<BlobStream, TransferError> {
        let source = self.source.as_ref();
        let digest = &self.descriptor.digest;
        let mut attempts = Attempts::new(source, digest, self.retry, &self.reporter);
        let lost_at = Instant::now();
        loop {
            let failure = error.failure(source.caps().reach);
            let Failure::Passing { retry_after } = failure else {
                return Err(error);
            };
            let waited = lost_at.elapsed() + retry_after.unwrap_or_default();
            if gained < PROGRESS_MIN || waited > OUTAGE_MAX {
                return Err(error);
            }
            attempts.failed(error, failure, gained).await?;
            error = match self.open(from).await {
                Ok(content) => {
                    self.origins.opened_at(from, &content.origins());
                    return Ok(content.into_stream());
                }
                Err(error) => error,
            };
        }
    }

    /// The bytes of `stream`, which begins at `from`, and of those that replace it.
    fn read_on(self: Arc<Self>, stream: BlobStream, from: u64) -> BlobStream {
        struct Reading {
            stream: BlobStream,
            opened_at: u64,
            at: u64,
        }
        let reading = Reading {
            stream,
            opened_at: from,
            at: from,
        };
        let stream = futures_util::stream::unfold(Some(reading), move |reading| {
            let blob = Arc::clone(&self);
            async move {
                let mut reading = reading?;
                loop {
                    let error = match reading.stream.next().await? {
                        Ok(chunk) => {
                            reading.at += chunk.len() as u64;
                            return Some((Ok(chunk), Some(reading)));
                        }
                        Err(error) => error,
                    };
                    let gained = reading.at - reading.opened_at;
                    match blob.replace(error, gained, reading.at).await {
                        Ok(stream) => reading.stream = stream,
                        Err(error) => return Some((Err(error), None)),
                    }
                    reading.opened_at = reading.at;
                }
            }
        });
        Box::pin(stream.fuse())
    }
}
