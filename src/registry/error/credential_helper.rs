//! Why a credential helper did not do what it was asked to do.

/// Why a helper failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HelperError {
    /// A name with which a file names another program than a helper.
    #[error("`{helper}` in the credentials is not the name of a credential helper")]
    Name { helper: String },
    #[error("credential helper `docker-credential-{helper}` is not on PATH")]
    Absent { helper: String },
    #[error("credential helper `docker-credential-{helper}` failed: {message}")]
    Failed { helper: String, message: String },
    /// Its output is left out: it may be a secret.
    #[error("credential helper `docker-credential-{helper}` did not answer with a login")]
    Answer { helper: String },
}
