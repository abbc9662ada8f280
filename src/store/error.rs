//! What can go wrong in a store.

use std::path::PathBuf;

use hod_oci::{ContentMismatch, Digest, DigestError, ManifestError, RepositoryName};
use hod_report::ErrorClass;
use hod_report::Hint;

/// A failed operation on a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Neither a store nor a registry's directory.
    #[error("`{}` is not a registry tree: it has no `docker/registry/v2`", path.display())]
    NotAStore { path: PathBuf },
    /// The inside of a tree was given where its root directory belongs.
    #[error("`{}` is the inside of a registry tree and cannot be written as a store", path.display())]
    InsideTree { path: PathBuf },
    /// A store opened for reading was to be changed.
    #[error("store `{}` is open for reading only", path.display())]
    ReadOnly { path: PathBuf },
    /// The store could not be opened exclusively.
    #[error("`{}` is in use by another hod process", path.display())]
    InUse { path: PathBuf },
    /// A path of the store that leads elsewhere.
    #[error("`{}` is not a real directory (perhaps a symbolic link)", path.display())]
    Indirect { path: PathBuf },
    /// A file of the store that leads elsewhere.
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
    /// The file system refused.
    #[error(transparent)]
    File(#[from] hod_fsx::Error),
    /// A link file without a digest in it.
    #[error("link `{}` does not hold a digest", path.display())]
    BadLink { path: PathBuf, source: DigestError },
    /// Bytes that came in are not those that were asked for.
    #[error(transparent)]
    Content(#[from] ContentMismatch),
    /// Bytes in the store are not those that their place says.
    #[error("`{}` does not hold `{digest}`: the file is damaged", path.display())]
    Corrupt { digest: Digest, path: PathBuf },
    /// A blob that should be a manifest is none.
    #[error("blob `{digest}` cannot be read as a manifest")]
    BadManifest {
        digest: Digest,
        source: ManifestError,
    },
    /// An image was to be published before all of it was there.
    #[error("`{repository}` cannot be published: blob `{digest}` is not in the store")]
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

    /// What kind of failure it is, for programs.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotAStore { .. } | Self::InsideTree { .. } => ErrorClass::Usage,
            Self::InUse { .. }
            | Self::Indirect { .. }
            | Self::IndirectFile { .. }
            | Self::SameDirectory { .. }
            | Self::Changed { .. } => ErrorClass::Policy,
            Self::ReadOnly { .. } => ErrorClass::Internal,
            Self::File(error) => error.class(),
            Self::NotPutBack { source, .. } => source.class(),
            Self::BadLink { .. }
            | Self::Content(_)
            | Self::Corrupt { .. }
            | Self::BadManifest { .. } => ErrorClass::Verify,
            Self::MissingBlob { .. } => ErrorClass::NotFound,
        }
    }
}

impl Hint for StoreError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotAStore { .. } => Some(
                "give the directory that `hod pull` wrote, or the `rootdirectory` of a registry"
                    .to_owned(),
            ),
            Self::InsideTree { .. } => {
                Some("give the directory that has `docker/registry/v2` in it".to_owned())
            }
            Self::InUse { .. } => Some("wait until that process has ended".to_owned()),
            Self::Indirect { .. } | Self::IndirectFile { .. } => Some(
                "In a store or tree, nothing is written or removed through a symbolic link; one at \
                 the store itself, or above it, is followed. Put what it leads to there, or choose \
                 another store."
                    .to_owned(),
            ),
            Self::SameDirectory { .. } => Some(
                "nothing is removed from the store itself: choose a new directory".to_owned(),
            ),
            Self::Changed { .. } => Some(
                "no other program may write to the store or the tree: stop it, then run the \
                 command again"
                    .to_owned(),
            ),
            Self::NotPutBack { path, kept, .. } => Some(format!(
                "move `{}` to `{}` before anything else",
                kept.display(),
                path.display()
            )),
            Self::ReadOnly { .. } => None,
            Self::File(error) => error.hint(),
            Self::BadLink { path, .. } | Self::Corrupt { path, .. } => Some(format!(
                "`hod verify` lists all that is damaged; remove `{}` and pull its image again",
                path.display()
            )),
            Self::Content(_) => Some(
                "nothing of this blob was kept; running the same command again is safe".to_owned(),
            ),
            Self::MissingBlob { .. } => {
                Some("pull the image again: what is there already is not fetched twice".to_owned())
            }
            Self::BadManifest { source, .. } => match source {
                ManifestError::Schema1 => Some(
                    "push the image again from a current Docker, which writes schema 2".to_owned(),
                ),
                _ => None,
            },
        }
    }
}
