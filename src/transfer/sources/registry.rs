//! Registries as a source.

use std::time::Instant;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;

use crate::{
    BlobContent, BlobHolder, Indexes, Keeping, Listed, Locate, Location, Origins, Reach, ReadOrder,
    RegistrySource, Source, SourceCaps, TransferError, Wanted,
};
use hod_oci::{Descriptor, Manifest};
use hod_registry::ManifestRef;
use hod_retry::HostState;

#[async_trait]
impl Source for RegistrySource {
    fn caps(&self) -> SourceCaps {
        SourceCaps {
            reach: Reach::Remote,
            order: ReadOrder::Any,
            keeping: Keeping::Inside,
            holder: BlobHolder::Other,
            indexes: match self.look {
                Some(_) => Indexes::Partial,
                None => Indexes::Whole,
            },
        }
    }

    /// Returns nothing: images of a registry are requested by name.
    async fn list(&self) -> Result<Vec<Listed>, TransferError> {
        Ok(Vec::new())
    }

    async fn top(&self, wanted: &Wanted) -> Result<(Manifest, Location), TransferError> {
        let Locate::Remote { repos, at } = &wanted.locate else {
            return Err(TransferError::ImageAbsent {
                registry: None,
                similar: Vec::new(),
            });
        };
        let may_know = match (at, repos.as_slice()) {
            (ManifestRef::Digest(digest), repos) => {
                let known = self.known(digest).await;
                // These are the right bytes, whatever the registry would return.
                if let (Some(manifest), [repo]) = (&known, repos) {
                    return Ok((manifest.clone(), Location::Repo(repo.clone())));
                }
                known.is_some()
            }
            (ManifestRef::Tag(_), _) => self.may_know(&wanted.destination).await,
        };
        let mut refused = None;
        for repo in repos {
            match self.look_for(repo, at, may_know).await {
                Ok(Some(manifest)) => return Ok((manifest, Location::Repo(repo.clone()))),
                Ok(None) => {}
                // There may be another name to try.
                Err(error) if error.may_mean_absent() => {
                    refused.get_or_insert(error);
                }
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(error) = refused {
            return Err(error.into());
        }
        let similar = match (at, repos.first()) {
            (ManifestRef::Tag(tag), Some(repo)) => self.client.tags.similar(repo, tag).await,
            _ => Vec::new(),
        };
        Err(TransferError::ImageAbsent {
            registry: repos.first().map(|repo| repo.registry.clone()),
            similar,
        })
    }

    async fn manifest(
        &self,
        location: &Location,
        descriptor: &Descriptor,
    ) -> Result<Option<Manifest>, TransferError> {
        let Location::Repo(repo) = location else {
            return Ok(None);
        };
        if let Some(manifest) = self.known(&descriptor.digest).await {
            return Ok(Some(manifest));
        }
        let at = ManifestRef::Digest(descriptor.digest.clone());
        Ok(self.fetch(repo, &at).await?)
    }

    async fn open_blob_from(
        &self,
        location: &Location,
        descriptor: &Descriptor,
        from: u64,
    ) -> Result<BlobContent, TransferError> {
        let Location::Repo(repo) = location else {
            return Err(TransferError::BlobAbsent {
                digest: descriptor.digest.clone(),
            });
        };
        let client = &self.client;
        let body = if descriptor.is_foreign() {
            client.foreign_layers.fetch(repo, descriptor, from).await?
        } else {
            client.blobs.fetch(repo, descriptor, from).await?
        };
        let stream = body.stream.map_err(TransferError::from);
        Ok(BlobContent::Stream(
            Box::pin(stream),
            Origins::of(body.origin),
        ))
    }

    fn garbles(&self, location: &Location, descriptor: &Descriptor) -> bool {
        matches!(location, Location::Repo(repo) if self.client.blobs.garbles(repo, descriptor))
    }

    fn host_state(&self, error: &TransferError, began: Instant) -> HostState {
        match error {
            TransferError::Registry(error) => self.client.session.host_state(error, began),
            _ => HostState::Usual,
        }
    }

    fn as_registry(&self) -> Option<&RegistrySource> {
        Some(self)
    }
}
