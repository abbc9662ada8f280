//! Hashes the content of one blob.

use std::sync::Arc;

use crate::bridge;
use crate::oci::{Algorithm, Descriptor, Digest, DigestHasher};
use crate::ops::Context;
use crate::report::{Event, Reporter};
use crate::transfer::{Attempts, BlobContent, Location, Source, TransferError};

/// The bytes of a blob that were hashed so far.
struct Hashed {
    hasher: DigestHasher,
    len: u64,
}

impl Hashed {
    fn nothing(algorithm: Algorithm) -> Self {
        Self {
            hasher: DigestHasher::new(algorithm),
            len: 0,
        }
    }
}

/// Hashes a blob at a place of a source. What a registry sent before a line was cut is not fetched
/// again.
pub(super) async fn hash(
    cx: &Context,
    source: &dyn Source,
    (location, blob): (&Location, &Descriptor),
) -> Result<(), TransferError> {
    let digest = &blob.digest;
    let mut attempts = Attempts::new((source, digest), cx.retry, &cx.reporter);
    let mut hashed = Hashed::nothing(digest.algorithm());
    loop {
        let opened = source.open_blob_from(location, blob, hashed.len).await;
        let result = match opened {
            Ok(content) => {
                let reporter = Arc::clone(&cx.reporter);
                let (rest, result) = hash_rest(content, (hashed, digest.clone()), reporter).await;
                hashed = rest;
                result
            }
            Err(error) => Err(error),
        };
        let error = match result {
            Ok(()) => return Ok(()),
            Err(error) => source.blame(location, digest, error),
        };
        let failure = error.failure(source);
        attempts.failed(error, failure, hashed.len).await?;
    }
}

/// Hashes content that comes once.
pub(super) async fn hash_once(
    cx: &Context,
    content: BlobContent,
    digest: &Digest,
) -> Result<(), TransferError> {
    let nothing = Hashed::nothing(digest.algorithm());
    let reporter = Arc::clone(&cx.reporter);
    let (_, result) = hash_rest(content, (nothing, digest.clone()), reporter).await;
    result
}

/// Hashes the rest of a blob; returns what was hashed before an error, and nothing after a wrong
/// digest.
async fn hash_rest(
    content: BlobContent,
    (mut hashed, expected): (Hashed, Digest),
    reporter: Arc<dyn Reporter>,
) -> (Hashed, Result<(), TransferError>) {
    bridge::pipe_to_blocking(content.into_stream(), move |chunks| {
        for chunk in chunks {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error) => return (hashed, Err(error)),
            };
            let len = chunk.len() as u64;
            hashed.hasher.update(&chunk);
            hashed.len += len;
            reporter.event(Event::BytesMoved { len });
        }
        let (actual, len) = (hashed.hasher.finish(), hashed.len);
        let nothing = Hashed::nothing(expected.algorithm());
        if actual == expected {
            return (nothing, Ok(()));
        }
        let mismatch = TransferError::DigestMismatch {
            expected,
            actual,
            len,
        };
        (nothing, Err(mismatch))
    })
    .await
}
