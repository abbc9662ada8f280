//! What to do about TLS connections that fail.

use crate::TlsFailure;
use hod_oci::Registry;

/// Returns the hint for a failure of TLS at `host`.
pub(super) fn tls_hint(host: &str, failure: TlsFailure) -> Option<String> {
    match failure {
        TlsFailure::PlainAnswer => Some(format!(
            "If `{host}` does not use TLS on purpose, pass `--plain-http {host}`."
        )),
        TlsFailure::TlsRequired => Some(tls_required(host)),
        TlsFailure::UnknownIssuer => Some(format!(
            "Pass the CA of `{host}` with `--ca FILE`, or put it where Docker looks for it: \
             `/etc/docker/certs.d/{host}/ca.crt`. `hod doctor {host}` shows the issuer. \
             `--insecure {host}` connects without verifying anything."
        )),
        TlsFailure::CaCertificate => Some(format!(
            "If it is self-signed, pass this very certificate with `--ca FILE`, or put it into \
             `/etc/docker/certs.d/{host}/ca.crt` (`openssl s_client -connect {host} </dev/null | \
             openssl x509` shows it). `--insecure {host}` connects without verifying anything."
        )),
        TlsFailure::WrongName => Some(format!(
            "Use a name that is in the certificate. `--insecure {host}` connects without verifying \
             anything."
        )),
        TlsFailure::Expired => {
            Some("Check the clock of this machine, then the certificate.".to_owned())
        }
        TlsFailure::ClientCertificate => Some(format!(
            "Put the client's certificate and its key into a `certs.d` directory, as \
             `/etc/docker/certs.d/{host}/client.cert` and `client.key`."
        )),
        TlsFailure::Version | TlsFailure::Handshake => None,
    }
}

fn tls_required(host: &str) -> String {
    let is_loopback = host
        .parse::<Registry>()
        .is_ok_and(|registry| registry.is_loopback());
    if is_loopback {
        format!(
            "`{host}` uses TLS, but hod uses plain HTTP for addresses of this machine. Leave out \
             `--plain-http {host}` if it is given, and pass its CA with `--ca FILE`, or pass \
             `--insecure {host}`."
        )
    } else {
        format!("`{host}` uses TLS. Leave out `--plain-http {host}`.")
    }
}
