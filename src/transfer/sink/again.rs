//! A blob that comes over a network: opened at any byte, and read on where a connection was lost.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::oci::Descriptor;
use crate::registry::{Failure, Reopen, UploadStream};
use crate::transfer::{BlobContent, BlobStream, Location, PlannedBlob, Source, TransferError};

/// A connection that was lost after so many bytes is replaced at once; any other is left to the
/// retries of the engine, which wait.
const PROGRESS_MIN: u64 = 4 * 1024 * 1024;

/// How long is waited before a blob is opened again in the middle of which its host went down; a
/// target that is being filled waits meanwhile, and gives up after a minute.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// Opens a blob from the byte `from` on, wherever it can be had.
pub(super) async fn open_from(
    source: &dyn Source,
    (locations, descriptor): (&[Location], &Descriptor),
    from: u64,
) -> Result<BlobContent, TransferError> {
    let mut last = TransferError::BlobAbsent {
        digest: descriptor.digest.clone(),
    };
    for location in locations {
        match source.open_blob_from(location, descriptor, from).await {
            Ok(content) => return Ok(content),
            // Another repository may still have it; a tired server is left to the retries.
            Err(error) => match error.failure(source) {
                Failure::Passing { .. } | Failure::Limited { .. } => return Err(error),
                Failure::Lasting | Failure::Garbled => last = error,
            },
        }
    }
    Err(last)
}

/// The bytes of a blob that is open at `from`, also beyond the end of a connection.
pub(super) fn read_on(
    source: &Arc<dyn Source>,
    blob: &PlannedBlob,
    (content, from): (BlobContent, u64),
) -> BlobContent {
    let blob = Arc::new(Blob::new(source, blob));
    BlobContent::Stream(blob.read_on(content.into_stream(), from))
}

/// The blob as an upload reads it.
pub(super) fn reopen(source: &Arc<dyn Source>, blob: &PlannedBlob) -> Reopen {
    let blob = Arc::new(Blob::new(source, blob));
    Box::new(move |from| {
        let blob = Arc::clone(&blob);
        Box::pin(async move {
            let stream = blob.open(from).await.map_err(std::io::Error::other)?;
            let stream = blob.read_on(stream, from).map_err(std::io::Error::other);
            Ok(Box::pin(stream) as UploadStream)
        })
    })
}

struct Blob {
    source: Arc<dyn Source>,
    locations: Vec<Location>,
    descriptor: Descriptor,
}

impl Blob {
    fn new(source: &Arc<dyn Source>, blob: &PlannedBlob) -> Self {
        Self {
            source: Arc::clone(source),
            locations: blob.from.clone(),
            descriptor: blob.descriptor.clone(),
        }
    }

    async fn open(&self, from: u64) -> Result<BlobStream, TransferError> {
        let place = (self.locations.as_slice(), &self.descriptor);
        let content = open_from(self.source.as_ref(), place, from).await?;
        Ok(content.into_stream())
    }

    /// Opens it where its host may be down for a moment.
    async fn open_patiently(&self, from: u64) -> Result<BlobStream, TransferError> {
        for pause in PAUSES {
            match self.open(from).await {
                Err(error)
                    if matches!(
                        error.failure(self.source.as_ref()),
                        Failure::Passing { .. } | Failure::Limited { .. }
                    ) =>
                {
                    tokio::time::sleep(pause).await;
                }
                result => return result,
            }
        }
        self.open(from).await
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
                    let has_progress = reading.at - reading.opened_at >= PROGRESS_MIN;
                    let failure = error.failure(blob.source.as_ref());
                    if !has_progress || !matches!(failure, Failure::Passing { .. }) {
                        return Some((Err(error), None));
                    }
                    match blob.open_patiently(reading.at).await {
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
