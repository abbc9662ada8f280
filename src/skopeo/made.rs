//! The manifest that skopeo makes of an image in a `docker save` archive.

use hod_oci::{Manifest, ManifestBody, MediaType};
use serde::Serialize;

use crate::failure::{Done, Failure};

/// The type of all layers there, although they are stored as plain tars: digests depend on it.
const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Schema2<'a> {
    schema_version: u8,
    media_type: &'a str,
    config: Blob<'a>,
    layers: Vec<Blob<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Blob<'a> {
    media_type: &'a str,
    size: u64,
    digest: &'a str,
}

/// The type of the same layers in the manifest that a copy into an archive reports.
const UNPACKED_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";

/// The same image with the manifest that skopeo makes when it reads an archive.
pub(crate) fn as_saved(manifest: &Manifest) -> Done<Manifest> {
    made(manifest, LAYER)
}

/// The same image with the manifest that skopeo would have written, if archives had one.
pub(crate) fn as_written(manifest: &Manifest) -> Done<Manifest> {
    made(manifest, UNPACKED_LAYER)
}

fn made(manifest: &Manifest, layer_type: &str) -> Done<Manifest> {
    let ManifestBody::Image(image) = manifest.body() else {
        return Ok(manifest.clone());
    };
    let layers = image.layers.iter().map(|layer| Blob {
        media_type: layer_type,
        size: layer.size,
        digest: layer.digest.as_str(),
    });
    let made = Schema2 {
        schema_version: 2,
        media_type: MediaType::DOCKER_MANIFEST,
        config: Blob {
            media_type: MediaType::DOCKER_CONFIG,
            size: image.config.size,
            digest: image.config.digest.as_str(),
        },
        layers: layers.collect(),
    };
    let bytes = serde_json::to_vec(&made).expect("texts and numbers are JSON");
    Manifest::parse(bytes.into(), None).map_err(|error| Failure::new(error.to_string()))
}
