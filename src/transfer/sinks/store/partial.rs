//! Large blobs that come over a network: what a cut or a kill leaves of them is gone on with.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{Content, TransferError};
use hod_fsx::Durability;
use hod_oci::ContentMismatch;
use hod_report::{BlobRoute, Event};
use hod_store::{Partial, PartialBlob, Store, StoreError};

/// Smaller blobs are fetched again, which costs less than looking whether something is there.
const KEPT_LEN_MIN: u64 = 1024 * 1024;
/// How long another run that fetches the same blob is waited for while nothing comes of it.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Whether a part of the content would be of use to a later attempt.
pub(super) fn is_worth_keeping(content: &Content<'_>) -> bool {
    content.is_resumable() && content.handover.blob.descriptor.size >= KEPT_LEN_MIN
}

/// Puts a blob, from where the last attempt or run ended; `None` where nothing can be kept, or
/// another run holds it and does not get on.
///
/// A failed attempt leaves what came with the content; dropping the content leaves it to the next
/// run. Bytes that turn out to be wrong are thrown away.
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
                    let reporter = content.handover.reporter;
                    reporter.event(Event::KeptLost { len: kept });
                }
                content.progress = 0;
            }
            Err(error.into())
        }
    }
}

/// Opens what is there, waiting for another run that is at it.
async fn open(store: &Store, content: &mut Content<'_>) -> Result<Partial, TransferError> {
    let descriptor = &content.handover.blob.descriptor;
    let reporter = content.handover.reporter;
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

/// Fetches what is missing; what came is kept with the content when not all came.
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
    let reporter = std::sync::Arc::clone(content.handover.reporter);
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
