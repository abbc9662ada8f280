//! The origin of a blob's bytes, and the places that sent wrong ones.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::{RegistryError, RequestLine};
use hod_oci::Digest;

/// The bytes of a blob, and where they come from.
pub struct BlobBody {
    pub origin: BlobOrigin,
    pub stream: BoxStream<'static, Result<Bytes, RegistryError>>,
}

impl std::fmt::Debug for BlobBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobBody")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// The answer that the bytes of a blob come from.
#[derive(Debug, Clone)]
pub struct BlobOrigin {
    request: Box<RequestLine>,
    garblers: Garblers,
}

impl BlobOrigin {
    pub(crate) fn new(request: &RequestLine, garblers: &Garblers) -> Self {
        Self {
            request: Box::new(request.clone()),
            garblers: garblers.clone(),
        }
    }

    /// Notes that wrong bytes came from here, so that other places are used first from now on.
    pub fn distrust(&self) {
        self.garblers.lock().insert(self.request.place());
    }

    /// The error of a blob whose bytes came from here and have the digest `actual`.
    pub fn mismatch(&self, expected: &Digest, actual: &Digest) -> RegistryError {
        RegistryError::DigestMismatch {
            request: self.request.clone(),
            expected: expected.clone(),
            actual: actual.clone(),
        }
    }
}

/// The places that sent wrong bytes of a blob in this run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Garblers(Arc<Mutex<HashSet<String>>>);

impl Garblers {
    pub(crate) fn has(&self, request: &RequestLine) -> bool {
        self.lock().contains(&request.place())
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0
            .lock()
            .expect("nothing panics while it holds the lock")
    }
}
