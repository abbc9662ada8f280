//! Requests to hosts that are not registries, without any login.
//!
//! - Of URLs that are not trusted, only `https` is fetched, unless the user allowed plain HTTP for the
//!   host. A name that resolves into this machine or network then fails at a certificate for another
//!   name.
//! - Nothing on this machine, and no link-local address (where clouds keep secrets), unless the
//!   user named the host.
//! - No login is sent to any host, including one contained in a URL.
//! - Each redirect to another origin is checked in the same way, and their number is limited.

use std::net::IpAddr;

use reqwest::Url;

use crate::login::session::Session;
use crate::wire::endpoint::same_origin;
use crate::wire::transport::{Answer, Call, REDIRECTS_MAX, Redirects, SentLogin};
use crate::{RegistryError, RequestLine, SafeUrl};

/// Who wrote the URL of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirstUrl {
    /// The author of an image.
    Untrusted,
    /// The administrator of this machine: its origin is fetched from, whatever it is.
    Configured,
}

/// Sends a call without any login, and follows where it leads as far as that is allowed.
pub(crate) async fn follow(
    session: &Session,
    mut call: Call,
    first: FirstUrl,
) -> Result<Answer, RegistryError> {
    call.redirects = Redirects::Nowhere;
    let configured = (first == FirstUrl::Configured).then(|| call.url.clone());
    let mut line = Box::new(RequestLine::new(&call.method, &call.url));
    for _ in 0..=REDIRECTS_MAX {
        let is_configured = |configured: &Url| same_origin(configured, &call.url);
        if !configured.as_ref().is_some_and(is_configured) {
            require_fetchable(session, &call.url).await?;
        }
        let answer = session.transport().send(&call, None).await?;
        let next = match answer.status() {
            301..=303 | 307 | 308 => answer.location(),
            _ => None,
        };
        match next {
            None => return Ok(answer.to(line, SentLogin::No)),
            Some(next) => {
                line = Box::new(line.redirected(&next));
                call.url = next;
            }
        }
    }
    Err(RegistryError::Redirects { request: line })
}

/// Refuses a URL that somebody else should not have this machine fetch.
async fn require_fetchable(session: &Session, url: &Url) -> Result<(), RegistryError> {
    let refuse = |problem| {
        Err(RegistryError::ForeignUrl {
            url: SafeUrl::new(url).to_string(),
            problem,
        })
    };
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("it has a login in it");
    }
    match url.scheme() {
        "https" => {}
        "http" if session.transport().is_plain(url) => return Ok(()),
        "http" => {
            return refuse("it is plain HTTP; `--plain-http HOST` allows that");
        }
        _ => return refuse("it is not an `https` URL"),
    }
    let trust = session.transport().connections().trust();
    let is_named = trust.is_insecure(url) || trust.certs_dir(url).is_some();
    let is_here = match url.host_str() {
        _ if is_named => false,
        Some(host) => is_here(host) || leads_here(host, url.port_or_known_default()).await,
        None => true,
    };
    if is_here {
        return refuse("its host is this machine or a link-local address");
    }
    Ok(())
}

/// Whether a host is this machine, or an address that means something on the local link only.
fn is_here(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let Ok(ip) = bare.parse::<IpAddr>() else {
        let name = host.trim_end_matches('.');
        return name == "localhost" || name.ends_with(".localhost");
    };
    is_local(ip)
}

/// Whether a name leads to such an address. One that changes between this look and the request still
/// has to show a certificate for the name.
async fn leads_here(host: &str, port: Option<u16>) -> bool {
    // If the name cannot be resolved here, as behind a proxy, the request decides.
    let found = tokio::net::lookup_host((host, port.unwrap_or_default())).await;
    found.is_ok_and(|mut found| found.any(|address| is_local(address.ip())))
}

fn is_local(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    ip.is_loopback()
        || ip.is_unspecified()
        || ip.is_multicast()
        || match ip {
            IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test's own runtime")]
    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_known() {
        assert!(leads_here("localhost", Some(443)).await);
        assert!(leads_here("127.0.0.1", None).await);
        assert!(!leads_here("no.such.host.invalid", None).await);
    }

    #[test]
    fn hosts_of_this_machine_are_known() {
        #[track_caller]
        fn check(url: &str, expect: bool) {
            let url: Url = url.parse().unwrap();
            assert_eq!(is_here(url.host_str().unwrap()), expect, "{url}");
        }
        for url in [
            "https://localhost/",
            "https://LOCALHOST./",
            "https://a.localhost:8443/",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0.0.0.0/",
            "https://169.254.169.254/latest",
            "https://[::1]/",
            "https://[::]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[fe80::1]/",
            "https://224.0.0.1/",
        ] {
            check(url, true);
        }
        for url in [
            "https://go.microsoft.com/fwlink/?linkid=837858",
            "https://10.0.0.7/",
            "https://[2001:db8::1]/",
            "https://localhost.example.com/",
        ] {
            check(url, false);
        }
    }
}
