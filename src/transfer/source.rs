//! Sources: where manifests and blobs come from.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

use super::{IndexMode, PlannedBlob, ReferrerMode, SizeClaim, StreamedBundle, TransferError};
use crate::bridge::{self, FileRange};
use crate::bundle::{BlobHolder, Bundle};
use crate::layout::{Collection, DirLayout, FoundLayout, LayoutError};
use crate::oci::{
    Descriptor, Digest, ForeignLayers, Manifest, MediaType, PlatformChoice, RepositoryName, Tag,
    sum_len,
};
use crate::registry::{Client, HostState, ManifestRef, RegistryError, Repo};
use crate::store::{self, Soundness, Store, StoreError};

/// Where images come from. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Source {
    /// Any number of registries.
    Registry(RegistrySource),
    /// A registry tree on disk.
    Store(Store),
    /// A bundle that can be read at any offset.
    Bundle(Arc<Bundle>),
    /// A bundle that can be read only from front to back.
    BundleStream(Arc<StreamedBundle>),
    /// A directory of `dir:` layouts.
    Layouts(Arc<Vec<FoundLayout>>),
    /// What another tool has put together: an OCI layout, or an archive of one kind or another.
    Collection(Arc<Collection>),
}

/// Registries as a source, and what is at hand already of what they have.
#[derive(Debug, Clone)]
pub struct RegistrySource {
    pub client: Client,
    /// A store in which manifests are looked for before they are fetched, which registries count.
    pub known: Option<Store>,
}

impl RegistrySource {
    /// A manifest that is at hand.
    async fn known(&self, digest: &Digest) -> Option<Manifest> {
        let (store, digest) = (self.known.clone()?, digest.clone());
        bridge::run(move || store.find_manifest(&digest)).await
    }

    /// Whether something by the image's name is at hand, so that asking for its digest first may
    /// save fetching it.
    async fn may_know(&self, destination: &Destination) -> bool {
        let (Some(store), Some(tag)) = (self.known.clone(), destination.tag.clone()) else {
            return false;
        };
        let repository = destination.repository.clone();
        // A store that cannot be read is no help, and is complained of where it is written.
        bridge::run(move || matches!(store.resolve_tag(&repository, &tag), Ok(Some(_)))).await
    }

    /// Finds a manifest in one repository; it is fetched unless a HEAD, which Docker Hub does not
    /// count, says that it is at hand.
    async fn top(
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
        self.client.fetch_manifest(repo, at).await
    }
}

/// How to find an image's top manifest in a source.
#[derive(Debug, Clone)]
pub enum Locate {
    /// In one of these repositories, tried in order, under this tag or digest.
    Remote { repos: Vec<Repo>, at: ManifestRef },
    /// By its digest in a store or bundle, which has it in this repository.
    Stored {
        repository: RepositoryName,
        digest: Digest,
        /// How many bytes the index of an OCI layout says that it has.
        len: Option<u64>,
    },
    /// By its place among the layouts of [`Source::Layouts`].
    Layout(usize),
    /// Nowhere: what the source has under its name cannot be read.
    Unreadable(Arc<TransferError>),
}

impl Locate {
    /// By its digest in a repository of a store or bundle.
    pub fn stored(repository: &RepositoryName, digest: &Digest) -> Self {
        Self::Stored {
            repository: repository.clone(),
            digest: digest.clone(),
            len: None,
        }
    }

    /// An image of a source that is listed and cannot be read.
    pub fn unreadable(error: impl Into<TransferError>) -> Self {
        Self::Unreadable(Arc::new(error.into()))
    }
}

/// Where the blobs of an image are within its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    Repo(Repo),
    /// Anywhere: the source is one pool of blobs.
    Pool,
    Layout(usize),
}

/// Where an image is to go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Destination {
    pub repository: RepositoryName,
    /// `None` for an image that is carried by its digest alone.
    pub tag: Option<Tag>,
}

impl Destination {
    /// What names the image there, whose digest is `top`.
    pub fn manifest_ref(&self, top: &Digest) -> ManifestRef {
        match &self.tag {
            Some(tag) => ManifestRef::Tag(tag.clone()),
            None => ManifestRef::Digest(top.clone()),
        }
    }
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.tag {
            Some(tag) => write!(f, "{}:{tag}", self.repository),
            None => write!(f, "{}", self.repository),
        }
    }
}

/// One image that is to be carried.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The image as the user wrote it, for messages.
    pub name: String,
    pub locate: Locate,
    pub platforms: PlatformChoice,
    pub index_mode: IndexMode,
    /// The digest that the user pinned, which must stay servable.
    pub pinned: Option<Digest>,
    /// The digest that the index must have which takes the place of the pinned one.
    pub rewritten: Option<Digest>,
    /// Whether what is about it is carried with it.
    pub referrers: ReferrerMode,
    /// Whether foreign layers are carried: fetched from a registry, and taken from a local source where
    /// it has them.
    pub foreign_layers: ForeignLayers,
    pub destination: Destination,
}

/// A stream of a blob's bytes.
pub type BlobStream = Pin<Box<dyn Stream<Item = Result<Bytes, TransferError>> + Send>>;

/// The bytes of a blob, in the form that lets a sink do the least work.
pub enum BlobContent {
    /// Part of an open file; `path` may be linked when the range is the whole file.
    File(FileRange),
    /// Bytes that come once.
    Stream(BlobStream),
}

impl BlobContent {
    /// The bytes as a stream.
    pub fn into_stream(self) -> BlobStream {
        match self {
            Self::File(range) => {
                let path = range.path.clone();
                let stream = bridge::stream_file(range);
                Box::pin(stream.map(move |item| {
                    item.map_err(|source| TransferError::BlobRead {
                        path: path.clone(),
                        source,
                    })
                }))
            }
            Self::Stream(stream) => stream,
        }
    }
}

impl std::fmt::Debug for BlobContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(range) => f.debug_tuple("File").field(range).finish(),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

impl Source {
    /// Whether what comes from it comes over a network.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Registry(_))
    }

    /// Notes a failure to read a blob, and returns the state of the host that it is read from, for
    /// a move that has failed since `began`.
    pub(super) fn host_state(&self, error: &TransferError, began: Instant) -> HostState {
        match (self, error) {
            (Self::Registry(registry), TransferError::Registry(error)) => {
                registry.client.host_state(error, began)
            }
            _ => HostState::Usual,
        }
    }

    /// Whether it is read from front to back, so that a blob is had only when its turn comes.
    pub fn is_sequential(&self) -> bool {
        match self {
            Self::BundleStream(_) => true,
            Self::Collection(collection) => collection.is_sequential(),
            _ => false,
        }
    }

    /// What a bundle says of itself; `None` for other sources.
    pub fn document(&self) -> Option<&crate::bundle::BundleManifest> {
        match self {
            Self::Bundle(bundle) => Some(bundle.manifest()),
            Self::BundleStream(bundle) => Some(&bundle.document),
            _ => None,
        }
    }

    /// Whether it has a config or layer, as far as that is known without looking: a bundle may
    /// leave it to its target, or have it in a volume that is not here.
    pub fn has_blob(&self, digest: &Digest) -> bool {
        match self {
            Self::Bundle(bundle) => bundle.open_blob(digest).is_some(),
            Self::BundleStream(bundle) => bundle.document.has_blob(digest),
            _ => true,
        }
    }

    /// Finds an image's top manifest, and where its blobs are.
    pub async fn top(&self, wanted: &Wanted) -> Result<(Manifest, Location), TransferError> {
        let absent = || TransferError::ImageAbsent {
            registry: None,
            similar: Vec::new(),
        };
        match (self, &wanted.locate) {
            (Self::Registry(registry), Locate::Remote { repos, at }) => {
                let may_know = match (at, repos.as_slice()) {
                    (ManifestRef::Digest(digest), repos) => {
                        let known = registry.known(digest).await;
                        // Whatever the registry would say, these are the bytes.
                        if let (Some(manifest), [repo]) = (&known, repos) {
                            return Ok((manifest.clone(), Location::Repo(repo.clone())));
                        }
                        known.is_some()
                    }
                    (ManifestRef::Tag(_), _) => registry.may_know(&wanted.destination).await,
                };
                let mut refused = None;
                for repo in repos {
                    match registry.top((repo, at), may_know).await {
                        Ok(Some(manifest)) => return Ok((manifest, Location::Repo(repo.clone()))),
                        Ok(None) => {}
                        // Some registries answer so for a repository that is not there, and there
                        // may be another name to try.
                        Err(error) if matches!(error.status(), Some(401 | 403)) => {
                            refused.get_or_insert(error);
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
                match (refused, repos.first()) {
                    (Some(error), _) => Err(error.into()),
                    (None, Some(repo)) => Err(TransferError::ImageAbsent {
                        registry: Some(repo.registry.clone()),
                        similar: match at {
                            ManifestRef::Tag(tag) => registry.client.similar_tags(repo, tag).await,
                            ManifestRef::Digest(_) => Vec::new(),
                        },
                    }),
                    (None, None) => Err(absent()),
                }
            }
            (Self::Layouts(layouts), Locate::Layout(at)) => {
                let layout = layouts.get(*at).ok_or_else(absent)?.path.clone();
                let manifest =
                    bridge::run(move || DirLayout::open(&layout)?.top_manifest()).await?;
                Ok((manifest, Location::Layout(*at)))
            }
            (_, Locate::Stored { digest, len, .. }) => {
                let descriptor = Descriptor::new(MediaType::new(""), digest.clone(), 0);
                let manifest = self.manifest(&Location::Pool, &descriptor).await?;
                let manifest = manifest.ok_or_else(absent)?;
                let actual = manifest.bytes().len() as u64;
                match len.filter(|&len| len != actual) {
                    None => Ok((manifest, Location::Pool)),
                    Some(expected) => Err(TransferError::BlobLength {
                        digest: digest.clone(),
                        claim: SizeClaim::LayoutIndex,
                        expected,
                        actual,
                    }),
                }
            }
            _ => Err(absent()),
        }
    }

    /// Reads the manifest that `descriptor` names; `None` when the source lacks it.
    pub async fn manifest(
        &self,
        location: &Location,
        descriptor: &Descriptor,
    ) -> Result<Option<Manifest>, TransferError> {
        let digest = descriptor.digest.clone();
        match (self, location) {
            (Self::Registry(registry), Location::Repo(repo)) => {
                if let Some(manifest) = registry.known(&digest).await {
                    return Ok(Some(manifest));
                }
                let at = ManifestRef::Digest(digest);
                Ok(registry.client.fetch_manifest(repo, &at).await?)
            }
            (Self::Store(store), _) => {
                let store = store.clone();
                Ok(bridge::run(move || store.read_manifest(&digest)).await?)
            }
            (Self::Bundle(bundle), _) => {
                let bundle = Arc::clone(bundle);
                Ok(bridge::run(move || bundle.read_manifest(&digest)).await?)
            }
            (Self::BundleStream(bundle), _) => Ok(bundle.manifests.get(&digest).cloned()),
            (Self::Collection(collection), _) => {
                let collection = Arc::clone(collection);
                Ok(bridge::run(move || collection.read_manifest(&digest)).await?)
            }
            (Self::Layouts(layouts), Location::Layout(at)) => {
                let Some(found) = layouts.get(*at) else {
                    return Ok(None);
                };
                let path = found.path.clone();
                Ok(bridge::run(move || DirLayout::open(&path)?.read_manifest(&digest)).await?)
            }
            _ => Ok(None),
        }
    }

    /// The length of a config or layer, as far as that is known without reading it; what a delta
    /// leaves to its target counts. Blocks.
    pub(super) fn blob_len(
        &self,
        location: &Location,
        digest: &Digest,
    ) -> Result<Option<u64>, TransferError> {
        if let Some(document) = self.document() {
            return Ok(document.blob_len(digest));
        }
        match (self, location) {
            (Self::Store(store), _) => Ok(store.blob_len(digest)?),
            (Self::Collection(collection), _) => Ok(collection.blob_len(digest)?),
            (Self::Layouts(layouts), Location::Layout(at)) => match layouts.get(*at) {
                Some(found) => {
                    let blob = DirLayout::open(&found.path)?.open_blob(digest)?;
                    Ok(blob.map(|range| range.len))
                }
                None => Ok(None),
            },
            _ => Ok(None),
        }
    }

    /// Opens a blob once; a stream of it may fail midway and is then to be opened anew.
    pub async fn open_blob(
        &self,
        location: &Location,
        descriptor: &Descriptor,
    ) -> Result<BlobContent, TransferError> {
        self.open_blob_from(location, descriptor, 0).await
    }

    /// Opens a blob from the byte `from` on.
    pub async fn open_blob_from(
        &self,
        location: &Location,
        descriptor: &Descriptor,
        from: u64,
    ) -> Result<BlobContent, TransferError> {
        let digest = descriptor.digest.clone();
        let range = match (self, location) {
            (Self::Registry(registry), Location::Repo(repo)) if descriptor.is_foreign() => {
                let client = &registry.client;
                let stream = client.fetch_foreign_layer(repo, descriptor, from).await?;
                let stream = stream.map(|item| item.map_err(TransferError::from));
                return Ok(BlobContent::Stream(Box::pin(stream)));
            }
            (Self::Registry(registry), Location::Repo(repo)) => {
                let stream = registry.client.fetch_blob(repo, descriptor, from).await?;
                let stream = stream.map(|item| item.map_err(TransferError::from));
                return Ok(BlobContent::Stream(Box::pin(stream)));
            }
            (Self::Store(store), _) => {
                let store = store.clone();
                bridge::run(move || store.open_blob(&digest)).await?
            }
            (Self::Bundle(bundle), _) => match bundle.open_blob(&digest) {
                Some(parts) if parts.len() > 1 => return open_parts(parts, descriptor, from),
                ranges => ranges.and_then(|ranges| ranges.into_iter().next()),
            },
            (Self::Collection(collection), _) => {
                let collection = Arc::clone(collection);
                bridge::run(move || collection.open_blob(&digest)).await?
            }
            (Self::Layouts(layouts), Location::Layout(at)) => match layouts.get(*at) {
                Some(found) => {
                    let path = found.path.clone();
                    bridge::run(move || DirLayout::open(&path)?.open_blob(&digest)).await?
                }
                None => None,
            },
            _ => None,
        };
        let absent = || TransferError::BlobAbsent {
            digest: descriptor.digest.clone(),
        };
        let mut range = range.ok_or_else(absent)?;
        if range.len == descriptor.size && from <= range.len {
            range.offset += from;
            range.len -= from;
            return Ok(BlobContent::File(range));
        }
        Err(TransferError::BlobLength {
            digest: descriptor.digest.clone(),
            claim: SizeClaim::SomeManifest,
            expected: descriptor.size,
            actual: range.len,
        })
    }

    /// Finds out whether a blob could be sent, without reading it: whether it is there, in its
    /// length, and was not damaged after it was verified. What can be read only once is believed.
    pub async fn check_blob(&self, blob: &PlannedBlob) -> Result<(), TransferError> {
        let is_read_once = match self {
            Self::Registry(_) | Self::BundleStream(_) => true,
            Self::Collection(collection) => collection.is_sequential(),
            Self::Store(_) | Self::Bundle(_) | Self::Layouts(_) => false,
        };
        if is_read_once {
            return Ok(());
        }
        let digest = blob.descriptor.digest.clone();
        let mut last = TransferError::BlobAbsent {
            digest: digest.clone(),
        };
        let holder = self.holder();
        for location in &blob.from {
            match self.open_blob(location, &blob.descriptor).await {
                Ok(BlobContent::File(range)) => {
                    return bridge::run(move || match store::examine(&digest, &range)? {
                        Soundness::Sound => Ok(()),
                        Soundness::Damaged { actual } => Err(TransferError::DamagedSource {
                            paths: vec![range.path],
                            holder,
                            digest,
                            actual,
                        }),
                    })
                    .await;
                }
                Ok(BlobContent::Stream(_)) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Blames a local source, and the files that it has a blob in, for bytes that do not have the
    /// blob's digest, in whatever words `error` says so; any other error stays as it is.
    pub fn blame(
        &self,
        location: &Location,
        digest: &Digest,
        error: TransferError,
    ) -> TransferError {
        let actual = match &error {
            TransferError::Store(StoreError::DigestMismatch { actual, .. })
            | TransferError::Layout(LayoutError::DigestMismatch { actual, .. })
            | TransferError::DigestMismatch { actual, .. } => Some(actual),
            TransferError::Registry(error) => error.damaged_upload(),
            _ => None,
        };
        match actual {
            Some(actual) if !self.is_remote() => TransferError::DamagedSource {
                paths: self.files_of(location, digest),
                holder: self.holder(),
                digest: digest.clone(),
                actual: actual.clone(),
            },
            _ => error,
        }
    }

    /// What kind of thing has its blobs, and so what to do about one that is damaged.
    pub(super) fn holder(&self) -> BlobHolder {
        match self {
            Self::Store(_) => BlobHolder::Store,
            Self::Bundle(_) | Self::BundleStream(_) => BlobHolder::Bundle,
            Self::Registry(_) | Self::Collection(_) | Self::Layouts(_) => BlobHolder::Other,
        }
    }

    /// The files that have a blob.
    fn files_of(&self, location: &Location, digest: &Digest) -> Vec<PathBuf> {
        if let Some(path) = self.blob_file(location, digest) {
            return vec![path];
        }
        match self {
            Self::Bundle(bundle) => {
                let parts = bundle.open_blob(digest).unwrap_or_default();
                let mut paths: Vec<PathBuf> = parts.into_iter().map(|part| part.path).collect();
                paths.dedup();
                paths
            }
            Self::BundleStream(bundle) => vec![bundle.path.clone()],
            Self::Collection(collection) => vec![collection.path().to_owned()],
            Self::Registry(_) | Self::Store(_) | Self::Layouts(_) => Vec::new(),
        }
    }

    /// The path of a blob that stands alone in a file of its own, so that it can be linked.
    pub fn blob_file(&self, location: &Location, digest: &Digest) -> Option<PathBuf> {
        match (self, location) {
            (Self::Store(store), _) => Some(store.blob_path(digest)),
            (Self::Collection(collection), _) => collection.blob_file(digest),
            (Self::Layouts(layouts), Location::Layout(at)) => {
                // Opened for the sake of its name: who asks has it verified by opening it.
                let layout = DirLayout::open(&layouts.get(*at)?.path).ok()?;
                layout.open_blob(digest).ok()?.map(|range| range.path)
            }
            _ => None,
        }
    }
}

/// Opens a blob that is in several files from the byte `from` on.
fn open_parts(
    mut parts: Vec<FileRange>,
    descriptor: &Descriptor,
    from: u64,
) -> Result<BlobContent, TransferError> {
    let len = sum_len(parts.iter().map(|part| part.len));
    if len != descriptor.size || from > len {
        return Err(TransferError::BlobLength {
            digest: descriptor.digest.clone(),
            claim: SizeClaim::SomeManifest,
            expected: descriptor.size,
            actual: len,
        });
    }
    let mut left = from;
    for part in &mut parts {
        let skipped = left.min(part.len);
        part.offset += skipped;
        part.len -= skipped;
        left -= skipped;
    }
    // Of each file, for an error.
    let digest = descriptor.digest.clone();
    let stream = bridge::stream_files(parts).map(move |item| {
        item.map_err(|source| TransferError::StreamRead {
            digest: digest.clone(),
            source,
        })
    });
    Ok(BlobContent::Stream(Box::pin(stream)))
}
