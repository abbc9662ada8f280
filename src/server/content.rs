//! The content that is served: a store, or a bundle without unpacking, with one interface.
//!
//! A bundle is the storage of a registry in one file, so every request has the same answer as from
//! a store that it is unpacked into. Manifests are verified whenever they are read; a config or
//! layer while it is sent whole for the first time (see [`ServedBlob::into_stream`]).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::Stream;

use hod_bundle::{Bundle, BundleError};
use hod_fsx::FileRange;
use hod_oci::{ContentMismatch, Digest, Manifest, RepositoryName, Tag, Verifier};
use hod_report::{Diagnose, Diagnosis, ErrorClass, Event, Reporter};
use hod_store::Store;

use super::error::ApiError;
use super::lane::Lane;

/// The content that is served. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Content {
    Store(Store),
    Bundle(Arc<ServedBundle>),
}

impl From<Store> for Content {
    fn from(store: Store) -> Self {
        Self::Store(store)
    }
}

/// A bundle, with what its repositories have.
#[derive(Debug)]
pub struct ServedBundle {
    bundle: Arc<Bundle>,
    repositories: BTreeMap<RepositoryName, Repository>,
    /// The configs and layers that were sent whole, and whether their digests were right.
    seen: Mutex<HashMap<Digest, Seen>>,
}

#[derive(Debug, Default)]
struct Repository {
    tags: BTreeMap<Tag, Digest>,
    manifests: BTreeSet<Digest>,
    blobs: HashSet<Digest>,
}

#[derive(Debug, Clone)]
enum Seen {
    Right,
    /// With the digest that it has.
    Wrong(Digest),
}

impl ServedBundle {
    /// Prepares a bundle for serving; reads and verifies every byte that is not a config's or a
    /// layer's. Blocks.
    pub fn new(bundle: Arc<Bundle>) -> Result<Self, BundleError> {
        bundle.check_all_but_blobs()?;
        let manifest = bundle.manifest();
        for blob in manifest.blobs.iter().filter(|blob| blob.is_manifest) {
            bundle.read_manifest(&blob.digest)?;
        }
        let mut repositories: BTreeMap<RepositoryName, Repository> = BTreeMap::new();
        for image in &manifest.images {
            let repository = repositories.entry(image.repository.clone()).or_default();
            if let Some(tag) = &image.tag {
                repository.tags.insert(tag.clone(), image.digest.clone());
            }
            repository.manifests.extend(image.manifests.iter().cloned());
            repository.blobs.extend(image.blobs.iter().cloned());
        }
        Ok(Self {
            bundle,
            repositories,
            seen: Mutex::default(),
        })
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<Digest, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    pub(super) fn repositories(&self) -> Result<Vec<RepositoryName>, ApiError> {
        match self {
            Self::Store(store) => Ok(store.repositories()?),
            Self::Bundle(bundle) => Ok(bundle.repositories.keys().cloned().collect()),
        }
    }

    pub(super) fn tags(&self, name: &RepositoryName) -> Result<Vec<Tag>, ApiError> {
        match self {
            Self::Store(store) => Ok(store.tags(name)?),
            Self::Bundle(bundle) => {
                let repository = bundle.repositories.get(name);
                let tags = repository.into_iter().flat_map(|found| found.tags.keys());
                Ok(tags.cloned().collect())
            }
        }
    }

    /// The manifests of a repository, sorted.
    pub(super) fn revisions(&self, name: &RepositoryName) -> Result<Vec<Digest>, ApiError> {
        match self {
            Self::Store(store) => Ok(store.revisions(name)?),
            Self::Bundle(bundle) => {
                let repository = bundle.repositories.get(name);
                let manifests = repository.into_iter().flat_map(|found| &found.manifests);
                Ok(manifests.cloned().collect())
            }
        }
    }

    pub(super) fn resolve_tag(
        &self,
        name: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<Digest>, ApiError> {
        match self {
            Self::Store(store) => Ok(store.resolve_tag(name, tag)?),
            Self::Bundle(bundle) => {
                let repository = bundle.repositories.get(name);
                Ok(repository.and_then(|found| found.tags.get(tag)).cloned())
            }
        }
    }

    pub(super) fn has_revision(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, ApiError> {
        match self {
            Self::Store(store) => Ok(store.has_revision(name, digest)?),
            Self::Bundle(bundle) => {
                let repository = bundle.repositories.get(name);
                Ok(repository.is_some_and(|found| found.manifests.contains(digest)))
            }
        }
    }

    /// Reads and verifies a manifest.
    pub(super) fn read_manifest(&self, digest: &Digest) -> Result<Option<Manifest>, ApiError> {
        match self {
            Self::Store(store) => Ok(store.read_manifest(digest)?),
            Self::Bundle(bundle) => Ok(bundle.bundle.read_manifest(digest)?),
        }
    }

    /// The subject of a manifest.
    pub(super) fn subject_of(&self, digest: &Digest) -> Result<Option<Digest>, ApiError> {
        match self {
            Self::Store(store) => Ok(store.subject_of(digest)?),
            Self::Bundle(bundle) => {
                let manifest = bundle.bundle.read_manifest(digest)?;
                let subject = manifest.as_ref().and_then(Manifest::subject);
                Ok(subject.map(|subject| subject.digest.clone()))
            }
        }
    }

    /// Opens a config or layer of a repository; `None` when the repository does not have it.
    pub(super) fn open_blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<ServedBlob>, ApiError> {
        match self {
            Self::Store(store) => {
                if !store.has_layer(name, digest)? {
                    return Ok(None);
                }
                let range = store.open_unverified(digest)?;
                Ok(range.map(|range| ServedBlob::new(vec![range], None)))
            }
            Self::Bundle(bundle) => {
                let repository = bundle.repositories.get(name);
                if repository.is_none_or(|found| !found.blobs.contains(digest)) {
                    return Ok(None);
                }
                let Some(pieces) = bundle.bundle.open_blob(digest) else {
                    return Ok(None);
                };
                let seen = bundle.seen().get(digest).cloned();
                let watch = match seen {
                    None => Some(Watch {
                        bundle: Arc::clone(bundle),
                        digest: digest.clone(),
                    }),
                    Some(Seen::Right) => None,
                    Some(Seen::Wrong(actual)) => {
                        return Err(ApiError::failed(&Damaged {
                            expected: digest.clone(),
                            actual,
                        }));
                    }
                };
                Ok(Some(ServedBlob::new(pieces, watch)))
            }
        }
    }
}

/// A blob that is going to be sent, or a part of one.
#[derive(Debug)]
pub(super) struct ServedBlob {
    /// Its bytes, one range behind the other.
    pieces: Vec<FileRange>,
    watch: Option<Watch>,
}

/// A blob that was not verified yet.
#[derive(Debug)]
struct Watch {
    bundle: Arc<ServedBundle>,
    digest: Digest,
}

/// A config or layer of a bundle that does not have its digest.
#[derive(Debug, thiserror::Error)]
#[error("blob `{expected}` is damaged in the bundle: its content has digest `{actual}`")]
struct Damaged {
    expected: Digest,
    actual: Digest,
}

impl Diagnose for Damaged {
    fn diagnose(&self) -> Diagnosis {
        Diagnosis::new(ErrorClass::Verify)
    }
}

impl ServedBlob {
    fn new(pieces: Vec<FileRange>, watch: Option<Watch>) -> Self {
        Self { pieces, watch }
    }

    /// Its length in bytes.
    pub(super) fn len(&self) -> u64 {
        hod_oci::sum_len(self.pieces.iter().map(|piece| piece.len))
    }

    /// Cuts it down to `len` bytes from `start` on, which it must have.
    ///
    /// A part is not checked: who asks for one has the rest, and the digest.
    pub(super) fn cut(&mut self, mut start: u64, mut len: u64) {
        self.watch = None;
        for piece in &mut self.pieces {
            let skipped = start.min(piece.len);
            start -= skipped;
            piece.offset += skipped;
            piece.len = (piece.len - skipped).min(len);
            len -= piece.len;
        }
        self.pieces.retain(|piece| piece.len > 0);
    }

    /// Streams the bytes, a chunk at a time: no thread waits while the client does not read.
    ///
    /// A blob that was not verified is hashed on the way, and its last chunk is held back until it
    /// is correct: a damaged blob ends in an error, which cuts the connection, so that it never
    /// appears complete. It is not served again, and `reporter` gets a warning.
    pub(super) fn into_stream(
        self,
        lane: Lane,
        reporter: Arc<dyn Reporter>,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send {
        let sending = Sending {
            pieces: self.pieces.into(),
            watch: self.watch.map(|watch| {
                let verifier = Verifier::from(&watch.digest);
                (watch, verifier)
            }),
            held: None,
            reporter,
        };
        futures_util::stream::try_unfold(sending, move |mut sending| {
            let lane = lane.clone();
            async move {
                lane.run(move || {
                    let chunk = sending.next_chunk()?;
                    Ok(chunk.map(|chunk| (chunk, sending)))
                })
                .await
            }
        })
    }
}

/// A blob that is being sent.
struct Sending {
    /// The remaining ranges.
    pieces: VecDeque<FileRange>,
    watch: Option<(Watch, Verifier)>,
    /// The chunk that is sent when the next one is read, or the whole is found to be right.
    held: Option<Bytes>,
    reporter: Arc<dyn Reporter>,
}

impl Sending {
    /// Returns the next chunk to be sent; blocks.
    fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        while let Some(piece) = self.pieces.front_mut() {
            if piece.len == 0 {
                self.pieces.pop_front();
                continue;
            }
            let chunk = piece.read_chunk()?;
            let Some((_, verifier)) = &mut self.watch else {
                return Ok(Some(chunk));
            };
            verifier.update(&chunk).map_err(io::Error::other)?;
            if let Some(before) = self.held.replace(chunk) {
                return Ok(Some(before));
            }
        }
        if let Some((watch, verifier)) = self.watch.take() {
            watch.conclude(verifier.finish(), self.reporter.as_ref())?;
        }
        Ok(self.held.take())
    }
}

impl Watch {
    /// Records whether the blob has its digest; an error when it has not.
    fn conclude(
        self,
        found: Result<(), ContentMismatch>,
        reporter: &dyn Reporter,
    ) -> io::Result<()> {
        let expected = self.digest;
        let actual = match found {
            Ok(()) => {
                self.bundle.seen().insert(expected, Seen::Right);
                return Ok(());
            }
            Err(ContentMismatch::Digest { actual, .. }) => actual,
            Err(other @ ContentMismatch::Length { .. }) => return Err(io::Error::other(other)),
        };
        let seen = Seen::Wrong(actual.clone());
        self.bundle.seen().insert(expected.clone(), seen);
        let damaged = Damaged { expected, actual };
        reporter.event(Event::Warning {
            text: &damaged.to_string(),
        });
        Err(io::Error::other(damaged))
    }
}
