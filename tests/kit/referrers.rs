//! Signatures, attestations and SBOMs of every kind, as bytes.

use hod_oci::{Digest, Manifest, MediaType, ReferrerTag};
use serde_json::json;

use super::faults::{Effect, Fault, path_contains};
use super::images::{Blob, Image, noise};
use super::registry::{RegistryOptions, TestRegistry};

/// Makes an artifact that says it is about `subject`.
pub fn about(subject: &Manifest, artifact_type: &str, seed: u64) -> Image {
    let descriptor = subject.descriptor();
    artifact(
        &json!({
            "mediaType": descriptor.media_type,
            "digest": descriptor.digest,
            "size": descriptor.size,
        }),
        artifact_type,
        seed,
    )
}

/// Makes an artifact with this `subject`, whatever it is.
pub fn artifact(subject: &serde_json::Value, artifact_type: &str, seed: u64) -> Image {
    let config = Blob::new("{}");
    let layer = Blob::new(noise(seed, 300));
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": config.descriptor("application/vnd.oci.empty.v1+json"),
        "layers": [layer.descriptor("application/vnd.example.text")],
        "annotations": {"seed": seed.to_string()},
    });
    if !subject.is_null() {
        manifest["subject"] = subject.clone();
    }
    Image {
        manifests: vec![Manifest::parse(manifest.to_string().into_bytes().into(), None).unwrap()],
        blobs: vec![config, layer],
    }
}

/// Makes what cosign puts under its tags: one layer a signature, and nothing of a subject.
pub fn signatures(seeds: &[u64]) -> Image {
    let config = Blob::new(format!("{{\"signatures\":{}}}", seeds.len()));
    let layers: Vec<Blob> = seeds
        .iter()
        .map(|&seed| Blob::new(noise(seed, 200)))
        .collect();
    let entries: Vec<_> = layers
        .iter()
        .map(|layer| layer.descriptor("application/vnd.dev.cosign.simplesigning.v1+json"))
        .collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": config.descriptor(MediaType::OCI_CONFIG),
        "layers": entries,
    });
    let mut blobs = vec![config];
    blobs.extend(layers);
    Image {
        manifests: vec![Manifest::parse(manifest.to_string().into_bytes().into(), None).unwrap()],
        blobs,
    }
}

/// The tag under which cosign keeps something: `sha256-<hex>.sig`.
pub fn cosign_tag(digest: &Digest, suffix: &str) -> String {
    format!("{}-{}.{suffix}", digest.algorithm().as_str(), digest.hex())
}

/// The tag of the index of the referrers.
pub fn index_tag(digest: &Digest) -> String {
    ReferrerTag::index_of(digest).to_string()
}

/// A registry that knows nothing of referrers, as `registry:2`.
pub fn without_api() -> TestRegistry {
    let registry = TestRegistry::with(RegistryOptions::default());
    forget_api(&registry);
    registry
}

/// Takes the referrers API away.
pub fn forget_api(registry: &TestRegistry) {
    registry.fail(
        Fault::on("GET", path_contains("/referrers/"))
            .does(Effect::Page(404, "404 page not found\n")),
    );
    registry
        .fail(Fault::on("PUT", path_contains("/manifests/")).does(Effect::NoHeader("oci-subject")));
}

/// The paths of cosign's signatures.
pub fn path_is_signature(path: &str) -> bool {
    path.rsplit('.').next() == Some("sig")
}
