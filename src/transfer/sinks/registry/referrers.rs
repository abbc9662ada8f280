//! Referrers at the target registry: looks up existing ones and puts the rest.

use std::collections::HashSet;

use super::target::RegistrySink;
use crate::referrer::make_index;
use crate::{Referrer, Resolved, TransferError};
use hod_oci::{Digest, Manifest, ManifestBody, ReferrerTagKind, with_referrers};
use hod_registry::{ContentCheck, ManifestRef, Repo, SubjectSupport};

/// Number of times that an index of referrers is rebuilt after a concurrent change.
const ATTEMPTS_MAX: usize = 4;

impl RegistrySink {
    /// Returns true if all referrers of an image exist and can be found.
    pub async fn has_referrers(&self, image: &Resolved) -> Result<bool, TransferError> {
        let repo = self.repo(&image.wanted.destination.repository);
        for referrer in &image.referrers {
            let is_there = match referrer.kind {
                ReferrerTagKind::Cosign => {
                    let at = ManifestRef::Tag(referrer.tag.clone());
                    match self.client.manifests.head(&repo, &at).await {
                        Ok(head) => head.is_some_and(|head| {
                            head.compare(&referrer.top()) == ContentCheck::Present
                        }),
                        Err(error) if error.is_hidden_by_policy() => {
                            self.has_hidden(&repo, referrer).await?
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
                ReferrerTagKind::Index => self.lists_all(&repo, referrer).await?,
            };
            if !is_there {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns true if a repository has a referrer by its digest, even if a policy forbids reading
    /// it: the registry's answers still differ.
    async fn has_hidden(&self, repo: &Repo, referrer: &Referrer) -> Result<bool, TransferError> {
        let at = ManifestRef::Digest(referrer.top().digest().clone());
        match self.client.manifests.head(repo, &at).await {
            Ok(head) => Ok(head.is_some()),
            Err(error) if error.is_hidden_by_policy() => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    async fn lists_all(&self, repo: &Repo, referrer: &Referrer) -> Result<bool, TransferError> {
        let asked = self.referrers.finder.ask(repo, &referrer.subject).await?;
        let listed = if let Some(listed) = asked {
            listed
        } else {
            let at = ManifestRef::Tag(referrer.tag.clone());
            let index = match self.client.manifests.fetch(repo, &at).await {
                Err(error) if error.is_hidden_by_policy() => None,
                result => result?,
            };
            let children = index.iter().flat_map(Manifest::children);
            children.map(|child| child.digest.clone()).collect()
        };
        let listed: HashSet<Digest> = listed.into_iter().collect();
        let entries = referrer.entries();
        Ok(entries.iter().all(|entry| listed.contains(entry.digest())))
    }

    /// Puts the referrers of a manifest so that clients find them; once per run. The caller has
    /// locked the repository.
    pub(super) async fn put_referrer(
        &self,
        repo: &Repo,
        referrer: &Referrer,
    ) -> Result<(), TransferError> {
        let key = (repo.name.clone(), referrer.tag.clone());
        let has_put = self.referrers.put.lock().expect("no panic").contains(&key);
        if has_put {
            return Ok(());
        }
        match referrer.kind {
            ReferrerTagKind::Cosign => self.put_cosign(repo, referrer).await?,
            ReferrerTagKind::Index => self.put_about(repo, referrer).await?,
        }
        self.referrers.put.lock().expect("no panic").insert(key);
        Ok(())
    }

    /// Puts manifests with a subject; without the referrers API, also the tag that finds them.
    async fn put_about(&self, repo: &Repo, referrer: &Referrer) -> Result<(), TransferError> {
        let mut needs_tag = false;
        let listed = self.referrers.finder.ask(repo, &referrer.subject).await?;
        let listed: HashSet<Digest> = listed.into_iter().flatten().collect();
        for manifest in &referrer.manifests {
            if listed.contains(manifest.digest()) {
                continue;
            }
            let at = ManifestRef::Digest(manifest.digest().clone());
            let support = self.client.manifests.put(repo, &at, manifest).await?;
            needs_tag |= manifest.subject().is_some() && support == SubjectSupport::Unsaid;
        }
        if !needs_tag {
            return Ok(());
        }
        let at = ManifestRef::Tag(referrer.tag.clone());
        for attempt in 1.. {
            let index = match self.client.manifests.fetch(repo, &at).await? {
                None => make_index(referrer.entries()),
                Some(index) if matches!(index.body(), ManifestBody::Index(_)) => {
                    match with_referrers(&index, &referrer.entries()) {
                        Some(bytes) => Manifest::parse(bytes.into(), Some(index.media_type()))?,
                        None => return Ok(()),
                    }
                }
                Some(_) => {
                    return Err(TransferError::ReferrersTag {
                        repository: repo.to_string(),
                        tag: referrer.tag.clone(),
                    });
                }
            };
            match self.client.manifests.put(repo, &at, &index).await {
                // Somebody else was faster.
                Err(error) if attempt < ATTEMPTS_MAX && error.is_conflict() => {}
                result => {
                    result?;
                    break;
                }
            }
        }
        Ok(())
    }

    /// Puts the manifest of a cosign tag, unless that would remove signatures from the registry.
    async fn put_cosign(&self, repo: &Repo, referrer: &Referrer) -> Result<(), TransferError> {
        let at = ManifestRef::Tag(referrer.tag.clone());
        let top = referrer.top();
        let there = match self.client.manifests.fetch(repo, &at).await {
            Err(error) if error.is_hidden_by_policy() => {
                if self.has_hidden(repo, referrer).await? {
                    return Ok(());
                }
                return Err(TransferError::ReferrerDiffers {
                    repository: repo.to_string(),
                    tag: referrer.tag.clone(),
                });
            }
            result => result?,
        };
        if let Some(there) = there {
            let is_same = there.digest() == top.digest();
            // Signatures and attestations are added to one manifest, as its layers.
            let suffix = referrer.tag.as_str().rsplit('.').next();
            let grows = suffix != Some("sbom");
            if is_same || grows && has_all(&there, &top) {
                return Ok(());
            }
            if grows && !has_all(&top, &there) {
                return Err(TransferError::ReferrerDiffers {
                    repository: repo.to_string(),
                    tag: referrer.tag.clone(),
                });
            }
        }
        let (_, children) = referrer.manifests.split_last().unwrap_or((&top, &[]));
        for child in children {
            let by_digest = ManifestRef::Digest(child.digest().clone());
            self.client.manifests.put(repo, &by_digest, child).await?;
        }
        self.client.manifests.put(repo, &at, &top).await?;
        Ok(())
    }
}

/// Whether one manifest has every layer of the other.
fn has_all(one: &Manifest, other: &Manifest) -> bool {
    let layers = |manifest: &Manifest| -> HashSet<Digest> {
        match manifest.body() {
            ManifestBody::Image(image) => image.layers.iter().map(|l| l.digest.clone()).collect(),
            ManifestBody::Index(index) => index
                .manifests
                .iter()
                .map(|child| child.digest.clone())
                .collect(),
        }
    };
    layers(other).is_subset(&layers(one))
}
