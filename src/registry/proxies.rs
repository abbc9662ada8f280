//! Proxies: which one leads to a host, as `HTTP_PROXY` and its like say it.

use std::fmt;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{ClientBuilder, NoProxy, Proxy, Url};

/// Hosts to which nothing goes through a proxy, whatever the user says: this machine.
const NEVER: &str = "localhost,127.0.0.0/8,::1";

/// The proxies that the user's environment names. Their URLs may hold passwords, and are not shown.
#[derive(Clone, Default)]
pub struct ProxyOptions {
    /// For plain http, http or SOCKS (`socks5://`, `socks5h://`).
    pub http: Option<String>,
    /// For https.
    pub https: Option<String>,
    /// For both, where there is none of their own.
    pub all: Option<String>,
    /// Hosts, domains and networks that are reached without, separated by commas; `*` for all.
    pub no: String,
}

impl fmt::Debug for ProxyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyOptions").finish_non_exhaustive()
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
    pub(super) fn apply(
        &self,
        mut builder: ClientBuilder,
    ) -> Result<ClientBuilder, reqwest::Error> {
        let no = NoProxy::from_string(&self.no_proxy());
        let proxies = [
            self.http.as_ref().map(Proxy::http),
            self.https.as_ref().map(Proxy::https),
            self.all.as_ref().map(Proxy::all),
        ];
        for proxy in proxies.into_iter().flatten() {
            builder = builder.proxy(proxy?.no_proxy(no.clone()));
        }
        Ok(builder)
    }

    /// The proxy on the way to `url`, as it may be shown.
    pub(super) fn proxy_of(&self, url: &Url) -> Option<String> {
        let text = |proxy: &Option<String>| proxy.clone().unwrap_or_default();
        let matcher = Matcher::builder()
            .http(text(&self.http))
            .https(text(&self.https))
            .all(text(&self.all))
            .no(self.no_proxy())
            .build();
        let found = matcher.intercept(&url.as_str().parse::<http::Uri>().ok()?)?;
        let uri = found.uri();
        Some(format!("{}://{}", uri.scheme_str()?, uri.authority()?))
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
            assert_eq!(actual.as_deref(), expect, "{url}");
            assert!(!format!("{proxies:?}").contains("hunter2"));
            let builder = proxies.apply(reqwest::Client::builder());
            assert!(builder.is_ok());
        }
        let proxies = ProxyOptions {
            http: Some("plain.proxy:3128".to_owned()),
            https: Some("http://user:hunter2@tls.proxy:8080".to_owned()),
            all: None,
            no: "inside.corp, 10.0.0.0/8".to_owned(),
        };
        let all = ProxyOptions {
            all: Some("socks5h://user:hunter2@gate:1080".to_owned()),
            ..ProxyOptions::default()
        };
        let none = ProxyOptions {
            no: "*".to_owned(),
            ..all.clone()
        };
        check(&proxies, "http://quay.io/", Some("http://plain.proxy:3128"));
        check(&proxies, "https://quay.io/", Some("http://tls.proxy:8080"));
        check(&proxies, "https://harbor.inside.corp/", None);
        check(&proxies, "https://10.1.2.3/", None);
        check(&all, "http://quay.io/", Some("socks5h://gate:1080"));
        check(&all, "https://quay.io:8443/", Some("socks5h://gate:1080"));
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
