//! Publishes at a registry: children by digest, then the image under its tag; and restores parts
//! that the registry has lost.
//!
//! Registries remember what they had: a blob that was collected as garbage may still be there for
//! a HEAD, and missing for its manifest. At a Harbor with several replicas, what one has
//! done the others may not know yet.

use std::collections::HashSet;
use std::sync::Arc;

use super::target::RegistrySink;
use crate::absent::role;
use crate::{BlobTask, Content, Plan, Resolved, TransferError};
use hod_oci::{Descriptor, Digest, Manifest};
use hod_registry::{ContentCheck, ManifestRef, RegistryError, Repo, UploadStart};
use hod_retry::Failure;

/// A manifest, its destination, and the content for it.
#[derive(Clone, Copy)]
struct Put<'a> {
    plan: &'a Plan,
    repo: &'a Repo,
    name: &'a ManifestRef,
    manifest: &'a Manifest,
    /// The image's other manifests.
    children: &'a [Manifest],
}

impl Put<'_> {
    /// The children that an index lists and that are not carried with it.
    fn lacking(&self) -> impl Iterator<Item = &Descriptor> {
        let is_carried =
            |child: &Descriptor| self.children.iter().any(|c| *c.digest() == child.digest);
        let children = self.manifest.children().iter();
        children.filter(move |child| !is_carried(child))
    }

    /// The error with its reason, if an index is refused because of missing children.
    fn explain(&self, source: RegistryError) -> TransferError {
        let lacking: Vec<String> = self
            .lacking()
            .map(|child| format!("{} (`{}`)", role(self.manifest, child), child.digest))
            .collect();
        if lacking.is_empty() || !source.may_lack_content() {
            return source.into();
        }
        TransferError::PartialIndex {
            lacking: lacking.join(", "),
            source: Box::new(source),
        }
    }
}

impl RegistrySink {
    /// Puts the children by digest, then the image under its tag, or by digest when it has none.
    pub(super) async fn publish_one(&self, plan: &Plan, at: usize) -> Result<(), TransferError> {
        let image = &plan.images[at];
        let destination = &image.wanted.destination;
        let repo = self.repo(&destination.repository);
        let lock = {
            let mut locks = self.repositories.lock().expect("no panic while locking");
            Arc::clone(locks.entry(destination.repository.clone()).or_default())
        };
        let mut put_already = lock.lock().await;
        let (top, children) = image
            .manifests
            .split_last()
            .expect("an image has its own manifest");
        let mut put = Put {
            plan,
            repo: &repo,
            name: &ManifestRef::Digest(top.digest().clone()),
            manifest: top,
            children,
        };
        if self.rechecks(destination) {
            return self.put_missing(put, at).await;
        }
        if !image.is_in_place {
            for child in children {
                let name = ManifestRef::Digest(child.digest().clone());
                let put = Put {
                    name: &name,
                    manifest: child,
                    ..put
                };
                self.put_once(put, &mut put_already).await?;
            }
            // Referrers are put after the image and before its tag: registries may refuse referrers
            // without a subject, and the image must not be visible unsigned.
            if destination.tag.is_none() || !image.referrers.is_empty() {
                self.put_once(put, &mut put_already).await?;
            }
        }
        for referrer in &image.referrers {
            self.put_referrer(&repo, referrer).await?;
        }
        if let Some(tag) = destination.tag.clone().filter(|_| !image.is_in_place) {
            let tag = ManifestRef::Tag(tag);
            put.name = &tag;
            self.put(put).await?;
            put_already.insert(top.digest().clone());
        }
        Ok(())
    }

    /// Puts the missing manifests and referrers of an image whose tag exists. The tag is right, and
    /// is not changed.
    async fn put_missing(&self, put: Put<'_>, at: usize) -> Result<(), TransferError> {
        let image = &put.plan.images[at];
        for manifest in self.missing_manifests(put.repo, image).await? {
            let name = ManifestRef::Digest(manifest.digest().clone());
            let put = Put {
                name: &name,
                manifest,
                ..put
            };
            self.put(put).await?;
            self.note_sent([at]);
        }
        if !self.has_referrers(image).await? {
            for referrer in &image.referrers {
                self.put_referrer(put.repo, referrer).await?;
            }
            self.note_sent([at]);
        }
        Ok(())
    }

    /// The manifests of an image that a repository does not have, children first.
    async fn missing_manifests<'a>(
        &self,
        repo: &Repo,
        image: &'a Resolved,
    ) -> Result<Vec<&'a Manifest>, TransferError> {
        let mut missing = Vec::new();
        for manifest in &image.manifests {
            let name = ManifestRef::Digest(manifest.digest().clone());
            let is_there = match self.client.manifests.head(repo, &name).await {
                Ok(head) => {
                    head.is_some_and(|head| head.compare(manifest) == ContentCheck::Present)
                }
                // It exists, otherwise the policy would not apply.
                Err(error) if error.is_hidden_by_policy() => true,
                Err(error) => return Err(error.into()),
            };
            if !is_there {
                missing.push(manifest);
            }
        }
        Ok(missing)
    }

    /// Returns true if every manifest of an image and every referrer exists.
    pub async fn has_manifests(&self, image: &Resolved) -> Result<bool, TransferError> {
        let repo = self.repo(&image.wanted.destination.repository);
        let missing = self.missing_manifests(&repo, image).await?;
        Ok(missing.is_empty() && self.has_referrers(image).await?)
    }

    /// Puts a manifest by its digest, unless that was done.
    async fn put_once(
        &self,
        put: Put<'_>,
        put_already: &mut HashSet<Digest>,
    ) -> Result<(), TransferError> {
        if put_already.contains(put.manifest.digest()) {
            return Ok(());
        }
        self.put(put).await?;
        put_already.insert(put.manifest.digest().clone());
        Ok(())
    }

    /// Puts a manifest, and sends missing content for it again.
    async fn put(&self, put: Put<'_>) -> Result<(), TransferError> {
        let what = format!("{} {}", put.repo, put.name);
        let mut retries = self.client.session.retries();
        let mut lost: Option<Vec<Digest>> = None;
        loop {
            let brought = match lost.take() {
                Some(missing) => self.bring_again(put, &missing).await,
                None => Ok(()),
            };
            let (error, failure) = match brought {
                Ok(()) => {
                    let client = &self.client;
                    let done = client.manifests.try_put(put.repo, put.name, put.manifest);
                    let Err(error) = done.await else {
                        return Ok(());
                    };
                    lost = self.remedy(put, &error);
                    let failure = match error.failure() {
                        // The restored blobs may be enough.
                        Failure::Lasting if lost.is_some() => {
                            Failure::Passing { retry_after: None }
                        }
                        failure => failure,
                    };
                    (error, failure)
                }
                Err(TransferError::Registry(error)) => {
                    let failure = error.failure();
                    (error, failure)
                }
                Err(error) => return Err(error),
            };
            let again = self
                .client
                .session
                .wait(&mut retries, &what, error, failure)
                .await;
            again.map_err(|error| put.explain(error))?;
        }
    }

    /// The content to send again before another attempt; empty means everything that is missing.
    /// `None` if missing content is not the cause.
    fn remedy(&self, put: Put<'_>, error: &RegistryError) -> Option<Vec<Digest>> {
        let (source, _) = self.origin.as_ref()?;
        if source.is_sequential() {
            return None;
        }
        let Some(named) = error.missing() else {
            let is_harbor = self.client.is_harbor(&put.repo.registry);
            return (is_harbor && error.is_transient()).then(Vec::new);
        };
        if named.is_empty() && put.lacking().next().is_some() {
            return None;
        }
        // The refusal of an index with children that are not carried is permanent.
        let is_carried = |digest: &&Digest| {
            put.children.iter().any(|child| child.digest() == *digest)
                || put.manifest.blobs().any(|blob| blob.digest == **digest)
        };
        let carried: Vec<Digest> = named.iter().filter(is_carried).cloned().collect();
        (named.is_empty() || !carried.is_empty()).then_some(carried)
    }

    /// Sends `missing` again, even if the registry reports it as present; if none is named, checks
    /// each.
    async fn bring_again(&self, put: Put<'_>, missing: &[Digest]) -> Result<(), TransferError> {
        let own = put.manifest.children();
        for child in put.children {
            let is_own = own.iter().any(|own| own.digest == *child.digest());
            if is_own && (missing.is_empty() || missing.contains(child.digest())) {
                let name = ManifestRef::Digest(child.digest().clone());
                self.client
                    .manifests
                    .try_put(put.repo, &name, child)
                    .await?;
            }
        }
        let is_planned = |blob: &Descriptor| {
            let mut planned = put.plan.blobs.iter();
            planned.any(|planned| planned.descriptor.digest == blob.digest)
        };
        for blob in put.manifest.blobs() {
            if blob.is_foreign() && !is_planned(blob) {
                continue;
            }
            let is_lost = if missing.is_empty() {
                self.client.blobs.probe(put.repo, blob).await? != ContentCheck::Present
            } else {
                missing.contains(&blob.digest)
            };
            if is_lost {
                self.upload_again(put, &blob.digest).await?;
            }
        }
        Ok(())
    }

    async fn upload_again(&self, put: Put<'_>, digest: &Digest) -> Result<(), TransferError> {
        let mut planned = put.plan.blobs.iter();
        let planned = planned.find(|blob| blob.descriptor.digest == *digest);
        let (Some(blob), Some((source, reporter))) = (planned, &self.origin) else {
            return Ok(());
        };
        let task = BlobTask {
            source,
            share: None,
            plan: put.plan,
            blob,
            reporter,
            retry: self.client.session.retry_policy(),
        };
        let mut content = Content::new(task, None);
        match self
            .client
            .uploads
            .start(put.repo, &blob.descriptor, None)
            .await?
        {
            UploadStart::Mounted => Ok(()),
            UploadStart::Session(session) => self.upload(session, &mut content).await,
        }
    }
}
