//! A registry as a sink: `push`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures_util::{StreamExt as _, TryStreamExt as _};

use super::Content;
use crate::oci::{Digest, Manifest, Registry, RepositoryName};
use crate::registry::{Client, ManifestRef, Repo, UploadBody, UploadSession, UploadStart};
use crate::report::BlobRoute;
use crate::transfer::{BlobContent, Destination, Plan, TransferError};

/// Sends images to a registry. Each blob is uploaded once and mounted elsewhere.
#[derive(Debug)]
pub struct RegistrySink {
    client: Client,
    registry: Registry,
    /// Manifests of one repository are put one after another: Harbor's database trips over itself
    /// otherwise (facts D9).
    repositories: Mutex<HashMap<RepositoryName, Arc<tokio::sync::Mutex<()>>>>,
}

impl RegistrySink {
    /// Sends to `registry`.
    pub fn new(client: Client, registry: Registry) -> Self {
        Self {
            client,
            registry,
            repositories: Mutex::new(HashMap::new()),
        }
    }

    fn repo(&self, name: &RepositoryName) -> Repo {
        Repo {
            registry: self.registry.clone(),
            name: name.clone(),
        }
    }

    /// Asks with one HEAD which digest the destination has now.
    pub async fn current(
        &self,
        image: &Destination,
        top: &Digest,
    ) -> Result<Option<Digest>, TransferError> {
        let at = match &image.tag {
            Some(tag) => ManifestRef::Tag(tag.clone()),
            None => ManifestRef::Digest(top.clone()),
        };
        let head = self
            .client
            .head_manifest(&self.repo(&image.repository), &at)
            .await?;
        Ok(head.and_then(|head| head.digest))
    }

    pub(super) async fn put_blob(
        &self,
        content: &mut Content<'_>,
    ) -> Result<BlobRoute, TransferError> {
        let handover = content.handover;
        let blob = &handover.blob.descriptor;
        let mut names: Vec<&RepositoryName> = Vec::new();
        for &at in &handover.blob.images {
            let name = &handover.plan.images[at].wanted.destination.repository;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let Some((first, others)) = names.split_first() else {
            return Ok(BlobRoute::Present);
        };
        let repo = self.repo(first);
        let mut route = BlobRoute::Present;
        if self.client.head_blob(&repo, &blob.digest).await?.is_none() {
            match self.client.start_upload(&repo, blob, None).await? {
                UploadStart::Mounted => route = BlobRoute::Mounted,
                UploadStart::Session(session) => {
                    self.upload(session, content).await?;
                    route = BlobRoute::Moved;
                }
            }
        }
        // Sequential sources can serve only the first repository; the rest must be mounts.
        for name in others {
            let repo = self.repo(name);
            match self.client.start_upload(&repo, blob, Some(first)).await? {
                UploadStart::Mounted => {
                    if route == BlobRoute::Present {
                        route = BlobRoute::Mounted;
                    }
                }
                UploadStart::Session(session) => {
                    self.upload(session, content).await?;
                    route = BlobRoute::Moved;
                }
            }
        }
        Ok(route)
    }

    /// Uploads; the client reports the bytes, and tries again where that may help.
    async fn upload(
        &self,
        session: UploadSession,
        content: &mut Content<'_>,
    ) -> Result<(), TransferError> {
        let body = match content.open().await? {
            BlobContent::File(range) => UploadBody::File(range),
            BlobContent::Stream(stream) => {
                UploadBody::Stream(stream.map_err(std::io::Error::other).boxed())
            }
        };
        let descriptor = &content.handover.blob.descriptor;
        Ok(self.client.upload_blob(session, descriptor, body).await?)
    }

    pub(super) async fn publish(
        &self,
        plan: &Arc<Plan>,
        images: Vec<usize>,
    ) -> Vec<(usize, Result<(), Arc<TransferError>>)> {
        let mut results = Vec::with_capacity(images.len());
        for at in images {
            results.push((at, self.publish_one(plan, at).await.map_err(Arc::new)));
        }
        results
    }

    /// Puts the children by digest, then the image under its tag, or by digest when it has none.
    async fn publish_one(&self, plan: &Plan, at: usize) -> Result<(), TransferError> {
        let image = &plan.images[at];
        let destination = &image.wanted.destination;
        let repo = self.repo(&destination.repository);
        let lock = {
            let mut locks = self.repositories.lock().expect("no panic while locking");
            Arc::clone(locks.entry(destination.repository.clone()).or_default())
        };
        let _alone = lock.lock().await;
        let by_digest = |manifest: &Manifest| ManifestRef::Digest(manifest.digest().clone());
        let (top, children) = image
            .manifests
            .split_last()
            .expect("an image has its own manifest");
        for child in children {
            self.client
                .put_manifest(&repo, &by_digest(child), child)
                .await?;
        }
        let name = match &destination.tag {
            Some(tag) => ManifestRef::Tag(tag.clone()),
            None => by_digest(top),
        };
        Ok(self.client.put_manifest(&repo, &name, top).await?)
    }
}
