//! Registries as a source.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use tokio::sync::OnceCell;

use super::{
    BlobContent, BlobHolder, Indexes, Keeping, Listed, Locate, Location, Origins, Reach, ReadOrder,
    Source, SourceCaps, Wanted,
};
use crate::{Destination, TransferError};
use hod_oci::{Descriptor, Digest, Manifest};
use hod_registry::{Client, ManifestRef, RegistryError, Repo};
use hod_retry::HostState;
use hod_store::Store;

/// Registries as a source, and what is at hand already of what they have.
#[derive(Debug, Clone)]
pub struct RegistrySource {
    pub client: Client,
    /// A store in which manifests are looked for before they are fetched, which registries count.
    pub known: Option<Store>,
    /// For verbs that only look: what they have read so far.
    pub look: Option<Looked>,
}

/// The manifests that were read from registries, each of which is fetched once.
#[derive(Debug, Clone, Default)]
pub struct Looked(Arc<Mutex<HashMap<(Repo, Digest), Cell>>>);

/// A manifest, once it was asked for; `None` where it was not found.
type Cell = Arc<OnceCell<Option<Manifest>>>;

impl Looked {
    fn cell(&self, repo: &Repo, digest: &Digest) -> Cell {
        let mut cells = self.0.lock().expect("no panic while looking up");
        let cell = cells.entry((repo.clone(), digest.clone())).or_default();
        Arc::clone(cell)
    }
}

impl RegistrySource {
    /// A manifest that is at hand.
    async fn known(&self, digest: &Digest) -> Option<Manifest> {
        let (store, digest) = (self.known.clone()?, digest.clone());
        hod_bridge::run(move || store.find_manifest(&digest)).await
    }

    /// Whether something by the image's name is at hand, so that asking for its digest first may
    /// save fetching it.
    async fn may_know(&self, destination: &Destination) -> bool {
        let (Some(store), Some(tag)) = (self.known.clone(), destination.tag.clone()) else {
            return false;
        };
        let repository = destination.repository.clone();
        // A store that cannot be read is no help, and is complained of where it is written.
        hod_bridge::run(move || matches!(store.resolve_tag(&repository, &tag), Ok(Some(_)))).await
    }

    /// Fetches a manifest, or takes it from what was read before.
    pub(crate) async fn fetch(
        &self,
        repo: &Repo,
        at: &ManifestRef,
    ) -> Result<Option<Manifest>, RegistryError> {
        let fetch = || self.client.fetch_manifest(repo, at);
        let Some(looked) = &self.look else {
            return fetch().await;
        };
        if let ManifestRef::Digest(digest) = at {
            let cell = looked.cell(repo, digest);
            return cell.get_or_try_init(fetch).await.cloned();
        }
        let found = fetch().await?;
        if let Some(manifest) = &found {
            let cell = looked.cell(repo, manifest.digest());
            // Whoever was faster has the same bytes.
            let _ = cell.set(found.clone());
        }
        Ok(found)
    }

    /// Finds a manifest in one repository; it is fetched unless a HEAD, which Docker Hub does not
    /// count, says that it is at hand.
    async fn look_for(
        &self,
        (repo, at): (&Repo, &ManifestRef),
        may_know: bool,
    ) -> Result<Option<Manifest>, RegistryError> {
        if may_know {
            let Some(head) = self.client.head_manifest(repo, at).await? else {
                return Ok(None);
            };
            if let Some(digest) = &head.digest
                && let Some(manifest) = self.known(digest).await
            {
                return Ok(Some(manifest));
            }
        }
        self.fetch(repo, at).await
    }
}

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

    /// A registry is asked for what somebody names.
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
                // Whatever the registry would say, these are the bytes.
                if let (Some(manifest), [repo]) = (&known, repos) {
                    return Ok((manifest.clone(), Location::Repo(repo.clone())));
                }
                known.is_some()
            }
            (ManifestRef::Tag(_), _) => self.may_know(&wanted.destination).await,
        };
        let mut refused = None;
        for repo in repos {
            match self.look_for((repo, at), may_know).await {
                Ok(Some(manifest)) => return Ok((manifest, Location::Repo(repo.clone()))),
                Ok(None) => {}
                // Some registries answer so for a repository that is not there, and there may be
                // another name to try.
                Err(error) if matches!(error.status(), Some(401 | 403)) => {
                    refused.get_or_insert(error);
                }
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(error) = refused {
            return Err(error.into());
        }
        let similar = match (at, repos.first()) {
            (ManifestRef::Tag(tag), Some(repo)) => self.client.similar_tags(repo, tag).await,
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
            client.fetch_foreign_layer(repo, descriptor, from).await?
        } else {
            client.fetch_blob(repo, descriptor, from).await?
        };
        let stream = body.stream.map_err(TransferError::from);
        Ok(BlobContent::Stream(
            Box::pin(stream),
            Origins::of(body.origin),
        ))
    }

    fn garbles(&self, location: &Location, descriptor: &Descriptor) -> bool {
        matches!(location, Location::Repo(repo) if self.client.garbles(repo, descriptor))
    }

    fn host_state(&self, error: &TransferError, began: Instant) -> HostState {
        match error {
            TransferError::Registry(error) => self.client.host_state(error, began),
            _ => HostState::Usual,
        }
    }

    fn as_registry(&self) -> Option<&RegistrySource> {
        Some(self)
    }
}
