//! Foreign layers: fetched from the registry, which may have them nevertheless (Microsoft's does since
//! 2023), then from the URLs in their manifest.
//!
//! The URLs are written by the author of an image and are not trusted:
//! - Only `https` is fetched, unless the user allowed plain HTTP for the host. A name that resolves
//!   into this machine or network then fails at a certificate for another name.
//! - Nothing on this machine, and no link-local address (where clouds keep secrets), unless the
//!   user named the host.
//! - No login is sent to any host, including one contained in a URL.
//! - Each redirect is checked in the same way, and their number is limited.
//! - The bytes are hashed when they are written, as with any blob.

use std::net::IpAddr;

use futures_util::future::BoxFuture;
use reqwest::{Method, Url};

use crate::api::blob::{Blobs, part_body, part_of, whole_body};
use crate::login::session::Session;
use crate::wire::transport::{Answer, Call, REDIRECTS_MAX, Redirects, SentLogin};
use crate::{BlobBody, RegistryError, Repo, RequestLine, SafeUrl};
use hod_oci::Descriptor;

/// How many URLs of a layer are tried.
const URLS_MAX: usize = 5;
/// How much of a URL that cannot be parsed is shown, in characters.
const SHOWN_MAX: usize = 200;

/// Where a layer may be.
#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    Registry(&'a Repo),
    Url(&'a str),
}

/// Layers that may be fetched from URLs in their manifest.
#[derive(Debug, Clone)]
pub struct ForeignLayers {
    blobs: Blobs,
}

impl ForeignLayers {
    pub(crate) fn new(blobs: Blobs) -> Self {
        Self { blobs }
    }

    fn session(&self) -> &Session {
        self.blobs.mirrors().session()
    }

    /// Fetches a foreign layer from the byte `from` on, as [`Blobs::fetch`] does a blob.
    pub fn fetch<'a>(
        &'a self,
        repo: &'a Repo,
        layer: &'a Descriptor,
        from: u64,
    ) -> BoxFuture<'a, Result<BlobBody, RegistryError>> {
        Box::pin(async move {
            let mut places = vec![Place::Registry(repo)];
            let urls = layer.urls.iter().take(URLS_MAX);
            places.extend(urls.map(|url| Place::Url(url)));
            // Those that sent wrong bytes before come last.
            let (distrusted, mut places): (Vec<_>, Vec<_>) = places
                .into_iter()
                .partition(|place| self.is_distrusted(place, layer));
            places.extend(distrusted);
            let (mut absent, mut failed) = (None, Vec::new());
            for place in places {
                match place {
                    Place::Registry(repo) => match self.blobs.fetch(repo, layer, from).await {
                        Ok(body) => return Ok(body),
                        Err(error) if error.is_not_found() || error.may_mean_absent() => {
                            absent = Some(error);
                        }
                        Err(error) => return Err(error),
                    },
                    Place::Url(text) => match self.fetch_from_url(repo, text, layer, from).await {
                        Ok(body) => return Ok(body),
                        Err(error) => failed.push(error),
                    },
                }
            }
            // One that may pass decides whether all is tried again.
            let passing = failed.iter().rposition(RegistryError::is_transient);
            let source = passing
                .map(|n| failed.remove(n))
                .or_else(|| failed.pop())
                .or(absent)
                .expect("the registry is among the places");
            Err(RegistryError::ForeignLayer {
                digest: layer.digest.clone(),
                registry: repo.registry.clone(),
                tried: failed.iter().map(ToString::to_string).collect(),
                source: Box::new(source),
            })
        })
    }

    /// Whether a place sent wrong bytes of a layer before.
    fn is_distrusted(&self, place: &Place<'_>, layer: &Descriptor) -> bool {
        match place {
            Place::Registry(repo) => self.blobs.garbles(repo, layer),
            Place::Url(text) => text.parse().is_ok_and(|url| {
                let request = RequestLine::new(&Method::GET, &url);
                self.blobs.mirrors().garblers().has(&request)
            }),
        }
    }

    async fn fetch_from_url(
        &self,
        repo: &Repo,
        text: &str,
        layer: &Descriptor,
        from: u64,
    ) -> Result<BlobBody, RegistryError> {
        let url = text.parse::<Url>().map_err(|_| RegistryError::ForeignUrl {
            url: text.chars().take(SHOWN_MAX).collect(),
            problem: "it is not a URL",
        })?;
        let session = self.session();
        let target = session.reading(repo);
        let whole = Call::new(Method::GET, url);
        if from > 0 {
            let answer = self.follow(part_of(&whole, from)).await?;
            if let Some(body) = part_body(session, &target, answer, layer, from).await? {
                return Ok(self.blobs.blob_body(body, from));
            }
        }
        let answer = self.follow(whole).await?;
        let body = whole_body(session, &target, answer, layer).await?;
        Ok(self.blobs.blob_body(body, from))
    }

    /// Sends a call without any login, and follows where it leads as far as that is allowed.
    async fn follow(&self, mut call: Call) -> Result<Answer, RegistryError> {
        call.redirects = Redirects::Nowhere;
        let mut line = Box::new(RequestLine::new(&call.method, &call.url));
        for _ in 0..=REDIRECTS_MAX {
            self.require_fetchable(&call.url).await?;
            let answer = self.session().transport().send(&call, None).await?;
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

    /// Refuses a URL that the author of an image should not have this machine fetch.
    async fn require_fetchable(&self, url: &Url) -> Result<(), RegistryError> {
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
            "http" if self.session().transport().is_plain(url) => return Ok(()),
            "http" => {
                return refuse("it is plain HTTP; `--plain-http HOST` allows that");
            }
            _ => return refuse("it is not an `https` URL"),
        }
        let trust = self.session().transport().connections().trust();
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
