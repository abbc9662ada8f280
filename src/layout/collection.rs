//! Images as another tool has put them together: an OCI layout, in a directory or an archive; what
//! `docker save` writes; an archive of a registry's storage.
//!
//! Plain archives are read in place, blob by blob in any order; compressed ones twice from front
//! to back, with their manifests held in memory in between. Nothing is staged on a disk.

mod docker;
mod error;
mod gather;
mod index;
mod name;
mod open;
mod packed;
mod role;
mod sequential;
mod tree;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use error::CollectionError;
pub use name::{NamedImage, has_archive_name};

use hod_fsx::{File, FileRange};
use hod_oci::{Digest, MANIFEST_LEN_MAX, Manifest, MediaType, RepositoryName, Tag};

/// Images that another tool has put together, found and named.
#[derive(Debug)]
pub struct Collection {
    path: PathBuf,
    kind: CollectionKind,
    images: Vec<NamedImage>,
    unreadable: Vec<UnreadableImage>,
    entries: Vec<CollectionEntry>,
    /// The directory of a layout that has `sha256` and its blobs: usually its own `blobs`.
    blobs_dir: PathBuf,
    /// The media type that each image's manifest was declared with.
    declared: HashMap<Digest, MediaType>,
    /// Manifests in memory: those that were made here, or all.
    held: BTreeMap<Digest, Manifest>,
    /// Manifests of a compressed archive whose bytes do not have the digest in their names.
    corrupt: BTreeSet<Digest>,
    blobs: Blobs,
    notes: Vec<String>,
}

/// An image that is listed and cannot be read; the others of its collection can.
#[derive(Debug)]
pub struct UnreadableImage {
    /// As it is listed.
    pub name: String,
    pub repository: RepositoryName,
    pub tag: Option<Tag>,
    pub error: Arc<CollectionError>,
}

/// An image as the file itself lists it: names are not interpreted, and nothing is joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionEntry {
    /// The annotation `org.opencontainers.image.ref.name`, or the tags in `manifest.json`.
    pub names: Vec<String>,
    /// The digest of its manifest; `None` if it cannot be read.
    pub digest: Option<Digest>,
}

/// The tool that wrote it, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollectionKind {
    OciLayout,
    OciArchive,
    DockerArchive,
    TreeArchive,
}

/// Where the blobs are.
#[derive(Debug)]
enum Blobs {
    /// Files of the layout.
    Directory,
    /// Members of plain archives.
    InPlace {
        volumes: Vec<Volume>,
        places: HashMap<Digest, MemberRange>,
    },
    /// Members of archives of which at least one is compressed.
    Sequential {
        volumes: Vec<PathBuf>,
        places: HashMap<Digest, MemberRange>,
    },
}

#[derive(Debug)]
struct Volume {
    file: Arc<File>,
    path: PathBuf,
}

/// Where a member's content is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct MemberRange {
    /// Which of several archives.
    volume: usize,
    /// In the tar, decompressed.
    offset: u64,
    len: u64,
    /// For messages.
    member: Box<str>,
}

/// An image, as an index lists it.
#[derive(Debug)]
struct TopManifest {
    image: NamedImage,
    media_type: Option<MediaType>,
    /// Whether the image itself is named.
    is_named: bool,
}

impl TopManifest {
    fn named(image: NamedImage) -> Self {
        Self {
            image,
            media_type: None,
            is_named: true,
        }
    }
}

impl Collection {
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn kind(&self) -> CollectionKind {
        self.kind
    }

    /// All images, in the order in which they are listed there.
    pub fn images(&self) -> &[NamedImage] {
        &self.images
    }

    /// What `index.json` of a layout or `manifest.json` of `docker save` lists, in its order.
    pub fn entries(&self) -> &[CollectionEntry] {
        &self.entries
    }

    /// Those that cannot be read, and why.
    pub fn unreadable(&self) -> &[UnreadableImage] {
        &self.unreadable
    }

    /// Notes for the user, one per line.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether it can be read only from front to back.
    pub fn is_sequential(&self) -> bool {
        matches!(self.blobs, Blobs::Sequential { .. })
    }

    /// Reads and verifies a manifest; `None` when it is not found.
    pub fn read_manifest(&self, digest: &Digest) -> Result<Option<Manifest>, CollectionError> {
        if let Some(manifest) = self.held.get(digest) {
            return Ok(Some(manifest.clone()));
        }
        if self.corrupt.contains(digest) {
            return Err(CollectionError::Corrupt {
                path: self.path.clone(),
                member: self.member_of(digest),
                digest: digest.clone(),
            });
        }
        let Some(range) = self.open_blob(digest)? else {
            return Ok(None);
        };
        let (path, member) = (self.path.clone(), self.member_of(digest));
        if range.len > MANIFEST_LEN_MAX {
            let source = hod_oci::ManifestError::TooLong { len: range.len };
            return Err(CollectionError::Manifest {
                path,
                member,
                source,
            });
        }
        let len = usize::try_from(range.len).expect("a few MiB are addressable");
        let bytes = hod_fsx::read_range(&range.file, &range.path, range.offset, len)?;
        if !digest.matches(&bytes) {
            let digest = digest.clone();
            return Err(CollectionError::Corrupt {
                path,
                member,
                digest,
            });
        }
        let declared = self.declared.get(digest);
        let manifest = Manifest::parse_as(bytes.into(), digest.clone(), declared);
        manifest
            .map(Some)
            .map_err(|source| CollectionError::Manifest {
                path,
                member,
                source,
            })
    }

    /// The range of a blob; its bytes are not verified. `None` when it is not found, or was not
    /// reached yet.
    pub fn open_blob(&self, digest: &Digest) -> Result<Option<FileRange>, CollectionError> {
        match &self.blobs {
            Blobs::Directory => {
                let path = self.blob_path(digest);
                // Opening a pipe would wait for a writer.
                let Some(stat) = hod_fsx::try_stat(&path)? else {
                    return Ok(None);
                };
                if !stat.is_file {
                    return Err(CollectionError::NotAFile { path });
                }
                let file = hod_fsx::try_open(&path)?;
                Ok(file.map(|file| FileRange {
                    file: Arc::new(file),
                    path,
                    offset: 0,
                    len: stat.len,
                }))
            }
            Blobs::InPlace { volumes, places } => Ok(places.get(digest).map(|place| {
                let volume = &volumes[place.volume];
                FileRange {
                    file: Arc::clone(&volume.file),
                    path: volume.path.clone(),
                    offset: place.offset,
                    len: place.len,
                }
            })),
            Blobs::Sequential { .. } => Ok(None),
        }
    }

    /// The length of a blob in bytes; `None` when it is not found.
    pub fn blob_len(&self, digest: &Digest) -> Result<Option<u64>, CollectionError> {
        match &self.blobs {
            Blobs::Directory => {
                let stat = hod_fsx::try_stat(&self.blob_path(digest))?;
                Ok(stat.filter(|stat| stat.is_file).map(|stat| stat.len))
            }
            Blobs::InPlace { places, .. } | Blobs::Sequential { places, .. } => {
                Ok(places.get(digest).map(|place| place.len))
            }
        }
    }

    /// The file that is the blob and nothing else, if there is one.
    pub fn blob_file(&self, digest: &Digest) -> Option<PathBuf> {
        matches!(self.blobs, Blobs::Directory).then(|| self.blob_path(digest))
    }

    /// The member that contains the blob, for messages.
    pub fn member_of(&self, digest: &Digest) -> String {
        match &self.blobs {
            Blobs::InPlace { places, .. } | Blobs::Sequential { places, .. } => {
                let place = places.get(digest);
                place.map_or_else(|| digest.to_string(), |place| place.member.to_string())
            }
            Blobs::Directory => format!("blobs/{}/{}", digest.algorithm().as_str(), digest.hex()),
        }
    }

    /// Whether a manifest is present.
    fn has(&self, digest: &Digest) -> bool {
        match &self.blobs {
            Blobs::InPlace { places, .. } | Blobs::Sequential { places, .. } => {
                places.contains_key(digest)
            }
            Blobs::Directory => self.held.contains_key(digest),
        }
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        let algorithm = digest.algorithm().as_str();
        self.blobs_dir.join(algorithm).join(digest.hex())
    }
}
