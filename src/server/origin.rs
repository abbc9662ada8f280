//! Refuses requests that a web page in a browser may have made.

use std::net::IpAddr;

use axum::http::header::{self, HeaderMap};
use axum::http::{Method, Uri, Version};

use super::error::{ApiError, Code};
use super::reply::header_text;

/// The names under which the server answers.
#[derive(Debug, Clone, Default)]
pub enum Hosts {
    /// Whatever a client calls it.
    #[default]
    Any,
    /// Names of the loopback interface, and these: no name that a stranger's DNS may lead here
    /// (DNS rebinding).
    Loopback(Vec<String>),
}

impl Hosts {
    /// Refuses a request for a host of another name.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
        let Self::Loopback(allowed) = self else {
            return Ok(());
        };
        // Every browser sends it.
        let Some(host) = requested(uri, headers) else {
            return Ok(());
        };
        let name = name_of(host);
        if is_loopback(name) || allowed.iter().any(|one| one.eq_ignore_ascii_case(name)) {
            return Ok(());
        }
        let message = format!(
            "this registry answers to names of its own machine only, not to `{name}`: use \
             `localhost`, or start it with `--allow-host {name}`"
        );
        Err(ApiError::new(Code::Misdirected, message))
    }
}

/// Refuses a request without a `Host` header, or with two (RFC 9112, 3.2).
pub(super) fn check_host(version: Version, headers: &HeaderMap) -> Result<(), ApiError> {
    let problem = match headers.get_all(header::HOST).iter().count() {
        0 if version == Version::HTTP_11 => "the request has no Host header",
        0 | 1 => return Ok(()),
        _ => "the request has several Host headers",
    };
    Err(ApiError::new(Code::BadRequest, problem))
}

/// Refuses changes that a web page of another origin requests.
pub(super) fn check_origin(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<(), ApiError> {
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let authority = origin.to_str().ok().and_then(|text| text.split_once("://"));
    let is_ours = authority
        .zip(requested(uri, headers))
        .is_some_and(|((_, from), to)| from.eq_ignore_ascii_case(to));
    if is_ours {
        return Ok(());
    }
    let message = "the request comes from a web page of another origin";
    Err(ApiError::new(Code::Denied, message))
}

/// The host and port that a request is for.
fn requested<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    match uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => header_text(headers, header::HOST),
    }
}

/// A host without its port, brackets and final dot.
fn name_of(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    let name = host.split(':').next().unwrap_or_default();
    name.strip_suffix('.').unwrap_or(name)
}

fn is_loopback(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let is_local = lower == "localhost" || lower.ends_with(".localhost");
    is_local || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        let pair = |(name, value): &(header::HeaderName, &str)| {
            (name.clone(), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn only_names_of_this_machine_are_answered() {
        let hosts = Hosts::Loopback(vec!["registry.corp".to_owned()]);
        let uri = Uri::from_static("/v2/");
        for (host, expect) in [
            ("localhost:5000", true),
            ("LOCALHOST", true),
            ("hod.localhost:5000", true),
            ("127.0.0.1:1", true),
            ("127.9.9.9", true),
            ("[::1]:5000", true),
            ("localhost.:5000", true),
            ("Registry.corp:80", true),
            ("evil.example", false),
            ("localhost.evil.example:5000", false),
            ("127.0.0.1.evil.example", false),
            ("192.168.0.1", false),
            ("evil.example:5000", false),
            ("", false),
        ] {
            let headers = headers(&[(header::HOST, host)]);
            assert_eq!(hosts.check(&uri, &headers).is_ok(), expect, "{host}");
            assert!(Hosts::Any.check(&uri, &headers).is_ok(), "{host}");
        }
        assert!(hosts.check(&uri, &HeaderMap::new()).is_ok());
        let absolute = Uri::from_static("http://evil.example/v2/");
        let headers = headers(&[(header::HOST, "localhost")]);
        assert!(hosts.check(&absolute, &headers).is_err());
    }

    #[test]
    fn pages_from_elsewhere_change_nothing() {
        let uri = Uri::from_static("/v2/");
        for (method, origin, expect) in [
            (Method::POST, "http://localhost:5000", true),
            (Method::POST, "http://evil.example", false),
            (Method::POST, "http://localhost:8080", false),
            (Method::DELETE, "null", false),
            (Method::GET, "http://evil.example", true),
        ] {
            let headers = headers(&[(header::HOST, "localhost:5000"), (header::ORIGIN, origin)]);
            let checked = check_origin(&method, &uri, &headers);
            assert_eq!(checked.is_ok(), expect, "{method} {origin}");
        }
        let without = headers(&[(header::HOST, "localhost:5000")]);
        assert!(check_origin(&Method::POST, &uri, &without).is_ok());
    }
}
