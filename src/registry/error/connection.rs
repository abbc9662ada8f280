//! Why no connection came about: what the errors of others say.

use std::error::Error;
use std::io;

use super::{TlsFailure, presentable};

/// The cause behind all others.
pub(super) fn innermost(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// A name that could not be looked up.
pub(super) struct FailedLookup {
    /// It may be that of a proxy.
    pub(super) host: Option<String>,
    /// `None` where there is no such name.
    pub(super) problem: Option<String>,
}

/// Finds the lookup of a name in an error. The types of the resolver are reqwest's own business;
/// their texts are all there is.
pub(super) fn failed_lookup(error: &reqwest::Error) -> Option<FailedLookup> {
    let mut is_lookup = false;
    let mut next = error.source();
    let mut innermost = String::new();
    while let Some(error) = next {
        innermost = error.to_string();
        is_lookup |= innermost.starts_with("dns error");
        next = error.source();
    }
    if !is_lookup {
        return None;
    }
    let quoted = innermost.split_once("Name(\"").map(|(_, rest)| rest);
    let name = quoted.and_then(|rest| rest.split('"').next());
    let host = name.map(|name| name.trim_end_matches('.').to_owned());
    let is_absent = innermost.contains("no records found");
    Some(FailedLookup {
        host: host.filter(|host| !host.is_empty()),
        problem: (!is_absent).then(|| presentable(&innermost).unwrap_or_default()),
    })
}

/// Finds what TLS has to do with an error. An `io::Error` does not show what it wraps as its
/// source, and one may wrap another, so each is opened.
pub(super) fn tls_failure(error: &reqwest::Error) -> Option<TlsFailure> {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(classify_tls(tls));
        }
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

/// Finds an answer that is not HTTP where plain HTTP was spoken: a TLS server ends so. The types of
/// the HTTP parser are reqwest's own business; their text is all there is.
pub(super) fn tls_answer(error: &reqwest::Error) -> Option<TlsFailure> {
    let is_plain = error.url().is_some_and(|url| url.scheme() == "http");
    let is_answer = innermost(error) == "invalid HTTP version parsed";
    (is_plain && is_answer).then_some(TlsFailure::TlsAnswer)
}

fn classify_tls(error: &rustls::Error) -> TlsFailure {
    use rustls::{AlertDescription, CertificateError as Certificate, InvalidMessage};
    match error {
        rustls::Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        ) => TlsFailure::PlainAnswer,
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                TlsFailure::WrongName
            }
            Certificate::Expired
            | Certificate::ExpiredContext { .. }
            | Certificate::NotValidYet
            | Certificate::NotValidYetContext { .. } => TlsFailure::Expired,
            // The type of the cause is rustls's own business; its name is all there is.
            Certificate::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
                TlsFailure::CaCertificate
            }
            // Unknown issuers, and the many ways in which a home-made certificate is wrong.
            _ => TlsFailure::UnknownIssuer,
        },
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA,
        ) => TlsFailure::ClientCertificate,
        _ => TlsFailure::Handshake,
    }
}
