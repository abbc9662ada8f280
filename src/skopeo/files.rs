//! Parts of images in memory and in single files, as a source.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use hod_fsx::FileRange;
use hod_oci::{Descriptor, Digest, Manifest};
use hod_transfer::{
    BlobContent, BlobHolder, BlobStream, Indexes, Keeping, Listed, Location, Origins, Reach,
    ReadOrder, Source, SourceCaps, TransferError,
};

/// A blob.
#[derive(Debug, Clone)]
pub(crate) enum FilePart {
    File(PathBuf),
    Bytes(Bytes),
}

/// Blobs by their digests.
#[derive(Debug, Default)]
pub(crate) struct Files {
    parts: HashMap<Digest, FilePart>,
    /// Manifests by the digests that they are asked for with.
    manifests: HashMap<Digest, Manifest>,
    /// Has all others.
    rest: Option<Arc<dyn Source>>,
}

impl Files {
    pub(crate) fn new(parts: HashMap<Digest, FilePart>) -> Self {
        Self {
            parts,
            ..Self::default()
        }
    }

    /// The same with a manifest.
    pub(crate) fn with_manifest(self, manifest: Manifest) -> Self {
        self.with_manifest_at(manifest.digest().clone(), manifest)
    }

    /// The same with a manifest that stands for the one of a digest.
    pub(crate) fn with_manifest_at(mut self, digest: Digest, manifest: Manifest) -> Self {
        self.manifests.insert(digest, manifest);
        self
    }

    /// The same with another source for all other blobs.
    pub(crate) fn over(self, rest: Arc<dyn Source>) -> Self {
        let rest = Some(rest);
        Self { rest, ..self }
    }
}

#[async_trait]
impl Source for Files {
    fn caps(&self) -> SourceCaps {
        SourceCaps {
            reach: Reach::Local,
            order: ReadOrder::Any,
            keeping: Keeping::Inside,
            holder: BlobHolder::Other,
            indexes: Indexes::Partial,
        }
    }

    async fn list(&self) -> Result<Vec<Listed>, TransferError> {
        Ok(Vec::new())
    }

    async fn manifest(
        &self,
        location: &Location,
        descriptor: &Descriptor,
    ) -> Result<Option<Manifest>, TransferError> {
        if let Some(manifest) = self.manifests.get(&descriptor.digest) {
            return Ok(Some(manifest.clone()));
        }
        match &self.rest {
            Some(rest) => rest.manifest(location, descriptor).await,
            None => Ok(None),
        }
    }

    async fn open_blob_from(
        &self,
        location: &Location,
        descriptor: &Descriptor,
        from: u64,
    ) -> Result<BlobContent, TransferError> {
        let part = self.parts.get(&descriptor.digest).cloned();
        match (part, &self.rest) {
            (Some(FilePart::File(path)), _) => {
                let len = descriptor.size.saturating_sub(from);
                hod_bridge::run(move || {
                    let file = Arc::new(hod_fsx::open(&path)?);
                    Ok(BlobContent::File(FileRange {
                        file,
                        path,
                        offset: from,
                        len,
                    }))
                })
                .await
            }
            (Some(FilePart::Bytes(bytes)), _) => {
                let from = usize::try_from(from).map_or(bytes.len(), |from| from.min(bytes.len()));
                let rest = bytes.slice(from..);
                let stream: BlobStream =
                    Box::pin(futures_util::stream::once(async move { Ok(rest) }));
                Ok(BlobContent::Stream(stream, Origins::default()))
            }
            (None, Some(rest)) => rest.open_blob_from(location, descriptor, from).await,
            (None, None) => Err(TransferError::ImageAbsent {
                registry: None,
                similar: Vec::new(),
            }),
        }
    }
}
