//! Writes `docker save` archives: configurations, uncompressed layers, and their names.
//!
//! ```text
//! <hex>.json       a configuration, by its digest
//! <hex>.tar        a layer, by its diff id
//! manifest.json    for each image its configuration, its tags, its layers
//! ```

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use serde::Serialize;

use super::LayoutError;
use super::oci::full_name;
use hod_fsx::{Durability, VerifiedReader};
use hod_oci::{
    ContentMismatch, Descriptor, Digest, Manifest, ManifestBody, RepositoryName, Tag, Verifier,
};
use hod_tarball::{EntryPath, TarWriter, decoder};

/// The suffix of the media type of an encrypted layer.
const ENCRYPTED: &str = "+encrypted";
/// How much of a layer is decompressed at once.
const CHUNK_LEN: usize = 256 * 1024;

/// An image as such an archive has it.
#[derive(Debug, Clone)]
pub struct DockerImage {
    config: Digest,
    config_bytes: Vec<u8>,
    tags: Vec<String>,
    layers: Vec<DockerLayer>,
}

/// A layer, as it is stored and as it is unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerLayer {
    pub stored: Descriptor,
    pub diff_id: Digest,
}

/// Why an image cannot be in a `docker save` archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoDockerImage {
    #[error("it is an index of several platforms, and such an archive holds only one")]
    Index,
    #[error("it is not a runnable image but {media_type}")]
    Artifact { media_type: String },
    #[error("it has no tag, and such an archive identifies images only by their tags")]
    NoTag,
    #[error("its foreign layer `{digest}` is not in the source")]
    Foreign { digest: Digest },
    #[error("its layer `{digest}` is encrypted")]
    Encrypted { digest: Digest },
    #[error("its configuration does not list its layers")]
    Config,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    config: String,
    repo_tags: &'a [String],
    layers: Vec<String>,
}

impl DockerImage {
    /// Returns the config of an image if, by its manifest, such an archive can contain it.
    pub fn config_of(manifest: &Manifest) -> Result<&Descriptor, NoDockerImage> {
        let ManifestBody::Image(image) = manifest.body() else {
            return Err(NoDockerImage::Index);
        };
        if !image.config.media_type.is_image_config() {
            let media_type = format!("`{}`", image.config.media_type);
            return Err(NoDockerImage::Artifact { media_type });
        }
        let is_encrypted = |layer: &&Descriptor| layer.media_type.as_str().ends_with(ENCRYPTED);
        if let Some(layer) = image.layers.iter().find(is_encrypted) {
            let digest = layer.digest.clone();
            return Err(NoDockerImage::Encrypted { digest });
        }
        Ok(&image.config)
    }

    /// The image with this manifest and configuration.
    pub fn new(
        repository: &RepositoryName,
        tag: Option<&Tag>,
        manifest: &Manifest,
        config_bytes: Vec<u8>,
    ) -> Result<Self, NoDockerImage> {
        Self::config_of(manifest)?;
        let tag = tag.ok_or(NoDockerImage::NoTag)?;
        let name = format!("{}:{tag}", full_name(repository));
        Self::tagged(vec![name], manifest, config_bytes)
    }

    /// The image under these full names; without any, it is found by its place in the archive.
    pub fn tagged(
        tags: Vec<String>,
        manifest: &Manifest,
        config_bytes: Vec<u8>,
    ) -> Result<Self, NoDockerImage> {
        let config = Self::config_of(manifest)?.digest.clone();
        let diff_ids = hod_oci::diff_ids(&config_bytes).map_err(|_| NoDockerImage::Config)?;
        let layers: Vec<&Descriptor> = manifest.blobs().skip(1).collect();
        if diff_ids.len() != layers.len() {
            return Err(NoDockerImage::Config);
        }
        let layers = layers.into_iter().zip(diff_ids);
        let layers = layers.map(|(stored, diff_id)| DockerLayer {
            stored: stored.clone(),
            diff_id,
        });
        Ok(Self {
            config,
            config_bytes,
            tags,
            layers: layers.collect(),
        })
    }
}

impl DockerImage {
    /// Returns true if the layer belongs to this archive.
    pub fn has_layer(&self, layer: &DockerLayer) -> bool {
        self.layers.contains(layer)
    }
}

/// A member of an archive that is to be written.
#[derive(Debug, Clone)]
enum Content {
    Bytes(Vec<u8>),
    Layer(DockerLayer),
}

/// An archive that is being built, which appears at its destination when it is complete.
#[derive(Debug)]
pub struct DockerWriter {
    tar: TarWriter,
    members: BTreeMap<EntryPath, Content>,
}

impl DockerWriter {
    /// Starts an archive of these images that becomes `destination`, whose directory must exist; an
    /// existing file is replaced. `mtime` is the time of every member, in seconds since 1970.
    pub fn create(
        destination: &Path,
        images: Vec<DockerImage>,
        mtime: u64,
    ) -> Result<Self, LayoutError> {
        // Tags of one image are one entry, as with `docker save`.
        let mut by_config: BTreeMap<(Digest, Vec<Digest>), DockerImage> = BTreeMap::new();
        for image in images {
            let diff_ids = image.layers.iter().map(|l| l.diff_id.clone()).collect();
            match by_config.entry((image.config.clone(), diff_ids)) {
                std::collections::btree_map::Entry::Vacant(new) => {
                    new.insert(image);
                }
                std::collections::btree_map::Entry::Occupied(mut old) => {
                    let tags = &mut old.get_mut().tags;
                    tags.extend(image.tags);
                    tags.sort_unstable();
                }
            }
        }
        let mut images: Vec<DockerImage> = by_config.into_values().collect();
        images.sort_by(|a, b| a.tags.cmp(&b.tags));
        let entries: Vec<Entry<'_>> = images.iter().map(entry).collect();
        let list = serde_json::to_vec(&entries).expect("a list of texts is JSON");
        let mut members = BTreeMap::from([(entry_path("manifest.json"), Content::Bytes(list))]);
        for image in images {
            let config = entry_path(&config_name(&image.config));
            members.insert(config, Content::Bytes(image.config_bytes));
            for layer in image.layers {
                let path = entry_path(&layer_name(&layer.diff_id));
                members.entry(path).or_insert(Content::Layer(layer));
            }
        }
        Ok(Self {
            tar: TarWriter::create(destination, mtime)?,
            members,
        })
    }

    /// The layers, each once, in the order in which they are to be written.
    pub fn layers(&self) -> Vec<DockerLayer> {
        let layers = self.members.values().filter_map(|content| match content {
            Content::Layer(layer) => Some(layer.clone()),
            Content::Bytes(_) => None,
        });
        layers.collect()
    }

    /// The layers that a blob is and that are not written yet, by what they unpack to.
    pub fn layers_of(&self, blob: &Descriptor) -> Vec<DockerLayer> {
        let is_it = |stored: &Descriptor| stored.digest == blob.digest && stored.size == blob.size;
        let mut layers = self.layers();
        layers.retain(|layer| is_it(&layer.stored));
        layers
    }

    /// Decompresses and writes a layer; `content` has the bytes as stored. Layers come in the order
    /// of [`DockerWriter::layers`], of which some may be left out.
    ///
    /// The compressed and the decompressed bytes must have their digests; otherwise nothing of the
    /// layer is in the archive, and it can be written again.
    pub fn write_layer(
        &mut self,
        layer: &DockerLayer,
        content: impl Read + Send,
    ) -> Result<(), LayoutError> {
        let path = entry_path(&layer_name(&layer.diff_id));
        self.write_texts_before(Some(&path))?;
        let mark = self.tar.mark()?;
        let written = self.write_content(&path, layer, content);
        if written.is_err() {
            self.tar.truncate(mark)?;
        } else {
            self.members.remove(&path);
        }
        written
    }

    fn write_content(
        &mut self,
        path: &EntryPath,
        layer: &DockerLayer,
        content: impl Read + Send,
    ) -> Result<(), LayoutError> {
        self.tar.begin(path)?;
        let mut stored = VerifiedReader::new(content, &layer.stored);
        let unpacked = self.unpack(&mut stored, layer);
        // Bytes after the decoder's last frame belong to the blob, too.
        let read = stored.finish();
        // A damaged blob is reported as such, whatever it decompresses to.
        if let Some(mismatch) = stored.take_mismatch() {
            return Err(mismatch.into());
        }
        let unpacked = unpacked?;
        read.map_err(|source| LayoutError::LayerRead {
            digest: layer.stored.digest.clone(),
            source,
        })?;
        unpacked.finish().map_err(|mismatch| match mismatch {
            ContentMismatch::Digest {
                expected,
                actual,
                len,
            } => LayoutError::DiffIdMismatch {
                layer: layer.stored.digest.clone(),
                expected,
                actual,
                len,
            },
            mismatch @ ContentMismatch::Length { .. } => mismatch.into(),
        })
    }

    /// Decompresses a layer into the archive; returns the diff ID of its image.
    fn unpack(
        &mut self,
        stored: &mut (impl Read + Send),
        layer: &DockerLayer,
    ) -> Result<Verifier, LayoutError> {
        let read_error = |source: io::Error| LayoutError::LayerRead {
            digest: layer.stored.digest.clone(),
            source,
        };
        let mut verifier = Verifier::from(&layer.diff_id);
        let (_, mut unpacked) = decoder(stored).map_err(read_error)?;
        let mut buffer = vec![0; CHUNK_LEN];
        loop {
            let n = match unpacked.read(&mut buffer) {
                Ok(0) => return Ok(verifier),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(read_error(source)),
            };
            verifier.update(&buffer[..n])?;
            self.tar.write(&buffer[..n])?;
        }
    }

    /// Publishes the archive after all its layers; returns its length in bytes.
    pub fn commit(mut self, durability: Durability) -> Result<u64, LayoutError> {
        self.write_texts_before(None)?;
        assert!(self.members.is_empty(), "all layers are written");
        Ok(self.tar.commit(durability)?)
    }

    /// Writes the configurations that come before a member, or all that are left.
    fn write_texts_before(&mut self, path: Option<&EntryPath>) -> Result<(), LayoutError> {
        let members = self.members.iter();
        let before = members.take_while(|(member, _)| path.is_none_or(|path| *member < path));
        let texts = before.filter(|(_, content)| matches!(content, Content::Bytes(_)));
        let texts: Vec<EntryPath> = texts.map(|(path, _)| path.clone()).collect();
        for path in texts {
            if let Some(Content::Bytes(bytes)) = self.members.remove(&path) {
                self.tar.add(&path, &bytes)?;
            }
        }
        Ok(())
    }
}

fn entry(image: &DockerImage) -> Entry<'_> {
    let layers = image.layers.iter();
    Entry {
        config: config_name(&image.config),
        repo_tags: &image.tags,
        layers: layers.map(|layer| layer_name(&layer.diff_id)).collect(),
    }
}

fn config_name(digest: &Digest) -> String {
    format!("{}.json", digest.hex())
}

fn layer_name(diff_id: &Digest) -> String {
    format!("{}.tar", diff_id.hex())
}

fn entry_path(text: &str) -> EntryPath {
    text.parse().expect("names of layers are plain paths")
}
