//! What goes wrong with a registry, and what to do about it.

pub(crate) mod advice;
pub(crate) mod body;
pub(crate) mod certificates;
mod connection;
pub(crate) mod credential_helper;
pub(crate) mod harbor;
pub(crate) mod meaning;
mod quoted;
pub(crate) mod refusal;
pub(crate) mod safe_url;
mod transport;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::{CertificatesError, HelperError, Refusal, RequestLine, SafeUrl};
use hod_oci::{Digest, ManifestError, Registry};
use hod_retry::Failure;

pub use body::ErrorBody;
pub(crate) use body::in_words;
pub use connection::{ConnectionError, TlsFailure, UsedProxy};
pub(crate) use connection::{tls_complaint, tls_failure};
use meaning::Meaning;
pub(crate) use quoted::element;

/// Maximum number of bytes read of an error's body.
pub(crate) const ERROR_LEN_MAX: u64 = 64 * 1024;

/// Why a request to a registry failed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The registry answered with an error status.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// A wrong login, for any request.
    #[error("`{registry}` refuses the login of {refusal}")]
    LoginRefused {
        registry: Registry,
        refusal: Box<LoginRefusal>,
    },
    /// The user's own rules are against it.
    #[error("`{reference}` is blocked by the rule for `{prefix}` in `{file}`")]
    Blocked {
        reference: String,
        prefix: String,
        file: String,
    },
    /// A helper that has the login, and does not give it.
    #[error("no login for `{registry}`")]
    Helper {
        registry: Registry,
        source: HelperError,
    },
    /// Certificates that cannot be used.
    #[error(transparent)]
    Certificates(#[from] CertificatesError),
    /// The rate limit of the registry lasts longer than hod waits.
    #[error("`{host}` does not allow more requests until {}", httpdate::fmt_http_date(*until))]
    Closed {
        host: String,
        until: SystemTime,
        wait: Duration,
        /// The refusal, where it was this request that met it.
        source: Option<Box<RegistryError>>,
    },
    /// No answer, or an incomplete one.
    #[error("{request}: the connection{} failed", through(proxy.as_deref()))]
    Transport {
        request: Box<RequestLine>,
        /// The proxy that was to connect, where no connection came about.
        proxy: Option<Box<UsedProxy>>,
        source: ConnectionError,
    },
    /// The host name does not exist.
    #[error("{request}: host `{host}` not found")]
    UnknownHost {
        request: Box<RequestLine>,
        host: String,
    },
    /// The name of the host could not be looked up; its cause is the innermost one only.
    #[error("{request}: failed to look up host `{host}`: {problem}")]
    Lookup {
        request: Box<RequestLine>,
        host: String,
        problem: String,
    },
    /// No connection that can be trusted.
    #[error("{request}: {failure}")]
    Tls {
        request: Box<RequestLine>,
        failure: TlsFailure,
        /// `None` where the server said so in an answer.
        source: Option<ConnectionError>,
    },
    /// Nothing came or went for too long.
    #[error("{request}: no progress for {} seconds", after.as_secs())]
    Stalled {
        request: Box<RequestLine>,
        after: Duration,
    },
    /// An answer that comes too slowly to wait for its end; never that of a blob.
    #[error("{request}: the answer is incomplete after {} seconds ({len} bytes)", after.as_secs())]
    TooSlow {
        request: Box<RequestLine>,
        after: Duration,
        len: usize,
    },
    /// A list whose pages do not end.
    #[error("{request}: the list has more than {n_max} {what}")]
    Endless {
        request: Box<RequestLine>,
        n_max: usize,
        what: &'static str,
    },
    /// Fewer bytes than announced.
    #[error("{request}: the answer ended after {actual} of {expected} bytes")]
    Truncated {
        request: Box<RequestLine>,
        expected: u64,
        actual: u64,
    },
    /// Another number of bytes than the manifest says.
    #[error("{request}: expected {expected} bytes, found {actual} or more")]
    Length {
        request: Box<RequestLine>,
        expected: u64,
        actual: u64,
    },
    /// The same, and the bytes have the right digest.
    #[error("{request}: the blob is {actual} bytes, but the manifest says {expected}")]
    WrongClaim {
        request: Box<RequestLine>,
        expected: u64,
        actual: u64,
    },
    /// Other bytes than the digest names.
    #[error("{request}: expected `{expected}`, found `{actual}`")]
    DigestMismatch {
        request: Box<RequestLine>,
        expected: Digest,
        actual: Digest,
    },
    /// The answer is not a manifest that can be used.
    #[error("{request}: unusable manifest")]
    Manifest {
        request: Box<RequestLine>,
        source: ManifestError,
    },
    /// An answer that would not end.
    #[error("{request}: the answer has more than {len_max} bytes")]
    AnswerTooLong {
        request: Box<RequestLine>,
        len_max: u64,
    },
    /// An answer that is not what the specification says.
    #[error("{request}: {problem}")]
    Protocol {
        request: Box<RequestLine>,
        problem: &'static str,
    },
    /// Somebody answers, and not a registry.
    #[error("{request}: `{host}` is not a registry: {found}", host = request.host())]
    NotARegistry {
        request: Box<RequestLine>,
        /// "it answers 200 with a web page"
        found: String,
    },
    /// A success status although the content cannot be found afterwards.
    #[error("{request}: the registry answered {status}, but does not have `{digest}`")]
    NotStored {
        request: Box<RequestLine>,
        status: u16,
        digest: Digest,
    },
    /// Bytes that were to be uploaded, and are not what their digest says; not all were sent.
    #[error("the data to upload has digest `{actual}`, expected `{expected}`")]
    DamagedUpload { expected: Digest, actual: Digest },
    /// Redirects without end.
    #[error("{request}: redirected too often")]
    Redirects { request: Box<RequestLine> },
    /// A host that no URL can have.
    #[error("`{registry}` is not a valid host name")]
    Host { registry: Registry },
    /// The token server's answer has no token.
    #[error("{request}: {}", no_token(said.as_deref()))]
    Token {
        request: Box<RequestLine>,
        /// The text of a web page that was returned instead.
        said: Option<String>,
    },
    /// The token server knows passwords only.
    #[error("{request}: {status}: the token server does not accept identity tokens")]
    IdentityToken {
        request: Box<RequestLine>,
        status: u16,
    },
    /// The registry names no usable token server.
    #[error("`{registry}` sends clients to `{realm}` for a token, which is not a URL")]
    Realm { registry: Registry, realm: String },
    /// Harbor returned an anonymous token for a login that it accepted before, as it does while its
    /// database is down.
    #[error("`{registry}` no longer accepts the login of `{username}`, which it accepted before")]
    LoginForgotten {
        registry: Registry,
        username: String,
        /// A request to the registry's own host.
        request: Box<RequestLine>,
    },
    /// The registry wants the login sent in the clear.
    #[error("`{registry}` sends clients to `{realm}` for a token, which is not encrypted")]
    PlainRealm { registry: Registry, realm: SafeUrl },
    /// An upload broke off whose data cannot be sent twice.
    #[error("the upload was interrupted, and its data can be read only once")]
    ReadOnce { source: Box<RegistryError> },
    /// The data to be uploaded could not be read.
    #[error("{request}: failed to read the data to upload")]
    UploadSource {
        request: Box<RequestLine>,
        source: io::Error,
    },
    /// A transient failure that did not pass.
    #[error("gave up after {attempts} attempts")]
    GaveUp {
        attempts: u32,
        source: Box<RegistryError>,
    },
    /// A layer that the registry lacks, and its URLs too.
    #[error("foreign layer `{digest}` is not on `{registry}`{}", elsewhere(tried))]
    ForeignLayer {
        digest: Digest,
        registry: Registry,
        /// The other URLs that failed, and why.
        tried: Vec<String>,
        /// The error of the last URL that may be reached later, otherwise of the last one; of the
        /// request to the registry where there are no URLs.
        source: Box<RegistryError>,
    },
    /// A URL of a manifest that hod does not fetch.
    #[error("`{url}` is not fetched: {problem}")]
    ForeignUrl { url: String, problem: &'static str },
    /// No HTTP client could be set up.
    #[error("failed to set up connections")]
    Setup { source: Arc<reqwest::Error> },
    /// The client's name cannot be sent in a header.
    #[error("`{text}` cannot be sent as the name of this program")]
    UserAgent { text: String },
}

/// Details of a refused login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginRefusal {
    pub username: String,
    /// The source of the login, for messages.
    pub origin: String,
    pub request: RequestLine,
    pub status: u16,
    pub body: ErrorBody,
}

impl fmt::Display for LoginRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = in_words(self.status, &self.body);
        write!(f, "`{}`: {said}", self.username)
    }
}

fn through(proxy: Option<&UsedProxy>) -> String {
    proxy.map_or_else(String::new, |proxy| format!(" through proxy {proxy}"))
}

/// Where else a layer was looked for without success, in words.
fn elsewhere(tried: &[String]) -> String {
    match tried {
        [] => String::new(),
        tried => format!(", nor at {}", tried.join("; ")),
    }
}

/// The error of a registry that the data of an upload came from, if that is why they cannot be read.
fn uploaded(source: &io::Error) -> Option<&RegistryError> {
    source.get_ref()?.downcast_ref()
}

fn no_token(said: Option<&str>) -> String {
    match said {
        None => "the answer has no usable token".to_owned(),
        Some("") => "the answer is a web page, not a token".to_owned(),
        Some(said) => format!("the answer is a {said}, not a token"),
    }
}

impl RegistryError {
    /// The refusal that it is, or after which it was given up.
    fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::GaveUp { source, .. }
            | Self::ReadOnce { source }
            | Self::Closed {
                source: Some(source),
                ..
            } => source.refusal(),
            _ => None,
        }
    }

    /// The request that failed, where it was one.
    pub(crate) fn request(&self) -> Option<&RequestLine> {
        match self {
            Self::Refused(refusal) => Some(&refusal.request),
            Self::Transport { request, .. }
            | Self::UnknownHost { request, .. }
            | Self::Lookup { request, .. }
            | Self::Tls { request, .. }
            | Self::Stalled { request, .. }
            | Self::Redirects { request } => Some(request),
            Self::GaveUp { source, .. } => source.request(),
            _ => None,
        }
    }

    /// Identifies the place that sent other bytes than were asked for.
    pub fn garbler(&self) -> Option<String> {
        match self {
            Self::Length { request, .. } | Self::DigestMismatch { request, .. } => {
                Some(request.place())
            }
            _ => None,
        }
    }

    /// Whether no connection could be made that both sides trust.
    pub fn is_tls(&self) -> bool {
        match self {
            Self::Tls { .. } => true,
            Self::GaveUp { source, .. } => source.is_tls(),
            _ => false,
        }
    }

    /// The meaning of a refusal's status.
    pub(crate) fn meaning(&self) -> Option<Meaning> {
        self.refusal().map(Refusal::meaning)
    }

    /// The status of a refusal.
    pub(crate) fn status(&self) -> Option<u16> {
        self.refusal().map(|refusal| refusal.status)
    }

    /// Whether the answer was that the requested content does not exist.
    pub fn is_not_found(&self) -> bool {
        self.meaning() == Some(Meaning::NotFound)
    }

    /// Whether a login is required, or refused.
    pub fn is_unauthorized(&self) -> bool {
        self.meaning() == Some(Meaning::Unauthorized)
    }

    /// Whether the answer was about the login or its rights. Some registries answer like this for
    /// repositories that do not exist, so that another one may be tried.
    pub fn may_mean_absent(&self) -> bool {
        self.meaning().is_some_and(Meaning::is_about_login)
    }

    /// Whether the registry refused, and not only for the moment.
    pub fn is_refusal(&self) -> bool {
        self.refusal().is_some_and(|refusal| {
            matches!(refusal.status, 400..=499) && !refusal.meaning().is_transient()
        })
    }

    /// Whether a manifest was refused that may refer to content that the registry lacks.
    pub fn may_lack_content(&self) -> bool {
        matches!(
            self.meaning(),
            Some(Meaning::BadRequest | Meaning::NotFound)
        )
    }

    /// Whether the content was changed by another client at the same time.
    pub fn is_conflict(&self) -> bool {
        matches!(self.meaning(), Some(Meaning::Conflict | Meaning::Policy))
    }

    /// The host whose answer, or silence, it is.
    pub(crate) fn host(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => Some(refusal.request.host()),
            Self::Transport { request, .. }
            | Self::UnknownHost { request, .. }
            | Self::Lookup { request, .. }
            | Self::Stalled { request, .. }
            | Self::LoginForgotten { request, .. } => Some(request.host()),
            Self::Closed { host, .. } => Some(host),
            _ => None,
        }
    }

    /// Whether it looks as if the host were down as a whole, and not this one thing failed.
    pub(crate) fn is_outage(&self) -> bool {
        match self {
            Self::Refused(refusal) => {
                refusal.meaning().is_unavailable() || refusal.is_database_down()
            }
            Self::Transport { source, .. } => !source.is_builder(),
            Self::Stalled { .. } | Self::LoginForgotten { .. } => true,
            _ => false,
        }
    }

    /// The code of a refusal, `DENIED`.
    pub fn code(&self) -> Option<&str> {
        self.refusal()?.code()
    }

    /// The error without what differs from request to request: equal for all images that one
    /// missing project, quota or right stops.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Refused(refusal) => Some(refusal.reason()),
            Self::Transport {
                request,
                proxy: Some(proxy),
                ..
            } => Some(format!("{} {proxy}", request.host())),
            Self::Transport {
                request, source, ..
            } => Some(format!("{} {source}", request.host())),
            Self::UnknownHost { request, host } | Self::Lookup { request, host, .. } => {
                Some(format!("{} {host}", request.host()))
            }
            Self::Tls {
                request, failure, ..
            } => Some(format!("{} {failure}", request.host())),
            Self::Stalled { request, .. } => Some(format!("{} stalled", request.host())),
            Self::Token { request, .. } => Some(format!("{} token", request.host())),
            Self::Closed { host, .. } => Some(format!("{host} closed")),
            Self::GaveUp { source, .. } => source.reason(),
            _ => None,
        }
    }

    /// The digests of blobs and manifests that a manifest names and its repository lacks, as the
    /// registry says; empty where it does not say which.
    ///
    /// `None` when the manifest was refused for another reason, or was not.
    pub fn missing(&self) -> Option<&[Digest]> {
        let refusal = self.refusal()?;
        let details = refusal.body.details.as_ref();
        (refusal.code() == Some("MANIFEST_BLOB_UNKNOWN"))
            .then(|| details.map_or(&[][..], |details| &details.missing))
    }

    /// Whether what was put was refused as not found, and not for a session that the registry has
    /// forgotten.
    pub(crate) fn is_final_not_found(&self) -> bool {
        matches!(self, Self::Refused(refusal)
            if refusal.request.is_put() && self.is_not_found() && !refusal.is_session_lost())
    }

    /// Whether the registry has forgotten the session of an upload.
    pub(crate) fn is_session_lost(&self) -> bool {
        self.refusal().is_some_and(Refusal::is_session_lost)
    }

    /// Whether a policy of the registry, such as "only signed images are pulled", hides existing
    /// content.
    pub fn is_hidden_by_policy(&self) -> bool {
        self.meaning() == Some(Meaning::Policy) || self.code() == Some("PROJECTPOLICYVIOLATION")
    }

    /// Whether the received bytes are not the requested manifest.
    pub(crate) fn is_not_a_manifest(&self) -> bool {
        matches!(
            self,
            Self::Manifest { .. } | Self::DigestMismatch { .. } | Self::NotARegistry { .. }
        )
    }

    /// The digest that the data to upload was found to have, where it is not the right one.
    pub fn damaged_upload(&self) -> Option<&Digest> {
        match self {
            Self::DamagedUpload { actual, .. } => Some(actual),
            Self::UploadSource { source, .. } => uploaded(source)?.damaged_upload(),
            Self::ReadOnce { source } => source.damaged_upload(),
            _ => None,
        }
    }

    /// Whether the same may succeed a moment later; never after `Session::retry` gave up.
    pub fn is_transient(&self) -> bool {
        self.failure() != Failure::Lasting
    }

    /// What kind of failure it is, as far as trying again goes.
    pub fn failure(&self) -> Failure {
        match self {
            Self::ForeignLayer { source, .. } => source.failure(),
            Self::Refused(refusal) => refusal.failure(),
            Self::Transport { source, .. } if source.is_lasting() => Failure::Lasting,
            Self::Transport { .. }
            | Self::Lookup { .. }
            | Self::Stalled { .. }
            | Self::Truncated { .. }
            | Self::LoginForgotten { .. } => Failure::Passing { retry_after: None },
            // The storage may be eventually consistent.
            Self::NotStored { .. } => Failure::Garbled,
            // A proxy's page in the place of what was asked for, or a bit that was flipped.
            Self::Length { request, .. } | Self::DigestMismatch { request, .. }
                if request.is_read() =>
            {
                Failure::Garbled
            }
            Self::UploadSource { source, .. } => {
                uploaded(source).map_or(Failure::Lasting, Self::failure)
            }
            _ => Failure::Lasting,
        }
    }

    /// The delay that the registry requested.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            Self::Closed { wait, .. } => Some(*wait),
            _ => None,
        }
    }
}

impl RegistryError {
    /// Whether no connection to the host came about, so that another place should be tried.
    pub(crate) fn is_unreachable(&self) -> bool {
        match self {
            Self::Transport { source, .. } => source.is_connect() || source.is_timeout(),
            Self::UnknownHost { .. } | Self::Lookup { .. } => true,
            _ => false,
        }
    }

    /// Returns the error to fail with after the last of several `attempts` failed with this one.
    pub(crate) fn gave_up(self, attempts: u32) -> Self {
        Self::GaveUp {
            attempts,
            source: Box::new(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LoginState, Purpose, Refuser, Subject};
    use hod_report::Diagnose as _;

    fn status(method: &str, path: &str, (status, body): (u16, &str)) -> RegistryError {
        let url = format!("https://harbor.corp{path}").parse().unwrap();
        let method = method.parse().unwrap();
        let request = RequestLine::new(&method, &url);
        RegistryError::Refused(Box::new(Refusal {
            subject: Subject::of(&request),
            request,
            status,
            body: ErrorBody::parse(body.as_bytes()),
            has_foreign_layers: false,
            retry_after: None,
            refuser: Refuser::Registry,
            purpose: Purpose::Push,
            login: LoginState::As("robot$ci".to_owned()),
        }))
    }

    #[test]
    fn an_answer_about_the_moment_is_not_a_refusal() {
        for (code, is_refusal) in [
            (400, true),
            (403, true),
            (404, true),
            (408, false),
            (429, false),
            (503, false),
        ] {
            let answer = || status("HEAD", "/v2/a/manifests/1", (code, ""));
            let gave_up = RegistryError::GaveUp {
                attempts: 6,
                source: Box::new(answer()),
            };
            assert_eq!(answer().is_refusal(), is_refusal, "{code}");
            assert_eq!(gave_up.is_refusal(), is_refusal, "{code}");
        }
    }

    #[test]
    fn a_refusal_is_told_in_the_words_of_the_registry() {
        #[track_caller]
        fn check(code: u16, body: &str, expect: &str) {
            let error = status("POST", "/v2/offline/nginx/blobs/uploads/", (code, body));
            assert_eq!(
                error.to_string(),
                format!("POST /v2/offline/nginx/blobs/uploads/ on harbor.corp: {expect}")
            );
        }
        check(
            401,
            r#"{"errors":[{"code":"UNAUTHORIZED","message":"project offline not found"}]}"#,
            "401 UNAUTHORIZED: project offline not found",
        );
        check(
            500,
            r#"{"errors":[{"code":"UNKNOWN","detail":{}}]}"#,
            "500 UNKNOWN",
        );
        check(
            403,
            r#"{"errors":[{"code":"","message":"two\n lines\u001b[31m"}]}"#,
            "403 two lines [31m",
        );
        check(413, "<html>nginx</html>", "413 Payload Too Large");
        check(404, r#"{"errors":[]}"#, "404 Not Found");
        check(418, r#"{"errors":"x"}"#, "418 x");
        check(418, "{}", "418 I'm a teapot");
        let page = "<html><title>Blocked by policy</title>";
        check(403, page, "403 Forbidden: web page \"Blocked by policy\"");
        let page = "<html><title>502 Bad Gateway</title>";
        check(502, page, "502 Bad Gateway");
        check(599, "", "599 without a reason");
        let long = "x".repeat(1000);
        let body = format!(r#"{{"errors":[{{"code":"DENIED","message":"{long}"}}]}}"#);
        check(403, &body, &format!("403 DENIED: {}…", &long[..300]));
    }

    #[test]
    fn hints_say_what_to_do() {
        #[track_caller]
        fn check(method: &str, code: u16, expect: &str) {
            let error = status(method, "/v2/offline/nginx/manifests/1", (code, ""));
            let hint = error.diagnose().hint.unwrap_or_default();
            assert!(hint.contains(expect), "{code}: {hint}");
        }
        check(
            "PUT",
            401,
            "`offline` does not exist, or `robot$ci` may not push",
        );
        assert_eq!(status("GET", "/v2/", (400, "")).diagnose().hint, None);
    }

    #[test]
    fn some_refusals_pass() {
        #[track_caller]
        fn check(code: u16, body: &str, expect: bool) {
            let error = status("PUT", "/v2/a/b", (code, body));
            assert_eq!(error.is_transient(), expect, "{code}");
            assert!(!error.gave_up(6).is_transient());
        }
        for code in [408, 429, 500, 502, 503, 504, 520] {
            check(code, "", true);
        }
        for code in [400, 401, 403, 404, 405, 412, 413, 416, 501] {
            check(code, "", false);
        }
        let lost = r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}"#;
        check(404, lost, true);
    }
}
