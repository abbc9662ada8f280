//! A bundle that comes once, from front to back, as a source.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use super::bundle::listed;
use crate::sequential::{self, BlobSlot};
use crate::{
    BlobContent, BlobHolder, Ended, Indexes, Keeping, Listed, LocalReferrers, Location, Placed,
    Plan, Reach, ReadOrder, Source, SourceCaps, StreamedBundle, TransferError,
};
use hod_bundle::{BundleManifest, Signed};
use hod_oci::{Descriptor, Digest, Manifest, RepositoryName};
use hod_report::Reporter;

#[async_trait]
impl Source for StreamedBundle {
    fn caps(&self) -> SourceCaps {
        SourceCaps {
            reach: Reach::Local,
            order: ReadOrder::Given,
            keeping: Keeping::Inside,
            holder: BlobHolder::Bundle,
            indexes: Indexes::Partial,
        }
    }

    async fn list(&self) -> Result<Vec<Listed>, TransferError> {
        Ok(listed(&self.document))
    }

    async fn manifest(
        &self,
        _: &Location,
        descriptor: &Descriptor,
    ) -> Result<Option<Manifest>, TransferError> {
        Ok(self.manifests.get(&descriptor.digest).cloned())
    }

    async fn blob_lens(&self, blobs: Vec<Placed>) -> Result<Vec<Option<u64>>, TransferError> {
        let blobs = blobs.iter();
        Ok(blobs
            .map(|(_, digest)| self.document.blob_len(digest))
            .collect())
    }

    /// Blobs come in turns alone.
    async fn open_blob_from(
        &self,
        _: &Location,
        descriptor: &Descriptor,
        _: u64,
    ) -> Result<BlobContent, TransferError> {
        Err(TransferError::BlobAbsent {
            digest: descriptor.digest.clone(),
        })
    }

    async fn referrers(
        &self,
        repository: &RepositoryName,
    ) -> Result<LocalReferrers, TransferError> {
        let read = |digest: &Digest| Ok(self.manifests.get(digest).cloned());
        let images = &self.document.images;
        Ok(LocalReferrers::of_images(images, repository, read))
    }

    fn files_of(&self, _: &Location, _: &Digest) -> Vec<PathBuf> {
        vec![self.path.clone()]
    }

    fn has_blob(&self, digest: &Digest) -> bool {
        self.document.has_blob(digest)
    }

    fn document(&self) -> Option<&BundleManifest> {
        Some(&self.document)
    }

    fn read_listed(&self, digest: &Digest) -> Result<Option<Manifest>, TransferError> {
        Ok(self.manifests.get(digest).cloned())
    }

    fn signed(&self) -> Option<Signed> {
        Some(self.trust.status(self.document.signed_by))
    }

    fn slots(&self, plan: &Plan, _: &Arc<dyn Reporter>) -> Option<Vec<BlobSlot>> {
        Some(sequential::slots(self, plan))
    }

    async fn end(&self) -> Ended {
        self.ended().await
    }
}
