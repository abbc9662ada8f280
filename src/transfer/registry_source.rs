//! Registries as a source, and what is at hand already of what they have.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::OnceCell;

use super::Destination;
use hod_oci::{Digest, Manifest};
use hod_registry::{Client, ManifestRef, RegistryError, Repo};
use hod_store::Store;

/// Registries as a source, and what is at hand already of what they have.
#[derive(Debug, Clone)]
pub struct RegistrySource {
    pub client: Client,
    /// A store in which manifests are looked for before they are fetched, which registries count.
    pub known: Option<Store>,
    /// For verbs that only read: a cache of the manifests.
    pub look: Option<Looked>,
}

/// The manifests that were read from registries; each is fetched once.
#[derive(Debug, Clone, Default)]
pub struct Looked(Arc<Mutex<HashMap<(Repo, Digest), Cell>>>);

/// A requested manifest; `None` if it was not found.
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
    pub(super) async fn known(&self, digest: &Digest) -> Option<Manifest> {
        let (store, digest) = (self.known.clone()?, digest.clone());
        hod_bridge::run(move || store.find_manifest(&digest)).await
    }

    /// Whether something by the image's name is at hand, so that asking for its digest first may
    /// save fetching it.
    pub(super) async fn may_know(&self, destination: &Destination) -> bool {
        let (Some(store), Some(tag)) = (self.known.clone(), destination.tag.clone()) else {
            return false;
        };
        let repository = destination.repository.clone();
        // An unreadable store is ignored here, and reported when it is written to.
        hod_bridge::run(move || matches!(store.resolve_tag(&repository, &tag), Ok(Some(_)))).await
    }

    /// Fetches a manifest, or returns the one that was already read.
    pub(super) async fn fetch(
        &self,
        repo: &Repo,
        at: &ManifestRef,
    ) -> Result<Option<Manifest>, RegistryError> {
        let fetch = || self.client.manifests.fetch(repo, at);
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
    /// count, shows that a local copy is current.
    pub(super) async fn look_for(
        &self,
        repo: &Repo,
        at: &ManifestRef,
        may_know: bool,
    ) -> Result<Option<Manifest>, RegistryError> {
        if may_know {
            let Some(head) = self.client.manifests.head(repo, at).await? else {
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
