//! The manifest that has the signatures of an image as its layers.

use std::collections::BTreeMap;

use hod_oci::{Digest, MANIFEST_LEN_MAX, MediaType};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::error::AttachmentError;
use crate::go_text::json;
use crate::signature::SigstoreSignature;

/// The most attachments of an image.
const N_LAYERS_MAX: usize = 1000;

/// The fields of a manifest in the order in which Go writes them. Others are dropped, as there.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManifestJson {
    schema_version: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    media_type: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    artifact_type: String,
    config: DescriptorJson,
    #[serde(deserialize_with = "null_as_default")]
    layers: Vec<DescriptorJson>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescriptorJson {
    media_type: String,
    digest: Digest,
    size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    urls: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    platform: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct ConfigJson {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    author: Option<String>,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    #[serde(default, skip_serializing_if = "is_empty")]
    config: Option<Box<RawValue>>,
    #[serde(default)]
    rootfs: RootFs,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    history: Option<Box<RawValue>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct RootFs {
    r#type: String,
    #[serde(deserialize_with = "null_as_default")]
    diff_ids: Vec<Digest>,
}

impl Default for RootFs {
    fn default() -> Self {
        Self {
            r#type: "layers".to_owned(),
            diff_ids: Vec::new(),
        }
    }
}

/// Whether a config of a container says nothing.
#[expect(clippy::ref_option, reason = "serde calls it so")]
fn is_empty(config: &Option<Box<RawValue>>) -> bool {
    let json = config.as_ref().map(|config| config.get());
    json.is_none_or(|json| json == "{}" || json == "null")
}

fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Returns the tag of the signatures of a manifest: `sha256-<hex>.sig`.
pub fn attachment_tag(image: &Digest) -> String {
    format!("{}-{}.sig", image.algorithm().as_str(), image.hex())
}

/// The signatures of an image, to be read or to be added to.
#[derive(Debug)]
pub struct Attachments {
    manifest: ManifestJson,
}

/// What must be uploaded, in this order: payloads and config as blobs, and then the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltAttachments {
    /// Only those that were not there.
    pub payloads: Vec<Vec<u8>>,
    pub config: Vec<u8>,
    /// Of the media type [`MediaType::OCI_MANIFEST`].
    pub manifest: Vec<u8>,
}

impl Attachments {
    /// Parses the manifest that a registry has under [`attachment_tag`].
    pub fn parse(manifest: &[u8]) -> Result<Self, AttachmentError> {
        let wrong = |problem: &str| AttachmentError::Manifest {
            problem: crate::go_text::plain(problem),
        };
        if manifest.len() as u64 > MANIFEST_LEN_MAX {
            return Err(wrong("it is too long"));
        }
        let manifest: ManifestJson =
            serde_json::from_slice(manifest).map_err(|error| wrong(&error.to_string()))?;
        if manifest.layers.len() > N_LAYERS_MAX {
            return Err(wrong("it has too many layers"));
        }
        let found = &manifest.media_type;
        if !found.is_empty() && found != MediaType::OCI_MANIFEST {
            let found = found.clone();
            return Err(AttachmentError::MediaType { found });
        }
        Ok(Self { manifest })
    }

    /// Returns the digests and sizes of the payloads, in order.
    pub fn payloads(&self) -> impl Iterator<Item = (&Digest, u64)> {
        let layers = self.manifest.layers.iter();
        layers.map(|layer| (&layer.digest, layer.size))
    }

    /// Returns the digest and size of the config, which is needed to add signatures.
    pub fn config(&self) -> (&Digest, u64) {
        (&self.manifest.config.digest, self.manifest.config.size)
    }

    /// Makes a signature of the payload with this index, which must have its digest and size.
    ///
    /// Some are attachments of other kinds: see [`SigstoreSignature::media_type`].
    pub fn signature(
        &self,
        index: usize,
        payload: Vec<u8>,
    ) -> Result<SigstoreSignature, AttachmentError> {
        let layer =
            self.manifest.layers.get(index).filter(|layer| {
                layer.size == payload.len() as u64 && layer.digest.matches(&payload)
            });
        let layer = layer.ok_or(AttachmentError::Content { number: index + 1 })?;
        Ok(SigstoreSignature {
            media_type: layer.media_type.clone(),
            payload,
            annotations: layer.annotations.clone().unwrap_or_default(),
        })
    }

    /// Makes the attachments of an image that has none.
    pub fn first(signatures: &[SigstoreSignature]) -> BuiltAttachments {
        let config = DescriptorJson::new(MediaType::OCI_CONFIG, b"");
        let manifest = ManifestJson {
            schema_version: 2,
            media_type: MediaType::OCI_MANIFEST.to_owned(),
            artifact_type: String::new(),
            config,
            layers: Vec::new(),
            subject: None,
            annotations: None,
        };
        build(manifest, ConfigJson::default(), signatures)
    }

    /// Adds signatures to those that there are; the same is not added twice.
    pub fn with(
        self,
        config: &[u8],
        signatures: &[SigstoreSignature],
    ) -> Result<BuiltAttachments, AttachmentError> {
        let wrong = |problem: &str| AttachmentError::Config {
            problem: crate::go_text::plain(problem),
        };
        if config.len() as u64 > MANIFEST_LEN_MAX {
            return Err(wrong("it is too long"));
        }
        let config = serde_json::from_slice(config).map_err(|error| wrong(&error.to_string()))?;
        Ok(build(self.manifest, config, signatures))
    }
}

fn build(
    mut manifest: ManifestJson,
    mut config: ConfigJson,
    signatures: &[SigstoreSignature],
) -> BuiltAttachments {
    let mut payloads = Vec::new();
    for signature in signatures {
        let layer = DescriptorJson {
            annotations: Some(signature.annotations.clone()),
            ..DescriptorJson::new(&signature.media_type, &signature.payload)
        };
        if manifest
            .layers
            .iter()
            .any(|present| present.is_same(&layer))
        {
            continue;
        }
        config.rootfs.diff_ids.push(layer.digest.clone());
        manifest.layers.push(layer);
        payloads.push(signature.payload.clone());
    }
    let config = json(&config).into_bytes();
    manifest.config = DescriptorJson::new(MediaType::OCI_CONFIG, &config);
    BuiltAttachments {
        payloads,
        config,
        manifest: json(&manifest).into_bytes(),
    }
}

impl DescriptorJson {
    fn new(media_type: &str, content: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::of(content),
            size: content.len() as u64,
            urls: None,
            annotations: None,
            data: None,
            platform: None,
            artifact_type: None,
        }
    }

    /// Whether both are the same signature.
    fn is_same(&self, other: &Self) -> bool {
        let annotations = |descriptor: &Self| descriptor.annotations.clone().unwrap_or_default();
        self.media_type == other.media_type
            && self.size == other.size
            && self.digest == other.digest
            && annotations(self) == annotations(other)
    }
}
