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
    /// The JSON of an index or manifest file is invalid.
    #[error("`{}` in `{}` cannot be read", member.escape_debug(), path.display())]
    Json {
        path: PathBuf,
        member: String,
        source: serde_json::Error,
    },
    /// An index or manifest file is valid JSON, but not what it should be.
    #[error("`{}` in `{}` {problem}", member.escape_debug(), path.display())]
    Content {
        path: PathBuf,
        member: String,
        /// "lists more than …".
        problem: String,
    },
    /// A list does not match the entries that it lists.
    #[error("`{}` in `{}` {problem}", member.escape_debug(), path.display())]
    Contradiction {
        path: PathBuf,
        member: String,
        /// "lists 2 layers of an image …".
        problem: String,
    },
    /// A compressed layer does not decompress to the diff ID in its image.
    #[error("layer `{}` in `{}` unpacks to `{actual}`, but its image says `{expected}`", member.escape_debug(), path.display())]
    DiffId {
        path: PathBuf,
        member: String,
        expected: Digest,
        actual: Digest,
    },
    /// The stream of a compressed layer is damaged.
    #[error("layer `{}` in `{}` cannot be unpacked", member.escape_debug(), path.display())]
    Unpack {
        path: PathBuf,
        member: String,
        source: Arc<io::Error>,
    },
    /// A compressed layer decompresses to more than hod allows.
    #[error("layer `{}` in `{}` is a decompression bomb; unpacking was stopped", member.escape_debug(), path.display())]
    Bomb { path: PathBuf, member: String },
    /// A compressed layer in a compressed archive is named by a digest of another algorithm.
    #[error("layer `{}` in `{}` has a diff id by {}, which cannot be verified in a compressed archive", member.escape_debug(), path.display(), algorithm.as_str())]
    DiffIdAlgorithm {
        path: PathBuf,
        member: String,
        algorithm: Algorithm,
    },
    /// A name is not a valid reference.
    #[error("`{}` in `{}` has the invalid image name `{}`", member.escape_debug(), path.display(), name.escape_debug())]
    Name {
        path: PathBuf,
        member: String,
        name: String,
        source: ReferenceError,
    },
    /// The content of a blob does not match its digest.
    #[error("`{}` in `{}` does not hold `{digest}`: the file is damaged", member.escape_debug(), path.display())]
    Corrupt {
        path: PathBuf,
        member: String,
        digest: Digest,
    },
    /// A manifest is invalid.
    #[error("`{}` in `{}` cannot be read as a manifest", member.escape_debug(), path.display())]
    Manifest {
        path: PathBuf,
        member: String,
        source: ManifestError,
    },
    /// A referenced file is not found.
    #[error("`{}` in `{}` refers to `{}`, which was not found", member.escape_debug(), path.display(), name.escape_debug())]
    Absent {
        path: PathBuf,
        member: String,
        name: String,
    },
    /// A directory, device or pipe is in place of a blob.
    #[error("`{}` is not a file", path.display())]
    NotAFile { path: PathBuf },
    /// A compressed archive has more metadata than hod keeps in memory.
    #[error("the manifests in `{}` are larger than {}, the limit for a compressed archive", path.display(), format_len(*len_max))]
    TooMuch { path: PathBuf, len_max: u64 },
}

impl CollectionError {
    /// Returns true if content does not match its digest.
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
