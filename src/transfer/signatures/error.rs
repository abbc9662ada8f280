//! Why signatures cannot be read.

use crate::TransferError;
use hod_oci::Digest;
use hod_report::{Diagnose, Diagnosis, ErrorClass};
use hod_trust::{AttachmentError, DockerNameError, LookasideError};

/// Why the signatures of an image cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    #[error(transparent)]
    Lookaside(#[from] LookasideError),
    #[error(transparent)]
    Attachments(#[from] AttachmentError),
    #[error("signature {digest} is too large")]
    TooLarge { digest: Digest },
    /// The source has come to nothing yet but its list of images.
    #[error("a bundle that is compressed, or comes from a pipe, is read only once")]
    ReadOnce,
    /// Policies and signatures cannot name the image.
    #[error("`{name}` is not a name that images are signed for")]
    Name {
        name: String,
        source: DockerNameError,
    },
    #[error(transparent)]
    Source(Box<TransferError>),
}

impl From<TransferError> for SignatureError {
    fn from(error: TransferError) -> Self {
        Self::Source(Box::new(error))
    }
}

impl Diagnose for SignatureError {
    fn diagnose(&self) -> Diagnosis {
        match self {
            Self::Lookaside(error) => error.diagnose(),
            Self::Attachments(error) => error.diagnose(),
            Self::TooLarge { .. } => Diagnosis::refused(ErrorClass::Policy),
            Self::ReadOnce => Diagnosis::refused(ErrorClass::Policy).hint(
                "Use the uncompressed `.tar` file, of which hod can read the signatures before the \
                 images, or unpack the bundle into a store.",
            ),
            Self::Name { .. } => Diagnosis::refused(ErrorClass::Policy),
            Self::Source(error) => error.diagnose(),
        }
    }
}
