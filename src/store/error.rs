//! What can go wrong in a store.

use std::path::PathBuf;

use hod_oci::{ContentMismatch, Digest, DigestError, ManifestError, RepositoryName};
use hod_report::ErrorClass::{Internal, NotFound, Policy, Usage, Verify};
use hod_report::{Diagnose, Diagnosis};

/// A failed operation on a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The path is neither a store nor the storage directory of a registry.
    #[error("`{}` is not a registry tree: it has no `docker/registry/v2`", path.display())]
    NotAStore { path: PathBuf },
    /// The path is inside a tree; its root directory is expected.
    #[error("`{}` is the inside of a registry tree and cannot be written as a store", path.display())]
    InsideTree { path: PathBuf },
    /// The store is open for reading only.
    #[error("store `{}` is open for reading only", path.display())]
    ReadOnly { path: PathBuf },
    /// The store could not be opened exclusively.
    #[error("`{}` is in use by another hod process", path.display())]
    InUse { path: PathBuf },
    /// A path of the store leads out of it.
    #[error("`{}` is not a real directory (perhaps a symbolic link)", path.display())]
    Indirect { path: PathBuf },
    /// A file of the store leads out of it.
    #[error("`{}` is not a regular file (perhaps a symbolic link)", path.display())]
    IndirectFile { path: PathBuf },
    /// A tree whose files are those of the store that it is to be compared with.
    #[error("`{}` and `{}` are the same directory", path.display(), origin.display())]
    SameDirectory { path: PathBuf, origin: PathBuf },
    /// A file that was removed from a tree has disappeared from the store, too; it was put back.
    #[error("`{}` changed while hod was running", path.display())]
    Changed { path: PathBuf },
    /// Something that should stay in a tree had left its place, and could not get back there.
    #[error("`{}` could not be put back and is kept as `{}`", path.display(), kept.display())]
    NotPutBack {
        path: PathBuf,
        kept: PathBuf,
        source: Box<hod_fsx::Error>,
    },
    /// An operation of the file system failed.
    #[error(transparent)]
    File(#[from] hod_fsx::Error),
    /// A link file does not contain a digest.
    #[error("link `{}` does not hold a digest", path.display())]
    BadLink { path: PathBuf, source: DigestError },
    /// The received content does not have the expected digest and length.
    #[error(transparent)]
    Content(#[from] ContentMismatch),
    /// A file of the store does not have the digest in its path.
    #[error("`{}` does not hold `{digest}`: the file is damaged", path.display())]
    Corrupt { digest: Digest, path: PathBuf },
    /// A blob that is used as a manifest is not a valid one.
    #[error("blob `{digest}` cannot be read as a manifest")]
    BadManifest {
        digest: Digest,
        source: ManifestError,
    },
    /// The image cannot be published: it is incomplete.
    #[error("`{repository}` cannot be published: blob `{digest}` not found in the store")]
    MissingBlob {
        repository: RepositoryName,
        digest: Digest,
    },
}

impl From<hod_fsx::WriteError> for StoreError {
    fn from(error: hod_fsx::WriteError) -> Self {
        match error {
            hod_fsx::WriteError::File(error) => Self::File(error),
            hod_fsx::WriteError::Content(mismatch) => Self::Content(mismatch),
        }
    }
}

impl StoreError {
    /// The error of a directory that is to be real.
    pub(super) fn indirect(error: hod_fsx::Error) -> Self {
        match error.kind() {
            hod_fsx::IoKind::NotOwn => Self::Indirect {
                path: error.path().to_owned(),
            },
            _ => error.into(),
        }
    }
}

impl Diagnose for StoreError {
    fn diagnose(&self) -> Diagnosis {
        match self {
            Self::NotAStore { .. } => Diagnosis::new(Usage).hint(
                "Name the directory that `hod pull` wrote, or the `rootdirectory` of a registry.",
            ),
            Self::InsideTree { .. } => {
                Diagnosis::new(Usage).hint("Name the directory that contains `docker/registry/v2`.")
            }
            Self::ReadOnly { .. } => Diagnosis::new(Internal),
            Self::InUse { .. } => {
                Diagnosis::refused(Policy).hint("Wait until that process has ended.")
            }
            Self::Indirect { .. } | Self::IndirectFile { .. } => Diagnosis::refused(Policy).hint(
                "Inside a store or tree, hod does not write or remove anything through a symbolic \
                 link; a link at the store itself, or above it, is followed. Put the target of the \
                 link there, or choose another store.",
            ),
            Self::SameDirectory { .. } => Diagnosis::refused(Policy)
                .hint("Choose a new directory: hod removes nothing from the store itself."),
            Self::Changed { .. } => Diagnosis::new(Policy).hint(
                "Stop the other program that writes to the store or the tree, then run the command \
                 again.",
            ),
            Self::NotPutBack { path, kept, source } => source.diagnose().hint(format!(
                "Before anything else, move `{}` to `{}`.",
                kept.display(),
                path.display()
            )),
            Self::File(error) => error.diagnose(),
            Self::BadLink { path, .. } | Self::Corrupt { path, .. } => {
                Diagnosis::new(Verify).hint(format!(
                    "Remove `{}` and pull its image again. `hod verify` lists everything that is \
                     damaged.",
                    path.display()
                ))
            }
            Self::Content(_) => Diagnosis::new(Verify)
                .hint("Nothing of this blob was kept. Running the same command again is safe."),
            Self::BadManifest {
                source: ManifestError::Schema1,
                ..
            } => Diagnosis::new(Policy)
                .hint("Push the image again with a current Docker, which writes schema 2."),
            Self::BadManifest { source, .. } if !source.is_damage() => Diagnosis::new(Policy),
            Self::BadManifest { .. } => Diagnosis::new(Verify),
            Self::MissingBlob { .. } => Diagnosis::new(NotFound)
                .hint("Pull the image again. Blobs that are present are not fetched twice."),
        }
    }
}
