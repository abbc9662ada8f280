//! Referrers of images: found with them, carried with them, and part of their success.
//!
//! Manifests with a `subject` are carried by digest and, for registries without the referrers API,
//! by the tag of an index of them; those with a tag of cosign are carried by that tag. Both can
//! have referrers themselves.

mod local;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::sync::OnceCell;

pub use local::LocalReferrers;
pub use local::layout_name;

use super::walk::{DEPTH_MAX, MANIFESTS_LEN_MAX, MANIFESTS_MAX, closure};
use super::{Location, Referrer, Resolved, Source, TransferError};
use hod_oci::{
    Descriptor, Digest, Manifest, MediaType, ReferrerTag, ReferrerTagKind, RepositoryName, Tag,
};
use hod_registry::{ManifestRef, ReferrerFinder, Repo};
use hod_report::{Event, Reporter};

/// Number of concurrent look-ups for one image.
const LOOKUPS_AT_ONCE: usize = 8;

/// Joins the referrers that images of one repository have for the same manifest, so that each tag
/// is put once and has one meaning, regardless of their sources. Returns notes for the user.
pub fn join(images: &mut [Resolved]) -> Vec<String> {
    let mut known: BTreeMap<(RepositoryName, Tag), (usize, usize)> = BTreeMap::new();
    let mut notes = Vec::new();
    for at in 0..images.len() {
        for of_image in 0..images[at].referrers.len() {
            let repository = images[at].wanted.destination.repository.clone();
            let referrer = images[at].referrers[of_image].clone();
            let key = (repository, referrer.tag.clone());
            let Some(&(first, first_of)) = known.get(&key) else {
                known.insert(key, (at, of_image));
                continue;
            };
            let other = images[first].referrers[first_of].clone();
            let n_known = other.manifests.len();
            let joined = match referrer.kind {
                ReferrerTagKind::Index => {
                    let mut joined = other.clone();
                    for location in &referrer.locations {
                        joined.add(&referrer.manifests, location);
                    }
                    joined
                }
                ReferrerTagKind::Cosign => {
                    if referrer.top().digest() != other.top().digest() {
                        notes.push(format!(
                            "{}:{}: two signatures found; using that of {}",
                            key.0, key.1, images[first].wanted.name
                        ));
                    }
                    other.clone()
                }
            };
            images[at].referrers[of_image] = joined.clone();
            if joined.manifests.len() == n_known {
                continue;
            }
            // Those before it have the same tag and must have the same index.
            for image in images.iter_mut().take(at + 1) {
                if image.wanted.destination.repository == key.0 {
                    for referrer in &mut image.referrers {
                        if referrer.tag == key.1 {
                            *referrer = joined.clone();
                        }
                    }
                }
            }
        }
    }
    notes
}

/// Finds the referrers of an image that was resolved without them.
pub async fn find(
    source: &dyn Source,
    image: &Resolved,
    reporter: &Arc<dyn Reporter>,
) -> Result<Vec<Referrer>, TransferError> {
    Finder::new(source, reporter).find(image).await
}

/// Finds referrers in a source, and caches the results for a run.
pub(super) struct Finder<'a> {
    source: &'a dyn Source,
    remote: Option<ReferrerFinder>,
    local: Mutex<HashMap<RepositoryName, Arc<OnceCell<Arc<LocalReferrers>>>>>,
    reporter: &'a Arc<dyn Reporter>,
}

/// One manifest that was found.
struct Found {
    /// Cosign's tag.
    tag: Option<Tag>,
    manifest: Manifest,
    location: Location,
}

/// The referrers found for one image.
#[derive(Default)]
struct Gathered {
    /// Referrers of the image before referrers of those.
    referrers: Vec<Referrer>,
    /// The position of each by its subject and tag.
    positions: HashMap<(Digest, Tag), usize>,
    /// The subjects that were looked up, or are about to be.
    subjects: HashSet<Digest>,
    manifests: HashSet<Digest>,
    len: u64,
}

impl<'a> Finder<'a> {
    pub(super) fn new(source: &'a dyn Source, reporter: &'a Arc<dyn Reporter>) -> Self {
        let remote = source.as_registry();
        let remote = remote.map(|source| ReferrerFinder::new(source.client.manifests.clone()));
        Self {
            source,
            remote,
            local: Mutex::default(),
            reporter,
        }
    }

    /// Finds the referrers of all manifests of an image, the referrers of these, and so on.
    pub(super) async fn find(&self, image: &Resolved) -> Result<Vec<Referrer>, TransferError> {
        let mut gathered = Gathered::default();
        let mut queue: Vec<Digest> = Vec::new();
        for manifest in &image.manifests {
            gathered.subjects.insert(manifest.digest().clone());
            queue.push(manifest.digest().clone());
        }
        for _ in 0..=DEPTH_MAX {
            if queue.is_empty() {
                return Ok(gathered.referrers);
            }
            let found: Vec<(Digest, Vec<Found>)> = futures_util::stream::iter(queue)
                .map(|subject| async move {
                    match self.about(image, &subject).await {
                        Ok(found) => Ok((subject, found)),
                        Err(source) => Err(TransferError::Referrers {
                            digest: subject,
                            source: Box::new(source),
                        }),
                    }
                })
                .buffered(LOOKUPS_AT_ONCE)
                .try_collect()
                .await?;
            queue = Vec::new();
            for (subject, found) in found {
                for found in found {
                    let (manifests, _) =
                        closure(self.source, &found.location, found.manifest.clone()).await?;
                    queue.extend(gathered.add(&subject, &found, &manifests)?);
                }
            }
        }
        Err(TransferError::TooDeep {
            depth_max: DEPTH_MAX,
        })
    }

    /// Returns true if a manifest that is not carried has referrers; false if unknown.
    pub(super) async fn has_any(&self, image: &Resolved, subject: &Digest) -> bool {
        let (Some(remote), Location::Repo(repo)) = (&self.remote, &image.location) else {
            return false;
        };
        let is_some = |found: Result<Vec<Tag>, _>| found.is_ok_and(|tags| !tags.is_empty());
        is_some(remote.cosign_tags(repo, subject).await)
            || remote
                .list(repo, subject)
                .await
                .is_ok_and(|listed| !listed.is_empty())
    }

    /// The direct referrers of a manifest.
    async fn about(&self, image: &Resolved, subject: &Digest) -> Result<Vec<Found>, TransferError> {
        if let (Some(remote), Location::Repo(repo)) = (&self.remote, &image.location) {
            return self.about_remote(remote, repo, subject).await;
        }
        let Some(repository) = self.source.repository_of(&image.wanted.locate) else {
            return Ok(Vec::new());
        };
        let local = self.local(&repository).await?;
        for unreadable in local.unreadable(subject) {
            self.reread(&repository, unreadable).await?;
        }
        let mut found = Vec::new();
        for (digest, location) in local.about(subject) {
            found.extend(self.read(digest, location, None).await?);
        }
        for tagged in local.cosign(subject) {
            let tag = Some(tagged.tag.clone());
            found.extend(self.read(&tagged.digest, &tagged.location, tag).await?);
        }
        Ok(found)
    }

    async fn local(
        &self,
        repository: &RepositoryName,
    ) -> Result<Arc<LocalReferrers>, TransferError> {
        let cell = {
            let mut local = self.local.lock().expect("no panic while looking up");
            Arc::clone(local.entry(repository.clone()).or_default())
        };
        let load = || async { self.source.referrers(repository).await.map(Arc::new) };
        cell.get_or_try_init(load).await.cloned()
    }

    /// Says why a tag cannot be read.
    async fn reread(
        &self,
        repository: &RepositoryName,
        unreadable: &local::Unreadable,
    ) -> Result<(), TransferError> {
        let location = &unreadable.location;
        if let Some(digest) = &unreadable.digest {
            if let Some(found) = self.read(digest, location, None).await? {
                closure(self.source, location, found.manifest).await?;
            }
            return Ok(());
        }
        let tag = &unreadable.tag;
        self.source.reread(repository, tag, location).await
    }

    async fn read(
        &self,
        digest: &Digest,
        location: &Location,
        tag: Option<Tag>,
    ) -> Result<Option<Found>, TransferError> {
        let descriptor = Descriptor::new(MediaType::new(""), digest.clone(), 0);
        let manifest = self.source.manifest(location, &descriptor).await?;
        Ok(manifest.map(|manifest| Found {
            tag,
            manifest,
            location: location.clone(),
        }))
    }

    async fn about_remote(
        &self,
        remote: &ReferrerFinder,
        repo: &Repo,
        subject: &Digest,
    ) -> Result<Vec<Found>, TransferError> {
        let Some(remote_source) = self.source.as_registry() else {
            return Ok(Vec::new());
        };
        let listed = remote.list(repo, subject).await?.into_iter();
        let mut wanted: Vec<(Option<Tag>, ManifestRef)> = listed
            .map(|digest| (None, ManifestRef::Digest(digest)))
            .collect();
        let tags = remote.cosign_tags(repo, subject).await?.into_iter();
        wanted.extend(tags.map(|tag| (Some(tag.clone()), ManifestRef::Tag(tag))));
        if wanted.len() > MANIFESTS_MAX {
            return Err(too_many());
        }
        let read: Vec<Option<Found>> = futures_util::stream::iter(wanted)
            .map(|(tag, at)| async move {
                let manifest = remote_source.fetch(repo, &at).await?;
                if manifest.is_none() {
                    let text = format!("{repo}: referrer `{at}` of `{subject}` not found");
                    self.reporter.event(Event::Warning { text: &text });
                }
                Ok::<_, TransferError>(manifest.map(|manifest| Found {
                    tag,
                    manifest,
                    location: Location::Repo(repo.clone()),
                }))
            })
            .buffered(LOOKUPS_AT_ONCE)
            .try_collect()
            .await?;
        let found: Vec<Found> = read.into_iter().flatten().collect();
        let (about, others): (Vec<Found>, Vec<Found>) = found.into_iter().partition(|found| {
            let says = found.manifest.subject().map(|said| &said.digest);
            found.tag.is_some() || says == Some(subject)
        });
        for other in others {
            // Harbor also lists manifests that cosign tagged and that have no subject.
            let digest = other.manifest.digest();
            if !about.iter().any(|found| found.manifest.digest() == digest) {
                let text = format!(
                    "{repo}: left out `{digest}`: it is listed as a referrer of `{subject}`, but its \
                     subject is another"
                );
                self.reporter.event(Event::Warning { text: &text });
            }
        }
        Ok(about)
    }
}

impl Gathered {
    /// Adds a referrer with all below it; returns the manifests that may have referrers and were
    /// not looked up yet.
    fn add(
        &mut self,
        subject: &Digest,
        found: &Found,
        manifests: &[Manifest],
    ) -> Result<Vec<Digest>, TransferError> {
        let (kind, tag) = match &found.tag {
            Some(tag) => (ReferrerTagKind::Cosign, tag.clone()),
            None => (ReferrerTagKind::Index, ReferrerTag::index_of(subject)),
        };
        let key = (subject.clone(), tag.clone());
        let at = *self.positions.entry(key).or_insert(self.referrers.len());
        if at == self.referrers.len() {
            self.referrers.push(Referrer::new(subject, kind, tag));
        }
        self.referrers[at].add(manifests, &found.location);
        let mut new = Vec::new();
        for manifest in manifests {
            if self.manifests.insert(manifest.digest().clone()) {
                self.len += manifest.bytes().len() as u64;
            }
            if self.subjects.insert(manifest.digest().clone()) {
                new.push(manifest.digest().clone());
            }
        }
        if self.manifests.len() > MANIFESTS_MAX || self.len > MANIFESTS_LEN_MAX {
            return Err(too_many());
        }
        Ok(new)
    }
}

fn too_many() -> TransferError {
    TransferError::TooManyReferrers {
        n_max: MANIFESTS_MAX,
        len_max: MANIFESTS_LEN_MAX,
    }
}
