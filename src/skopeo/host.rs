//! What the program around this crate knows: files, variables, what the machine is.

use std::path::{Path, PathBuf};

use hod_registry::{Credentials, RegistriesConf, TrustOptions};

use crate::failure::Failure;

/// Gives access to the user's files and to the environment. Methods block.
pub trait Host: std::fmt::Debug + Send + Sync {
    /// The logins in the files of containers and Docker, or in `authfile` alone.
    fn credentials(&self, authfile: Option<&Path>) -> Result<Credentials, HostError>;

    /// The trusted certificates and the proxies.
    fn trust(&self) -> Result<TrustOptions, HostError>;

    /// `registries.conf`: the user's, or the one at `path`.
    fn registries_conf(&self, path: Option<&Path>) -> Result<RegistriesConf, HostError>;

    /// The file that logins are written to.
    fn login_file(&self, authfile: Option<&Path>) -> Result<PathBuf, HostError>;

    /// Reads a line from the terminal, or from stdin, without showing it.
    fn hidden_line(&self) -> std::io::Result<String>;

    /// The value of a variable, if it is set and not empty.
    fn variable(&self, name: &str) -> Option<String>;
}

/// Something of the user's that cannot be used, as a text.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct HostError(pub String);

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        Self::new(error.0)
    }
}
