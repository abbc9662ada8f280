//! `hod/bundle.json` and `hod/volume.json` as bytes.
//!
//! Both are compact JSON in UTF-8 with the fields in the order below, so that equal content is equal
//! bytes. Blanks may follow, to make up a length: with them the lengths that offsets depend on come
//! to rest, and `hod/volume.json` is as long in all volumes. A digest is `sha256:` or `sha512:` and
//! lowercase hex; numbers are integers without a sign; `?` marks what may be absent. Fields that are
//! not known are passed over; a format or an encoding that is not known is refused by name.
//!
//! `hod/bundle.json`, the same bytes in all volumes:
//!
//! ```text
//! format      1
//! id          digest of this file with 64 zeros in place of the hex of this very digest, blanks at
//!             the end included; the file starts with `{"format":1,"id":"sha256:` and that hex
//! name        text
//! version     text or null
//! tool        text: the version of hod that wrote it
//! created     the mtime of every member, in seconds since 1970
//! volumes     how many there are, 1 to 9999
//! signed_by?  the id of the key that signed it, 16 hex digits
//! images      sorted by repository, tag (none first) and digest
//!   repository  where the image goes, as in `library/redis`
//!   tag?        absent for an image that goes by its digest alone
//!   digest      of its top manifest
//!   media_type  of its top manifest
//!   manifests   digests of all its manifests that are carried: children first, `digest` last
//!   platforms   for people: { os, architecture, variant?, os.version? }
//!   blobs       digests of its configs and layers, each once: in `blobs` or in `base`
//! blobs       those with `manifest` first, each half sorted by digest
//!   digest
//!   size        in bytes
//!   encoding    "raw"
//!   manifest    whether it is an image's manifest
//!   volume?     where it is, from 1 on; absent for manifests, which are in all, and with `parts`
//!   offset?     of its content in that volume, or in each; absent with `parts`
//!   parts?      two or more, joined they are the blob: { volume, offset, size, digest }
//! files       sorted by path
//!   path, size, digest
//!   executable  false or true
//!   volume?     absent for a file that is in all
//!   offset      of its content
//! origins?    who was known to have blobs, in the order in which they were named
//!   kind        "bundle", "store" or "registry"
//!   name        text: of a bundle its name, of a registry its host, of a store its path
//!   version?    text
//!   id?         of a bundle
//! base        what is not carried and must be there, sorted by digest
//!   digest, size
//!   held        [{ origin, repositories }]: a position in `origins`, and names of repositories there
//! ```
//!
//! Every blob belongs to an image. A digest is listed once, in `blobs` or in `base`.
//!
//! `hod/volume.json` allows checking a volume with nothing but a tar and a checksum program; all of
//! it follows from `hod/bundle.json`, except the number of the volume:
//!
//! ```text
//! format      1
//! bundle      the id of the bundle
//! index       which volume it is, from 1 on
//! count       how many there are
//! members     every member but this file, in order
//!   path
//!   offset      of its content
//!   length      of its content
//!   digest?     of its content; absent for directories
//! ```
//!
//! Its own digest is in the comment before its header: see above.

use serde::{Deserialize, Serialize};

use super::manifest::{
    BaseBlob, BaseOrigin, BundleBlob, BundleFileEntry, BundleImage, BundleManifest, N_VOLUMES_MAX,
    Part, Placement,
};
use super::paths::{BUNDLE_PATH, VOLUME_PATH};
use super::volume::{Content, Volume};
use crate::error::{BlobProblem, BundleError, MemberProblem};
use crate::sign::KeyId;
use hod_oci::Digest;

/// The format that is written, and the only one that is read.
const FORMAT: u64 = 1;
/// How blobs are stored.
const ENCODING_RAW: &str = "raw";
/// Maximum length of each json file in bytes.
pub(crate) const JSON_LEN_MAX: u64 = 64 * 1024 * 1024;
/// The first bytes of `hod/bundle.json`, up to the 64 hex characters of the id.
const ID_PREFIX: &[u8] = br#"{"format":1,"id":"sha256:"#;
const ID_HEX_LEN: usize = 64;

#[derive(Serialize, Deserialize)]
struct BundleDoc {
    format: u64,
    id: Digest,
    name: String,
    #[serde(default)]
    version: Option<String>,
    tool: String,
    created: u64,
    volumes: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signed_by: Option<KeyId>,
    images: Vec<BundleImage>,
    blobs: Vec<BlobDoc>,
    files: Vec<FileDoc>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    origins: Vec<BaseOrigin>,
    /// Blobs that the target must have already.
    base: Vec<BaseBlob>,
}

#[derive(Serialize, Deserialize)]
struct BlobDoc {
    digest: Digest,
    size: u64,
    encoding: String,
    manifest: bool,
    /// Absent for a blob that is in every volume, or in parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    volume: Option<u32>,
    /// Absent for a blob in parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parts: Vec<PartDoc>,
}

#[derive(Serialize, Deserialize)]
struct PartDoc {
    volume: u32,
    offset: u64,
    size: u64,
    digest: Digest,
}

#[derive(Serialize, Deserialize)]
struct FileDoc {
    path: String,
    size: u64,
    digest: Digest,
    #[serde(default)]
    executable: bool,
    /// Absent for a file that is in every volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    volume: Option<u32>,
    offset: u64,
}

/// `hod/volume.json`.
#[derive(Serialize, Deserialize)]
struct VolumeDoc {
    format: u64,
    bundle: Digest,
    index: u32,
    count: u32,
    members: Vec<MemberDoc>,
}

#[derive(PartialEq, Serialize, Deserialize)]
struct MemberDoc {
    path: String,
    offset: u64,
    length: u64,
    /// Absent for directories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
}

/// The offset of each blob and file, in the order of the manifest: one offset, or one for each
/// part.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Offsets {
    pub(crate) blobs: Vec<Vec<u64>>,
    pub(crate) files: Vec<u64>,
}

impl Offsets {
    /// Returns the offsets in the layout of all volumes.
    pub(crate) fn of(manifest: &BundleManifest, volumes: &[Volume]) -> Self {
        let n_parts = |blob: &BundleBlob| blob.parts().len().max(1);
        let mut offsets = Self {
            blobs: manifest.blobs.iter().map(|b| vec![0; n_parts(b)]).collect(),
            files: vec![0; manifest.files.len()],
        };
        for member in volumes.iter().flat_map(Volume::members) {
            match member.content {
                Content::Blob(at) => offsets.blobs[at][0] = member.offset,
                Content::Part(at, part) => offsets.blobs[at][part] = member.offset,
                Content::File(at, _) => offsets.files[at] = member.offset,
                _ => {}
            }
        }
        offsets
    }
}

/// Renders `hod/bundle.json`, padded with blanks to `len_min`; returns the id and the bytes.
pub(crate) fn render_bundle(
    manifest: &BundleManifest,
    volumes: &[Volume],
    len_min: u64,
) -> Result<(Digest, Vec<u8>), BundleError> {
    let offsets = Offsets::of(manifest, volumes);
    let blobs = manifest.blobs.iter().zip(&offsets.blobs);
    let files = manifest.files.iter().zip(&offsets.files);
    let doc = BundleDoc {
        format: FORMAT,
        id: zero_id(),
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        tool: manifest.tool_version.clone(),
        created: manifest.created,
        volumes: manifest.n_volumes,
        signed_by: manifest.signed_by,
        images: manifest.images.clone(),
        blobs: blobs.map(|(blob, at)| BlobDoc::of(blob, at)).collect(),
        files: files
            .map(|(file, offset)| FileDoc {
                path: file.path.to_string(),
                size: file.size,
                digest: file.digest.clone(),
                executable: file.executable,
                volume: file.volume,
                offset: *offset,
            })
            .collect(),
        origins: manifest.origins.clone(),
        base: manifest.base.clone(),
    };
    let mut bytes = render(&doc, BUNDLE_PATH)?;
    pad(&mut bytes, len_min);
    let id = Digest::of(&bytes);
    bytes[ID_PREFIX.len()..][..ID_HEX_LEN].copy_from_slice(id.hex().as_bytes());
    Ok((id, bytes))
}

impl BlobDoc {
    fn of(blob: &BundleBlob, offsets: &[u64]) -> Self {
        let (volume, offset) = match blob.place {
            Placement::Everywhere => (None, Some(offsets[0])),
            Placement::Volume(volume) => (Some(volume), Some(offsets[0])),
            Placement::Parts(_) => (None, None),
        };
        let parts = blob.parts().iter().zip(offsets);
        Self {
            digest: blob.digest.clone(),
            size: blob.size,
            encoding: ENCODING_RAW.to_owned(),
            manifest: blob.is_manifest,
            volume,
            offset,
            parts: parts
                .map(|(part, offset)| PartDoc {
                    volume: part.volume,
                    offset: *offset,
                    size: part.size,
                    digest: part.digest.clone(),
                })
                .collect(),
        }
    }

    /// The blob and its offsets as listed.
    fn read(self) -> Result<(BundleBlob, Vec<u64>), BundleError> {
        if self.encoding != ENCODING_RAW {
            let encoding = self.encoding.escape_debug();
            return Err(BundleError::Unsupported {
                what: format!("blob `{}` in the encoding `{encoding}`", self.digest),
            });
        }
        let (place, offsets) = match (self.volume, self.offset, self.parts) {
            (volume, Some(offset), parts) if parts.is_empty() => {
                let place = volume.map_or(Placement::Everywhere, Placement::Volume);
                (place, vec![offset])
            }
            (None, None, parts) if !parts.is_empty() => {
                let offsets = parts.iter().map(|part| part.offset).collect();
                let part = |part: PartDoc| Part {
                    volume: part.volume,
                    size: part.size,
                    digest: part.digest,
                };
                (
                    Placement::Parts(parts.into_iter().map(part).collect()),
                    offsets,
                )
            }
            _ => {
                return Err(BundleError::Blob {
                    digest: self.digest,
                    problem: BlobProblem::NoPlace,
                });
            }
        };
        let blob = BundleBlob {
            digest: self.digest,
            size: self.size,
            is_manifest: self.manifest,
            place,
        };
        Ok((blob, offsets))
    }
}

/// Renders `hod/volume.json` of one volume, padded with blanks to `len_min`.
pub(crate) fn render_volume(
    manifest: &BundleManifest,
    volume: &Volume,
    known: &HeadDigests,
    len_min: u64,
) -> Result<Vec<u8>, BundleError> {
    let doc = VolumeDoc {
        format: FORMAT,
        bundle: manifest.id.clone(),
        index: volume.index(),
        count: manifest.n_volumes,
        members: members(manifest, volume, known),
    };
    let mut bytes = render(&doc, VOLUME_PATH)?;
    pad(&mut bytes, len_min);
    Ok(bytes)
}

/// Adds blanks, which JSON allows at its end.
pub(crate) fn pad(bytes: &mut Vec<u8>, len_min: u64) {
    let len_min = usize::try_from(len_min).expect("a length that was written before");
    bytes.resize(bytes.len().max(len_min), b' ');
}

fn render(doc: &impl Serialize, path: &'static str) -> Result<Vec<u8>, BundleError> {
    let json = |source| BundleError::Json {
        member: path,
        source,
    };
    let bytes = serde_json::to_vec(doc).map_err(json)?;
    if bytes.len() as u64 > JSON_LEN_MAX {
        return Err(BundleError::TooLarge);
    }
    Ok(bytes)
}

/// The digests of the first members, which are not listed elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct HeadDigests {
    /// Of `hod/bundle.json`.
    pub(crate) bundle_json: Digest,
    /// Of `hod/bundle.json.minisig`.
    pub(crate) signature: Option<Digest>,
}

impl HeadDigests {
    /// Digests for a bundle that is not signed (yet): that of the signature is a placeholder of the
    /// same length.
    pub(crate) fn unsigned(bundle_json: &[u8]) -> Self {
        Self::of(bundle_json, Some(b""))
    }

    pub(crate) fn of(bundle_json: &[u8], signature: Option<&[u8]>) -> Self {
        Self {
            bundle_json: Digest::of(bundle_json),
            signature: signature.map(Digest::of),
        }
    }
}

fn members(manifest: &BundleManifest, volume: &Volume, known: &HeadDigests) -> Vec<MemberDoc> {
    // All but the first, which is the very file that is being written.
    let listed = volume.members().iter().skip(1);
    listed
        .map(|member| MemberDoc {
            path: member.path.clone(),
            offset: member.offset,
            length: member.len,
            digest: match member.content {
                Content::BundleJson => Some(known.bundle_json.clone()),
                Content::Signature => known.signature.clone(),
                _ => member.digest(manifest),
            },
        })
        .collect()
}

fn zero_id() -> Digest {
    format!("sha256:{}", "0".repeat(ID_HEX_LEN))
        .parse()
        .expect("64 zeros are hex")
}

/// Reads `hod/bundle.json`, whose id must be right; returns it with the offsets as listed.
///
/// The content is not validated: see [`super::check::check`].
pub(crate) fn parse_bundle(bytes: &[u8]) -> Result<(BundleManifest, Offsets), BundleError> {
    check_format(bytes, BUNDLE_PATH)?;
    let doc: BundleDoc = parse(bytes, BUNDLE_PATH)?;
    check_id(bytes, &doc.id)?;
    let mut offsets = Offsets::default();
    let mut files = Vec::with_capacity(doc.files.len());
    for file in doc.files {
        offsets.files.push(file.offset);
        files.push(BundleFileEntry {
            path: file.path.parse().map_err(BundleError::Path)?,
            size: file.size,
            digest: file.digest,
            executable: file.executable,
            volume: file.volume,
        });
    }
    let mut blobs = Vec::with_capacity(doc.blobs.len());
    for blob in doc.blobs {
        let (blob, listed) = blob.read()?;
        blobs.push(blob);
        offsets.blobs.push(listed);
    }
    let manifest = BundleManifest {
        id: doc.id,
        name: doc.name,
        version: doc.version,
        tool_version: doc.tool,
        created: doc.created,
        n_volumes: doc.volumes,
        signed_by: doc.signed_by,
        images: doc.images,
        blobs,
        files,
        origins: doc.origins,
        base: doc.base,
    };
    Ok((manifest, offsets))
}

fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8], member: &'static str) -> Result<T, BundleError> {
    serde_json::from_slice(bytes).map_err(|source| BundleError::Json { member, source })
}

/// Checks only the format number, since a later format may have any shape.
fn check_format(bytes: &[u8], member: &'static str) -> Result<(), BundleError> {
    #[derive(Deserialize)]
    struct Format {
        format: u64,
    }
    let Format { format } = parse(bytes, member)?;
    if format != FORMAT {
        return Err(BundleError::Unsupported {
            what: format!("format {format}"),
        });
    }
    Ok(())
}

fn check_id(bytes: &[u8], expected: &Digest) -> Result<(), BundleError> {
    let mut zeroed = bytes.to_vec();
    let hex = ID_PREFIX.len()..ID_PREFIX.len() + ID_HEX_LEN;
    match zeroed.get_mut(hex) {
        Some(hex) if bytes.starts_with(ID_PREFIX) => hex.fill(b'0'),
        // Then the digest cannot be right either, and is refused below.
        _ => {}
    }
    let actual = Digest::of(&zeroed);
    if actual != *expected {
        return Err(BundleError::Id {
            expected: expected.clone(),
            actual,
        });
    }
    Ok(())
}

/// Reads `hod/volume.json`, which must match `manifest` and `volume`.
pub(crate) fn check_volume(
    bytes: &[u8],
    manifest: &BundleManifest,
    volume: &Volume,
    known: &HeadDigests,
) -> Result<(), BundleError> {
    let doc: VolumeDoc = parse(bytes, VOLUME_PATH)?;
    let listing = |path: &str| Err(BundleError::member(path, MemberProblem::Listing));
    if doc.bundle != manifest.id || doc.count != manifest.n_volumes {
        return listing(BUNDLE_PATH);
    }
    let implied = members(manifest, volume, known);
    if let Some((listed, _)) = doc.members.iter().zip(&implied).find(|(a, b)| a != b) {
        return listing(&listed.path);
    }
    match (
        doc.members.get(implied.len()),
        implied.get(doc.members.len()),
    ) {
        (Some(extra), _) => listing(&extra.path),
        (_, Some(missing)) => listing(&missing.path),
        (None, None) => Ok(()),
    }
}

/// The number of a volume and the id of its bundle, as stated in `hod/volume.json`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct VolumeIdentity {
    pub(crate) bundle: Digest,
    pub(crate) index: u32,
    pub(crate) count: u32,
}

/// Reads the fields of `hod/volume.json` that are required first.
pub(crate) fn parse_volume_identity(bytes: &[u8]) -> Result<VolumeIdentity, BundleError> {
    check_format(bytes, VOLUME_PATH)?;
    let identity: VolumeIdentity = parse(bytes, VOLUME_PATH)?;
    if !(1..=identity.count).contains(&identity.index) || identity.count > N_VOLUMES_MAX {
        return Err(BundleError::member(VOLUME_PATH, MemberProblem::Listing));
    }
    Ok(identity)
}
