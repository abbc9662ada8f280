//! Why certificates from files cannot be used.

use std::path::PathBuf;

use hod_report::{Diagnose, Diagnosis, ErrorClass};

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
    #[error("`{}` and `{}` are not a client certificate and its key in PEM form", certificate.display(), key.display())]
    Pair { certificate: PathBuf, key: PathBuf },
    #[error("the certificates to trust cannot be used")]
    Trust { source: rustls::Error },
}

impl Diagnose for CertificatesError {
    fn diagnose(&self) -> Diagnosis {
        let usage = Diagnosis::new(ErrorClass::Usage);
        match self {
            // A flag, or a directory of the configuration, names it.
            Self::File(error) => Diagnosis {
                hint: error.diagnose().hint,
                ..usage
            },
            Self::NoCertificate { .. } => usage.hint(
                "A PEM file has lines `-----BEGIN CERTIFICATE-----`. Convert a DER file with \
                 `openssl x509 -inform der -in FILE`.",
            ),
            Self::NoKey { .. } => usage.hint(
                "Name the certificate of a CA `*.crt`; `*.cert` is for the client's own, with its \
                 key in `*.key`.",
            ),
            Self::NoClientCertificate { .. } | Self::Pair { .. } | Self::Trust { .. } => usage,
        }
    }
}
