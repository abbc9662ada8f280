//! Deterministic images of every kind, as bytes: equal seeds make equal digests.

use std::collections::BTreeSet;

use bytes::Bytes;
use hod_fsx::Durability;
use hod_oci::{Descriptor, Digest, Manifest, MediaType, RepositoryName, Tag};
use hod_store::{Publication, Store};
use serde_json::{Value, json};

/// A blob and what it hashes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    pub digest: Digest,
    pub bytes: Bytes,
}

/// How a layer's tar archive is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    Uncompressed,
    Gzip,
    Zstd,
}

/// Whose media types and shapes an image has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Docker,
    Oci,
}

/// A layer: its blob as stored, and the digest of its archive.
#[derive(Debug, Clone)]
pub struct Layer {
    pub blob: Blob,
    pub diff_id: Digest,
    pub compression: Compression,
}

/// An image, or an index with all below it.
#[derive(Debug, Clone)]
pub struct Image {
    /// Children before the indexes that list them, each once; the top is the last.
    pub manifests: Vec<Manifest>,
    /// What a registry stores of the configs and layers, each once.
    pub blobs: Vec<Blob>,
}

/// One of everything, with a name for each.
///
/// Between them: both formats, index, list and nested index, all compressions, a layer shared by
/// several, the same layer twice, a zero-byte blob, a foreign layer, an artifact, inline data and
/// fields that nobody knows.
pub fn menagerie() -> Vec<(&'static str, Image)> {
    let shared = layer(1, 20_000, Compression::Gzip);
    let docker = ImageBuilder::docker(10)
        .layer(&shared)
        .layer(&layer(11, 3_000, Compression::Gzip))
        .build();
    let arm = ImageBuilder::docker(12)
        .platform("linux", "arm64")
        .layer(&shared)
        .layer(&layer(13, 3_000, Compression::Uncompressed))
        .build();
    let oci = ImageBuilder::oci(20)
        .layer(&shared)
        .layer(&layer(21, 9_000, Compression::Zstd))
        .build();
    let oci_arm = ImageBuilder::oci(22)
        .platform("linux", "arm64")
        .layer(&layer(23, 100, Compression::Gzip))
        .build();
    let index = index(Format::Oci, &[oci.clone(), oci_arm]);
    let twice = layer(31, 500, Compression::Gzip);
    vec![
        ("docker", docker.clone()),
        ("list", self::index(Format::Docker, &[docker.clone(), arm])),
        ("oci", oci),
        ("nested", self::index(Format::Oci, &[index.clone(), docker])),
        ("index", index),
        (
            "twice",
            ImageBuilder::oci(30).layer(&twice).layer(&twice).build(),
        ),
        (
            "zero",
            ImageBuilder::oci(40).raw_layer(Blob::new("")).build(),
        ),
        (
            "foreign",
            ImageBuilder::docker(50).foreign().layer(&shared).build(),
        ),
        ("artifact", artifact(60)),
        (
            "inline",
            ImageBuilder::oci(70)
                .layer(&layer(71, 40, Compression::Gzip))
                .inline_config()
                .unknown_fields()
                .build(),
        ),
    ]
}

/// A small image of two layers.
pub fn image(seed: u64) -> Image {
    ImageBuilder::docker(seed)
        .layer(&layer(seed + 1, 2_000, Compression::Gzip))
        .layer(&layer(seed + 2, 500, Compression::Gzip))
        .build()
}

/// Makes a layer of one file with `len` bytes that do not compress.
pub fn layer(seed: u64, len: usize, compression: Compression) -> Layer {
    let contents = noise(seed, len);
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(contents.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    archive
        .append_data(&mut header, format!("data/{seed}"), &contents[..])
        .unwrap();
    let archive = archive.into_inner().unwrap();
    let diff_id = Digest::of(&archive);
    let bytes = match compression {
        Compression::Uncompressed => archive,
        Compression::Gzip => gzip_stored(&archive),
        Compression::Zstd => zstd::encode_all(&archive[..], 1).unwrap(),
    };
    Layer {
        blob: Blob::new(bytes),
        diff_id,
        compression,
    }
}

/// Makes an index, or a manifest list, of `children`, which may be indexes themselves.
pub fn index(format: Format, children: &[Image]) -> Image {
    let media_type = match format {
        Format::Docker => MediaType::DOCKER_LIST,
        Format::Oci => MediaType::OCI_INDEX,
    };
    let entries: Vec<Value> = children.iter().map(Image::entry).collect();
    let top = manifest(&json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "manifests": entries,
    }));
    let mut all = Image {
        manifests: Vec::new(),
        blobs: Vec::new(),
    };
    for child in children {
        all.manifests.extend(child.manifests.iter().cloned());
        all.blobs.extend(child.blobs.iter().cloned());
    }
    all.manifests.push(top);
    all.unique()
}

/// Makes an artifact: no image, a config and a layer of types that nobody knows.
pub fn artifact(seed: u64) -> Image {
    let config = Blob::new("{}");
    let chart = Blob::new(noise(seed, 700));
    let top = manifest(&json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "artifactType": "application/vnd.example.chart",
        "config": config.descriptor("application/vnd.oci.empty.v1+json"),
        "layers": [chart.descriptor("application/vnd.example.chart.v1+gob")],
    }));
    Image {
        manifests: vec![top],
        blobs: vec![config, chart],
    }
}

/// Bytes that look random and are the same for the same seed (splitmix64).
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

impl Blob {
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes: Vec<u8> = bytes.into();
        Self {
            digest: Digest::of(&bytes),
            bytes: bytes.into(),
        }
    }

    pub(super) fn descriptor(&self, media_type: &str) -> Value {
        json!({"mediaType": media_type, "digest": self.digest, "size": self.bytes.len()})
    }
}

impl Image {
    /// The manifest that a tag would name.
    pub fn top(&self) -> &Manifest {
        self.manifests.last().expect("an image has a manifest")
    }

    /// The digest that a tag would name.
    pub fn digest(&self) -> &Digest {
        self.top().digest()
    }

    /// The bytes of the blob with this digest.
    pub fn blob(&self, digest: &Digest) -> Option<&Blob> {
        self.blobs.iter().find(|blob| blob.digest == *digest)
    }

    /// The bytes of all blobs, each once, manifests not counted.
    pub fn blobs_len(&self) -> u64 {
        self.blobs.iter().map(|blob| blob.bytes.len() as u64).sum()
    }

    /// Puts the image into a store as `name:tag`, or without a tag as `name`.
    #[track_caller]
    pub fn put_in(&self, store: &Store, name: &str) {
        let (repository, tag) = match name.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(self::tag(tag))),
            None => (name, None),
        };
        for blob in &self.blobs {
            let mut writer = store.blob_writer(&blob.digest).unwrap();
            writer.write(&blob.bytes).unwrap();
            writer.commit(Durability::Deferred).unwrap();
        }
        for manifest in &self.manifests {
            store.write_manifest(manifest).unwrap();
        }
        let publication = Publication {
            repository: self::repository(repository),
            tag,
            top: self.digest().clone(),
            manifests: self.manifests.iter().map(|m| m.digest().clone()).collect(),
            blobs: self.blobs.iter().map(|blob| blob.digest.clone()).collect(),
        };
        store.publish(&[publication], Durability::Deferred).unwrap();
    }

    /// This image's entry in an index.
    fn entry(&self) -> Value {
        let Descriptor {
            media_type,
            digest,
            size,
            ..
        } = self.top().descriptor();
        let mut entry = json!({"mediaType": media_type, "digest": digest, "size": size});
        if let Some(platform) = self.platform() {
            entry["platform"] = platform;
        }
        entry
    }

    /// What the top's config says of the platform.
    fn platform(&self) -> Option<Value> {
        let config = self.top().blobs().next()?;
        let config: Value = serde_json::from_slice(&self.blob(&config.digest)?.bytes).ok()?;
        let (os, architecture) = (config.get("os")?, config.get("architecture")?);
        Some(json!({"os": os, "architecture": architecture}))
    }

    fn unique(mut self) -> Self {
        let mut seen = BTreeSet::new();
        self.blobs.retain(|blob| seen.insert(blob.digest.clone()));
        self.manifests
            .retain(|manifest| seen.insert(manifest.digest().clone()));
        self
    }
}

/// Builds the image of one platform.
#[derive(Debug, Clone)]
pub struct ImageBuilder {
    format: Format,
    seed: u64,
    platform: (String, String),
    layers: Vec<(Value, Option<Blob>)>,
    diff_ids: Vec<Digest>,
    inline_config: bool,
    unknown_fields: bool,
}

impl ImageBuilder {
    pub fn docker(seed: u64) -> Self {
        Self::new(Format::Docker, seed)
    }

    pub fn oci(seed: u64) -> Self {
        Self::new(Format::Oci, seed)
    }

    fn new(format: Format, seed: u64) -> Self {
        Self {
            format,
            seed,
            platform: ("linux".to_owned(), "amd64".to_owned()),
            layers: Vec::new(),
            diff_ids: Vec::new(),
            inline_config: false,
            unknown_fields: false,
        }
    }

    pub fn platform(mut self, os: &str, architecture: &str) -> Self {
        self.platform = (os.to_owned(), architecture.to_owned());
        self
    }

    pub fn layer(mut self, layer: &Layer) -> Self {
        let media_type = match (self.format, layer.compression) {
            (Format::Docker, Compression::Uncompressed) => {
                "application/vnd.docker.image.rootfs.diff.tar"
            }
            (Format::Docker, _) => "application/vnd.docker.image.rootfs.diff.tar.gzip",
            (Format::Oci, Compression::Uncompressed) => "application/vnd.oci.image.layer.v1.tar",
            (Format::Oci, Compression::Gzip) => "application/vnd.oci.image.layer.v1.tar+gzip",
            (Format::Oci, Compression::Zstd) => "application/vnd.oci.image.layer.v1.tar+zstd",
        };
        let descriptor = layer.blob.descriptor(media_type);
        self.layers.push((descriptor, Some(layer.blob.clone())));
        self.diff_ids.push(layer.diff_id.clone());
        self
    }

    /// Adds `blob` as an uncompressed layer, whatever it is.
    pub fn raw_layer(mut self, blob: Blob) -> Self {
        let descriptor = blob.descriptor("application/vnd.oci.image.layer.v1.tar");
        self.diff_ids.push(blob.digest.clone());
        self.layers.push((descriptor, Some(blob)));
        self
    }

    /// Adds a layer that the registry does not hold.
    pub fn foreign(mut self) -> Self {
        let blob = Blob::new(noise(self.seed, 64));
        let mut descriptor =
            blob.descriptor("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
        descriptor["urls"] = json!(["https://layers.example.com/base"]);
        self.diff_ids.push(blob.digest);
        self.layers.push((descriptor, None));
        self
    }

    /// Adds a foreign layer that may be had at these URLs, and that the registry does not hold.
    pub fn foreign_at(mut self, layer: &Layer, urls: &[String]) -> Self {
        let media_type = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
        let mut descriptor = layer.blob.descriptor(media_type);
        descriptor["urls"] = json!(urls);
        self.diff_ids.push(layer.diff_id.clone());
        self.layers.push((descriptor, None));
        self
    }

    /// Repeats the config's bytes in its descriptor's `data`.
    pub fn inline_config(mut self) -> Self {
        self.inline_config = true;
        self
    }

    /// Adds fields of a future version, with spelling that re-serialising would lose.
    pub fn unknown_fields(mut self) -> Self {
        self.unknown_fields = true;
        self
    }

    pub fn build(self) -> Image {
        let (os, architecture) = &self.platform;
        let config = Blob::new(
            serde_json::to_vec(&json!({
                "architecture": architecture,
                "os": os,
                "config": {"Labels": {"seed": self.seed.to_string()}},
                "rootfs": {"type": "layers", "diff_ids": self.diff_ids},
                "history": [],
            }))
            .unwrap(),
        );
        let (media_type, config_type) = match self.format {
            Format::Docker => (MediaType::DOCKER_MANIFEST, MediaType::DOCKER_CONFIG),
            Format::Oci => (MediaType::OCI_MANIFEST, MediaType::OCI_CONFIG),
        };
        let mut config_descriptor = config.descriptor(config_type);
        if self.inline_config {
            use base64::Engine as _;
            let data = base64::engine::general_purpose::STANDARD.encode(&config.bytes);
            config_descriptor["data"] = json!(data);
        }
        let (descriptors, blobs): (Vec<_>, Vec<_>) = self.layers.into_iter().unzip();
        let mut text = serde_json::to_string_pretty(&json!({
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": config_descriptor,
            "layers": descriptors,
        }))
        .unwrap();
        if self.unknown_fields {
            let open = text.pop();
            assert_eq!(open, Some('}'), "a JSON object ends with its brace");
            text.push_str(",  \"x-future\" : {\"number\": 1.50, \"text\": \"\\u00e9\"} }\n");
        }
        Image {
            manifests: vec![Manifest::parse(text.into_bytes().into(), None).unwrap()],
            blobs: std::iter::once(config)
                .chain(blobs.into_iter().flatten())
                .collect(),
        }
        .unique()
    }
}

fn manifest(value: &Value) -> Manifest {
    let bytes = serde_json::to_vec_pretty(value).unwrap();
    Manifest::parse(bytes.into(), None).unwrap()
}

/// Packs `bytes` as gzip (RFC 1952) of stored blocks, so that no compressor's version matters.
fn gzip_stored(bytes: &[u8]) -> Vec<u8> {
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let blocks: Vec<&[u8]> = bytes.chunks(0xffff).collect();
    for (at, block) in blocks.iter().enumerate() {
        let len = u16::try_from(block.len()).unwrap();
        packed.push(u8::from(at + 1 == blocks.len()));
        packed.extend_from_slice(&len.to_le_bytes());
        packed.extend_from_slice(&(!len).to_le_bytes());
        packed.extend_from_slice(block);
    }
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1));
        }
    }
    packed.extend_from_slice(&(!crc).to_le_bytes());
    packed.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_le_bytes());
    packed
}

/// A repository name that is known to be one.
#[track_caller]
pub fn repository(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

/// A tag that is known to be one.
#[track_caller]
pub fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}
