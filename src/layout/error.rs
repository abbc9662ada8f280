//! What can go wrong with layouts.

use std::path::PathBuf;
use std::sync::Arc;

use super::CollectionError;
use hod_oci::{ContentMismatch, Digest, ManifestError, ReferenceError};
use hod_report::ErrorClass::{File, NotFound, Policy, Usage, Verify};
use hod_report::{Diagnose, Diagnosis};

/// A failed operation on a layout.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// An operation of the file system failed.
    #[error(transparent)]
    File(#[from] hod_fsx::Error),
    /// An OCI layout or an archive cannot be used.
    #[error(transparent)]
    Collection(Arc<CollectionError>),
    /// The path is not a layout.
    #[error("`{}` is not a `dir:` layout: it has no `manifest.json`", path.display())]
    NotALayout { path: PathBuf },
    /// The version file is invalid, or of a later version.
    #[error("`{}` says `{}`; layout versions up to 1.2 are supported", path.display(), text.escape_debug())]
    UnknownVersion { path: PathBuf, text: String },
    /// The file of a manifest is invalid.
    #[error("`{}` cannot be read as a manifest", path.display())]
    BadManifest {
        path: PathBuf,
        source: ManifestError,
    },
    /// The content of a file does not match the digest in its name.
    #[error("`{}` does not hold `{digest}`: the file is damaged", path.display())]
    Corrupt { path: PathBuf, digest: Digest },
    /// A directory, device or pipe is in place of a blob.
    #[error("`{}` is not a file", path.display())]
    NotAFile { path: PathBuf },
    /// The names of directories are not valid references.
    #[error("{}", list_names(.0))]
    BadNames(Vec<BadName>),
    /// The output has entries that hod did not write.
    #[error("`{}` already exists and is not a `dir:` layout{}", path.display(), found.as_ref().map(|name| format!(": it has `{name}`")).unwrap_or_default())]
    Occupied {
        path: PathBuf,
        /// A file or directory that does not belong in a layout.
        found: Option<String>,
    },
    /// The same, for other formats.
    #[error("`{}` already exists and is not {format}{}", path.display(), found.as_ref().map(|name| format!(": it has `{}`", name.escape_debug())).unwrap_or_default())]
    Foreign {
        path: PathBuf,
        /// With an article.
        format: &'static str,
        /// A file or directory that does not belong in a layout.
        found: Option<String>,
    },
    /// Another process writes the same layout.
    #[error("`{}` is being written by another process", path.display())]
    Busy { path: PathBuf },
    /// The received content does not have the expected digest and length.
    #[error(transparent)]
    Content(#[from] ContentMismatch),
    /// A layer does not decompress to the diff ID in its image.
    #[error("layer `{layer}` unpacks to `{actual}` ({len} bytes), but its image says `{expected}`")]
    DiffIdMismatch {
        layer: Digest,
        expected: Digest,
        actual: Digest,
        len: u64,
    },
    /// A layer cannot be read or decompressed.
    #[error("failed to unpack layer `{digest}`")]
    LayerRead {
        digest: Digest,
        source: std::io::Error,
    },
    /// The layout cannot be finished without its manifest.
    #[error("layout `{}` has no top manifest yet", path.display())]
    NoManifest { path: PathBuf },
    /// The layout cannot be finished: it is incomplete.
    #[error("layout `{}` is incomplete: `{digest}` is missing", path.display())]
    Incomplete { path: PathBuf, digest: Digest },
    /// The length of a blob is not the one in the manifest.
    #[error("blob `{digest}` in layout `{}`: expected {expected} bytes, found {actual}", path.display())]
    WrongLength {
        path: PathBuf,
        digest: Digest,
        expected: u64,
        actual: u64,
    },
}

/// A layout in a directory whose name is not a valid reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadName {
    pub path: PathBuf,
    pub reason: BadNameReason,
}

/// Why a directory's name is not a valid reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadNameReason {
    #[error("the name is not valid UTF-8")]
    NotText,
    #[error("the path ends without a name")]
    Nameless,
    #[error(transparent)]
    Reference(ReferenceError),
}

fn list_names(names: &[BadName]) -> String {
    let mut lines = vec![match names {
        [_] => "1 layout has a name that is not an image reference".to_owned(),
        _ => format!(
            "{} layouts have names that are not image references",
            names.len()
        ),
    }];
    let line = |name: &BadName| format!("`{}`: {}", name.path.display(), name.reason);
    lines.extend(names.iter().map(line));
    lines.join("\n  ")
}

impl From<CollectionError> for LayoutError {
    fn from(error: CollectionError) -> Self {
        Self::Collection(Arc::new(error))
    }
}

impl From<hod_fsx::WriteError> for LayoutError {
    fn from(error: hod_fsx::WriteError) -> Self {
        match error {
            hod_fsx::WriteError::File(error) => Self::File(error),
            hod_fsx::WriteError::Content(mismatch) => Self::Content(mismatch),
        }
    }
}

impl LayoutError {
    /// Returns true if content does not match its digest.
    pub fn is_damaged(&self) -> bool {
        match self {
            Self::Collection(error) => error.is_damaged(),
            Self::NotAFile { .. } => false,
            _ => self.diagnose().class == Verify,
        }
    }
}

impl Diagnose for LayoutError {
    fn diagnose(&self) -> Diagnosis {
        match self {
            Self::File(error) => error.diagnose(),
            Self::Collection(error) => error.diagnose(),
            Self::NotALayout { .. } => Diagnosis::new(Usage).hint(
                "Name the directory that contains the `manifest.json`, or one above it. `skopeo copy \
                 … dir:PATH` and `hod export` write such layouts.",
            ),
            Self::UnknownVersion { .. } => Diagnosis::new(Usage),
            Self::BadNames(_) => Diagnosis::new(Usage).hint(
                "Name the directories as `skopeo sync --dest dir` does: `app:1.0` or \
                 `app@sha256:…`, below the directories of their namespaces.",
            ),
            Self::Occupied { .. } | Self::Foreign { .. } => Diagnosis::refused(File)
                .hint("It was left as it was. Choose another output, or move it away."),
            Self::Busy { .. } => Diagnosis::new(File)
                .hint("Wait until the other run has ended, then run the command again."),
            Self::Corrupt { .. } => {
                Diagnosis::new(Verify).hint("Create the layout again from the original image.")
            }
            Self::BadManifest { source, .. } if !source.is_damage() => Diagnosis::new(Policy),
            Self::BadManifest { .. }
            | Self::NotAFile { .. }
            | Self::Content(_)
            | Self::DiffIdMismatch { .. }
            | Self::LayerRead { .. }
            | Self::WrongLength { .. } => Diagnosis::new(Verify),
            Self::NoManifest { .. } | Self::Incomplete { .. } => Diagnosis::new(NotFound),
        }
    }
}
