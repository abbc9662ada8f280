//! The target registry: its content, and the blobs in flight to it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{BlobTask, Content, Destination, Location, PlannedBlob, Source, TransferError};
use hod_oci::{Descriptor, Digest, Registry, RepositoryName, Tag};
use hod_registry::{
    Client, ContentCheck, HeadManifest, ManifestRef, ReferrerFinder, RegistryError, Repo,
    UploadSession, UploadStart,
};
use hod_report::{BlobRoute, Reporter};

/// Blobs of this length or more are asked for after they were sent: for smaller ones that would
/// cost about as much time as sending them.
const CONFIRMED_LEN_MIN: u64 = 64 * 1024;
/// Number of repositories into which one blob is mounted at once.
pub(super) const MOUNTS_AT_ONCE: usize = 4;

/// Sends images to a registry. Each blob is uploaded once and mounted elsewhere.
pub struct RegistrySink {
    pub(super) client: Client,
    pub(super) registry: Registry,
    /// Manifests of one repository are put one after another, and none twice: Harbor's database
    /// fails otherwise. The lock holds the digests that were already put.
    pub(super) repositories:
        Mutex<HashMap<RepositoryName, Arc<tokio::sync::Mutex<HashSet<Digest>>>>>,
    /// The limit of concurrent uploads, if any.
    pub(super) uploads: Option<Semaphore>,
    /// The source of blobs that the registry has lost, and the reporter.
    pub(super) origin: Option<(Arc<dyn Source>, Arc<dyn Reporter>)>,
    pub(super) referrers: ReferrersThere,
    /// Destinations that already have their image, of which every part is checked.
    pub(super) rechecked: BTreeSet<Destination>,
    /// Images of the plan for which something was sent.
    pub(super) sent: Mutex<HashSet<usize>>,
    /// Repositories of no image of the plan that were seen to have a blob.
    pub(super) elsewhere: Mutex<HashMap<Digest, RepositoryName>>,
}

/// The known referrers at the target.
#[derive(Debug)]
pub(super) struct ReferrersThere {
    pub(super) finder: ReferrerFinder,
    /// What this run put already.
    pub(super) put: Mutex<HashSet<(RepositoryName, Tag)>>,
}

impl ReferrersThere {
    fn new(client: Client) -> Self {
        Self {
            finder: ReferrerFinder::new(client.manifests),
            put: Mutex::default(),
        }
    }
}

impl std::fmt::Debug for RegistrySink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistrySink")
            .field("client", &self.client)
            .field("registry", &self.registry)
            .finish_non_exhaustive()
    }
}

impl RegistrySink {
    /// Sends to `registry`, within its known limits.
    pub fn new(client: Client, registry: Registry) -> Self {
        let uploads = client.uploads_at_once_max(&registry).map(Semaphore::new);
        Self {
            referrers: ReferrersThere::new(client.clone()),
            client,
            registry,
            repositories: Mutex::new(HashMap::new()),
            uploads,
            origin: None,
            rechecked: BTreeSet::new(),
            sent: Mutex::default(),
            elsewhere: Mutex::default(),
        }
    }

    /// Checks every part of the images at these destinations, which already have them, and sends
    /// missing or different parts.
    #[must_use]
    pub fn rechecking(mut self, destinations: BTreeSet<Destination>) -> Self {
        self.rechecked = destinations;
        self
    }

    /// Returns true if a destination already has its image and every part of it is checked.
    pub fn rechecks(&self, destination: &Destination) -> bool {
        self.rechecked.contains(destination)
    }

    /// Whether anything was sent for the image at a position of the plan.
    pub fn has_sent(&self, image: usize) -> bool {
        let sent = self.sent.lock().expect("no panic while noting");
        sent.contains(&image)
    }

    /// Has a blob mounted from `repository`, which was seen to have it, in place of sending it.
    pub fn note_elsewhere(&self, blob: &Digest, repository: &RepositoryName) {
        let mut elsewhere = self.elsewhere.lock().expect("no panic while noting");
        elsewhere.insert(blob.clone(), repository.clone());
    }

    pub(super) fn elsewhere(&self, blob: &Digest) -> Option<RepositoryName> {
        let elsewhere = self.elsewhere.lock().expect("no panic while noting");
        elsewhere.get(blob).cloned()
    }

    /// The repository of this very registry that a blob comes from.
    pub(super) fn own(&self, blob: &PlannedBlob) -> Option<RepositoryName> {
        blob.from.iter().find_map(|location| match location {
            Location::Repo(repo) if repo.registry == self.registry => Some(repo.name.clone()),
            _ => None,
        })
    }

    pub(super) fn note_sent(&self, images: impl IntoIterator<Item = usize>) {
        let mut sent = self.sent.lock().expect("no panic while noting");
        sent.extend(images);
    }

    /// Takes blobs from `source` again that the registry turns out to have lost when it is given
    /// their manifest.
    #[must_use]
    pub fn healing_from(mut self, source: Arc<dyn Source>, reporter: Arc<dyn Reporter>) -> Self {
        self.origin = Some((source, reporter));
        self
    }

    /// The registry that it sends to.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Mounts a blob of the repository `first` into `others`; if one of them refuses, starts an
    /// upload.
    pub(super) async fn spread(
        &self,
        task: BlobTask<'_>,
        first: &RepositoryName,
        others: &[&RepositoryName],
    ) -> Result<Vec<UploadStart>, TransferError> {
        let blob = &task.blob.descriptor;
        let places = others.iter().map(|name| {
            let images: Vec<usize> = task.images_in(name).collect();
            (self.repo(name), images)
        });
        let places: Vec<(Repo, Vec<usize>)> = places.collect();
        let starts = futures_util::stream::iter(places)
            .map(|(repo, images)| async move {
                let is_rechecked = images.iter().any(|&at| {
                    let destination = &task.plan.images[at].wanted.destination;
                    self.rechecks(destination)
                });
                if is_rechecked && self.ask(&repo.name, blob).await? == ContentCheck::Present {
                    return Ok::<_, TransferError>(None);
                }
                self.note_sent(images);
                let start = self.client.uploads.start(&repo, blob, Some(first));
                Ok(Some(start.await?))
            })
            .buffered(MOUNTS_AT_ONCE);
        let starts: Vec<Option<UploadStart>> = starts.try_collect().await?;
        Ok(starts.into_iter().flatten().collect())
    }

    /// Whether the registry may be given another upload now.
    pub(super) fn may_upload(&self) -> bool {
        let uploads = self.uploads.as_ref();
        uploads.is_none_or(|uploads| uploads.available_permits() > 0)
    }

    /// Waits until the registry may be given another upload, with no connection held open.
    pub(super) async fn upload_slot(
        &self,
        content: &mut Content<'_>,
    ) -> Option<SemaphorePermit<'_>> {
        let uploads = self.uploads.as_ref()?;
        if let Ok(slot) = uploads.try_acquire() {
            return Some(slot);
        }
        content.close_early();
        // The limit is never closed.
        uploads.acquire().await.ok()
    }

    pub(super) fn repo(&self, name: &RepositoryName) -> Repo {
        Repo {
            registry: self.registry.clone(),
            name: name.clone(),
        }
    }

    /// Requests the current manifest of the destination with one HEAD.
    pub async fn current(
        &self,
        image: &Destination,
        top: &Digest,
    ) -> Result<Option<HeadManifest>, TransferError> {
        let at = image.manifest_ref(top);
        let head = self
            .client
            .manifests
            .head(&self.repo(&image.repository), &at)
            .await?;
        Ok(head)
    }

    /// Whether a repository has a manifest.
    pub async fn has_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, TransferError> {
        let at = ManifestRef::Digest(digest.clone());
        let head = self
            .client
            .manifests
            .head(&self.repo(repository), &at)
            .await?;
        Ok(head.is_some())
    }

    /// Whether a repository has a blob.
    pub async fn has_blob(
        &self,
        repository: &RepositoryName,
        blob: &Descriptor,
    ) -> Result<bool, TransferError> {
        Ok(self.ask(repository, blob).await? == ContentCheck::Present)
    }

    /// Checks the state of a blob in a repository; rechecked blobs are checked by reading.
    pub(super) async fn ask(
        &self,
        repository: &RepositoryName,
        blob: &Descriptor,
    ) -> Result<ContentCheck, RegistryError> {
        let repo = self.repo(repository);
        let mut rechecked = self.rechecked.iter();
        if rechecked.any(|destination| destination.repository == *repository) {
            self.client.blobs.probe(&repo, blob).await
        } else {
            self.client.blobs.head(&repo, blob).await
        }
    }

    /// Fails if the registry still returns something else after a blob was sent.
    ///
    /// A registry may keep damaged content under the digest and throw away what it is sent, since
    /// it has the digest already: distribution does so for all repositories alike, and notes the
    /// length of what it was sent. So blobs are read again that were seen to be damaged or are
    /// rechecked, and those asked for again whose upload took longer than that.
    pub(super) async fn require_arrival(
        &self,
        repo: &Repo,
        blob: &Descriptor,
        seen: ContentCheck,
    ) -> Result<(), TransferError> {
        if seen == ContentCheck::Absent && blob.size < CONFIRMED_LEN_MIN {
            return Ok(());
        }
        let now = match seen {
            ContentCheck::Differs { .. } => self.client.blobs.probe(repo, blob).await?,
            _ => self.ask(&repo.name, blob).await?,
        };
        match now {
            ContentCheck::Differs { len } => Err(TransferError::TargetDamaged {
                repository: repo.to_string(),
                digest: blob.digest.clone(),
                expected: blob.size,
                actual: len,
            }),
            // Another replica may not have it yet; the PUT of the manifest shows it.
            ContentCheck::Present | ContentCheck::Absent | ContentCheck::Unknown => Ok(()),
        }
    }

    /// Mounts a blob, which the registry was seen to have in the repositories `there`, into `names`.
    pub(super) async fn mount(
        &self,
        blob: &Descriptor,
        there: &[RepositoryName],
        names: &[&RepositoryName],
    ) -> Result<BlobRoute, TransferError> {
        let mut route = BlobRoute::Present;
        for name in names.iter().filter(|name| !there.contains(name)) {
            let repo = self.repo(name);
            let from = there.first();
            match self.client.uploads.start(&repo, blob, from).await? {
                UploadStart::Mounted => route = BlobRoute::Mounted,
                // There is nothing to upload; the registry forgets the session by itself.
                UploadStart::Session(_) => {
                    return Err(TransferError::NotMounted {
                        digest: blob.digest.clone(),
                        repository: repo.to_string(),
                        from: from.map(|from| self.repo(from).to_string()),
                    });
                }
            }
        }
        Ok(route)
    }

    /// Uploads a blob; the client reports the bytes and retries.
    pub(super) async fn upload(
        &self,
        session: UploadSession,
        content: &mut Content<'_>,
    ) -> Result<(), TransferError> {
        let _slot = self.upload_slot(content).await;
        let blob = content.task.blob;
        let body = content.upload_body().await?;
        let uploaded = self.client.uploads.upload(session, &blob.descriptor, body);
        let Err(error) = uploaded.await else {
            return Ok(());
        };
        Err(match error {
            // A read error has its own message.
            RegistryError::UploadSource { request, source } => {
                match source.downcast::<TransferError>() {
                    Ok(error) => error,
                    Err(source) => RegistryError::UploadSource { request, source }.into(),
                }
            }
            error => error.into(),
        })
    }
}
