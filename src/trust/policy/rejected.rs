//! Why an image is not accepted, in the words of containers/image.

use hod_oci::Digest;
use hod_report::ErrorClass::Policy;
use hod_report::{Diagnose, Diagnosis};

use crate::go_text::{plain, quoted};
use crate::openpgp::OpenPgpError;
use crate::payload::PayloadError;
use crate::sigstore::{SigstoreError, SigstoreKeyError};

/// Why an image is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// A policy accepts no image of this scope.
    #[error("Running image {} is rejected by policy.", plain(image))]
    ByPolicy { image: String },
    #[error("A signature was required, but no signature exists")]
    NoSignature,
    /// There are signatures, but not of the kind that is required.
    #[error(
        "A signature was required, but no signature exists ({n_simple} non-sigstore signatures, {n_attachments} sigstore non-signature attachments)"
    )]
    NoSigstoreSignature {
        n_simple: usize,
        n_attachments: usize,
    },
    #[error(transparent)]
    Signature(Reason),
    #[error("None of the signatures were accepted, reasons: {}", join(reasons))]
    Signatures { reasons: Vec<Reason> },
    /// The user requires a signature, and the policy does not.
    #[error("No signature verification policy found for image {}", plain(image))]
    NotVerified { image: String },
    #[error("signedBaseLayer not implemented yet!")]
    BaseLayer,
    #[error("Manifest does not match provided manifest digest {digest}")]
    Manifest { digest: Digest },
    /// What is not verified is not accepted.
    #[error("sigstoreSigned with {} is not supported", quoted(feature))]
    Unsupported { feature: &'static str },
}

/// Why a signature is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error(transparent)]
    OpenPgp(OpenPgpError),
    #[error(transparent)]
    Sigstore(SigstoreError),
    #[error(transparent)]
    Payload(PayloadError),
    #[error("Signature for identity {} is not accepted", quoted(signed))]
    Identity { signed: String },
    #[error("Signature for digest {signed} does not match")]
    Digest { signed: Digest },
    #[error("Unimplemented \"keyType\" value {}", quoted(kind))]
    KeyType { kind: &'static str },
    #[error("No public keys imported")]
    NoKeys,
    /// A file of keys cannot be read.
    #[error("{problem}")]
    KeyFile { problem: String },
    #[error("parsing public key {number}: {problem}")]
    Key {
        number: usize,
        problem: SigstoreKeyError,
    },
    #[error("parsing Rekor public key {number}: {problem}")]
    RekorKey {
        number: usize,
        problem: SigstoreKeyError,
    },
    #[error("Rekor public key {number} is not using ECDSA")]
    RekorAlgorithm { number: usize },
}

fn join(reasons: &[Reason]) -> String {
    let reasons = reasons.iter().map(ToString::to_string);
    reasons.collect::<Vec<_>>().join("; ")
}

impl Rejected {
    /// Makes one of the reasons for which all signatures were refused.
    pub(super) fn of(mut reasons: Vec<Reason>) -> Self {
        match reasons.len() {
            0 => Self::NoSignature,
            1 => Self::Signature(reasons.remove(0)),
            _ => Self::Signatures { reasons },
        }
    }
}

impl Diagnose for Rejected {
    /// One class for all: nothing was changed, whatever the policy has against the image.
    fn diagnose(&self) -> Diagnosis {
        let rejected = Diagnosis::refused(Policy);
        match self {
            Self::NoSignature | Self::NoSigstoreSignature { .. } => rejected.hint(
                "The files in `registries.d` say where signatures are looked for: `lookaside`, and \
                 `use-sigstore-attachments`.",
            ),
            Self::Signature(reason) => reason.diagnose(),
            Self::Unsupported { .. } => rejected
                .hint("Require a key instead: `keyPath`, `keyPaths`, `keyData` or `keyDatas`."),
            Self::ByPolicy { .. }
            | Self::Signatures { .. }
            | Self::NotVerified { .. }
            | Self::BaseLayer
            | Self::Manifest { .. } => rejected,
        }
    }
}

impl Diagnose for Reason {
    fn diagnose(&self) -> Diagnosis {
        let rejected = Diagnosis::refused(Policy);
        match self {
            Self::Identity { .. } => rejected.hint(
                "The image was signed under another name. `signedIdentity` in the policy says which \
                 names are accepted; `remapIdentity` is for copies of a registry.",
            ),
            Self::KeyType { .. }
            | Self::NoKeys
            | Self::KeyFile { .. }
            | Self::Key { .. }
            | Self::RekorKey { .. }
            | Self::RekorAlgorithm { .. } => rejected.hint("Check the keys that the policy names."),
            Self::OpenPgp(_) | Self::Sigstore(_) | Self::Payload(_) | Self::Digest { .. } => rejected,
        }
    }
}
