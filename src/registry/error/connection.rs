//! Why no connection came about: what the errors of others say.

use std::error::Error;
use std::sync::Arc;
use std::{fmt, io};

use hod_report::presentable;

/// The proxy on the way to a host, as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedProxy {
    /// Without its login.
    pub url: String,
    pub host: String,
    /// The variable that names it.
    pub variable: &'static str,
}

impl fmt::Display for UsedProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` (`{}`)", self.url, self.variable)
    }
}

/// Why an encrypted connection failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFailure {
    /// The other side does not speak TLS.
    PlainAnswer,
    /// The other side speaks TLS, and plain HTTP was used.
    TlsRequired,
    /// Its certificate was not issued by a trusted CA.
    UnknownIssuer,
    /// Its certificate is a CA's, which a server must not use.
    CaCertificate,
    /// Its certificate is for another name.
    WrongName,
    /// Its certificate is not valid today.
    Expired,
    /// It wants to see a certificate of ours, or does not take the one it saw.
    ClientCertificate,
    /// It does not speak the versions of TLS that are allowed here.
    Version,
    /// Anything else.
    Handshake,
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PlainAnswer => "expected TLS, but the server answered in plain text",
            Self::TlsRequired => "the server requires TLS, but the request was plain HTTP",
            Self::UnknownIssuer => "the server's certificate is not trusted here",
            Self::CaCertificate => "the server's certificate is that of a CA",
            Self::WrongName => "the server's certificate is for another name",
            Self::Expired => "the server's certificate is not valid at this time",
            Self::ClientCertificate => "the server requires a client certificate that it trusts",
            Self::Version => "the server does not support the TLS versions that are allowed here",
            Self::Handshake => "the TLS handshake failed",
        })
    }
}

/// The cause of a connection error: the innermost one only, since the others name reqwest's own
/// layers.
#[derive(Debug, Clone)]
pub struct ConnectionError {
    inner: Arc<reqwest::Error>,
    /// The host name of the proxy, if it does not exist.
    unknown_proxy: Option<String>,
}

impl ConnectionError {
    /// Takes over an error without the URL that it was about, which may be signed.
    pub(super) fn new(error: reqwest::Error) -> Self {
        Self {
            inner: Arc::new(error.without_url()),
            unknown_proxy: None,
        }
    }

    pub(super) fn unknown_proxy(error: reqwest::Error, host: &str) -> Self {
        Self {
            unknown_proxy: Some(host.to_owned()),
            ..Self::new(error)
        }
    }

    /// Whether no connection came about.
    pub(crate) fn is_connect(&self) -> bool {
        self.inner.is_connect()
    }

    pub(super) fn is_timeout(&self) -> bool {
        self.inner.is_timeout()
    }

    /// Whether nothing was sent at all.
    pub(super) fn is_builder(&self) -> bool {
        self.inner.is_builder()
    }

    /// Whether there was a connection, and no answer in HTTP on it.
    pub(crate) fn is_broken(&self) -> bool {
        !(self.is_connect() || self.is_timeout() || self.is_builder())
    }

    /// Whether something was received that is not HTTP. The types of the HTTP parser are reqwest's
    /// own business; their texts are all there is.
    fn is_not_http(&self) -> bool {
        innermost(self.inner.as_ref()).starts_with("invalid HTTP")
    }

    /// Whether trying again cannot help.
    pub(super) fn is_lasting(&self) -> bool {
        self.is_builder() || self.unknown_proxy.is_some()
    }
}

impl Error for ConnectionError {}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.unknown_proxy {
            Some(host) => write!(f, "host `{host}` not found"),
            None if self.is_not_http() => f.write_str("the answer is not HTTP"),
            None if tls_failure(&self.inner) == Some(TlsFailure::PlainAnswer) => {
                f.write_str("the answer is not TLS")
            }
            None => f.write_str(&innermost(self.inner.as_ref())),
        }
    }
}

/// The cause behind all others.
fn innermost(error: &dyn Error) -> String {
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
    /// `None` where the name does not exist.
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
pub(crate) fn tls_failure(error: &reqwest::Error) -> Option<TlsFailure> {
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

/// Finds what the text of an error answer has to do with TLS: servers answer in HTTP to plain HTTP
/// at their TLS port, and to a connection without the client certificate that they require.
pub(crate) fn tls_complaint(body: &[u8]) -> Option<TlsFailure> {
    let text = String::from_utf8_lossy(body).to_ascii_lowercase();
    let says = |words: &str| text.contains(words);
    if says("http request to an https server") || says("plain http request was sent to https port")
    {
        Some(TlsFailure::TlsRequired)
    } else if says("no required ssl certificate was sent") {
        Some(TlsFailure::ClientCertificate)
    } else {
        None
    }
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
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => TlsFailure::Version,
        _ => TlsFailure::Handshake,
    }
}
