//! URLs and requests as they may be shown: a query may be a signature, a user may have a password.

use std::fmt;

use reqwest::{Method, Url};

/// The host of Docker Hub's API; `docker.io` itself is a web site.
pub(crate) const DOCKER_HUB_HOST: &str = "registry-1.docker.io";

/// A URL that shows neither its query nor its user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct SafeUrl(String);

impl SafeUrl {
    /// Keeps what may be shown of `url`.
    pub(crate) fn new(url: &Url) -> Self {
        Self(format!(
            "{}://{}{}",
            url.scheme(),
            authority(url),
            url.path()
        ))
    }
}

impl fmt::Display for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The request that an error concerns: `PUT /v2/app/manifests/1.0 on harbor.corp`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestLine {
    method: Method,
    path: String,
    host: String,
    is_encrypted: bool,
    errand: Errand,
}

/// Why a request was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Errand {
    /// To what the caller asked for.
    Direct,
    /// To a token server, for a login.
    Token,
    /// To where the answer to the first request pointed.
    Redirected(Box<RequestLine>),
}

impl RequestLine {
    pub(crate) fn new(method: &Method, url: &Url) -> Self {
        Self {
            method: method.clone(),
            path: url.path().to_owned(),
            host: authority(url),
            is_encrypted: url.scheme() == "https",
            errand: Errand::Direct,
        }
    }

    /// The request to a token server.
    pub(crate) fn for_token(mut self) -> Self {
        self.errand = Errand::Token;
        self
    }

    /// The same request at `url`, to which it was redirected.
    pub(crate) fn redirected(&self, url: &Url) -> Self {
        Self {
            errand: Errand::Redirected(Box::new(self.first().clone())),
            ..Self::new(&self.method, url)
        }
    }

    /// The request before any redirect.
    pub(crate) fn first(&self) -> &Self {
        match &self.errand {
            Errand::Redirected(first) => first,
            Errand::Direct | Errand::Token => self,
        }
    }

    /// The host that redirected the request to another host.
    pub(crate) fn redirected_by(&self) -> Option<&str> {
        let first = &self.first().host;
        (*first != self.host).then_some(first)
    }

    /// Identifies a blob at a registry or URL, wherever the request for it is redirected to. The
    /// repositories of one registry share their blobs.
    pub(crate) fn place(&self) -> String {
        let first = self.first();
        match first.path.rsplit_once("/blobs/") {
            Some((repository, digest)) if repository.starts_with("/v2/") => {
                format!("{} {digest}", first.host)
            }
            _ => first.to_string(),
        }
    }

    /// Whether it was sent to the registry itself.
    pub(crate) fn is_direct(&self) -> bool {
        self.errand == Errand::Direct
    }

    /// Whether a token was asked for.
    pub(crate) fn is_for_token(&self) -> bool {
        self.first().errand == Errand::Token
    }

    /// The host, with its port unless that is the scheme's own.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The scheme: `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        if self.is_encrypted { "https" } else { "http" }
    }

    /// The path, without the query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The repository of a request of the distribution API.
    pub(crate) fn repository(&self) -> Option<&str> {
        let path = self.first().path.strip_prefix("/v2/")?;
        ["/manifests/", "/blobs/", "/tags/", "/referrers/"]
            .iter()
            .find_map(|kind| path.rsplit_once(kind))
            .map(|(name, _)| name)
    }

    /// Whether the request writes to the registry.
    pub(crate) fn is_put(&self) -> bool {
        self.method == Method::PUT
    }

    /// The tag or digest that the request deletes, if it deletes a manifest.
    pub(crate) fn deletes(&self) -> Option<&str> {
        let (_, reference) = self.first().path.rsplit_once("/manifests/")?;
        (self.method == Method::DELETE).then_some(reference)
    }

    /// Whether the request asks only, and changes nothing.
    pub(crate) fn is_read(&self) -> bool {
        self.method == Method::GET || self.method == Method::HEAD
    }
}

impl fmt::Display for RequestLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} on {}", self.method, self.path, self.host)?;
        match self.redirected_by() {
            Some(host) => write!(f, " (redirected by {host})"),
            None => Ok(()),
        }
    }
}

/// The host of `url`, with its port unless that is the scheme's own.
pub(crate) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_query_nor_user_is_shown() {
        #[track_caller]
        fn check(url: &str, expect: &str, expect_line: &str) {
            let url: Url = url.parse().unwrap();
            let safe = SafeUrl::new(&url);
            assert_eq!(safe.to_string(), expect);
            assert_eq!(format!("{safe:?}"), format!("{expect:?}"));
            let line = RequestLine::new(&Method::GET, &url);
            assert_eq!(line.to_string(), expect_line);
            let shown = format!("{safe} {safe:?} {line} {line:?}");
            assert!(!shown.contains("secret"), "{shown}");
        }
        check(
            "https://user:secret@cdn.example:8443/b/data?X-Signature=secret#secret",
            "https://cdn.example:8443/b/data",
            "GET /b/data on cdn.example:8443",
        );
        check(
            "http://[::1]:5000/v2/",
            "http://[::1]:5000/v2/",
            "GET /v2/ on [::1]:5000",
        );
        check(
            "https://harbor.corp:443/v2/a",
            "https://harbor.corp/v2/a",
            "GET /v2/a on harbor.corp",
        );
    }

    #[test]
    fn a_redirected_request_names_who_redirected() {
        let url = |text: &str| text.parse::<Url>().unwrap();
        let first = RequestLine::new(&Method::GET, &url("https://harbor.corp/v2/a/b/blobs/x"));
        let second = first.redirected(&url("https://cdn.corp/1?sig=secret"));
        let third = second.redirected(&url("https://cdn.corp/2?sig=secret"));
        let near = first.redirected(&url("https://harbor.corp/elsewhere"));
        assert_eq!(
            third.to_string(),
            "GET /2 on cdn.corp (redirected by harbor.corp)"
        );
        assert_eq!(near.to_string(), "GET /elsewhere on harbor.corp");
        assert_eq!(third.repository(), Some("a/b"));
        assert!(!third.is_for_token());
        assert!(
            first
                .for_token()
                .redirected(&url("https://x/"))
                .is_for_token()
        );
    }
}
