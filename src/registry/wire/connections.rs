//! Connections: one HTTP client for each way of reaching a host and each kind of trust in it, made
//! when first needed.
//!
//! - To this machine: never through a proxy, whatever the environment says.
//! - Plain http, of which the user has to approve.
//! - TLS, whose trust store alone takes longer to load than a local push, and is missing on some
//!   minimal hosts that never need it. Hosts with certificates of their own in a `certs.d`, and
//!   hosts that are not verified, have clients of their own.
//!
//! All speak HTTP/1.1. Over HTTP/2 every blob of a host would share one connection, hence one flow
//! control window and one TCP congestion window; a pool of connections fills the wire, and one
//! lost packet holds up one blob only. None keeps cookies: Harbor takes a client with a session
//! for a browser.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;
use tokio::sync::OnceCell;

use crate::wire::certificates::{CaFile, HostCertificates};
use crate::wire::endpoint::registry_of;
use crate::wire::pinned;
use crate::wire::proxies::ProxyOptions;
use crate::wire::tls_limits;
use crate::{CertificatesError, RegistryError};
use hod_oci::Registry;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections cost round trips: as many are kept as are ever used at once.
const IDLE_PER_HOST_MAX: usize = 32;

/// Certificates to trust, and proxies to use.
#[derive(Debug, Clone, Default)]
pub struct TrustOptions {
    /// CAs for every host, besides those of the system.
    pub ca_files: Vec<CaFile>,
    /// Registries whose certificates are not looked at.
    pub insecure: Vec<Registry>,
    /// Registries whose certificates are not looked at, and that may as well have none: see
    /// [`crate::Client::find_scheme`].
    pub may_lack_tls: Vec<Registry>,
    /// Whether registries on this machine are spoken to in TLS like all others.
    pub is_loopback_tls: bool,
    /// By `host[:port]`, the directory with the host's own certificates (`*.crt`, `*.cert`,
    /// `*.key`): of several `certs.d`, the first that has the host.
    pub certs_d: BTreeMap<String, PathBuf>,
    pub proxies: ProxyOptions,
}

impl TrustOptions {
    /// Whether the user has said something that only TLS can mean, so that even a registry on this
    /// machine is spoken to in TLS.
    pub(crate) fn implies_tls(&self, registry: &Registry) -> bool {
        self.is_loopback_tls
            || self.insecure.contains(registry)
            || self.certs_d.contains_key(registry.as_str())
            || !self.ca_files.is_empty()
    }

    /// The name in `certs_d` of the host of `url`, if there is one.
    ///
    /// URLs drop the default port of their scheme; references, and the directories, keep it.
    fn certs_name(&self, url: &Url) -> Option<&str> {
        let registry = registry_of(url)?;
        let with_port = format!("{registry}:443");
        let named = |name: &str| self.certs_d.get_key_value(name);
        let found = named(registry.as_str()).or_else(|| {
            let is_default = url.scheme() == "https" && url.port().is_none();
            is_default.then(|| named(&with_port)).flatten()
        });
        found.map(|(name, _)| name.as_str())
    }

    /// The directory with the certificates of the host of `url`.
    pub(crate) fn certs_dir(&self, url: &Url) -> Option<PathBuf> {
        let name = self.certs_name(url)?;
        self.certs_d.get(name).cloned()
    }

    /// Whether the certificate of the host of `url` is not looked at.
    pub(crate) fn is_insecure(&self, url: &Url) -> bool {
        registry_of(url).is_some_and(|registry| {
            let with_port = format!("{registry}:443").parse::<Registry>().ok();
            self.insecure.contains(&registry)
                || (url.port().is_none() && with_port.is_some_and(|r| self.insecure.contains(&r)))
        })
    }
}

/// The clients.
#[derive(Debug)]
pub(crate) struct Connections {
    user_agent: HeaderValue,
    trust: Arc<TrustOptions>,
    clients: Mutex<HashMap<Route, Arc<OnceCell<reqwest::Client>>>>,
}

/// A way to a host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Route {
    Loopback,
    Plain,
    Tls(Tls),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Tls {
    /// The host whose certificates in `certs_d` are used.
    certs_of: Option<String>,
    verify: Verify,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Verify {
    Yes,
    No,
}

impl Connections {
    pub(crate) fn new(user_agent: HeaderValue, trust: TrustOptions) -> Self {
        Self {
            user_agent,
            trust: Arc::new(trust),
            clients: Mutex::default(),
        }
    }

    pub(crate) fn trust(&self) -> &TrustOptions {
        &self.trust
    }

    /// Returns the client for `url`, which is called on behalf of the registry at `behalf`.
    ///
    /// The certificates of that registry go along to where it redirects to and to its token
    /// server, as with containers; that it is not verified does not: a password may follow.
    pub(crate) async fn client(
        &self,
        url: &Url,
        behalf: &Url,
    ) -> Result<reqwest::Client, RegistryError> {
        let route = self.route(url, behalf);
        self.client_of(route).await
    }

    /// Returns a client for `url` that verifies nothing, to see the certificate of a host; not for logins.
    pub(crate) async fn blind_client(&self, url: &Url) -> Result<reqwest::Client, RegistryError> {
        let mut route = self.route(url, url);
        if let Route::Tls(tls) = &mut route {
            tls.verify = Verify::No;
        }
        self.client_of(route).await
    }

    fn route(&self, url: &Url, behalf: &Url) -> Route {
        if url.scheme() == "https" {
            let own = self.trust.certs_name(url);
            return Route::Tls(Tls {
                certs_of: own
                    .or_else(|| self.trust.certs_name(behalf))
                    .map(str::to_owned),
                verify: if self.trust.is_insecure(url) {
                    Verify::No
                } else {
                    Verify::Yes
                },
            });
        }
        if registry_of(url).is_some_and(|registry| registry.is_loopback()) {
            Route::Loopback
        } else {
            Route::Plain
        }
    }

    async fn client_of(&self, route: Route) -> Result<reqwest::Client, RegistryError> {
        let cell = {
            let mut clients = self
                .clients
                .lock()
                .expect("nothing panics while it holds the lock");
            Arc::clone(clients.entry(route.clone()).or_default())
        };
        let client = cell
            .get_or_try_init(|| {
                let (user_agent, trust) = (self.user_agent.clone(), Arc::clone(&self.trust));
                // Reads the trust store and the resolver's configuration from disk.
                hod_bridge::run(move || build(&route, user_agent, &trust))
            })
            .await?;
        Ok(client.clone())
    }
}

fn build(
    route: &Route,
    user_agent: HeaderValue,
    trust: &TrustOptions,
) -> Result<reqwest::Client, RegistryError> {
    tls_limits::provider();
    let setup = |error: reqwest::Error| RegistryError::Setup {
        source: Arc::new(error.without_url()),
    };
    let builder = reqwest::Client::builder()
        .user_agent(user_agent)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
        .tcp_nodelay(true)
        // A peer that vanished while it thinks about a write is noticed within a minute.
        .tcp_keepalive(Duration::from_secs(30))
        .tcp_keepalive_interval(Duration::from_secs(10))
        .tcp_keepalive_retries(3)
        .http1_only()
        // Followed by hand, across the kinds of connection; see `Transport::send`.
        .redirect(Policy::none())
        .referer(false)
        // Proxies from the environment are already in the options.
        .no_proxy();
    let mut builder = match route {
        Route::Loopback => builder.tls_certs_only([]),
        Route::Plain => trust
            .proxies
            .apply(builder)
            .map_err(setup)?
            .tls_certs_only([]),
        Route::Tls(_) => trust.proxies.apply(builder).map_err(setup)?.tls_info(true),
    };
    if let Route::Tls(tls) = route {
        let own_dir = tls.certs_of.as_ref();
        let own_dir = own_dir.and_then(|name| trust.certs_d.get(name));
        let own = match own_dir {
            Some(dir) => HostCertificates::load(dir)?,
            None => HostCertificates::default(),
        };
        let named = trust.ca_files.iter().flat_map(CaFile::certificates);
        let trusted: Vec<_> = named.chain(own.authorities()).cloned().collect();
        builder = match tls.verify {
            Verify::Yes if !trusted.is_empty() => {
                let config = pinned::tls_config(trusted, own.client_pair()?)
                    .map_err(|source| CertificatesError::Trust { source })?;
                builder.tls_backend_preconfigured(config)
            }
            verify => {
                if let Some(identity) = own.identity() {
                    builder = builder.identity(identity);
                }
                builder.tls_danger_accept_invalid_certs(verify == Verify::No)
            }
        };
    }
    builder.build().map_err(setup)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_has_its_own_trust() {
        #[track_caller]
        fn check(connections: &Connections, url: &str, behalf: &str, expect: &str) {
            let (url, behalf) = (url.parse().unwrap(), behalf.parse().unwrap());
            let shown = match connections.route(&url, &behalf) {
                Route::Loopback => "loopback".to_owned(),
                Route::Plain => "plain".to_owned(),
                Route::Tls(tls) => {
                    format!("{:?} {}", tls.verify, tls.certs_of.unwrap_or_default())
                }
            };
            assert_eq!(shown.trim_end(), expect, "{url} for {behalf}");
        }
        let trust = TrustOptions {
            insecure: vec![
                "self.corp:8443".parse().unwrap(),
                "bare.corp:443".parse().unwrap(),
            ],
            certs_d: ["own.corp", "docker.io", "port.corp:443", "127.0.0.1:5000"]
                .map(|name| (name.to_owned(), PathBuf::from("/certs")))
                .into(),
            ..TrustOptions::default()
        };
        let connections = Connections::new("hod/test".parse().unwrap(), trust);
        let check = |url, behalf, expect| check(&connections, url, behalf, expect);
        let own = "https://own.corp/v2/";
        check(own, own, "Yes own.corp");
        check("https://own.corp:8443/v2/", "https://own.corp:8443/", "Yes");
        check("https://registry-1.docker.io/v2/", own, "Yes docker.io");
        check(
            "https://port.corp/v2/",
            "https://port.corp/",
            "Yes port.corp:443",
        );
        check("https://127.0.0.1:5000/", own, "Yes 127.0.0.1:5000");
        // A registry's CA is also trusted for the hosts that it redirects to.
        check("https://cdn.corp/", own, "Yes own.corp");
        let lax = "https://self.corp:8443/v2/";
        check(lax, lax, "No");
        check("https://bare.corp/", "https://bare.corp/", "No");
        check("https://self.corp/", "https://self.corp/", "Yes");
        check("https://auth.corp/token", lax, "Yes");
        check("http://127.0.0.1:5000/", own, "loopback");
        check("http://[::1]:5000/", own, "loopback");
        check("http://a.localhost/", own, "loopback");
        check("http://own.corp/", own, "plain");
    }
}
