//! The images in the registry: one of each kind, with configs that have every field.

use hod_oci::Manifest;
use hod_testkit::images::{Blob, Compression, Format, Image, Layer, artifact, index, layer};
use serde_json::{Value, json};

/// The media types of a manifest, its config and its layers.
struct Types {
    manifest: &'static str,
    config: &'static str,
    gzip: &'static str,
    raw: &'static str,
}

const DOCKER: Types = Types {
    manifest: "application/vnd.docker.distribution.manifest.v2+json",
    config: "application/vnd.docker.container.image.v1+json",
    gzip: "application/vnd.docker.image.rootfs.diff.tar.gzip",
    raw: "application/vnd.docker.image.rootfs.diff.tar",
};
const OCI: Types = Types {
    manifest: "application/vnd.oci.image.manifest.v1+json",
    config: "application/vnd.oci.image.config.v1+json",
    gzip: "application/vnd.oci.image.layer.v1.tar+gzip",
    raw: "application/vnd.oci.image.layer.v1.tar",
};
const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// Every image, with the `repository:tag` that it has.
pub(super) fn stock() -> Vec<(&'static str, Image)> {
    let mut stock = vec![
        ("lab/s2:v1", schema2("amd64", 500)),
        ("lab/oci:v1", oci("amd64", 510)),
        ("lab/zstd:v1", zstd()),
        ("lab/raw:v1", raw(Format::Oci)),
        ("lab/raws2:v1", raw(Format::Docker)),
        ("lab/art:v1", artifact(540)),
        (
            "lab/idxoci:v1",
            index(Format::Oci, &[oci("amd64", 510), oci("arm64", 550)]),
        ),
        (
            "lab/idxs2:v1",
            index(
                Format::Docker,
                &[schema2("amd64", 500), schema2("arm64", 560)],
            ),
        ),
    ];
    for name in [
        "lab/many:1.0.0",
        "lab/many:1.1.0",
        "lab/many:1.10.0",
        "lab/many:latest",
        "lab/many:v1.2",
        "lab/many:weird_tag",
    ] {
        stock.push((name, schema2("amd64", 500)));
    }
    stock
}

/// The image of that name.
pub(super) fn stocked(name: &str) -> Image {
    let found = stock().into_iter().find(|(stocked, _)| *stocked == name);
    found.unwrap().1
}

fn schema2(architecture: &str, seed: u64) -> Image {
    let layers = [seed + 1, seed + 2].map(|seed| layer(seed, 3_000, Compression::Gzip));
    build(&DOCKER, architecture, &layers)
}

fn oci(architecture: &str, seed: u64) -> Image {
    let layers = [seed + 1, seed + 2].map(|seed| layer(seed, 3_000, Compression::Gzip));
    build(&OCI, architecture, &layers)
}

fn zstd() -> Image {
    let types = Types { gzip: ZSTD, ..OCI };
    build(&types, "amd64", &[zstd_stored(521)])
}

fn raw(format: Format) -> Image {
    let types = match format {
        Format::Docker => &DOCKER,
        Format::Oci => &OCI,
    };
    let layers = [layer(531, 3_000, Compression::Uncompressed)];
    build(types, "amd64", &layers)
}

fn build(types: &Types, architecture: &str, layers: &[Layer]) -> Image {
    let config = Blob::new(config(architecture, layers));
    let descriptor = |media_type: &str, blob: &Blob| json!({"mediaType": media_type, "digest": blob.digest, "size": blob.bytes.len()});
    let listed: Vec<Value> = layers
        .iter()
        .map(|layer| {
            let media_type = match layer.compression {
                Compression::Uncompressed => types.raw,
                Compression::Gzip | Compression::Zstd => types.gzip,
            };
            descriptor(media_type, &layer.blob)
        })
        .collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": types.manifest,
        "config": descriptor(types.config, &config),
        "layers": listed,
    });
    let bytes = serde_json::to_vec_pretty(&manifest).unwrap();
    let mut blobs = vec![config];
    blobs.extend(layers.iter().map(|layer| layer.blob.clone()));
    Image {
        manifests: vec![Manifest::parse(bytes.into(), None).unwrap()],
        blobs,
    }
}

/// A config as Docker writes it, with text that JSON of Go escapes.
fn config(architecture: &str, layers: &[Layer]) -> String {
    let diff_ids: Vec<String> = layers
        .iter()
        .map(|layer| layer.diff_id.to_string())
        .collect();
    let history: Vec<Value> = layers
        .iter()
        .enumerate()
        .map(|(at, _)| json!({"created": "2026-01-02T03:04:05.678901Z", "created_by": format!("RUN step {at} && <done>")}))
        .chain([json!({"created": "2026-01-02T03:04:06Z", "created_by": "CMD [\"/app\"]", "empty_layer": true})])
        .collect();
    json!({
        "architecture": architecture,
        "os": "linux",
        "created": "2026-01-02T03:04:05.678901Z",
        "author": "An Author <author@example.com>",
        "docker_version": "20.10.7",
        "config": {
            "User": "1000",
            "Hostname": "builder",
            "ExposedPorts": {"8080/tcp": {}, "53/udp": {}},
            "Env": ["PATH=/usr/bin:/bin", "GREETING=hello & <welcome>"],
            "Entrypoint": ["/entry"],
            "Cmd": ["serve", "--all"],
            "Volumes": {"/data": {}},
            "WorkingDir": "/srv",
            "Labels": {"org.example.title": "<title> & more", "a.key": "1", "maintainer": "ünïcode"},
            "StopSignal": "SIGTERM",
            "Healthcheck": {"Test": ["CMD", "true"]}
        },
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": history,
    })
    .to_string()
}

/// A zstd frame (RFC 8878) of one stored block, so that no compressor's version matters.
fn zstd_stored(seed: u64) -> Layer {
    let raw = layer(seed, 3_000, Compression::Uncompressed);
    let archive = raw.blob.bytes;
    let len = u32::try_from(archive.len()).unwrap();
    // A frame of one segment with its size in four bytes.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0b1010_0000];
    frame.extend_from_slice(&len.to_le_bytes());
    // The last block, stored.
    frame.extend_from_slice(&(len << 3 | 1).to_le_bytes()[..3]);
    frame.extend_from_slice(&archive);
    Layer {
        blob: Blob::new(frame),
        diff_id: raw.diff_id,
        compression: Compression::Zstd,
    }
}
