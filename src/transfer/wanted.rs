//! A requested image: how it is found in its source, and its destination.

use std::sync::Arc;

use super::{ReferrerMode, TransferError};
use hod_oci::{Digest, ForeignLayers, PlatformChoice, RepositoryName, Tag};
use hod_registry::{ManifestRef, Repo};

/// How to find an image's top manifest in a source.
#[derive(Debug, Clone)]
pub enum Locate {
    /// In one of these repositories, tried in order, under this tag or digest.
    Remote { repos: Vec<Repo>, at: ManifestRef },
    /// By its digest in a store or bundle, which has it in this repository.
    Stored {
        repository: RepositoryName,
        digest: Digest,
        /// Its size in the index of an OCI layout.
        len: Option<u64>,
    },
    /// By its place among the layouts of a directory of layouts.
    Layout(usize),
    /// Nowhere: the content under its name cannot be read.
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

/// The location of an image's blobs in its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    Repo(Repo),
    /// Anywhere: the source is one pool of blobs.
    Pool,
    Layout(usize),
}

/// The destination of an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Destination {
    pub repository: RepositoryName,
    /// `None` for an image that is carried by its digest alone.
    pub tag: Option<Tag>,
}

impl Destination {
    /// The reference of the image there; its digest is `top`.
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

/// How to treat an index if only some of its platforms are carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexMode {
    /// One platform: its manifest takes the index's place. Several: as [`IndexMode::Rewrite`].
    Fitting,
    /// The index is rewritten with only the carried children, and has a new digest.
    Rewrite,
    /// The index keeps its bytes and names children that are not carried.
    Keep,
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
    /// The expected digest of the index that replaces the pinned one.
    pub rewritten: Option<Digest>,
    /// Whether its referrers are carried with it.
    pub referrers: ReferrerMode,
    /// Whether foreign layers are carried: fetched from a registry, or read from a local source if
    /// it has them.
    pub foreign_layers: ForeignLayers,
    pub destination: Destination,
}
