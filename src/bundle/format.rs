//! `hod/bundle.json` and `hod/volume.json`, as types and as bytes.
//!
//! Both are compact JSON with a fixed order of fields, so that equal content is equal bytes. Fields
//! that are not known are passed over; a format or an encoding that is not known is refused by name.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::entry_path::EntryPath;
use super::error::{BundleError, MemberProblem};
use super::volume::Volume;
use crate::oci::{Digest, MediaType, Platform, ReferrerTag, RepositoryName, Tag};

/// The format that is written, and the only one that is read.
const FORMAT: u64 = 1;
/// How blobs are stored.
const ENCODING_RAW: &str = "raw";
/// The longest of the two json files that is written or read, in bytes.
pub(super) const JSON_LEN_MAX: u64 = 64 * 1024 * 1024;
/// The path of the member that describes the volume.
pub(super) const VOLUME_PATH: &str = "hod/volume.json";
/// The path of the member that describes the bundle.
pub(super) const BUNDLE_PATH: &str = "hod/bundle.json";
/// What `hod/bundle.json` starts with, up to the 64 hex characters of the id.
const ID_PREFIX: &[u8] = br#"{"format":1,"id":"sha256:"#;
const ID_HEX_LEN: usize = 64;

/// An image that a bundle carries.
///
/// What is about an image, a signature say, is one of its own, under the tag that leads to it:
/// cosign's, or that of an index of what has a `subject` ([`ReferrerTag`]).
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
    /// What it runs on, as far as known; for people.
    #[serde(default)]
    pub platforms: Vec<Platform>,
    /// Every config and layer of the image that is carried, each once.
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
}

/// A file beside the blobs that a bundle carries, as the bundle lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleFileEntry {
    pub path: EntryPath,
    /// Its length in bytes.
    pub size: u64,
    pub digest: Digest,
    pub executable: bool,
}

/// What a bundle says of itself: `hod/bundle.json`.
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
    /// Sorted by repository, tag and digest.
    pub images: Vec<BundleImage>,
    /// Manifests first, then the others, each sorted by digest.
    pub blobs: Vec<BundleBlob>,
    /// Sorted by path.
    pub files: Vec<BundleFileEntry>,
}

impl BundleManifest {
    /// How many images there are that are not about another of them, by their tags.
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
}

impl BundleImage {
    /// The image as people name it: `repository:tag`, or `repository@digest` without a tag.
    pub fn name(&self) -> String {
        match &self.tag {
            Some(tag) => format!("{}:{tag}", self.repository),
            None => format!("{}@{}", self.repository, self.digest),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct BundleDoc {
    format: u64,
    id: Digest,
    name: String,
    #[serde(default)]
    version: Option<String>,
    tool: String,
    created: u64,
    images: Vec<BundleImage>,
    blobs: Vec<BlobDoc>,
    files: Vec<FileDoc>,
    /// What must be at the target already; nothing, in what this version writes and reads.
    #[serde(default)]
    base: Vec<serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
struct BlobDoc {
    digest: Digest,
    size: u64,
    encoding: String,
    volume: u64,
    offset: u64,
    manifest: bool,
}

#[derive(Serialize, Deserialize)]
struct FileDoc {
    path: String,
    size: u64,
    digest: Digest,
    #[serde(default)]
    executable: bool,
}

/// `hod/volume.json`.
#[derive(Serialize, Deserialize)]
struct VolumeDoc {
    format: u64,
    bundle: Digest,
    index: u64,
    count: u64,
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

/// Writes `hod/bundle.json`, with blanks behind it up to `len_min`; returns the id and the bytes.
pub(super) fn render_bundle(
    manifest: &BundleManifest,
    volume: &Volume,
    len_min: u64,
) -> Result<(Digest, Vec<u8>), BundleError> {
    let offsets = volume.blob_offsets();
    let blobs = manifest.blobs.iter().zip(offsets);
    let doc = BundleDoc {
        format: FORMAT,
        id: zero_id(),
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        tool: manifest.tool_version.clone(),
        created: manifest.created,
        images: manifest.images.clone(),
        blobs: blobs
            .map(|(blob, offset)| BlobDoc {
                digest: blob.digest.clone(),
                size: blob.size,
                encoding: ENCODING_RAW.to_owned(),
                volume: 1,
                offset,
                manifest: blob.is_manifest,
            })
            .collect(),
        files: manifest
            .files
            .iter()
            .map(|file| FileDoc {
                path: file.path.to_string(),
                size: file.size,
                digest: file.digest.clone(),
                executable: file.executable,
            })
            .collect(),
        base: Vec::new(),
    };
    let mut bytes = render(&doc, BUNDLE_PATH)?;
    pad(&mut bytes, len_min);
    let id = Digest::of(&bytes);
    bytes[ID_PREFIX.len()..][..ID_HEX_LEN].copy_from_slice(id.hex().as_bytes());
    Ok((id, bytes))
}

/// Writes `hod/volume.json` for the volume of the bundle whose json has the digest `bundle_json`,
/// with blanks behind it up to `len_min`.
pub(super) fn render_volume(
    manifest: &BundleManifest,
    volume: &Volume,
    (bundle_json, len_min): (&Digest, u64),
) -> Result<Vec<u8>, BundleError> {
    let doc = VolumeDoc {
        format: FORMAT,
        bundle: manifest.id.clone(),
        index: 1,
        count: 1,
        members: members(manifest, volume, bundle_json),
    };
    let mut bytes = render(&doc, VOLUME_PATH)?;
    pad(&mut bytes, len_min);
    Ok(bytes)
}

/// Adds blanks, which JSON allows at its end.
fn pad(bytes: &mut Vec<u8>, len_min: u64) {
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

fn members(manifest: &BundleManifest, volume: &Volume, bundle_json: &Digest) -> Vec<MemberDoc> {
    // All but the first, which is the very file that is being written.
    let listed = volume.members().iter().skip(1);
    listed
        .map(|member| MemberDoc {
            path: member.path.clone(),
            offset: member.offset,
            length: member.len,
            digest: member.digest(manifest, bundle_json),
        })
        .collect()
}

fn zero_id() -> Digest {
    format!("sha256:{}", "0".repeat(ID_HEX_LEN))
        .parse()
        .expect("64 zeros are hex")
}

/// Reads `hod/bundle.json`, whose id must be right; returns it with the blobs' offsets as listed.
///
/// What it says is not yet checked for sense: see [`super::plan::check`].
pub(super) fn parse_bundle(bytes: &[u8]) -> Result<(BundleManifest, Vec<u64>), BundleError> {
    check_format(bytes, BUNDLE_PATH)?;
    let doc: BundleDoc = parse(bytes, BUNDLE_PATH)?;
    check_id(bytes, &doc.id)?;
    if let Some(first) = doc.base.first() {
        return Err(BundleError::Unsupported {
            what: format!("a base of {} (first: {first})", doc.base.len()),
        });
    }
    let mut files = Vec::with_capacity(doc.files.len());
    for file in doc.files {
        files.push(BundleFileEntry {
            path: file.path.parse().map_err(BundleError::Path)?,
            size: file.size,
            digest: file.digest,
            executable: file.executable,
        });
    }
    let mut blobs = Vec::with_capacity(doc.blobs.len());
    let mut offsets = Vec::with_capacity(doc.blobs.len());
    for blob in doc.blobs {
        if blob.encoding != ENCODING_RAW {
            let encoding = blob.encoding.escape_debug();
            return Err(BundleError::Unsupported {
                what: format!("blob `{}` in the encoding `{encoding}`", blob.digest),
            });
        }
        if blob.volume != 1 {
            return Err(BundleError::Unsupported {
                what: format!("blob `{}` in volume {}", blob.digest, blob.volume),
            });
        }
        blobs.push(BundleBlob {
            digest: blob.digest,
            size: blob.size,
            is_manifest: blob.manifest,
        });
        offsets.push(blob.offset);
    }
    let manifest = BundleManifest {
        id: doc.id,
        name: doc.name,
        version: doc.version,
        tool_version: doc.tool,
        created: doc.created,
        images: doc.images,
        blobs,
        files,
    };
    Ok((manifest, offsets))
}

fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8], member: &'static str) -> Result<T, BundleError> {
    serde_json::from_slice(bytes).map_err(|source| BundleError::Json { member, source })
}

/// Looks at the format alone, since a later one may have any shape.
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

/// Reads `hod/volume.json`, which must say what `manifest` and `volume` imply.
pub(super) fn check_volume(
    bytes: &[u8],
    manifest: &BundleManifest,
    (volume, bundle_json): (&Volume, &Digest),
) -> Result<(), BundleError> {
    let doc: VolumeDoc = parse(bytes, VOLUME_PATH)?;
    let listing = |path: &str| Err(BundleError::member(path, MemberProblem::Listing));
    if doc.bundle != manifest.id {
        return listing(BUNDLE_PATH);
    }
    let implied = members(manifest, volume, bundle_json);
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

/// Reads of `hod/volume.json` what must be known before anything else: its format and whether it
/// is the only one.
pub(super) fn check_volume_count(bytes: &[u8]) -> Result<(), BundleError> {
    #[derive(Deserialize)]
    struct Count {
        index: u64,
        count: u64,
    }
    check_format(bytes, VOLUME_PATH)?;
    let Count { index, count } = parse(bytes, VOLUME_PATH)?;
    if (index, count) != (1, 1) {
        return Err(BundleError::Unsupported {
            what: format!("{count} volumes (this is number {index})"),
        });
    }
    Ok(())
}
