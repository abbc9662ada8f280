//! A refused request, and the circumstances that decide what the refusal means.

use std::fmt;
use std::time::Duration;

use hod_report::without_ids;
use hod_retry::Failure;

use super::body::in_words;
use super::meaning::Meaning;
use crate::{ErrorBody, RequestLine};

/// The answer of a registry with an error status.
#[derive(Debug)]
pub struct Refusal {
    pub(crate) request: RequestLine,
    pub(crate) status: u16,
    pub(crate) body: ErrorBody,
    /// Whether it is about a manifest that has layers that stay at other URLs.
    pub(crate) has_foreign_layers: bool,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) subject: Subject,
    pub(crate) refuser: Refuser,
    pub(crate) purpose: Purpose,
    pub(crate) login: LoginState,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = in_words(self.status, &self.body);
        write!(f, "{}: {said}", self.request)
    }
}

impl Refusal {
    pub(crate) fn meaning(&self) -> Meaning {
        Meaning::of(self.status)
    }

    /// The code of the first error that it states, such as `MANIFEST_UNKNOWN`.
    pub fn code(&self) -> Option<&str> {
        self.body.code.as_deref()
    }

    /// The message of the first error that it states.
    pub fn message(&self) -> Option<&str> {
        self.body.message.as_deref()
    }

    /// Whether the first error has a `detail`, of whatever kind.
    pub fn has_detail(&self) -> bool {
        self.body.has_detail
    }

    /// Whether the token that was sent is valid, and not for what was requested.
    pub fn is_scope_insufficient(&self) -> bool {
        let details = self.body.details.as_ref();
        details.is_some_and(|details| details.is_scope_insufficient)
    }

    /// The status of the answer.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The refused request.
    pub fn request(&self) -> &RequestLine {
        &self.request
    }

    /// The kind of content that was requested.
    pub fn subject(&self) -> Subject {
        self.subject
    }

    /// Whether it is the refusal of a Harbor whose database is down.
    pub(crate) fn is_database_down(&self) -> bool {
        self.meaning() == Meaning::Unauthorized && self.body.is_database_down()
    }

    /// Whether the registry has forgotten the session of an upload: it has several replicas, or was
    /// restarted.
    pub(crate) fn is_session_lost(&self) -> bool {
        matches!(
            self.code(),
            Some("BLOB_UPLOAD_UNKNOWN" | "BLOB_UPLOAD_INVALID")
        )
    }

    /// Whether a quota is used up, and not only this request too large.
    pub(crate) fn is_over_quota(&self) -> bool {
        self.meaning() == Meaning::TooLarge
            && (self.code() == Some("DENIED") || self.body.says("quota"))
    }

    /// What kind of failure it is, as far as retrying goes.
    pub(crate) fn failure(&self) -> Failure {
        let retry_after = self.retry_after;
        let is_passing = match self.meaning() {
            Meaning::RateLimit => return Failure::Limited { wait: retry_after },
            // The data was damaged on the way.
            Meaning::BadRequest
                if self.code() == Some("DIGEST_INVALID") && self.request.deletes().is_none() =>
            {
                return Failure::Garbled;
            }
            // A new session is begun with the next attempt. Replicas of Harbor may not have heard
            // of each other's work.
            Meaning::NotFound => {
                self.is_session_lost()
                    || self.body.harbor().is_some()
                        && !self.request.is_read()
                        && self.request.deletes().is_none()
            }
            meaning => meaning.is_transient() || self.is_database_down(),
        };
        if is_passing {
            Failure::Passing { retry_after }
        } else {
            Failure::Lasting
        }
    }

    /// The answer without what differs from request to request: equal for all images that one
    /// missing project, quota or right stops.
    pub(crate) fn reason(&self) -> String {
        let (host, status) = (self.request.host(), self.status);
        let is_known = matches!(self.login, LoginState::As(_) | LoginState::AsToken);
        if !is_known && self.meaning().is_about_login() {
            // It is the login that is missing, in every project.
            return format!("{host} {status} {:?}", self.body.code);
        }
        // A registry's message about a repository already names it.
        let said = self.body.to_string();
        let said = match self.request.repository() {
            Some(repository) => said.replace(repository, ""),
            None => said,
        };
        let said = without_ids(&said);
        let project = self.request.repository();
        let project = project.and_then(|name| name.split('/').next());
        format!("{host} {project:?} {status} {said}")
    }
}

/// The kind of content that a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The root of the API.
    Root,
    Manifest,
    Blob,
    /// The upload of a blob.
    Upload,
    /// Tags, referrers, repositories.
    Listing,
    Token,
    /// Harbor's own API and the like.
    Other,
}

/// Who refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refuser {
    /// The registry itself.
    Registry,
    /// The token server of this registry.
    TokenServer { of: String },
    /// Another host, to which this one sent the request.
    Elsewhere { by: String },
}

/// The purpose of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Purpose {
    Pull,
    Push,
    Delete,
    /// To inspect a registry.
    #[default]
    Look,
}

/// The login of a refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginState {
    /// No login is known.
    Anonymous,
    /// A login is known, and was not sent.
    NotSent,
    /// As this user.
    As(String),
    /// With a token that names no user.
    AsToken,
    /// There is something like a login, which cannot be used for this reason.
    Unusable(Box<str>),
}

impl Subject {
    /// The kind of content that `request` is for, at the registry before any redirect.
    pub(crate) fn of(request: &RequestLine) -> Self {
        if request.is_for_token() {
            return Self::Token;
        }
        let first = request.first();
        let Some(path) = first.path().strip_prefix("/v2/") else {
            // An upload goes wherever the registry says.
            return if first.is_read() {
                Self::Other
            } else {
                Self::Upload
            };
        };
        if path.is_empty() {
            Self::Root
        } else if path.contains("/blobs/uploads") {
            Self::Upload
        } else if path.contains("/manifests/") {
            Self::Manifest
        } else if path.contains("/blobs/") {
            Self::Blob
        } else {
            Self::Listing
        }
    }
}

impl Refuser {
    /// Who answered `request` to the registry at `host`, which is called `name`.
    pub(crate) fn of(request: &RequestLine, name: &str, host: &str) -> Self {
        if request.is_for_token() {
            Self::TokenServer {
                of: name.to_owned(),
            }
        } else if let Some(by) = request.redirected_by() {
            Self::Elsewhere { by: by.to_owned() }
        } else if request.host() == host {
            Self::Registry
        } else {
            Self::Elsewhere {
                by: host.to_owned(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_say_what_is_asked_for() {
        #[track_caller]
        fn check(method: &str, url: &str, expect: &(Subject, Refuser)) {
            let line = RequestLine::new(&method.parse().unwrap(), &url.parse().unwrap());
            let refuser = Refuser::of(&line, "hub", "hub.corp");
            assert_eq!(&(Subject::of(&line), refuser), expect, "{method} {url}");
        }
        let here = Refuser::Registry;
        let there = Refuser::Elsewhere {
            by: "hub.corp".to_owned(),
        };
        let table = [
            ("GET", "https://hub.corp/v2/", Subject::Root, &here),
            (
                "HEAD",
                "https://hub.corp/v2/a/manifests/1",
                Subject::Manifest,
                &here,
            ),
            (
                "GET",
                "https://hub.corp/v2/a/b/blobs/x",
                Subject::Blob,
                &here,
            ),
            (
                "POST",
                "https://hub.corp/v2/a/blobs/uploads/",
                Subject::Upload,
                &here,
            ),
            (
                "PUT",
                "https://store.corp/up/1?digest=x",
                Subject::Upload,
                &there,
            ),
            (
                "GET",
                "https://hub.corp/v2/a/tags/list",
                Subject::Listing,
                &here,
            ),
            (
                "GET",
                "https://hub.corp/v2/_catalog",
                Subject::Listing,
                &here,
            ),
            (
                "GET",
                "https://hub.corp/api/v2.0/projects",
                Subject::Other,
                &here,
            ),
        ];
        for (method, url, subject, refuser) in table {
            check(method, url, &(subject, refuser.clone()));
        }
    }
}
