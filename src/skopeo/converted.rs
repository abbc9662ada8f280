//! A source some of whose parts were converted.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use hod_fsx::FileRange;
use hod_oci::{Descriptor, Digest, Manifest};
use hod_retry::HostState;
use hod_transfer::{
    BlobContent, BlobStream, Listed, Location, Origins, Placed, Source, SourceCaps, TransferError,
};

/// Where a converted part of an image is.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    File(PathBuf),
    Bytes(bytes::Bytes),
}

/// The parts that were converted, and a source for all others.
#[derive(Debug)]
pub(crate) struct Converted {
    pub(crate) inner: Arc<dyn Source>,
    pub(crate) parts: HashMap<Digest, Part>,
}

#[async_trait]
impl Source for Converted {
    fn caps(&self) -> SourceCaps {
        self.inner.caps()
    }

    async fn list(&self) -> Result<Vec<Listed>, TransferError> {
        self.inner.list().await
    }

    async fn manifest(
        &self,
        location: &Location,
        descriptor: &Descriptor,
    ) -> Result<Option<Manifest>, TransferError> {
        self.inner.manifest(location, descriptor).await
    }

    async fn blob_lens(&self, blobs: Vec<Placed>) -> Result<Vec<Option<u64>>, TransferError> {
        self.inner.blob_lens(blobs).await
    }

    async fn open_blob_from(
        &self,
        location: &Location,
        descriptor: &Descriptor,
        from: u64,
    ) -> Result<BlobContent, TransferError> {
        let Some(part) = self.parts.get(&descriptor.digest).cloned() else {
            return self.inner.open_blob_from(location, descriptor, from).await;
        };
        match part {
            Part::File(path) => {
                let len = descriptor.size;
                hod_bridge::run(move || {
                    let file = Arc::new(hod_fsx::open(&path)?);
                    Ok(BlobContent::File(FileRange {
                        file,
                        path,
                        offset: from,
                        len: len.saturating_sub(from),
                    }))
                })
                .await
            }
            Part::Bytes(bytes) => {
                let from = usize::try_from(from).map_or(bytes.len(), |from| from.min(bytes.len()));
                let rest = bytes.slice(from..);
                let stream: BlobStream =
                    Box::pin(futures_util::stream::once(async move { Ok(rest) }));
                Ok(BlobContent::Stream(stream, Origins::default()))
            }
        }
    }

    fn garbles(&self, location: &Location, descriptor: &Descriptor) -> bool {
        self.inner.garbles(location, descriptor)
    }

    fn blob_file(&self, location: &Location, digest: &Digest) -> Option<PathBuf> {
        match self.parts.get(digest) {
            Some(_) => None,
            None => self.inner.blob_file(location, digest),
        }
    }

    fn host_state(&self, error: &TransferError, began: std::time::Instant) -> HostState {
        self.inner.host_state(error, began)
    }

    fn as_registry(&self) -> Option<&hod_transfer::RegistrySource> {
        self.inner.as_registry()
    }
}
