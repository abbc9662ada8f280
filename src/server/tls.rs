//! Encryption: the certificate that the server shows.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::startup_error::ServerError;

/// The longest file of certificates, in bytes.
const PEM_LEN_MAX: u64 = 4 * 1024 * 1024;

/// A certificate with its key, ready to be shown.
#[derive(Clone)]
pub struct Tls(pub(super) TlsAcceptor);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads a chain of certificates, the server's own first, and its key, both in PEM; blocks.
    pub fn open(certificate: &Path, key: &Path) -> Result<Self, ServerError> {
        let chain = hod_fsx::read(certificate, PEM_LEN_MAX).map_err(ServerError::File)?;
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&chain)
            .collect::<Result<_, _>>()
            .unwrap_or_default();
        if chain.is_empty() {
            let path = certificate.to_owned();
            return Err(ServerError::NoCertificate { path });
        }
        let bytes = hod_fsx::read(key, PEM_LEN_MAX).map_err(ServerError::File)?;
        // The cause is left out: it may quote the key.
        let Ok(private) = PrivateKeyDer::from_pem_slice(&bytes) else {
            let path = key.to_owned();
            return Err(ServerError::NoKey { path });
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let pair = |source| ServerError::Pair {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            source,
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(pair)?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(pair)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}
