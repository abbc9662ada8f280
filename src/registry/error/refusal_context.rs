//! The circumstances of a refused request, which decide the hint.

use crate::RequestLine;

/// The circumstances of a refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusalContext {
    pub subject: Subject,
    pub refuser: Refuser,
    pub purpose: Purpose,
    pub login: LoginState,
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
    pub(crate) fn of(request: &RequestLine, (name, host): (&str, &str)) -> Self {
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
            let refuser = Refuser::of(&line, ("hub", "hub.corp"));
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
