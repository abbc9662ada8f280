//! What an image is, as data.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::config::{ConfigFacts, ReadConfig, config_digest, texts};
use super::parts::Part;
use crate::SourceKind;
use hod_oci::{Descriptor, Digest, Manifest, ReferrerEntry, sum_len};
use hod_transfer::{Referrer, Resolved};

/// One image.
#[derive(Debug, Clone, Serialize)]
pub struct InspectOutcome {
    pub image: String,
    pub kind: &'static str,
    pub digest: Digest,
    pub media_type: String,
    /// The length of the manifest.
    pub bytes: u64,
    /// The index that has the shown manifest, if a platform was chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index_digest: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The manifest that it refers to, if it is a referrer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Digest>,
    pub annotations: BTreeMap<String, String>,
    /// Bytes of all manifests, configs and layers, each counted once; without referrers.
    pub total_bytes: u64,
    /// The manifests of an index, or the image itself.
    pub manifests: Vec<ManifestFacts>,
    pub referrers: Vec<ReferrerFacts>,
}

/// The manifest of one platform, or of an artifact.
#[derive(Debug, Clone, Serialize)]
pub struct ManifestFacts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    pub digest: Digest,
    pub media_type: String,
    /// The length of the manifest.
    pub bytes: u64,
    /// Bytes of the manifest, its config and its layers; `None` if the source does not have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Whether it is an attestation of another manifest of the index.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_attestation: bool,
    /// Those of the manifest, and of its entry in the index.
    pub annotations: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_digest: Option<Digest>,
    /// `None` for an artifact, and if the source does not have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigFacts>,
    pub layers: Vec<LayerFacts>,
}

/// A layer.
#[derive(Debug, Clone, Serialize)]
pub struct LayerFacts {
    pub digest: Digest,
    pub media_type: String,
    pub bytes: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A signature, attestation or SBOM.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ReferrerFacts {
    /// The manifest that it is about.
    pub subject: Digest,
    pub digest: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Bytes of its manifest and blobs.
    pub bytes: u64,
    /// The tag of cosign that leads to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl ManifestFacts {
    pub(super) fn of(part: &Part, read: ReadConfig) -> Self {
        let mut annotations = part.descriptor.annotations.clone();
        let media_type = match &part.manifest {
            Some(manifest) => manifest.media_type(),
            None => &part.descriptor.media_type,
        };
        let layers = part.manifest.iter().flat_map(Manifest::blobs).skip(1);
        let layer = |layer: &Descriptor| LayerFacts {
            digest: layer.digest.clone(),
            media_type: layer.media_type.to_string(),
            bytes: layer.size,
            annotations: layer.annotations.clone(),
        };
        if let Some(manifest) = &part.manifest {
            annotations.extend(annotations_of(manifest));
        }
        Self {
            platform: part
                .platform
                .as_ref()
                .map(ToString::to_string)
                .or(read.platform),
            digest: part.descriptor.digest.clone(),
            media_type: media_type.to_string(),
            bytes: part.descriptor.size,
            total_bytes: part.manifest.as_ref().map(|one| total([one])),
            artifact_type: part.manifest.as_ref().and_then(artifact_type),
            is_attestation: part.is_about_another,
            annotations,
            config_digest: config_digest(part),
            config: read.config,
            layers: layers.map(layer).collect(),
        }
    }
}

/// Puts everything together.
pub(super) fn outcome(
    kind: SourceKind,
    resolved: &Resolved,
    manifests: Vec<ManifestFacts>,
    referrers: &[Referrer],
) -> InspectOutcome {
    let top = resolved.top();
    InspectOutcome {
        image: resolved.wanted.name.clone(),
        kind: kind.as_str(),
        digest: top.digest().clone(),
        media_type: top.media_type().to_string(),
        bytes: top.bytes().len() as u64,
        index_digest: resolved.original.clone(),
        artifact_type: artifact_type(top),
        subject: top.subject().map(|subject| subject.digest.clone()),
        annotations: annotations_of(top),
        total_bytes: total(&resolved.manifests),
        manifests,
        referrers: referrer_facts(referrers),
    }
}

/// The artifact type, unless it is an ordinary image.
fn artifact_type(manifest: &Manifest) -> Option<String> {
    let is_image = |text: &str| hod_oci::MediaType::new(text).is_image_config();
    let entry = ReferrerEntry::of(manifest);
    let found = entry.artifact_type().filter(|text| !is_image(text));
    found.map(str::to_owned)
}

fn annotations_of(manifest: &Manifest) -> BTreeMap<String, String> {
    let parsed: Value = serde_json::from_slice(manifest.bytes()).unwrap_or_default();
    texts(&parsed["annotations"])
}

/// Bytes of manifests and their blobs, each counted once.
fn total<'a>(manifests: impl IntoIterator<Item = &'a Manifest>) -> u64 {
    let mut lens: BTreeMap<&Digest, u64> = BTreeMap::new();
    for manifest in manifests {
        lens.insert(manifest.digest(), manifest.bytes().len() as u64);
        lens.extend(manifest.blobs().map(|blob| (&blob.digest, blob.size)));
    }
    sum_len(lens.into_values())
}

/// One line for each manifest that is about another; an index of several belongs to nothing.
fn referrer_facts(referrers: &[Referrer]) -> Vec<ReferrerFacts> {
    let mut found = BTreeSet::new();
    for referrer in referrers {
        let is_cosign = referrer.kind == hod_oci::ReferrerTagKind::Cosign;
        let is_direct = |manifest: &&Manifest| {
            let subject = manifest.subject().map(|subject| &subject.digest);
            is_cosign && manifest.digest() == referrer.top().digest()
                || !is_cosign && subject == Some(&referrer.subject)
        };
        for manifest in referrer.manifests.iter().filter(is_direct) {
            let entry = ReferrerEntry::of(manifest);
            found.insert(ReferrerFacts {
                subject: referrer.subject.clone(),
                digest: manifest.digest().clone(),
                artifact_type: entry.artifact_type().map(str::to_owned),
                bytes: total([manifest]),
                tag: is_cosign.then(|| referrer.tag.to_string()),
            });
        }
    }
    found.into_iter().collect()
}
