//! A registry tree on disk as a source.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use crate::blob_content::open_range;
use crate::{
    BlobContent, BlobHolder, Destination, Found, Indexes, Keeping, Listed, LocalReferrers, Locate,
    Location, Placed, Reach, ReadOrder, Sought, Source, SourceCaps, TransferError,
};
use hod_bundle::VerificationCache;
use hod_fsx::FileRange;
use hod_oci::{Descriptor, Digest, Manifest, RepositoryName, Tag};
use hod_store::Store;

fn find(store: &Store, sought: &Sought) -> Result<Option<Found>, TransferError> {
    let Sought {
        repository,
        tag,
        digest,
    } = sought;
    let digest = match (digest, tag) {
        (Some(digest), _) => store
            .has_revision(repository, digest)?
            .then(|| digest.clone()),
        (None, Some(tag)) => match store.resolve_tag(repository, tag) {
            Ok(digest) => digest,
            Err(error) => return Ok(Some((Locate::unreadable(error), None))),
        },
        (None, None) => None,
    };
    Ok(digest.map(|digest| (Locate::stored(repository, &digest), Some(digest))))
}

/// The state of a store's blobs from earlier runs.
struct StoreCache(Store);

impl VerificationCache for StoreCache {
    fn is_verified(&self, digest: &Digest, blob: &FileRange) -> bool {
        self.0.is_verified(digest, blob)
    }

    fn record_verified(&self, digest: &Digest, blob: &FileRange) {
        self.0.record_verified(digest, blob);
    }

    fn record_damaged(&self, blob: &FileRange) {
        self.0.record_damaged(blob);
    }
}

#[async_trait]
impl Source for Store {
    fn caps(&self) -> SourceCaps {
        SourceCaps {
            reach: Reach::Local,
            order: ReadOrder::Any,
            keeping: Keeping::Files,
            holder: BlobHolder::Store,
            indexes: Indexes::Partial,
        }
    }

    async fn list(&self) -> Result<Vec<Listed>, TransferError> {
        let store = self.clone();
        let listed = hod_bridge::run(move || store.images()).await?;
        let images = listed.images.into_iter();
        let images = images.map(|image| Listed::stored(image.repository, image.tag, image.digest));
        let unreadable = listed.unreadable.into_iter().map(|tag| {
            let name = tag.to_string();
            let destination = Destination {
                repository: tag.repository,
                tag: Some(tag.tag),
            };
            Listed::unreadable(name, destination, tag.error)
        });
        Ok(images.chain(unreadable).collect())
    }

    /// Asks for each image, which costs less than listing all.
    async fn find(&self, images: Vec<Vec<Sought>>) -> Result<Vec<Vec<Found>>, TransferError> {
        let store = self.clone();
        hod_bridge::run(move || {
            let first = |names: Vec<Sought>| {
                let mut found = names.iter().map(|sought| find(&store, sought));
                let found = found.find(|found| !matches!(found, Ok(None)));
                found.unwrap_or(Ok(None)).map(Vec::from_iter)
            };
            images.into_iter().map(first).collect()
        })
        .await
    }

    async fn blob_lens(&self, blobs: Vec<Placed>) -> Result<Vec<Option<u64>>, TransferError> {
        let store = self.clone();
        let len = move |(_, digest)| Ok(store.blob_len(&digest)?);
        hod_bridge::run(move || blobs.into_iter().map(len).collect()).await
    }

    async fn manifest(
        &self,
        _: &Location,
        descriptor: &Descriptor,
    ) -> Result<Option<Manifest>, TransferError> {
        let (store, digest) = (self.clone(), descriptor.digest.clone());
        Ok(hod_bridge::run(move || store.read_manifest(&digest)).await?)
    }

    async fn open_blob_from(
        &self,
        _: &Location,
        descriptor: &Descriptor,
        from: u64,
    ) -> Result<BlobContent, TransferError> {
        let (store, digest) = (self.clone(), descriptor.digest.clone());
        let range = hod_bridge::run(move || store.open_unverified(&digest)).await?;
        open_range(range, descriptor, from)
    }

    async fn referrers(
        &self,
        repository: &RepositoryName,
    ) -> Result<LocalReferrers, TransferError> {
        let (store, repository) = (self.clone(), repository.clone());
        hod_bridge::run(move || LocalReferrers::of_store(&store, &repository)).await
    }

    async fn reread(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        _: &Location,
    ) -> Result<(), TransferError> {
        let (store, repository, tag) = (self.clone(), repository.clone(), tag.clone());
        hod_bridge::run(move || store.resolve_tag(&repository, &tag)).await?;
        Ok(())
    }

    fn blob_file(&self, _: &Location, digest: &Digest) -> Option<PathBuf> {
        Some(self.blob_path(digest))
    }

    fn verification_cache(&self) -> Arc<dyn VerificationCache> {
        Arc::new(StoreCache(self.clone()))
    }

    fn as_store(&self) -> Option<&Store> {
        Some(self)
    }
}
