//! What can be wrong with the images that a neighbour's tool put together.

use std::path::PathBuf;

use crate::fsx;
use crate::hint::Hint;
use crate::oci::{Digest, ManifestError, ReferenceError};
use crate::report::ErrorClass;
use crate::tarball::ArchiveError;

/// An OCI layout or an archive that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CollectionError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    File(#[from] fsx::Error),
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
    /// What kind of failure it is, for programs.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Archive(error) => error.class(),
            Self::File(error) => error.class(),
            Self::Json { .. }
            | Self::Content { .. }
            | Self::Corrupt { .. }
            | Self::Manifest { .. }
            | Self::NotAFile { .. } => ErrorClass::Verify,
            Self::Absent { .. } => ErrorClass::NotFound,
            Self::Name { .. } => ErrorClass::Usage,
            Self::TooMuch { .. } => ErrorClass::Policy,
        }
    }

    /// Whether content is not what its digest says, or garbled.
    pub fn is_content(&self) -> bool {
        match self {
            Self::Archive(error) => error.class() == ErrorClass::Verify,
            Self::Corrupt { .. } | Self::Json { .. } => true,
            // Any other reason lies in how it was made.
            _ => false,
        }
    }
}

impl Hint for CollectionError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Archive(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Corrupt { .. } | Self::Absent { .. } => {
                Some("make it again with the tool that made it, or copy it again".to_owned())
            }
            Self::TooMuch { .. } => {
                Some("decompress it with `gzip -d` or `zstd -d` and give the tar".to_owned())
            }
            _ => None,
        }
    }
}
