//! Indexes whose entries say what a test wants, some of them of manifests that are not there.

use hod_oci::{Manifest, MediaType};
use serde_json::{Value, json};

use super::images::{Blob, Compression, Image, ImageBuilder, layer, noise};

/// Builds an index entry by entry.
#[derive(Debug, Clone)]
pub struct IndexBuilder {
    entries: Vec<Value>,
    /// All that is there.
    image: Image,
    seed: u64,
}

impl IndexBuilder {
    /// Starts an empty index; what it makes differs from what another `seed` makes.
    pub fn new(seed: u64) -> Self {
        Self {
            entries: Vec::new(),
            image: Image {
                manifests: Vec::new(),
                blobs: Vec::new(),
            },
            seed,
        }
    }

    /// Adds an image whose configuration and entry say this platform, as
    /// `os/architecture[/variant][:os.version]`.
    pub fn platform(self, platform: &str) -> Self {
        let (config, entry) = (platform, platform);
        self.child(config, Some(entry))
    }

    /// Adds an image whose configuration says one platform and its entry another or none.
    pub fn child(mut self, config: &str, entry: Option<&str>) -> Self {
        self.seed += 10;
        let fields = fields(config);
        let image = ImageBuilder::oci(self.seed)
            .platform(
                fields["os"].as_str().unwrap(),
                fields["architecture"].as_str().unwrap(),
            )
            .layer(&layer(self.seed + 1, 100, Compression::Gzip))
            .build();
        self.add(&image, entry.map(self::fields), &json!({}));
        self
    }

    /// Adds what `BuildKit` adds: a manifest that runs nowhere, about the entry at this position.
    pub fn attestation(mut self, about: usize) -> Self {
        self.seed += 10;
        let config = Blob::new(json!({"seed": self.seed}).to_string());
        let statement = Blob::new(noise(self.seed, 60));
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_MANIFEST,
            "config": config.descriptor(MediaType::OCI_CONFIG),
            "layers": [statement.descriptor("application/vnd.in-toto+json")],
        });
        let image = Image {
            manifests: vec![parse(&manifest)],
            blobs: vec![config, statement],
        };
        let annotations = json!({
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": self.entries[about]["digest"],
        });
        self.add(&image, Some(fields("unknown/unknown")), &annotations);
        self
    }

    /// Takes away the manifest of the entry that was added last, and what it needs.
    pub fn missing(mut self) -> Self {
        let manifest = self.image.manifests.pop().unwrap();
        let is_its = |blob: &Blob| manifest.blobs().any(|needed| needed.digest == blob.digest);
        self.image.blobs.retain(|blob| !is_its(blob));
        self
    }

    /// The index with all that is there.
    pub fn build(self) -> Image {
        let mut image = self.image;
        image.manifests.push(parse(&json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_INDEX,
            "manifests": self.entries,
        })));
        image
    }

    fn add(&mut self, image: &Image, platform: Option<Value>, annotations: &Value) {
        let descriptor = image.top().descriptor();
        let mut entry = json!({
            "mediaType": descriptor.media_type,
            "digest": descriptor.digest,
            "size": descriptor.size,
            "annotations": annotations,
        });
        if let Some(platform) = platform {
            entry["platform"] = platform;
        }
        self.entries.push(entry);
        self.image.manifests.extend(image.manifests.iter().cloned());
        for blob in &image.blobs {
            if !self.image.blobs.contains(blob) {
                self.image.blobs.push(blob.clone());
            }
        }
    }
}

fn parse(manifest: &Value) -> Manifest {
    Manifest::parse(manifest.to_string().into_bytes().into(), None).unwrap()
}

/// The fields of a platform.
fn fields(platform: &str) -> Value {
    let (name, version) = match platform.split_once(':') {
        Some((name, version)) => (name, Some(version)),
        None => (platform, None),
    };
    let mut parts = name.split('/');
    let mut fields = json!({"os": parts.next().unwrap(), "architecture": parts.next().unwrap()});
    if let Some(variant) = parts.next() {
        fields["variant"] = variant.into();
    }
    if let Some(version) = version {
        fields["os.version"] = version.into();
    }
    fields
}
