//! `docker save` archives: images as a configuration and uncompressed layers, without manifests.
//!
//! The manifest that is made here depends on the archive alone, so that the same archive is the
//! same image wherever it is read: Docker's schema 2, with the configuration byte for byte and each
//! layer as it is stored. The digest of an uncompressed layer is the diff id in the configuration;
//! it is verified when the layer is read. A compressed layer has no digest there: it is unpacked and
//! compared with its diff id before it is given one.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::gather::{FileEntry, Gathered};
use super::name::{NamedImage, nameless};
use super::packed::{Allowance, Packed, UnpackFault};
use super::{CollectionEntry, CollectionError, MemberRange, TopManifest, UnreadableImage};
use hod_oci::{
    Algorithm, Digest, MANIFEST_LEN_MAX, Manifest, MediaType, Reference, ReferenceError,
};
use hod_tarball::{ArchiveError, Compression, MemberKind};

/// Maximum number of links followed in a row.
const LINKS_MAX: usize = 8;
const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
const LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";

/// One image of `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    schema_version: u32,
    media_type: &'static str,
    config: MadeDescriptor,
    layers: Vec<MadeDescriptor>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MadeDescriptor {
    media_type: &'static str,
    size: u64,
    digest: Digest,
}

/// The images of a `docker save` archive.
pub(super) struct Images {
    pub(super) tops: Vec<TopManifest>,
    pub(super) unreadable: Vec<UnreadableImage>,
    pub(super) entries: Vec<CollectionEntry>,
    pub(super) manifests: BTreeMap<Digest, Manifest>,
    pub(super) blobs: HashMap<Digest, MemberRange>,
}

/// Reads `manifest.json` in the directory `dir` of the archive at `path`.
pub(super) fn read(
    bytes: &[u8],
    path: &Path,
    dir: &str,
    gathered: &Gathered,
) -> Result<Images, CollectionError> {
    let member = format!("{dir}manifest.json");
    let entries: Vec<Entry> =
        serde_json::from_slice(bytes).map_err(|source| CollectionError::Json {
            path: path.to_owned(),
            member: member.clone(),
            source,
        })?;
    let mut builder = Builder {
        path: path.to_owned(),
        dir,
        member,
        gathered,
        images: Images {
            tops: Vec::new(),
            unreadable: Vec::new(),
            entries: Vec::new(),
            manifests: BTreeMap::new(),
            blobs: HashMap::new(),
        },
        packed: HashMap::new(),
        allowance: Allowance::default(),
    };
    for entry in entries {
        let digest = match builder.add(&entry) {
            Ok(digest) => Some(digest),
            Err(error) => {
                builder.give_up(&entry, error);
                None
            }
        };
        builder.images.entries.push(CollectionEntry {
            names: entry.repo_tags.unwrap_or_default(),
            digest,
        });
    }
    Ok(builder.images)
}

struct Builder<'a> {
    path: PathBuf,
    dir: &'a str,
    member: String,
    gathered: &'a Gathered,
    images: Images,
    /// Unpacked layers, by the path of the member and the algorithm of the diff ID.
    packed: HashMap<(Box<str>, Algorithm), Packed>,
    allowance: Allowance,
}

impl<'a> Builder<'a> {
    /// Adds an image; returns the digest of the manifest that is made for it.
    fn add(&mut self, entry: &Entry) -> Result<Digest, CollectionError> {
        let config_file = self.file(&entry.config)?;
        let config_bytes = self.config_bytes(config_file)?;
        let config_digest = Digest::of(&config_bytes);
        if let Some(digest) = named_digest(&entry.config).filter(|named| *named != config_digest) {
            return Err(CollectionError::Corrupt {
                path: self.path.clone(),
                member: config_file.place.member.to_string(),
                digest,
            });
        }
        let diff_ids =
            hod_oci::diff_ids(&config_bytes).map_err(|source| CollectionError::Json {
                path: self.path.clone(),
                member: config_file.place.member.to_string(),
                source,
            })?;
        let layers = entry.layers.as_deref().unwrap_or_default();
        if diff_ids.len() != layers.len() {
            let (n, n_ids) = (layers.len(), diff_ids.len());
            let config = &entry.config;
            return Err(self.contradiction(format!(
                "lists {n} layers of an image whose `{config}` has {n_ids}"
            )));
        }
        let mut described = Vec::with_capacity(layers.len());
        for (layer, diff_id) in layers.iter().zip(diff_ids) {
            described.push(self.layer(layer, diff_id)?);
        }
        let manifest = made(&config_digest, config_bytes.len() as u64, &described);
        let manifest =
            Manifest::parse(manifest.into(), None).map_err(|source| CollectionError::Manifest {
                path: self.path.clone(),
                member: self.member.clone(),
                source,
            })?;
        let config_place = config_file.place.clone();
        self.images
            .blobs
            .entry(config_digest)
            .or_insert(config_place);
        self.name(entry, &manifest);
        let digest = manifest.digest().clone();
        self.images.manifests.insert(digest.clone(), manifest);
        Ok(digest)
    }

    fn name(&mut self, entry: &Entry, manifest: &Manifest) {
        let digest = manifest.digest();
        let tags = entry.repo_tags.as_deref().unwrap_or_default();
        for tag in tags {
            match NamedImage::parse(tag, digest.clone()) {
                Ok(image) => self.images.tops.push(TopManifest::named(image)),
                Err(source) => {
                    let error = self.bad_name(tag, source);
                    self.images
                        .unreadable
                        .push(self.unreadable(tag, &Arc::new(error)));
                }
            }
        }
        if tags.is_empty() {
            let image = NamedImage::stored(nameless(&self.path), None, digest.clone());
            self.images.tops.push(TopManifest::named(image));
        }
    }

    /// Lists the image of an entry that cannot be read under each of its names.
    fn give_up(&mut self, entry: &Entry, error: CollectionError) {
        let error = Arc::new(error);
        let config = std::slice::from_ref(&entry.config);
        let tags = entry.repo_tags.as_deref().filter(|tags| !tags.is_empty());
        for name in tags.unwrap_or(config) {
            let image = self.unreadable(name, &error);
            self.images.unreadable.push(image);
        }
    }

    fn unreadable(&self, name: &str, error: &Arc<CollectionError>) -> UnreadableImage {
        let named = name.parse::<Reference>().ok();
        let stored = named.and_then(|named| Some((named.stored_name().ok()?, named.tag)));
        let (repository, tag) = stored.unwrap_or_else(|| (nameless(&self.path), None));
        UnreadableImage {
            name: name.to_owned(),
            repository,
            tag,
            error: Arc::clone(error),
        }
    }

    fn bad_name(&self, name: &str, source: ReferenceError) -> CollectionError {
        CollectionError::Name {
            path: self.path.clone(),
            member: self.member.clone(),
            name: name.to_owned(),
            source,
        }
    }

    /// A layer as it is stored: its media type, length and digest.
    fn layer(
        &mut self,
        layer: &str,
        diff_id: Digest,
    ) -> Result<(&'static str, u64, Digest), CollectionError> {
        let file = self.file(layer)?;
        let (media_type, digest) = match self.packed(file, diff_id.algorithm())? {
            Some(packed) => {
                self.check_unpacked(file, &packed, diff_id)?;
                let media_type = match packed.compression {
                    Compression::Zstd => LAYER_ZSTD,
                    _ => LAYER_GZIP,
                };
                (media_type, packed.stored)
            }
            None => (LAYER, diff_id),
        };
        let place = file.place.clone();
        let len = place.len;
        match self.images.blobs.get(&digest) {
            Some(other) if other.len != len => Err(self.contradiction(format!(
                "lists `{layer}` and `{}` as one layer, and they differ",
                other.member
            ))),
            Some(_) => Ok((media_type, len, digest)),
            None => {
                self.images.blobs.insert(digest.clone(), place);
                Ok((media_type, len, digest))
            }
        }
    }

    /// Compares the unpacked layer with the diff ID in the image config.
    fn check_unpacked(
        &self,
        file: &FileEntry,
        packed: &Packed,
        diff_id: Digest,
    ) -> Result<(), CollectionError> {
        let (path, member) = (self.path.clone(), file.place.member.to_string());
        match &packed.unpacked {
            Ok(unpacked) if *unpacked == diff_id => Ok(()),
            Ok(unpacked) if unpacked.algorithm() != diff_id.algorithm() => {
                Err(CollectionError::DiffIdAlgorithm {
                    path,
                    member,
                    algorithm: diff_id.algorithm(),
                })
            }
            Ok(unpacked) => Err(CollectionError::DiffId {
                path,
                member,
                expected: diff_id,
                actual: unpacked.clone(),
            }),
            Err(UnpackFault::Stream(source)) => Err(CollectionError::Unpack {
                path,
                member,
                source: Arc::clone(source),
            }),
            Err(UnpackFault::TooLong) => Err(CollectionError::Bomb { path, member }),
        }
    }

    /// What a layer is as stored and unpacked, if it is compressed. Each is unpacked once, whatever
    /// number of images has it.
    fn packed(
        &mut self,
        file: &FileEntry,
        algorithm: Algorithm,
    ) -> Result<Option<Packed>, CollectionError> {
        if self.gathered.is_compressed {
            return Ok(file.packed.clone());
        }
        let place = &file.place;
        let key = (place.member.clone(), algorithm);
        if let Some(packed) = self.packed.get(&key) {
            return Ok(Some(packed.clone()));
        }
        let archive = hod_fsx::open(&self.path)?;
        let mut start = [0; Compression::MAGIC_LEN];
        let n = hod_fsx::read_at(&archive, &self.path, &mut start, place.offset)?;
        let n = n.min(usize::try_from(place.len).unwrap_or(n));
        if !Compression::of(&start[..n]).is_of_layers() {
            return Ok(None);
        }
        let (mut at, end) = (place.offset, place.offset + place.len);
        // One that was cut off since it was looked through ends early, and so does not unpack.
        let read = |buffer: &mut [u8]| {
            let left = end - at;
            let want = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            let n = hod_fsx::read_at(&archive, &self.path, &mut buffer[..want], at)?;
            at += n as u64;
            Ok::<_, hod_fsx::Error>(n)
        };
        let packed = self.allowance.unpack(algorithm, read)?;
        self.packed.insert(key, packed.clone());
        Ok(Some(packed))
    }

    fn config_bytes(&self, file: &FileEntry) -> Result<Vec<u8>, CollectionError> {
        if let Some(content) = &file.content {
            return Ok(content.clone());
        }
        let MemberRange { offset, len, .. } = file.place;
        if self.gathered.is_compressed || len > MANIFEST_LEN_MAX {
            let (path, member) = (self.path.clone(), file.place.member.to_string());
            return Err(ArchiveError::TooLong {
                path,
                member,
                len,
                len_max: MANIFEST_LEN_MAX,
            }
            .into());
        }
        let archive = hod_fsx::open(&self.path)?;
        let len = usize::try_from(len).expect("a few MiB are addressable");
        Ok(hod_fsx::read_range(&archive, &self.path, offset, len)?)
    }

    /// The file that `manifest.json` names, through links within the archive.
    fn file(&self, name: &str) -> Result<&'a FileEntry, CollectionError> {
        let absent = || CollectionError::Absent {
            path: self.path.clone(),
            member: self.member.clone(),
            name: name.to_owned(),
        };
        let mut path = join(self.dir, name).ok_or_else(absent)?;
        for _ in 0..=LINKS_MAX {
            if let Some(file) = self.gathered.files.get(&path) {
                return Ok(file);
            }
            path = match self.gathered.links.get(&path).ok_or_else(absent)? {
                MemberKind::HardLink(target) => join("", target),
                MemberKind::SymbolicLink(target) => {
                    let above = path.rfind('/').map_or("", |at| &path[..=at]);
                    join(above, target)
                }
                _ => None,
            }
            .ok_or_else(absent)?;
        }
        Err(absent())
    }

    fn contradiction(&self, problem: String) -> CollectionError {
        CollectionError::Contradiction {
            path: self.path.clone(),
            member: self.member.clone(),
            problem,
        }
    }
}

/// Follows `path` from the directory `above`; `None` if it leads out of the archive.
fn join(above: &str, path: &str) -> Option<String> {
    if path.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in above.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The digest that the name of a configuration is: `<hex>.json` with Docker and Podman,
/// `sha256:<hex>` with others; some give it a plain name.
fn named_digest(name: &str) -> Option<Digest> {
    let name = name.rsplit('/').next()?;
    let name = name.strip_suffix(".json").unwrap_or(name);
    let hex = name.strip_prefix("sha256:").unwrap_or(name);
    format!("sha256:{hex}").parse().ok()
}

/// The manifest of an image: its fields in Docker's order.
fn made(config: &Digest, len: u64, layers: &[(&'static str, u64, Digest)]) -> Vec<u8> {
    let layer = |(media_type, size, digest): &'_ (&'static str, u64, Digest)| MadeDescriptor {
        media_type,
        size: *size,
        digest: digest.clone(),
    };
    let made = Made {
        schema_version: 2,
        media_type: MediaType::DOCKER_MANIFEST,
        config: MadeDescriptor {
            media_type: MediaType::DOCKER_CONFIG,
            size: len,
            digest: config.clone(),
        },
        layers: layers.iter().map(layer).collect(),
    };
    serde_json::to_vec(&made).expect("a struct of texts and numbers is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_in_the_archive() {
        #[track_caller]
        fn check(above: &str, path: &str, expect: Option<&str>) {
            assert_eq!(join(above, path).as_deref(), expect, "{above} {path}");
        }
        check("", "a/layer.tar", Some("a/layer.tar"));
        check("a/", "../b/layer.tar", Some("b/layer.tar"));
        check("a/", "./x", Some("a/x"));
        check("a/", "../../etc/passwd", None);
        check("a/", "/etc/passwd", None);
    }
}
