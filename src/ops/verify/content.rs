//! Hashes the content of one blob.

use std::sync::Arc;

use crate::Context;
use hod_oci::{Descriptor, Digest, Verifier};
use hod_report::{Event, Reporter};
use hod_transfer::{Attempts, BlobContent, Location, Origins, Source, TransferError};

/// Hashes a blob at a place of a source. The part that a registry sent before a connection was lost
/// is not fetched again.
pub(super) async fn hash(
    cx: &Context,
    source: &dyn Source,
    location: &Location,
    blob: &Descriptor,
) -> Result<(), TransferError> {
    let digest = &blob.digest;
    let mut attempts = Attempts::new(source, digest, cx.retry, &cx.reporter);
    let mut hashed = Verifier::from(digest);
    let origins = Origins::default();
    loop {
        let opened = source.open_blob_from(location, blob, hashed.len()).await;
        let result = match opened {
            Ok(content) => {
                origins.opened_at(hashed.len(), &content.origins());
                let (rest, result) = hash_rest(content, hashed, &cx.reporter).await;
                hashed = rest;
                result
            }
            Err(error) => Err(error),
        };
        let error = match result {
            Ok(()) => return Ok(()),
            Err(error) => source.blame(location, digest, &origins, error),
        };
        let failure = error.failure(source.caps().reach);
        attempts.failed(error, failure, hashed.len()).await?;
    }
}

/// Hashes content that comes once.
pub(super) async fn hash_once(
    cx: &Context,
    content: BlobContent,
    digest: &Digest,
) -> Result<(), TransferError> {
    hash_rest(content, digest.into(), &cx.reporter).await.1
}

/// Hashes the rest of a blob; returns the number of bytes hashed before an error, and none after a
/// wrong digest.
async fn hash_rest(
    content: BlobContent,
    mut hashed: Verifier,
    reporter: &Arc<dyn Reporter>,
) -> (Verifier, Result<(), TransferError>) {
    let reporter = Arc::clone(reporter);
    let on_bytes = move |len| reporter.event(Event::BytesMoved { len });
    let poured = content.pour(on_bytes, move |pieces| {
        match pieces.each(|bytes| hashed.update(bytes)) {
            Ok(()) => {
                let nothing = Verifier::from(hashed.expected());
                (nothing, hashed.finish().map_err(TransferError::from))
            }
            Err(error) => (hashed, Err(error)),
        }
    });
    poured.await
}
