//! Manifests of one kind as manifests of the other: OCI's and Docker's schema 2.

use std::collections::BTreeMap;

use hod_oci::{Descriptor, ImageManifest, Manifest, ManifestBody, MediaType, Platform};
use serde::Serialize;

use crate::failure::{Done, Failure};
use crate::go_json;

/// The layers' types of both kinds, in pairs: OCI's, Docker's.
const LAYERS: [(&str, &str); 5] = [
    (
        "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
    ),
    (
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.docker.image.rootfs.diff.tar",
    ),
    (
        "application/vnd.oci.image.layer.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.diff.tar.zstd",
    ),
    (
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ),
    (
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
    ),
];

/// A kind of manifests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Oci,
    Schema2,
}

impl Kind {
    /// The kind of a manifest or an index.
    pub(crate) fn of(manifest: &Manifest) -> Self {
        match manifest.media_type().as_str() {
            MediaType::DOCKER_MANIFEST | MediaType::DOCKER_LIST => Self::Schema2,
            _ => Self::Oci,
        }
    }

    pub(crate) fn manifest(self) -> &'static str {
        match self {
            Self::Oci => MediaType::OCI_MANIFEST,
            Self::Schema2 => MediaType::DOCKER_MANIFEST,
        }
    }

    pub(crate) fn index(self) -> &'static str {
        match self {
            Self::Oci => MediaType::OCI_INDEX,
            Self::Schema2 => MediaType::DOCKER_LIST,
        }
    }

    fn config(self) -> &'static str {
        match self {
            Self::Oci => MediaType::OCI_CONFIG,
            Self::Schema2 => MediaType::DOCKER_CONFIG,
        }
    }

    /// The type of a layer in manifests of this kind.
    pub(crate) fn layer(self, media_type: &str) -> Done<&'static str> {
        let mut pairs = LAYERS.iter();
        let pair = pairs.find(|(oci, docker)| media_type == *oci || media_type == *docker);
        match (pair, self) {
            (Some((oci, _)), Self::Oci) => Ok(oci),
            (Some((oci, _)), Self::Schema2) if oci.ends_with("+zstd") => {
                Err(Failure::new(format!(
                    "creating an updated image manifest: Error during manifest conversion: {}: \
                     zstd compression is not officially supported for docker images",
                    hod_gotext::quote(oci)
                )))
            }
            (Some((_, docker)), Self::Schema2) => Ok(docker),
            (None, _) => Err(Failure::new(format!(
                "unknown MIME type of a layer: {}",
                hod_gotext::quote(media_type)
            ))),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OciImage<'a> {
    schema_version: u8,
    media_type: &'a str,
    config: OciBlob<'a>,
    layers: Vec<OciBlob<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OciBlob<'a> {
    media_type: &'a str,
    digest: &'a str,
    size: u64,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    urls: &'a [String],
    #[serde(skip_serializing_if = "no_entries")]
    annotations: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<OciPlatform<'a>>,
}

#[derive(Serialize)]
struct OciPlatform<'a> {
    architecture: &'a str,
    os: &'a str,
    #[serde(rename = "os.version", skip_serializing_if = "Option::is_none")]
    os_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DockerImage<'a> {
    schema_version: u8,
    media_type: &'a str,
    config: DockerBlob<'a>,
    layers: Vec<DockerBlob<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DockerBlob<'a> {
    media_type: &'a str,
    size: u64,
    digest: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    urls: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<OciPlatform<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a, T> {
    schema_version: u8,
    media_type: &'a str,
    manifests: Vec<T>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn no_entries(annotations: &&BTreeMap<String, String>) -> bool {
    annotations.is_empty()
}

impl<'a> OciPlatform<'a> {
    fn of(platform: &'a Platform) -> Self {
        Self {
            architecture: &platform.architecture,
            os: &platform.os,
            os_version: platform.os_version.as_deref(),
            variant: platform.variant.as_deref(),
        }
    }
}

fn oci_blob<'a>(blob: &'a Descriptor, media_type: &'a str) -> OciBlob<'a> {
    OciBlob {
        media_type,
        digest: blob.digest.as_str(),
        size: blob.size,
        urls: &blob.urls,
        annotations: &blob.annotations,
        platform: blob.platform.as_ref().map(OciPlatform::of),
    }
}

fn docker_blob<'a>(blob: &'a Descriptor, media_type: &'a str) -> DockerBlob<'a> {
    DockerBlob {
        media_type,
        size: blob.size,
        digest: blob.digest.as_str(),
        urls: &blob.urls,
        platform: blob.platform.as_ref().map(OciPlatform::of),
    }
}

/// The manifest of a kind for a config and layers, whose types may be of either kind.
pub(crate) fn image(kind: Kind, image: &ImageManifest) -> Done<Manifest> {
    let config = kind.config();
    let types: Vec<&'static str> = image
        .layers
        .iter()
        .map(|layer| kind.layer(layer.media_type.as_str()))
        .collect::<Done<_>>()?;
    let layers = image.layers.iter().zip(types);
    let bytes = match kind {
        Kind::Oci => go_json::compact(&OciImage {
            schema_version: 2,
            media_type: kind.manifest(),
            config: oci_blob(&image.config, config),
            layers: layers.map(|(layer, of)| oci_blob(layer, of)).collect(),
        }),
        Kind::Schema2 => go_json::compact(&DockerImage {
            schema_version: 2,
            media_type: kind.manifest(),
            config: docker_blob(&image.config, config),
            layers: layers.map(|(layer, of)| docker_blob(layer, of)).collect(),
        }),
    };
    parse(bytes)
}

/// The index of a kind for these entries.
pub(crate) fn index(kind: Kind, entries: &[Descriptor]) -> Done<Manifest> {
    let entries = entries.iter();
    let bytes = match kind {
        Kind::Oci => go_json::compact(&Index {
            schema_version: 2,
            media_type: kind.index(),
            manifests: entries
                .map(|entry| oci_blob(entry, entry.media_type.as_str()))
                .collect::<Vec<_>>(),
        }),
        Kind::Schema2 => go_json::compact(&Index {
            schema_version: 2,
            media_type: kind.index(),
            manifests: entries
                .map(|entry| docker_blob(entry, entry.media_type.as_str()))
                .collect::<Vec<_>>(),
        }),
    };
    parse(bytes)
}

fn parse(bytes: Vec<u8>) -> Done<Manifest> {
    Manifest::parse(bytes.into(), None).map_err(|error| Failure::new(error.to_string()))
}

/// The image that a manifest describes; artifacts are images here too.
pub(crate) fn image_of(manifest: &Manifest) -> Done<&ImageManifest> {
    match manifest.body() {
        ManifestBody::Image(image) => Ok(image),
        ManifestBody::Index(_) => Err(Failure::new("an index is not an image")),
    }
}
