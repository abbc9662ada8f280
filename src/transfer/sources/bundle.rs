//! A bundle that can be read at any offset, as a source.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use crate::blob_content::{open_parts, open_range};
use crate::{
    BlobContent, BlobHolder, Indexes, Keeping, Listed, LocalReferrers, Location, Placed, Reach,
    ReadOrder, Source, SourceCaps, TransferError,
};
use hod_bundle::{Bundle, BundleManifest, Signed};
use hod_oci::{Descriptor, Digest, Manifest, RepositoryName};

/// A bundle in one or more volumes.
#[derive(Debug, Clone)]
pub struct BundleSource(pub Arc<Bundle>);

/// The capabilities of one bundle, and of several together.
pub(super) const CAPS: SourceCaps = SourceCaps {
    reach: Reach::Local,
    order: ReadOrder::Any,
    keeping: Keeping::Inside,
    holder: BlobHolder::Bundle,
    indexes: Indexes::Partial,
};

/// The images that a bundle lists.
pub(super) fn listed(document: &BundleManifest) -> Vec<Listed> {
    let images = document.images.iter();
    let images = images.map(|image| {
        let (repository, tag) = (image.repository.clone(), image.tag.clone());
        Listed::stored(repository, tag, image.digest.clone())
    });
    images.collect()
}

#[async_trait]
impl Source for BundleSource {
    fn caps(&self) -> SourceCaps {
        CAPS
    }

    async fn list(&self) -> Result<Vec<Listed>, TransferError> {
        Ok(listed(self.0.manifest()))
    }

    async fn manifest(
        &self,
        _: &Location,
        descriptor: &Descriptor,
    ) -> Result<Option<Manifest>, TransferError> {
        let (bundle, digest) = (Arc::clone(&self.0), descriptor.digest.clone());
        Ok(hod_bridge::run(move || bundle.read_manifest(&digest)).await?)
    }

    async fn blob_lens(&self, blobs: Vec<Placed>) -> Result<Vec<Option<u64>>, TransferError> {
        let blobs = blobs.iter();
        Ok(blobs
            .map(|(_, digest)| self.0.manifest().blob_len(digest))
            .collect())
    }

    async fn open_blob_from(
        &self,
        _: &Location,
        descriptor: &Descriptor,
        from: u64,
    ) -> Result<BlobContent, TransferError> {
        match self.0.open_blob(&descriptor.digest) {
            Some(parts) if parts.len() > 1 => open_parts(parts, descriptor, from),
            parts => {
                let range = parts.and_then(|parts| parts.into_iter().next());
                open_range(range, descriptor, from)
            }
        }
    }

    async fn referrers(
        &self,
        repository: &RepositoryName,
    ) -> Result<LocalReferrers, TransferError> {
        let (bundle, repository) = (Arc::clone(&self.0), repository.clone());
        let load = move || {
            let read = |digest: &Digest| Ok(bundle.read_manifest(digest)?);
            LocalReferrers::of_images(&bundle.manifest().images, &repository, read)
        };
        Ok(hod_bridge::run(load).await)
    }

    fn files_of(&self, _: &Location, digest: &Digest) -> Vec<PathBuf> {
        let parts = self.0.open_blob(digest).unwrap_or_default();
        let mut paths: Vec<PathBuf> = parts.into_iter().map(|part| part.path).collect();
        paths.dedup();
        paths
    }

    fn has_blob(&self, digest: &Digest) -> bool {
        self.0.open_blob(digest).is_some()
    }

    fn document(&self) -> Option<&BundleManifest> {
        Some(self.0.manifest())
    }

    fn read_listed(&self, digest: &Digest) -> Result<Option<Manifest>, TransferError> {
        Ok(self.0.read_manifest(digest)?)
    }

    fn signed(&self) -> Option<Signed> {
        Some(self.0.signed())
    }

    fn as_bundle(&self) -> Option<&Arc<Bundle>> {
        Some(&self.0)
    }
}
