//! The description of a bundle, as types; as bytes: see [`crate::format::json`].

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::sign::KeyId;
use hod_oci::{Digest, MediaType, Platform, ReferrerTag, RepositoryName, Tag};
use hod_tarball::EntryPath;

/// Maximum number of volumes.
pub(crate) const N_VOLUMES_MAX: u32 = 9999;

/// An image in a bundle.
///
/// A referrer, for example a signature, is listed as a separate image, under the tag that finds it:
/// the tag of cosign, or of an index of manifests with a `subject` ([`ReferrerTag`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleImage {
    pub repository: RepositoryName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
    /// Of the top manifest: an image's or an index.
    pub digest: Digest,
    /// Of the top manifest.
    pub media_type: MediaType,
    /// Every manifest of the image that is carried, children first, the top last.
    pub manifests: Vec<Digest>,
    /// The known platforms; informational.
    #[serde(default)]
    pub platforms: Vec<Platform>,
    /// Every config and layer of the image, each once; those that the bundle does not contain are
    /// in the base.
    pub blobs: Vec<Digest>,
}

/// A blob that a bundle carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleBlob {
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Whether an image has it as a manifest, not as a config or layer.
    pub is_manifest: bool,
    pub place: Placement,
}

/// The volumes that contain a blob, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// In every volume, at the same offset. Manifests are.
    Everywhere,
    Volume(u32),
    /// In consecutive volumes: a blob that is larger than a volume.
    Parts(Vec<Part>),
}

/// A piece of a blob that is larger than a volume; all pieces joined are the blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub volume: u32,
    /// Its length in bytes.
    pub size: u64,
    pub digest: Digest,
}

/// A config or layer that images need and that the bundle does not carry: the target must have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseBlob {
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Where the blob was when the bundle was packed, in the order of the origins.
    pub held: Vec<Held>,
}

/// A place that had a blob of the base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// A position in [`BundleManifest::origins`].
    pub origin: usize,
    /// As the origin names them, sorted.
    pub repositories: Vec<RepositoryName>,
}

/// A bundle, store or registry that had blobs of the base when the bundle was packed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseOrigin {
    pub kind: OriginKind,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Of a bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Digest>,
}

impl BaseOrigin {
    /// The origin that represents a bundle.
    pub fn of(document: &BundleManifest) -> Self {
        Self {
            kind: OriginKind::Bundle,
            name: document.name.clone(),
            version: document.version.clone(),
            id: Some(document.id.clone()),
        }
    }

    /// The name, and the version where there is one.
    pub fn title(&self) -> String {
        match &self.version {
            Some(version) => format!("{} {version}", self.name),
            None => self.name.clone(),
        }
    }
}

/// The kind of a [`BaseOrigin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OriginKind {
    Bundle,
    Store,
    Registry,
}

/// A file other than a blob, as the bundle lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleFileEntry {
    pub path: EntryPath,
    /// Its length in bytes.
    pub size: u64,
    pub digest: Digest,
    pub executable: bool,
    /// The volume it is in, counted from 1; `None` for one that is in every volume.
    pub volume: Option<u32>,
}

/// The description of a bundle: `hod/bundle.json`.
#[derive(Debug, Clone)]
pub struct BundleManifest {
    /// The digest of `hod/bundle.json` with zeros in place of this digest: it names every byte of
    /// the bundle.
    pub id: Digest,
    pub name: String,
    pub version: Option<String>,
    /// The version of hod that wrote it.
    pub tool_version: String,
    /// The time of every member, in seconds since 1970.
    pub created: u64,
    /// The number of volumes.
    pub n_volumes: u32,
    /// The key that signed the bundle; only a claim until the signature is verified.
    pub signed_by: Option<KeyId>,
    /// Sorted by repository, tag and digest.
    pub images: Vec<BundleImage>,
    /// Manifests first, then the others, each sorted by digest.
    pub blobs: Vec<BundleBlob>,
    /// Sorted by path.
    pub files: Vec<BundleFileEntry>,
    /// What had the blobs of the base, in the order in which they were named.
    pub origins: Vec<BaseOrigin>,
    /// Blobs that the target must have already, sorted by digest.
    pub base: Vec<BaseBlob>,
}

impl BundleManifest {
    /// Returns the number of images, without referrers of other images, which are recognised by
    /// their tags.
    pub fn n_images(&self) -> usize {
        let members: HashSet<(&RepositoryName, &Digest)> = self
            .images
            .iter()
            .flat_map(|image| {
                image
                    .manifests
                    .iter()
                    .map(|digest| (&image.repository, digest))
            })
            .collect();
        let is_referrer = |image: &&BundleImage| {
            let subject = image.tag.as_ref().and_then(ReferrerTag::parse);
            let subject = subject.and_then(|form| form.subject());
            subject.is_some_and(|subject| members.contains(&(&image.repository, &subject)))
        };
        self.images.len() - self.images.iter().filter(is_referrer).count()
    }

    /// Returns whether any volume contains a config or layer.
    pub fn has_blob(&self, digest: &Digest) -> bool {
        self.blob(digest, false).is_some()
    }

    /// Returns the length of a config or layer in bytes, in the bundle or in its base.
    pub fn blob_len(&self, digest: &Digest) -> Option<u64> {
        // A layer may be named as one and be another image's manifest.
        let carried = self.blob(digest, false).or_else(|| self.blob(digest, true));
        carried.map(|blob| blob.size).or_else(|| {
            let base = self.base.binary_search_by(|blob| blob.digest.cmp(digest));
            base.ok().map(|at| self.base[at].size)
        })
    }

    fn blob(&self, digest: &Digest, is_manifest: bool) -> Option<&BundleBlob> {
        let order =
            |blob: &BundleBlob| (!blob.is_manifest, &blob.digest).cmp(&(!is_manifest, digest));
        self.blobs
            .binary_search_by(order)
            .ok()
            .map(|at| &self.blobs[at])
    }
}

impl BundleBlob {
    /// Returns the volumes that contain the blob or a part of it; empty if all do.
    pub fn volumes(&self) -> Vec<u32> {
        match &self.place {
            Placement::Everywhere => Vec::new(),
            Placement::Volume(volume) => vec![*volume],
            Placement::Parts(parts) => parts.iter().map(|part| part.volume).collect(),
        }
    }

    /// Returns its parts; none if it is whole.
    pub fn parts(&self) -> &[Part] {
        match &self.place {
            Placement::Parts(parts) => parts,
            Placement::Everywhere | Placement::Volume(_) => &[],
        }
    }
}

impl BundleImage {
    /// Returns `repository:tag`, or `repository@digest` without a tag.
    pub fn name(&self) -> String {
        match &self.tag {
            Some(tag) => format!("{}:{tag}", self.repository),
            None => format!("{}@{}", self.repository, self.digest),
        }
    }
}
