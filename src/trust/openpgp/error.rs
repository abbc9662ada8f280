//! What can go wrong with OpenPGP.

use hod_report::ErrorClass::{Auth, Usage, Verify};
use hod_report::{Diagnose, Diagnosis};

/// Why a message is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenPgpError {
    /// Not OpenPGP, or damaged.
    #[error("not an OpenPGP signed message: {problem}")]
    Message { problem: String },
    /// Signed by nobody, or by several.
    #[error("Unexpected GPG signature count {count}")]
    Count { count: usize },
    /// The signature is by none of the keys that were given.
    #[error("Invalid GPG signature: Key not found for key ID {id} in signature")]
    KeyNotFound { id: String },
    /// The signature is not by its key, or its key may not make it.
    #[error("Invalid GPG signature: key {fingerprint}: {problem}")]
    Invalid {
        fingerprint: String,
        problem: &'static str,
    },
    /// The signature is valid, by a key that is not among the expected ones.
    #[error("signature by key {key} of {primary} is not accepted")]
    NotAccepted { key: String, primary: String },
}

impl Diagnose for OpenPgpError {
    fn diagnose(&self) -> Diagnosis {
        Diagnosis::new(Verify)
    }
}

/// Why gpg did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GpgError {
    #[error("program `{program}`, which has the signing keys, is not on PATH")]
    Absent { program: String },
    #[error("`{program}` failed: {message}")]
    Failed { program: String, message: String },
}

impl Diagnose for GpgError {
    fn diagnose(&self) -> Diagnosis {
        match self {
            Self::Absent { .. } => Diagnosis::new(Usage)
                .hint("Install GnuPG, or sign with a key of sigstore, which does not need it."),
            Self::Failed { .. } => {
                Diagnosis::new(Auth).hint("`gpg --list-secret-keys` lists the keys that can sign.")
            }
        }
    }
}
