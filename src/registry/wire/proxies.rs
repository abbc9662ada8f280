//! Proxies: which one is used for a host, according to `HTTP_PROXY` and similar variables.

use std::fmt;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{ClientBuilder, NoProxy, Proxy, Url};

use crate::UsedProxy;

/// Hosts that are never reached through a proxy, regardless of settings: this machine.
const NEVER: &str = "localhost,127.0.0.0/8,::1";

/// The proxies that the user's environment names.
#[derive(Debug, Clone, Default)]
pub struct ProxyOptions {
    /// For plain http, http or SOCKS (`socks5://`, `socks5h://`).
    pub http: Option<ProxyVariable>,
    /// For https.
    pub https: Option<ProxyVariable>,
    /// For both schemes, unless they have their own.
    pub all: Option<ProxyVariable>,
    /// Hosts, domains and networks that are reached without, separated by commas; `*` for all.
    pub no: String,
}

/// A variable of the environment that names a proxy. Its URL may hold a password, and is not shown.
#[derive(Clone)]
pub struct ProxyVariable {
    pub name: &'static str,
    pub url: String,
}

impl fmt::Debug for ProxyVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyVariable")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl ProxyOptions {
    /// Whether a text names a proxy; its scheme may be left out.
    pub fn is_proxy(text: &str) -> bool {
        let has_scheme = [
            "http://",
            "https://",
            "socks4://",
            "socks4a://",
            "socks5://",
            "socks5h://",
        ]
        .iter()
        .any(|scheme| text.starts_with(scheme));
        (has_scheme || !text.contains("://")) && Proxy::all(text).is_ok()
    }

    fn no_proxy(&self) -> String {
        format!("{NEVER},{}", self.no)
    }

    /// Adds the proxies to a client.
    pub(crate) fn apply(
        &self,
        mut builder: ClientBuilder,
    ) -> Result<ClientBuilder, reqwest::Error> {
        let no = NoProxy::from_string(&self.no_proxy());
        let proxies = [
            self.http.as_ref().map(|proxy| Proxy::http(&proxy.url)),
            self.https.as_ref().map(|proxy| Proxy::https(&proxy.url)),
            self.all.as_ref().map(|proxy| Proxy::all(&proxy.url)),
        ];
        for proxy in proxies.into_iter().flatten() {
            builder = builder.proxy(proxy?.no_proxy(no.clone()));
        }
        Ok(builder)
    }

    /// Returns the proxy on the way to `url`.
    pub(crate) fn proxy_of(&self, url: &Url) -> Option<UsedProxy> {
        let text = |proxy: &Option<ProxyVariable>| {
            let url = proxy.as_ref().map(|proxy| proxy.url.clone());
            url.unwrap_or_default()
        };
        let matcher = Matcher::builder()
            .http(text(&self.http))
            .https(text(&self.https))
            .all(text(&self.all))
            .no(self.no_proxy())
            .build();
        let found = matcher.intercept(&url.as_str().parse::<http::Uri>().ok()?)?;
        let uri = found.uri();
        let own = match url.scheme() {
            "https" => &self.https,
            _ => &self.http,
        };
        Some(UsedProxy {
            url: format!("{}://{}", uri.scheme_str()?, uri.authority()?),
            host: uri.host()?.to_owned(),
            variable: own.as_ref().or(self.all.as_ref())?.name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_decides_except_for_this_machine() {
        #[track_caller]
        fn check(proxies: &ProxyOptions, url: &str, expect: Option<&str>) {
            let actual = proxies.proxy_of(&url.parse().unwrap());
            let actual = actual.map(|proxy| proxy.to_string());
            assert_eq!(actual.as_deref(), expect, "{url}");
            assert!(!format!("{proxies:?}").contains("hunter2"));
            let builder = proxies.apply(reqwest::Client::builder());
            assert!(builder.is_ok());
        }
        let proxy = |name, url: &str| {
            let url = url.to_owned();
            Some(ProxyVariable { name, url })
        };
        let proxies = ProxyOptions {
            http: proxy("http_proxy", "plain.proxy:3128"),
            https: proxy("HTTPS_PROXY", "http://user:hunter2@tls.proxy:8080"),
            all: None,
            no: "inside.corp, 10.0.0.0/8".to_owned(),
        };
        let all = ProxyOptions {
            all: proxy("ALL_PROXY", "socks5h://user:hunter2@gate:1080"),
            ..ProxyOptions::default()
        };
        let none = ProxyOptions {
            no: "*".to_owned(),
            ..all.clone()
        };
        check(
            &proxies,
            "http://quay.io/",
            Some("`http://plain.proxy:3128` (`http_proxy`)"),
        );
        check(
            &proxies,
            "https://quay.io/",
            Some("`http://tls.proxy:8080` (`HTTPS_PROXY`)"),
        );
        check(&proxies, "https://harbor.inside.corp/", None);
        check(&proxies, "https://10.1.2.3/", None);
        check(
            &all,
            "http://quay.io/",
            Some("`socks5h://gate:1080` (`ALL_PROXY`)"),
        );
        check(
            &all,
            "https://quay.io:8443/",
            Some("`socks5h://gate:1080` (`ALL_PROXY`)"),
        );
        for proxies in [&proxies, &all] {
            for host in [
                "127.0.0.1:5000",
                "localhost:5000",
                "a.localhost",
                "[::1]:5000",
            ] {
                check(proxies, &format!("https://{host}/"), None);
                check(proxies, &format!("http://{host}/"), None);
            }
        }
        check(&none, "https://quay.io/", None);
        check(&ProxyOptions::default(), "https://quay.io/", None);
    }

    #[test]
    fn what_is_no_proxy_is_told() {
        for text in ["proxy:3128", "http://u:p@proxy", "socks5://proxy:1080"] {
            assert!(ProxyOptions::is_proxy(text), "{text}");
        }
        for text in ["ftp://proxy", "http://", "a b"] {
            assert!(!ProxyOptions::is_proxy(text), "{text}");
        }
    }
}
