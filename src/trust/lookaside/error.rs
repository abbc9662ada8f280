//! What can go wrong with lookaside storage, mostly in the words of containers/image.

use std::path::PathBuf;

use hod_report::ErrorClass::{Server, Usage, Verify};
use hod_report::{Diagnose, Diagnosis};

use super::url::SignatureUrl;
use crate::go_text::{plain, quoted};
use crate::signature::SignatureFormatError;

/// Why signatures are not found or not stored.
#[derive(Debug, thiserror::Error)]
pub enum LookasideError {
    #[error(transparent)]
    File(hod_fsx::Error),
    #[error("parsing {}: line {line}: {problem}", path.display())]
    Yaml {
        path: PathBuf,
        line: usize,
        problem: String,
    },
    #[error(
        "Error parsing signature storage configuration: \"default-docker\" defined both in {} and {}",
        quoted(&first.display().to_string()),
        quoted(&second.display().to_string())
    )]
    TwoDefaults { first: PathBuf, second: PathBuf },
    #[error(
        "Error parsing signature storage configuration: \"docker\" namespace {} defined both in {} and {}",
        quoted(name),
        quoted(&first.display().to_string()),
        quoted(&second.display().to_string())
    )]
    TwoNamespaces {
        name: String,
        first: PathBuf,
        second: PathBuf,
    },
    #[error("Invalid signature storage URL {}", plain(url))]
    Url { url: String },
    #[error("Unsupported scheme when reading signature from {url}")]
    ReadScheme { url: SignatureUrl },
    #[error("Unsupported scheme when writing signature to {url}")]
    WriteScheme { url: SignatureUrl },
    #[error("Unsupported scheme when deleting signature from {url}")]
    DeleteScheme { url: SignatureUrl },
    #[error(
        "Writing directly to a {} lookaside {url} is not supported. Configure a lookaside-staging: location",
        url.scheme()
    )]
    WriteHttp { url: SignatureUrl },
    #[error("parsing signature {}", quoted(&path.display().to_string()))]
    Format {
        path: PathBuf,
        source: SignatureFormatError,
    },
    #[error("parsing signature {url}")]
    FormatAt {
        url: SignatureUrl,
        source: SignatureFormatError,
    },
    #[error("server provided {count} signatures, assuming that's unreasonable and a server error")]
    TooMany { count: usize },
}

impl Diagnose for LookasideError {
    fn diagnose(&self) -> Diagnosis {
        match self {
            Self::File(error) => error.diagnose(),
            Self::Yaml { .. }
            | Self::TwoDefaults { .. }
            | Self::TwoNamespaces { .. }
            | Self::Url { .. }
            | Self::ReadScheme { .. }
            | Self::WriteScheme { .. }
            | Self::DeleteScheme { .. } => Diagnosis::refused(Usage),
            Self::WriteHttp { .. } => Diagnosis::refused(Usage).hint(
                "Signatures are only written to files: set `lookaside-staging` to a `file:` URL in \
                 `registries.d`.",
            ),
            Self::Format { .. } | Self::FormatAt { .. } => Diagnosis::new(Verify),
            Self::TooMany { .. } => Diagnosis::new(Server),
        }
    }
}
