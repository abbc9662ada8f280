//! Several bundles together as a source of blobs.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use super::{BundleSource, bundle};
use crate::{BlobContent, Listed, Location, Source, SourceCaps, TransferError};
use hod_bundle::Bundle;
use hod_oci::{Descriptor, Digest, Manifest};

/// Bundles; each blob is read from the first bundle that contains it.
#[derive(Debug, Clone)]
pub struct BundlesSource(Vec<BundleSource>);

impl BundlesSource {
    pub fn new(bundles: &[Arc<Bundle>]) -> Self {
        let bundles = bundles.iter().map(Arc::clone);
        Self(bundles.map(BundleSource).collect())
    }

    fn with(&self, digest: &Digest) -> Option<&BundleSource> {
        self.0.iter().find(|bundle| bundle.has_blob(digest))
    }
}

#[async_trait]
impl Source for BundlesSource {
    fn caps(&self) -> SourceCaps {
        bundle::CAPS
    }

    /// The caller that merges them reads their indexes.
    async fn list(&self) -> Result<Vec<Listed>, TransferError> {
        Ok(Vec::new())
    }

    async fn manifest(
        &self,
        location: &Location,
        descriptor: &Descriptor,
    ) -> Result<Option<Manifest>, TransferError> {
        match self.with(&descriptor.digest) {
            Some(bundle) => bundle.manifest(location, descriptor).await,
            None => Ok(None),
        }
    }

    async fn open_blob_from(
        &self,
        location: &Location,
        descriptor: &Descriptor,
        from: u64,
    ) -> Result<BlobContent, TransferError> {
        let digest = &descriptor.digest;
        let bundle = self.with(digest).ok_or_else(|| TransferError::BlobAbsent {
            digest: digest.clone(),
        })?;
        bundle.open_blob_from(location, descriptor, from).await
    }

    fn files_of(&self, location: &Location, digest: &Digest) -> Vec<PathBuf> {
        let bundle = self.with(digest);
        bundle.map_or_else(Vec::new, |bundle| bundle.files_of(location, digest))
    }

    fn has_blob(&self, digest: &Digest) -> bool {
        self.with(digest).is_some()
    }
}
