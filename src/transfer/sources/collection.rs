//! What another tool has put together, as a source: an OCI layout, or an archive.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use crate::blob_content::open_range;
use crate::sequential::{self, BlobSlot};
use crate::{
    BlobContent, BlobHolder, Destination, Indexes, Keeping, Listed, LocalReferrers, Locate,
    Location, Placed, Plan, Reach, ReadOrder, Source, SourceCaps, TransferError,
};
use hod_layout::{Collection, CollectionKind, LayoutError, NamedImage};
use hod_oci::{Descriptor, Digest, Manifest, RepositoryName};
use hod_report::Reporter;

/// An OCI layout, or an archive of one kind or another.
#[derive(Debug, Clone)]
pub struct CollectionSource(pub Arc<Collection>);

fn listed(image: &NamedImage) -> Listed {
    Listed {
        name: image.name.clone(),
        locate: Locate::Stored {
            repository: image.repository.clone(),
            digest: image.digest.clone(),
            len: image.len,
        },
        destination: Destination {
            repository: image.repository.clone(),
            tag: image.tag.clone(),
        },
        digest: Some(image.digest.clone()),
    }
}

#[async_trait]
impl Source for CollectionSource {
    fn caps(&self) -> SourceCaps {
        SourceCaps {
            reach: Reach::Local,
            order: if self.0.is_sequential() {
                ReadOrder::Given
            } else {
                ReadOrder::Any
            },
            keeping: match self.0.kind() {
                CollectionKind::OciLayout => Keeping::Files,
                CollectionKind::OciArchive
                | CollectionKind::DockerArchive
                | CollectionKind::TreeArchive => Keeping::Inside,
            },
            holder: BlobHolder::Other,
            indexes: Indexes::Partial,
        }
    }

    async fn list(&self) -> Result<Vec<Listed>, TransferError> {
        let images = self.0.images().iter().map(listed);
        let unreadable = self.0.unreadable().iter().map(|image| {
            let destination = Destination {
                repository: image.repository.clone(),
                tag: image.tag.clone(),
            };
            let error = LayoutError::Collection(Arc::clone(&image.error));
            Listed::unreadable(image.name.clone(), destination, error)
        });
        Ok(images.chain(unreadable).collect())
    }

    async fn manifest(
        &self,
        _: &Location,
        descriptor: &Descriptor,
    ) -> Result<Option<Manifest>, TransferError> {
        let (collection, digest) = (Arc::clone(&self.0), descriptor.digest.clone());
        Ok(hod_bridge::run(move || collection.read_manifest(&digest)).await?)
    }

    async fn blob_lens(&self, blobs: Vec<Placed>) -> Result<Vec<Option<u64>>, TransferError> {
        let collection = Arc::clone(&self.0);
        let len = move |(_, digest)| Ok(collection.blob_len(&digest)?);
        hod_bridge::run(move || blobs.into_iter().map(len).collect()).await
    }

    async fn open_blob_from(
        &self,
        _: &Location,
        descriptor: &Descriptor,
        from: u64,
    ) -> Result<BlobContent, TransferError> {
        let (collection, digest) = (Arc::clone(&self.0), descriptor.digest.clone());
        let range = hod_bridge::run(move || collection.open_blob(&digest)).await?;
        open_range(range, descriptor, from)
    }

    async fn referrers(
        &self,
        repository: &RepositoryName,
    ) -> Result<LocalReferrers, TransferError> {
        let (collection, repository) = (Arc::clone(&self.0), repository.clone());
        Ok(hod_bridge::run(move || LocalReferrers::of_collection(&collection, &repository)).await)
    }

    fn blob_file(&self, _: &Location, digest: &Digest) -> Option<PathBuf> {
        self.0.blob_file(digest)
    }

    fn files_of(&self, location: &Location, digest: &Digest) -> Vec<PathBuf> {
        let own = self.blob_file(location, digest);
        vec![own.unwrap_or_else(|| self.0.path().to_owned())]
    }

    fn notes(&self) -> &[String] {
        self.0.notes()
    }

    fn slots(&self, plan: &Plan, reporter: &Arc<dyn Reporter>) -> Option<Vec<BlobSlot>> {
        self.0
            .is_sequential()
            .then(|| sequential::slots_of_collection(&self.0, plan, reporter))
    }

    fn as_collection(&self) -> Option<&Arc<Collection>> {
        Some(&self.0)
    }
}
