//! Why a server cannot be started.

use std::path::PathBuf;

use hod_report::Hint;

/// Why a server cannot be started as requested.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(transparent)]
    File(hod_fsx::Error),
    #[error("`{}` has no certificate in PEM form", path.display())]
    NoCertificate { path: PathBuf },
    #[error("`{}` has no private key in PEM form", path.display())]
    NoKey { path: PathBuf },
    #[error("certificate `{}` and key `{}` cannot be used together", certificate.display(), key.display())]
    Pair {
        certificate: PathBuf,
        key: PathBuf,
        source: rustls::Error,
    },
    #[error("`{}` has no user", path.display())]
    NoLogins { path: PathBuf },
    #[error("line {line} of `{}` is not a login: {reason}", path.display())]
    BadLogin {
        path: PathBuf,
        line: usize,
        reason: &'static str,
    },
}

impl Hint for ServerError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::NoCertificate { .. } | Self::NoKey { .. } | Self::Pair { .. } => Some(
                "Give `--tls-cert` the server's certificate, followed by those of its issuers, and \
                 `--tls-key` its private key without a password."
                    .to_owned(),
            ),
            Self::NoLogins { .. } | Self::BadLogin { .. } => {
                Some("Add a user with `htpasswd -B FILE USER`.".to_owned())
            }
        }
    }
}
