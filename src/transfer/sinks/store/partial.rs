//! Resumes large blobs from a network after a lost connection or a kill.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{Content, TransferError};
use hod_fsx::Durability;
use hod_oci::ContentMismatch;
use hod_report::{BlobRoute, Event};
use hod_store::{Partial, PartialBlob, Store, StoreError};

/// Smaller blobs are fetched again, which costs less than checking for a partial file.
const KEPT_LEN_MIN: u64 = 1024 * 1024;
/// Maximum time to wait for another run that fetches the same blob without progress.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Whether a part of the content would be of use to a later attempt.
pub(super) fn is_worth_keeping(content: &Content<'_>) -> bool {
    content.is_resumable() && content.task.blob.descriptor.size >= KEPT_LEN_MIN
}

/// Puts a blob, resuming after the last attempt or run; `None` if no partial file can be kept, or
/// if another run holds it without progress.
///
/// A failed attempt keeps the received part with the content; dropping the content keeps it for the
/// next run. Wrong bytes are discarded.
pub(super) async fn put(
    store: &Store,
    content: &mut Content<'_>,
    durability: Durability,
) -> Result<Option<BlobRoute>, TransferError> {
    let partial = match content.partial.take() {
        Some(partial) => partial,
        None => match open(store, content).await? {
            Partial::Ours(partial) => partial,
            Partial::Present => return Ok(Some(BlobRoute::Present)),
            Partial::Busy { .. } | Partial::Unkept => return Ok(None),
        },
    };
    let partial = if partial.is_whole() {
        partial
    } else {
        fetch(content, partial).await?
    };
    let len = partial.len();
    match hod_bridge::run(move || partial.commit(durability)).await {
        Ok(()) => Ok(Some(BlobRoute::Moved)),
        Err(error) => {
            if let StoreError::Content(ContentMismatch::Digest { .. }) = error {
                let kept = std::mem::take(&mut content.kept);
                content.lost(len - kept);
                if kept > 0 {
                    let reporter = content.task.reporter;
                    reporter.event(Event::KeptLost { len: kept });
                }
                content.progress = 0;
            }
            Err(error.into())
        }
    }
}

/// Opens the partial file, waiting for another run that uses it.
async fn open(store: &Store, content: &mut Content<'_>) -> Result<Partial, TransferError> {
    let descriptor = &content.task.blob.descriptor;
    let reporter = content.task.reporter;
    let mut last_seen: Option<(u64, Instant)> = None;
    loop {
        let (store, blob) = (store.clone(), descriptor.clone());
        let opened =
            hod_bridge::run_stoppable(move |stop| store.partial_blob(&blob, &stop)).await?;
        let len = match opened {
            Partial::Busy { len } => len,
            Partial::Ours(partial) => {
                content.kept = partial.len();
                content.progress = partial.len();
                if !partial.is_empty() {
                    reporter.event(Event::BytesKept { len: partial.len() });
                }
                return Ok(Partial::Ours(partial));
            }
            other => return Ok(other),
        };
        match last_seen {
            Some((seen, since)) if seen == len => {
                if since.elapsed() > PATIENCE {
                    return Ok(Partial::Busy { len });
                }
            }
            Some(_) => last_seen = Some((len, Instant::now())),
            None => {
                last_seen = Some((len, Instant::now()));
                reporter.event(Event::Note {
                    text: &format!(
                        "waiting for another run that fetches blob {}",
                        descriptor.digest.short()
                    ),
                });
            }
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Fetches the rest; on failure, the received part is kept with the content.
async fn fetch(
    content: &mut Content<'_>,
    mut partial: Box<PartialBlob>,
) -> Result<Box<PartialBlob>, TransferError> {
    let opened = match content.open_from(partial.len()).await {
        Ok(opened) => opened,
        Err(error) => {
            content.partial = Some(partial);
            return Err(error);
        }
    };
    let reporter = std::sync::Arc::clone(content.task.reporter);
    let on_bytes = move |len| reporter.event(Event::BytesMoved { len });
    let poured = opened.pour(on_bytes, move |pieces| {
        let result = pieces.each(|bytes| partial.write(bytes));
        (partial, result)
    });
    let (partial, result) = poured.await;
    content.progress = partial.len();
    match result {
        Ok(()) => Ok(partial),
        Err(error) => {
            content.partial = Some(partial);
            Err(error)
        }
    }
}
