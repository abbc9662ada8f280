//! A bundle that is laid out: where every byte of it lies.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::copy;
use super::file::FileContent;
use crate::error::BundleError;
use crate::format::json::{self, HeadDigests};
use crate::format::volume::{Content, HeadLens, Member, Volume};
use crate::format::volume_name::volume_path;
use crate::format::{BundleManifest, Placement};
use crate::sign::{SIGNATURE_LEN, Signer};
use hod_oci::{Digest, sum_len};

/// Maximum number of rounds until the lengths of the json files, which depend on each other (mostly
/// by digits of offsets), are stable.
pub(crate) const ROUNDS_MAX: usize = 64;
/// Number of rounds in which they may also become smaller.
const ROUNDS_FREE: usize = 8;

/// A bundle whose layout and metadata are complete; only the blobs are missing. See
/// [`super::PackPlan::lay_out`].
#[derive(Debug)]
pub struct Planned {
    pub(crate) manifest: BundleManifest,
    pub(crate) volumes: Vec<Volume>,
    /// Of each volume.
    pub(crate) volume_jsons: Vec<Vec<u8>>,
    pub(crate) bundle_json: Vec<u8>,
    /// Empty until it is signed: see [`Planned::sign`].
    pub(crate) signature: Vec<u8>,
    /// In the order of the manifest's files.
    pub(crate) files: Vec<FileContent>,
    /// The bytes of the manifests: see [`Planned::with_manifests`].
    pub(crate) manifests: HashMap<Digest, Bytes>,
    /// Whether its files are named as volumes, even if there is only one.
    pub(crate) is_divided: bool,
    pub(crate) signer: Option<Signer>,
}

/// A file that will be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFile {
    /// The index of its volume, from 0.
    pub at: usize,
    pub path: PathBuf,
    /// In bytes, before compression.
    pub len: u64,
}

impl Planned {
    /// Adds the bytes of the manifests. All of them are required before it is written.
    #[must_use]
    pub fn with_manifests(mut self, manifests: impl IntoIterator<Item = (Digest, Bytes)>) -> Self {
        self.manifests.extend(manifests);
        self
    }

    /// Fails if the bytes of a manifest are missing or do not match its digest.
    pub(crate) fn require_manifests(&self) -> Result<(), BundleError> {
        for blob in self.manifest.blobs.iter().filter(|blob| blob.is_manifest) {
            let digest = blob.digest.clone();
            let bytes = self.manifests.get(&digest).map_or(&[][..], Bytes::as_ref);
            copy::check_len(&digest, blob.size, bytes.len() as u64)?;
            if !digest.matches(bytes) {
                let actual = Digest::of(bytes);
                return Err(BundleError::BlobDamaged { digest, actual });
            }
        }
        Ok(())
    }

    /// Returns the length of all manifests in bytes.
    pub(crate) fn manifests_len(&self) -> u64 {
        let manifests = self.manifest.blobs.iter().filter(|blob| blob.is_manifest);
        sum_len(manifests.map(|blob| blob.size))
    }

    /// Returns the length of each volume in bytes, before compression.
    pub fn lens(&self) -> Vec<u64> {
        self.volumes.iter().map(Volume::len).collect()
    }

    /// Returns the files that are written for `output`; only one of them if `only_volume` is given.
    pub fn files(
        &self,
        output: &Path,
        only_volume: Option<u32>,
    ) -> Result<Vec<PlannedFile>, BundleError> {
        let n_volumes = self.manifest.n_volumes;
        if let Some(index) = only_volume
            && (!self.is_divided || !(1..=n_volumes).contains(&index))
        {
            return Err(BundleError::NoSuchVolume { index, n_volumes });
        }
        let volumes = self.volumes.iter().enumerate();
        let wanted = volumes.filter(|(_, v)| only_volume.is_none_or(|only| only == v.index()));
        let file = |(at, volume): (usize, &Volume)| PlannedFile {
            at,
            path: if self.is_divided {
                volume_path(output, volume.index(), n_volumes)
            } else {
                output.to_owned()
            },
            len: volume.len(),
        };
        Ok(wanted.map(file).collect())
    }

    /// Fails if the bundle has volumes, which cannot be written to a pipe: the head of a volume
    /// contains the digests of parts, which are only known after reading.
    pub fn require_one_stream(&self) -> Result<(), BundleError> {
        if self.is_divided {
            return Err(BundleError::StreamedVolumes);
        }
        Ok(())
    }

    /// Returns the description of the bundle. If blobs are in parts, their digests and the id are not
    /// known yet.
    pub fn manifest(&self) -> &BundleManifest {
        &self.manifest
    }

    /// Computes every offset of a bundle that is divided into volumes already.
    pub(crate) fn new(
        mut manifest: BundleManifest,
        files: Vec<FileContent>,
    ) -> Result<Self, BundleError> {
        // The offsets in the json files depend on how long these are, and these on the offsets.
        let mut lens = HeadLens::default();
        for round in 0..ROUNDS_MAX {
            let volumes: Vec<Volume> = (1..=manifest.n_volumes)
                .map(|index| Volume::new(&manifest, index, lens))
                .collect::<Result<_, _>>()?;
            // A longer file may make an offset smaller, where the padding before a blob cannot have
            // just any length. Then they would change each other for ever, and may only grow.
            let len_min = if round < ROUNDS_FREE {
                HeadLens::default()
            } else {
                lens
            };
            let (id, bundle_json) = json::render_bundle(&manifest, &volumes, len_min.bundle_json)?;
            manifest.id = id;
            let known = HeadDigests::unsigned(&bundle_json);
            let volume_jsons = render_volumes(&manifest, &volumes, &known, len_min.volume_json)?;
            let now = HeadLens {
                volume_json: volume_jsons[0].len() as u64,
                bundle_json: bundle_json.len() as u64,
                signature: manifest.signed_by.map_or(0, |_| SIGNATURE_LEN),
            };
            if now == lens {
                return Ok(Self {
                    manifest,
                    volumes,
                    volume_jsons,
                    bundle_json,
                    signature: Vec::new(),
                    files,
                    manifests: HashMap::new(),
                    is_divided: false,
                    signer: None,
                });
            }
            lens = now;
        }
        Err(BundleError::TooLarge)
    }

    /// Returns whether a blob is in parts, whose digests must be set before the json files are final.
    pub(crate) fn has_parts(&self) -> bool {
        let mut blobs = self.manifest.blobs.iter();
        blobs.any(|blob| !blob.parts().is_empty())
    }

    /// Makes the json files final. `digest` returns the digest of a part, given the index of its blob
    /// and of the part. Offsets do not change.
    pub(crate) fn set_part_digests(
        &mut self,
        digest: impl Fn(usize, usize) -> Digest,
    ) -> Result<(), BundleError> {
        for (at, blob) in self.manifest.blobs.iter_mut().enumerate() {
            if let Placement::Parts(parts) = &mut blob.place {
                for (number, part) in parts.iter_mut().enumerate() {
                    part.digest = digest(at, number);
                }
            }
        }
        let len = self.bundle_json.len() as u64;
        let (id, bundle_json) = json::render_bundle(&self.manifest, &self.volumes, len)?;
        self.manifest.id = id;
        self.bundle_json = bundle_json;
        self.render_volumes(&HeadDigests::unsigned(&self.bundle_json))
    }

    /// Signs the json file, which must be final, if there is a signer. Offsets do not change. Blocks
    /// if the signer is an external program.
    pub(crate) fn sign(&mut self) -> Result<(), BundleError> {
        let Some(signer) = &self.signer else {
            return Ok(());
        };
        self.signature = signer.sign(&self.bundle_json, &self.manifest.id)?;
        let known = HeadDigests::of(&self.bundle_json, Some(&self.signature));
        self.render_volumes(&known)
    }

    /// Returns the content of a member that is in memory: all but configs, layers and large files.
    pub(crate) fn content<'a>(&'a self, volume: usize, member: &'a Member) -> &'a [u8] {
        match &member.content {
            Content::VolumeJson => &self.volume_jsons[volume],
            Content::BundleJson => &self.bundle_json,
            Content::File(at, _) => match &self.files[*at] {
                FileContent::Bytes(bytes) => bytes,
                FileContent::Range(..) | FileContent::Path { .. } => &[],
            },
            Content::Link(digest) => digest.as_str().as_bytes(),
            Content::Signature => &self.signature,
            Content::Blob(at) => {
                let manifest = self.manifests.get(&self.manifest.blobs[*at].digest);
                manifest.map_or(&[], |bytes| bytes.as_ref())
            }
            Content::Part(..) | Content::Dir => &[],
        }
    }

    /// Returns the file that a member is read from, unless it is in memory or a blob.
    pub(crate) fn file_to_read(&self, member: &Member) -> Option<&FileContent> {
        match member.content {
            Content::File(at, _) => match &self.files[at] {
                FileContent::Bytes(_) => None,
                file @ (FileContent::Range(..) | FileContent::Path { .. }) => Some(file),
            },
            _ => None,
        }
    }

    fn render_volumes(&mut self, known: &HeadDigests) -> Result<(), BundleError> {
        let len = self.volume_jsons[0].len() as u64;
        self.volume_jsons = render_volumes(&self.manifest, &self.volumes, known, len)?;
        Ok(())
    }
}

/// Renders `hod/volume.json` of every volume, all with the same length.
fn render_volumes(
    manifest: &BundleManifest,
    volumes: &[Volume],
    known: &HeadDigests,
    len_min: u64,
) -> Result<Vec<Vec<u8>>, BundleError> {
    let volumes = volumes.iter();
    let mut jsons: Vec<Vec<u8>> = volumes
        .map(|volume| json::render_volume(manifest, volume, known, len_min))
        .collect::<Result<_, _>>()?;
    let longest = jsons.iter().map(Vec::len).max().unwrap_or_default();
    for bytes in &mut jsons {
        json::pad(bytes, longest as u64);
    }
    Ok(jsons)
}
