//! Why a server cannot be started.

use std::path::PathBuf;

use hod_report::{Diagnose, Diagnosis, ErrorClass};

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

impl Diagnose for ServerError {
    fn diagnose(&self) -> Diagnosis {
        let usage = Diagnosis::new(ErrorClass::Usage);
        match self {
            // A flag names it.
            Self::File(error) => Diagnosis {
                hint: error.diagnose().hint,
                ..usage
            },
            Self::NoCertificate { .. } | Self::NoKey { .. } | Self::Pair { .. } => usage.hint(
                "Pass the server's certificate, followed by those of its issuers, with \
                 `--tls-cert`, and its private key, without a password, with `--tls-key`.",
            ),
            Self::NoLogins { .. } | Self::BadLogin { .. } => {
                usage.hint("Add a user with `htpasswd -B FILE USER`.")
            }
        }
    }
}
