//! `docker save` archives: images as a configuration and uncompressed layers, without manifests.
//!
//! The manifest that is made here depends on the archive alone, so that the same archive is the
//! same image wherever it is read: Docker's schema 2, with the configuration byte for byte and each
//! layer as it is stored. The digest of an uncompressed layer is the diff id in the configuration;
//! it is verified when the layer is read.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::gather::{FileEntry, Gathered};
use super::name::{NamedImage, nameless};
use super::{CollectionError, Place, TopManifest, UnreadableImage};
use crate::fsx;
use crate::oci::{
    self, Algorithm, Digest, MANIFEST_LEN_MAX, Manifest, MediaType, Reference, ReferenceError,
};
use crate::tarball::{ArchiveError, Compression, MemberKind};

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
    pub(super) manifests: BTreeMap<Digest, Manifest>,
    pub(super) blobs: HashMap<Digest, Place>,
}

/// Reads `manifest.json` in the directory `dir` of the archive at `path`.
pub(super) fn read(
    bytes: &[u8],
    (path, dir): (&Path, &str),
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
            manifests: BTreeMap::new(),
            blobs: HashMap::new(),
        },
        packed: HashMap::new(),
    };
    for entry in entries {
        if let Err(error) = builder.add(&entry) {
            builder.give_up(&entry, error);
        }
    }
    Ok(builder.images)
}

struct Builder<'a> {
    path: PathBuf,
    dir: &'a str,
    member: String,
    gathered: &'a Gathered,
    images: Images,
    /// What was hashed, by the path of the member.
    packed: HashMap<Box<str>, Digest>,
}

impl<'a> Builder<'a> {
    fn add(&mut self, entry: &Entry) -> Result<(), CollectionError> {
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
        let diff_ids = oci::diff_ids(&config_bytes).map_err(|source| CollectionError::Json {
            path: self.path.clone(),
            member: config_file.place.member.to_string(),
            source,
        })?;
        let layers = entry.layers.as_deref().unwrap_or_default();
        if diff_ids.len() != layers.len() {
            let (n, n_ids) = (layers.len(), diff_ids.len());
            let config = &entry.config;
            return Err(self.content(format!(
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
        self.images
            .manifests
            .insert(manifest.digest().clone(), manifest);
        Ok(())
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
        let (media_type, digest) = match self.packing(file)? {
            Some((Compression::Zstd, digest)) => (LAYER_ZSTD, digest),
            Some((_, digest)) => (LAYER_GZIP, digest),
            None => (LAYER, diff_id),
        };
        let place = file.place.clone();
        let len = place.len;
        match self.images.blobs.get(&digest) {
            Some(other) if other.len != len => Err(self.content(format!(
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

    /// The compression of a layer, if it is compressed, and its digest then.
    fn packing(
        &mut self,
        file: &FileEntry,
    ) -> Result<Option<(Compression, Digest)>, CollectionError> {
        if self.gathered.is_compressed {
            return Ok(file.packed.clone());
        }
        let place = &file.place;
        let archive = fsx::open(&self.path)?;
        let mut start = [0; Compression::MAGIC_LEN];
        let n = fsx::read_at(&archive, &self.path, &mut start, place.offset)?;
        let n = n.min(usize::try_from(place.len).unwrap_or(n));
        let compression = Compression::of(&start[..n]);
        if compression == Compression::None {
            return Ok(None);
        }
        if let Some(digest) = self.packed.get(&place.member) {
            return Ok(Some((compression, digest.clone())));
        }
        let (mut at, end) = (place.offset, place.offset + place.len);
        // One that was cut off since it was looked through ends early; what reads the layer says
        // so.
        let (digest, _) = Digest::of_all(Algorithm::Sha256, |buffer| {
            let left = end - at;
            let want = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            let n = fsx::read_at(&archive, &self.path, &mut buffer[..want], at)?;
            at += n as u64;
            Ok::<_, fsx::Error>(n)
        })?;
        self.packed.insert(place.member.clone(), digest.clone());
        Ok(Some((compression, digest)))
    }

    fn config_bytes(&self, file: &FileEntry) -> Result<Vec<u8>, CollectionError> {
        if let Some(content) = &file.content {
            return Ok(content.clone());
        }
        let Place { offset, len, .. } = file.place;
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
        let archive = fsx::open(&self.path)?;
        let len = usize::try_from(len).expect("a few MiB are addressable");
        Ok(fsx::read_range(&archive, &self.path, offset, len)?)
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

    fn content(&self, problem: String) -> CollectionError {
        CollectionError::Content {
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
