//! Why certificates from files cannot be used.

use std::path::PathBuf;

use hod_report::Hint;

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificatesError {
    #[error(transparent)]
    File(hod_fsx::Error),
    #[error("`{}` has no certificate in PEM form", path.display())]
    NoCertificate { path: PathBuf },
    #[error("client certificate `{}` has no key `{}` beside it", certificate.display(), key.display())]
    NoKey { certificate: PathBuf, key: PathBuf },
    #[error("key `{}` has no client certificate `{}` beside it", key.display(), certificate.display())]
    NoClientCertificate { key: PathBuf, certificate: PathBuf },
    /// The cause is left out: it may quote the key.
    #[error("`{}` and `{}` are no client certificate and key in PEM form", certificate.display(), key.display())]
    Pair { certificate: PathBuf, key: PathBuf },
    #[error("the certificates to trust cannot be used")]
    Trust { source: rustls::Error },
}

impl Hint for CertificatesError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::NoCertificate { .. } => Some(
                "a PEM file has lines `-----BEGIN CERTIFICATE-----`; make one of a DER file with \
                 `openssl x509 -inform der -in FILE`"
                    .to_owned(),
            ),
            Self::NoKey { .. } => Some(
                "a CA's certificate must be named `*.crt`; `*.cert` is for the client's own, with \
                 its key in `*.key`"
                    .to_owned(),
            ),
            Self::NoClientCertificate { .. } | Self::Pair { .. } | Self::Trust { .. } => None,
        }
    }
}
