//! Certificates that the user trusts by file: as authorities, and individually.
//!
//! A self-signed certificate often claims to be an authority's (`openssl req -x509` makes such),
//! which a server must not present according to web PKI rules. If the user names exactly the
//! certificate that the server presents, no chain is needed: only its name and validity are
//! checked, as in curl and containers.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use crate::wire::tls_limits;
use crate::wire::x509::Certificate;

/// The client's certificate.
#[derive(Debug)]
pub struct ClientPair {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

/// Trusts the system's authorities and `trusted`. Blocks: the former are read.
pub fn tls_config(
    trusted: Vec<CertificateDer<'static>>,
    pair: Option<ClientPair>,
) -> Result<ClientConfig, Error> {
    let provider = tls_limits::provider();
    let authorities = rustls_platform_verifier::Verifier::new_with_extra_roots(
        trusted.clone(),
        Arc::clone(&provider),
    )?;
    let verifier = PinningVerifier {
        authorities,
        trusted,
    };
    let builder = builder(provider)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match pair {
        Some(pair) => builder.with_client_auth_cert(pair.chain, pair.key)?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn builder(
    provider: Arc<CryptoProvider>,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, Error> {
    ClientConfig::builder_with_provider(provider).with_protocol_versions(rustls::ALL_VERSIONS)
}

/// Verifies by authorities, and else by the very certificate.
#[derive(Debug)]
struct PinningVerifier {
    authorities: rustls_platform_verifier::Verifier,
    trusted: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for PinningVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.authorities.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            Err(Error::InvalidCertificate(_)) if self.trusted.contains(end_entity) => {
                verify_name_and_time(end_entity, server_name, now)
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

fn verify_name_and_time(
    certificate: &CertificateDer<'_>,
    server_name: &ServerName<'_>,
    now: UnixTime,
) -> Result<ServerCertVerified, Error> {
    verify_server_name(&ParsedCertificate::try_from(certificate)?, server_name)?;
    let parsed = Certificate::parse(certificate).ok_or(CertificateError::BadEncoding)?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < parsed.not_before.unix_seconds() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > parsed.not_after.unix_seconds() {
        return Err(CertificateError::Expired.into());
    }
    Ok(ServerCertVerified::assertion())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A self-signed certificate of an authority, as `openssl req -x509` makes it.
    fn self_signed(names: &[&str], year_end: i32) -> CertificateDer<'static> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(year_end, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn exactly_the_certificate_that_is_named_is_accepted() {
        #[track_caller]
        fn check(
            (trusted, shown): (&CertificateDer<'static>, &CertificateDer<'static>),
            name: &str,
            expect: Result<(), &str>,
        ) {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let verifier = PinningVerifier {
                authorities: rustls_platform_verifier::Verifier::new_with_extra_roots(
                    [trusted.clone()],
                    provider,
                )
                .unwrap(),
                trusted: vec![trusted.clone()],
            };
            let now = UnixTime::since_unix_epoch(std::time::Duration::from_hours(500_000));
            let name = ServerName::try_from(name.to_owned()).unwrap();
            let outcome = verifier.verify_server_cert(shown, &[], &name, &[], now);
            match (outcome, expect) {
                (Ok(_), Ok(())) => {}
                (Err(error), Err(expect)) => {
                    let text = format!("{error:?}");
                    assert!(text.contains(expect), "{text}");
                }
                (outcome, _) => panic!("{name:?}: {outcome:?}"),
            }
        }
        let own = self_signed(&["hub.corp", "10.0.0.7"], 2090);
        let same_name = self_signed(&["hub.corp"], 2090);
        let old = self_signed(&["hub.corp"], 2021);
        check((&own, &own), "hub.corp", Ok(()));
        check((&own, &own), "10.0.0.7", Ok(()));
        check((&own, &own), "other.corp", Err("NotValidForName"));
        check((&old, &old), "hub.corp", Err("Expired"));
        // Another certificate with the same name.
        check((&own, &same_name), "hub.corp", Err("InvalidCertificate"));
    }
}
