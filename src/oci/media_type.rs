//! Media types of manifests and layers, OCI's and Docker's.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A media type as written in a descriptor, with its kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MediaType(String);

/// The kind of content that a media type denotes, as far as it matters for carrying it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaTypeKind {
    /// A manifest of one platform (or of an artifact).
    Image,
    /// A manifest of manifests: an OCI index or a Docker manifest list.
    Index,
    /// Docker's schema 1, which is not carried.
    Schema1,
    /// A layer that registries do not store; it stays at its `urls`.
    ForeignLayer,
    /// Anything else: a config, a layer, an artifact's blob.
    Blob,
}

impl MediaType {
    pub const OCI_MANIFEST: &'static str = "application/vnd.oci.image.manifest.v1+json";
    pub const OCI_INDEX: &'static str = "application/vnd.oci.image.index.v1+json";
    pub const DOCKER_MANIFEST: &'static str =
        "application/vnd.docker.distribution.manifest.v2+json";
    pub const DOCKER_LIST: &'static str =
        "application/vnd.docker.distribution.manifest.list.v2+json";
    pub const DOCKER_SCHEMA1: &'static str = "application/vnd.docker.distribution.manifest.v1+json";
    pub const DOCKER_SCHEMA1_SIGNED: &'static str =
        "application/vnd.docker.distribution.manifest.v1+prettyjws";
    pub const OCI_CONFIG: &'static str = "application/vnd.oci.image.config.v1+json";
    pub const DOCKER_CONFIG: &'static str = "application/vnd.docker.container.image.v1+json";

    /// The four manifest types that are carried, in the order a request should accept them.
    ///
    /// A registry that gets none of them in `Accept` may convert, or answer 404.
    pub const MANIFESTS: [&'static str; 4] = [
        Self::OCI_INDEX,
        Self::DOCKER_LIST,
        Self::OCI_MANIFEST,
        Self::DOCKER_MANIFEST,
    ];

    /// Takes any text: an unknown media type is legal everywhere.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text as it stood.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The kind of content, regardless of parameters (`; charset=utf-8`).
    pub fn kind(&self) -> MediaTypeKind {
        match self.0.split(';').next().unwrap_or_default().trim() {
            Self::OCI_MANIFEST | Self::DOCKER_MANIFEST => MediaTypeKind::Image,
            Self::OCI_INDEX | Self::DOCKER_LIST => MediaTypeKind::Index,
            Self::DOCKER_SCHEMA1 | Self::DOCKER_SCHEMA1_SIGNED => MediaTypeKind::Schema1,
            text if text.starts_with("application/vnd.docker.image.rootfs.foreign.")
                || text.starts_with("application/vnd.oci.image.layer.nondistributable.") =>
            {
                MediaTypeKind::ForeignLayer
            }
            _ => MediaTypeKind::Blob,
        }
    }

    /// Whether it names the configuration of a runnable image, not of an artifact.
    pub fn is_image_config(&self) -> bool {
        matches!(self.as_str(), Self::OCI_CONFIG | Self::DOCKER_CONFIG)
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<&str> for MediaType {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}
