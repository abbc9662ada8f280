//! What can go wrong with sigstore's keys and signatures.

use hod_report::ErrorClass::{Internal, Usage, Verify};
use hod_report::{Diagnose, Diagnosis};

use crate::go_text::plain;
use crate::payload::PayloadError;

/// Why a key cannot be used. Contains nothing of a secret key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SigstoreKeyError {
    #[error("PEM decoding failed")]
    PublicPem,
    #[error(
        "unknown Public key PEM file type: {}. Are you passing the correct public key?",
        plain(found)
    )]
    PublicKind { found: String },
    #[error("it is not a public key of ECDSA P-256 or P-384, Ed25519 or RSA of at least 2048 bits")]
    PublicAlgorithm,
    #[error("invalid pem block")]
    SecretPem,
    #[error("unsupported pem type: {}", plain(found))]
    SecretKind { found: String },
    #[error("decrypt: {problem}")]
    Sealed { problem: &'static str },
    /// The passphrase is wrong, or the key is damaged.
    #[error("decrypt: encrypted: decryption failed")]
    Passphrase,
    #[error("parsing private key: it is not of ECDSA P-256, Ed25519 or RSA")]
    SecretAlgorithm,
    #[error("the system does not provide random numbers")]
    NoRandomness,
    #[error("the key could not sign")]
    CannotSign,
}

impl Diagnose for SigstoreKeyError {
    fn diagnose(&self) -> Diagnosis {
        let usage = Diagnosis::new(Usage);
        match self {
            Self::PublicPem | Self::PublicKind { .. } => usage.hint(
                "A public key is a file `cosign.pub`, which begins with `-----BEGIN PUBLIC KEY-----`.",
            ),
            Self::SecretPem | Self::SecretKind { .. } => usage.hint(
                "A secret key is a file `cosign.key`, which begins with `-----BEGIN ENCRYPTED \
                 SIGSTORE PRIVATE KEY-----` or with `COSIGN` instead.",
            ),
            Self::PublicAlgorithm
            | Self::Sealed { .. }
            | Self::Passphrase
            | Self::SecretAlgorithm => usage,
            Self::NoRandomness | Self::CannotSign => Diagnosis::new(Internal),
        }
    }
}

/// Why a signature is not accepted, in the words of containers/image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SigstoreError {
    #[error("missing {name} annotation")]
    Annotation { name: &'static str },
    #[error("base64 decoding: the signature is not base64")]
    Base64,
    #[error("cryptographic signature verification failed: {}", problems.join(", "))]
    Signature { problems: Vec<&'static str> },
    #[error(transparent)]
    Payload(PayloadError),
    #[error("No public key verified against the RekorSET: {}", problems.join(", "))]
    Rekor { problems: Vec<String> },
}

impl Diagnose for SigstoreError {
    fn diagnose(&self) -> Diagnosis {
        Diagnosis::new(Verify)
    }
}

/// Why a manifest is not one of attachments.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttachmentError {
    #[error("the manifest of the signatures is invalid: {problem}")]
    Manifest { problem: String },
    #[error("the config of the signatures is invalid: {problem}")]
    Config { problem: String },
    #[error(
        "unexpected MIME type for sigstore attachment manifest: {}",
        crate::go_text::quoted(found)
    )]
    MediaType { found: String },
    #[error("signature {number} of the manifest does not have its digest and size")]
    Content { number: usize },
}

impl Diagnose for AttachmentError {
    fn diagnose(&self) -> Diagnosis {
        Diagnosis::new(Verify)
    }
}

/// Why a payload was not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignPayloadError {
    #[error(transparent)]
    Payload(PayloadError),
    #[error(transparent)]
    Key(SigstoreKeyError),
}

impl Diagnose for SignPayloadError {
    fn diagnose(&self) -> Diagnosis {
        match self {
            Self::Payload(_) => Diagnosis::new(Usage),
            Self::Key(error) => error.diagnose(),
        }
    }
}
