//! Why a file of credentials cannot be used.

use hod_report::{Diagnose, Diagnosis, ErrorClass};

/// Why a file of credentials cannot be used; contains nothing of its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// Its causes are left out on purpose: serde quotes the value it stumbles over.
    #[error("the credentials are not JSON of the expected form, line {line} column {column}")]
    Json { line: usize, column: usize },
    #[error("the file is empty")]
    Empty,
    #[error("`auth` of `{key}` in the credentials is not base64 of `user:password`")]
    Auth { key: String },
    #[error("the entry of `{key}` in the credentials does not have the expected form")]
    Entry { key: String },
}

impl Diagnose for CredentialsError {
    fn diagnose(&self) -> Diagnosis {
        Diagnosis::new(ErrorClass::Usage)
    }
}
