//! What can be wrong with the images that a neighbour's tool put together.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use hod_oci::{Algorithm, Digest, ManifestError, ReferenceError};
use hod_report::ErrorClass::{Policy, Usage, Verify};
use hod_report::amount::format_len;
use hod_report::{Diagnose, Diagnosis};
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
    #[error("layer `{}` in `{}` unpacks to `{actual}`, but its image says `{expected}`", member.escape_debug(), path.display())]
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
    #[error("layer `{}` in `{}` is a decompression bomb; unpacking was stopped", member.escape_debug(), path.display())]
    Bomb { path: PathBuf, member: String },
    /// A compressed layer in a compressed archive that is named by a digest of another kind.
    #[error("layer `{}` in `{}` has a diff id by {}, which cannot be verified in a compressed archive", member.escape_debug(), path.display(), algorithm.as_str())]
    DiffIdAlgorithm {
        path: PathBuf,
        member: String,
        algorithm: Algorithm,
    },
    /// A name that is not a valid reference.
    #[error("`{}` in `{}` has the invalid image name `{}`", member.escape_debug(), path.display(), name.escape_debug())]
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
    #[error("`{}` in `{}` refers to `{}`, which was not found", member.escape_debug(), path.display(), name.escape_debug())]
    Absent {
        path: PathBuf,
        member: String,
        name: String,
    },
    /// A directory, device or pipe where a blob belongs.
    #[error("`{}` is not a file", path.display())]
    NotAFile { path: PathBuf },
    /// More than is held in memory of a compressed archive.
    #[error("the manifests in `{}` are larger than {}, the limit for a compressed archive", path.display(), format_len(*len_max))]
    TooMuch { path: PathBuf, len_max: u64 },
}

impl CollectionError {
    /// Whether bytes are not what their digest says.
    pub fn is_damaged(&self) -> bool {
        match self {
            Self::Archive(_) | Self::Unpack { .. } | Self::Corrupt { .. } | Self::DiffId { .. } => {
                self.diagnose().class == Verify
            }
            // What an entry names, and says of it, lies in how the whole was made.
            _ => false,
        }
    }
}

impl Diagnose for CollectionError {
    fn diagnose(&self) -> Diagnosis {
        match self {
            Self::Archive(error) => error.diagnose(),
            Self::File(error) => error.diagnose(),
            // Nobody compresses the layer of an archive by hand.
            Self::Unpack { source, .. } if WindowTooLarge::of(source).is_some() => {
                Diagnosis::new(Verify)
            }
            Self::Corrupt { .. }
            | Self::Contradiction { .. }
            | Self::DiffId { .. }
            | Self::Unpack { .. }
            | Self::Absent { .. } => Diagnosis::new(Verify)
                .hint("Create it again with the tool that wrote it, or copy it again."),
            Self::Manifest { source, .. } if !source.is_damage() => Diagnosis::new(Policy),
            Self::Json { .. }
            | Self::Content { .. }
            | Self::Manifest { .. }
            | Self::NotAFile { .. } => Diagnosis::new(Verify),
            Self::Name { .. } => Diagnosis::new(Usage),
            Self::TooMuch { .. } | Self::DiffIdAlgorithm { .. } => Diagnosis::new(Policy).hint(
                "Decompress it with `gzip -d` or `zstd -d`, and name the resulting tar file.",
            ),
            Self::Bomb { .. } => Diagnosis::new(Policy),
        }
    }
}
