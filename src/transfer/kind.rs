//! The kind of a source, for messages and for its transport.

use serde::Serialize;

use super::{BlobHolder, Transport};
use hod_bundle::BundleKind;
use hod_layout::CollectionKind;

/// The detected kind of a path or of a word of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "&'static str")]
pub enum SourceKind {
    Store,
    Bundle,
    CompressedBundle,
    /// From stdin, compressed or not.
    PipedBundle,
    Layouts,
    Collection(CollectionKind),
    Registry,
    /// One image of a registry.
    Image,
    /// A list, whose registries are read.
    List,
}

impl From<SourceKind> for &'static str {
    fn from(kind: SourceKind) -> Self {
        kind.as_str()
    }
}

impl From<BundleKind> for SourceKind {
    fn from(kind: BundleKind) -> Self {
        match kind {
            BundleKind::Raw => Self::Bundle,
            BundleKind::Zstd => Self::CompressedBundle,
        }
    }
}

impl SourceKind {
    /// The transport; none for registries.
    pub fn transport(self) -> Option<Transport> {
        Some(match self {
            Self::Registry | Self::Image | Self::List => return None,
            Self::Store => Transport::Store,
            Self::Bundle
            | Self::CompressedBundle
            | Self::PipedBundle
            | Self::Collection(CollectionKind::TreeArchive) => Transport::Bundle,
            Self::Layouts => Transport::Dir,
            Self::Collection(CollectionKind::OciLayout) => Transport::Oci,
            Self::Collection(CollectionKind::OciArchive) => Transport::OciArchive,
            Self::Collection(CollectionKind::DockerArchive) => Transport::DockerArchive,
        })
    }

    /// Returns true if it is of the kind of a transport.
    pub fn is(self, transport: Transport) -> bool {
        self.transport() == Some(transport)
    }

    /// The kind in words, with an article.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Store => "a registry tree",
            Self::Bundle => "a bundle",
            Self::CompressedBundle => "a compressed bundle",
            Self::PipedBundle => "a bundle from stdin",
            Self::Layouts => "a directory of `dir:` layouts",
            Self::Collection(CollectionKind::OciLayout) => "an OCI layout",
            Self::Collection(CollectionKind::OciArchive) => "an archive of an OCI layout",
            Self::Collection(CollectionKind::DockerArchive) => "a `docker save` archive",
            Self::Collection(CollectionKind::TreeArchive) => "an archive of a registry tree",
            Self::Registry => "a registry",
            Self::Image => "an image",
            Self::List => "a list",
        }
    }

    /// The container of the blobs; none for registries.
    pub fn holder(self) -> Option<BlobHolder> {
        match self {
            Self::Registry | Self::Image | Self::List => None,
            Self::Store => Some(BlobHolder::Store),
            Self::Bundle | Self::CompressedBundle | Self::PipedBundle => Some(BlobHolder::Bundle),
            Self::Layouts | Self::Collection(_) => Some(BlobHolder::Other),
        }
    }
}
