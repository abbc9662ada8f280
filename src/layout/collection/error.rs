//! What can be wrong with the images that a neighbour's tool put together.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use hod_oci::{Algorithm, Digest, ManifestError, ReferenceError};
use hod_report::ErrorClass;
use hod_report::Hint;
use hod_tarball::{ArchiveError, WindowTooLarge};

/// An OCI layout or an archive that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CollectionError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    File(#[from] hod_fsx::Error),
    /// An index or manifest file that cannot be read.
    #[error("`{}` in `{}` cannot be read", member.escape_debug(), path.display())]
    Json {
        path: PathBuf,
        member: String,
        source: serde_json::Error,
    },
    /// The same, where the JSON is fine.
    #[error("`{}` in `{}` {problem}", member.escape_debug(), path.display())]
    Content {
        path: PathBuf,
        member: String,
        /// "lists more than …".
        problem: String,
    },
    /// A list that does not agree with what it lists.
    #[error("`{}` in `{}` {problem}", member.escape_debug(), path.display())]
    Contradiction {
        path: PathBuf,
        member: String,
        /// "lists 2 layers of an image …".
        problem: String,
    },
    /// A compressed layer that unpacks to something else than its image says.
    #[error("layer `{}` in `{}` unpacks to `{actual}`, and its image has `{expected}`", member.escape_debug(), path.display())]
    DiffId {
        path: PathBuf,
        member: String,
        expected: Digest,
        actual: Digest,
    },
    /// A compressed layer whose stream is damaged.
    #[error("layer `{}` in `{}` cannot be unpacked", member.escape_debug(), path.display())]
    Unpack {
        path: PathBuf,
        member: String,
        source: Arc<io::Error>,
    },
    /// A compressed layer that unpacks to more than any image has.
    #[error("layer `{}` in `{}` is a decompression bomb and was not unpacked to its end", member.escape_debug(), path.display())]
    Bomb { path: PathBuf, member: String },
    /// A compressed layer in a compressed archive that is named by a digest of another kind.
    #[error("layer `{}` in `{}` has a diff id by {}, which cannot be verified in a compressed archive", member.escape_debug(), path.display(), algorithm.as_str())]
    DiffIdAlgorithm {
        path: PathBuf,
        member: String,
        algorithm: Algorithm,
    },
    /// A name that is not a valid reference.
    #[error("`{}` in `{}` names an image `{}`", member.escape_debug(), path.display(), name.escape_debug())]
    Name {
        path: PathBuf,
        member: String,
        name: String,
        source: ReferenceError,
    },
    /// A blob whose bytes are not those that its name says.
    #[error("`{}` in `{}` does not hold `{digest}`: the file is damaged", member.escape_debug(), path.display())]
    Corrupt {
        path: PathBuf,
        member: String,
        digest: Digest,
    },
    /// A blob that is not a valid manifest.
    #[error("`{}` in `{}` cannot be read as a manifest", member.escape_debug(), path.display())]
    Manifest {
        path: PathBuf,
        member: String,
        source: ManifestError,
    },
    /// A file that is referred to and not found.
    #[error("`{}` in `{}` names `{}`, which is not found", member.escape_debug(), path.display(), name.escape_debug())]
    Absent {
        path: PathBuf,
        member: String,
        name: String,
    },
    /// A directory, device or pipe where a blob belongs.
    #[error("`{}` is not a file", path.display())]
    NotAFile { path: PathBuf },
    /// More than is held in memory of a compressed archive.
    #[error("`{}` has more than {len_max} bytes of manifests, too many to read it compressed", path.display())]
    TooMuch { path: PathBuf, len_max: u64 },
}

impl CollectionError {
    /// Whether bytes are not what their digest says.
    pub fn is_damaged(&self) -> bool {
        match self {
            Self::Archive(_) | Self::Unpack { .. } | Self::Corrupt { .. } | Self::DiffId { .. } => {
                self.class() == ErrorClass::Verify
            }
            // What an entry names, and says of it, lies in how the whole was made.
            _ => false,
        }
    }

    /// What kind of failure it is, for programs.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Archive(error) => error.class(),
            Self::File(error) => error.class(),
            Self::Json { .. }
            | Self::Content { .. }
            | Self::Corrupt { .. }
            | Self::Contradiction { .. }
            | Self::DiffId { .. }
            | Self::Unpack { .. }
            | Self::Manifest { .. }
            | Self::Absent { .. }
            | Self::NotAFile { .. } => ErrorClass::Verify,
            Self::Name { .. } => ErrorClass::Usage,
            Self::TooMuch { .. } | Self::Bomb { .. } | Self::DiffIdAlgorithm { .. } => {
                ErrorClass::Policy
            }
        }
    }
}

impl Hint for CollectionError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Archive(error) => error.hint(),
            Self::File(error) => error.hint(),
            // The layer of an archive is not compressed by hand.
            Self::Unpack { source, .. } if WindowTooLarge::of(source).is_some() => None,
            Self::Corrupt { .. }
            | Self::Contradiction { .. }
            | Self::DiffId { .. }
            | Self::Unpack { .. }
            | Self::Absent { .. } => {
                Some("make it again with the tool that made it, or copy it again".to_owned())
            }
            Self::TooMuch { .. } | Self::DiffIdAlgorithm { .. } => {
                Some("decompress it with `gzip -d` or `zstd -d` and give the tar".to_owned())
            }
            _ => None,
        }
    }
}
