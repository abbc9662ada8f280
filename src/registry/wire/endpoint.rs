//! Where a registry is, and where its answers point to.

use std::fmt::Display;

use reqwest::Url;

use crate::Repo;
use crate::error::safe_url::DOCKER_HUB_HOST;
use hod_oci::{Digest, Registry};

/// The URL scheme of a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Https,
    Http,
}

impl Scheme {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }
}

/// The root of a registry's API, `https://harbor.corp/v2/`.
///
/// `None` for what references allow and URLs do not, such as the host `1.2.3.999`.
pub(crate) fn api_root(registry: &Registry, scheme: Scheme) -> Option<Url> {
    let host = if registry.is_docker_hub() {
        DOCKER_HUB_HOST
    } else {
        registry.as_str()
    };
    Url::parse(&format!("{}://{host}/v2/", scheme.as_str())).ok()
}

/// The registry that is at a URL, as references name it, without the scheme's own port.
pub(crate) fn registry_of(url: &Url) -> Option<Registry> {
    let host = url.host_str()?;
    if host == DOCKER_HUB_HOST && url.port().is_none() {
        return Some(Registry::docker_hub());
    }
    match url.port() {
        Some(port) => format!("{host}:{port}").parse().ok(),
        None => host.parse().ok(),
    }
}

/// The URL of `kind` (`manifests`, `blobs`) and `reference` in a repository.
pub(crate) fn object_url(root: &Url, repo: &Repo, kind: &str, reference: impl Display) -> Url {
    let mut url = root.clone();
    // Names, tags and digests have no character that a path must escape.
    url.set_path(&format!("/v2/{}/{kind}/{reference}", repo.name));
    url
}

/// The URL that starts an upload, or a mount of a blob that another repository has.
pub(crate) fn upload_url(root: &Url, repo: &Repo) -> Url {
    let mut url = root.clone();
    url.set_path(&format!("/v2/{}/blobs/uploads/", repo.name));
    url
}

/// Resolves what a registry at `base` says in `Location` or `realm`, absolute or relative.
///
/// A registry behind a proxy that ends TLS may take itself for `http`: then its host is right and
/// its scheme and port are not, so those of `base` stay. The same goes for one that hears its name
/// without the port. Returns `None` for anything but http(s).
pub(crate) fn resolve(base: &Url, location: &str) -> Option<Url> {
    let mut url = base.join(location).ok()?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return None;
    }
    let downgraded = base.scheme() == "https" && url.scheme() == "http";
    // Its API is at the port that it was reached at.
    let has_lost_port = base.scheme() == url.scheme()
        && base.port().is_some()
        && url.port().is_none()
        && url.path().starts_with("/v2/");
    if (downgraded || has_lost_port) && base.host_str() == url.host_str() {
        url.set_scheme(base.scheme()).ok()?;
        url.set_port(base.port()).ok()?;
    }
    url.set_fragment(None);
    Some(url)
}

/// Adds `digest` to an upload's URL, whose query is opaque and stays as it is.
pub(crate) fn with_digest(mut url: Url, digest: &Digest) -> Url {
    let query = match url.query().filter(|query| !query.is_empty()) {
        Some(query) => format!("{query}&digest={digest}"),
        None => format!("digest={digest}"),
    };
    url.set_query(Some(&query));
    url
}

/// Whether two URLs have the same scheme, host and port, so that a login may go to both.
pub(crate) fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host_str() == b.host_str()
        && a.port_or_known_default() == b.port_or_known_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_hub_is_elsewhere_than_its_name() {
        #[track_caller]
        fn check(registry: &str, scheme: Scheme, expect: Option<&str>) {
            let registry = registry.parse().unwrap();
            let actual = api_root(&registry, scheme);
            assert_eq!(actual.as_ref().map(Url::as_str), expect);
        }
        check(
            "docker.io",
            Scheme::Https,
            Some("https://registry-1.docker.io/v2/"),
        );
        check(
            "harbor.corp:8443",
            Scheme::Https,
            Some("https://harbor.corp:8443/v2/"),
        );
        check("[::1]:5000", Scheme::Http, Some("http://[::1]:5000/v2/"));
    }

    #[test]
    fn locations_resolve() {
        #[track_caller]
        fn check(base: &str, location: &str, expect: Option<&str>) {
            let base: Url = base.parse().unwrap();
            let actual = resolve(&base, location);
            assert_eq!(actual.as_ref().map(Url::as_str), expect, "{location}");
        }
        let base = "https://harbor.corp:8443/v2/a/b/blobs/uploads/";
        // Relative, and a query that must stay as it is.
        check(
            base,
            "/v2/a/b/blobs/uploads/7?_state=x%3D%3D&y=a+b",
            Some("https://harbor.corp:8443/v2/a/b/blobs/uploads/7?_state=x%3D%3D&y=a+b"),
        );
        check(
            base,
            "7",
            Some("https://harbor.corp:8443/v2/a/b/blobs/uploads/7"),
        );
        // The registry takes itself for plain http.
        check(
            base,
            "http://harbor.corp/v2/a/b/blobs/uploads/7",
            Some("https://harbor.corp:8443/v2/a/b/blobs/uploads/7"),
        );
        check(
            base,
            "http://harbor.corp:8443/v2/a/b/blobs/uploads/7",
            Some("https://harbor.corp:8443/v2/a/b/blobs/uploads/7"),
        );
        // Or it takes itself for the port by default.
        check(
            base,
            "https://harbor.corp/v2/a/b/blobs/uploads/7?_state=x",
            Some("https://harbor.corp:8443/v2/a/b/blobs/uploads/7?_state=x"),
        );
        check(
            base,
            "https://harbor.corp/files/7",
            Some("https://harbor.corp/files/7"),
        );
        check(
            base,
            "https://harbor.corp:9443/v2/a",
            Some("https://harbor.corp:9443/v2/a"),
        );
        // Elsewhere it is used as written.
        check(base, "http://cdn.corp/x#y", Some("http://cdn.corp/x"));
        check(base, "//cdn.corp/x", Some("https://cdn.corp/x"));
        check("http://a:80/", "https://a/x", Some("https://a/x"));
        check(base, "file:///etc/passwd", None);
        check(base, "data:,x", None);
        check(base, "https://", None);
    }

    #[test]
    fn the_digest_joins_an_opaque_query() {
        #[track_caller]
        fn check(url: &str, expect: &str) {
            let digest = Digest::of(b"");
            let actual = with_digest(url.parse().unwrap(), &digest);
            assert_eq!(actual.as_str(), expect.replace("DIGEST", digest.as_str()));
        }
        check("http://a/u/1", "http://a/u/1?digest=DIGEST");
        check("http://a/u/1?", "http://a/u/1?digest=DIGEST");
        check(
            "http://a/u/1?_state=%3D&b",
            "http://a/u/1?_state=%3D&b&digest=DIGEST",
        );
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        #[track_caller]
        fn check(a: &str, b: &str, expect: bool) {
            assert_eq!(
                same_origin(&a.parse().unwrap(), &b.parse().unwrap()),
                expect
            );
        }
        check("https://a/x", "https://a:443/y?z", true);
        check("https://a/x", "http://a/x", false);
        check("https://a/x", "https://a:444/x", false);
        check("https://a/x", "https://b/x", false);
    }
}
