//! The address of an engine, as Docker's clients read it.

use std::path::PathBuf;

use crate::failure::{Done, Failure};

/// Where an engine listens unless the user says otherwise.
const DEFAULT: &str = "unix:///var/run/docker.sock";
/// The host of requests over a socket, which have none.
const SOCKET_HOST: &str = "docker";

/// Where an engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// As the user wrote it.
    pub(super) text: String,
    pub(super) route: Route,
    /// The part of URLs before the path of a call.
    pub(super) base: String,
}

/// How an engine is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Socket(PathBuf),
    /// HTTP over TCP.
    Plain,
    /// HTTPS; skopeo takes `tcp:` for it too.
    Tls,
}

impl Address {
    /// Parses an address; none, or an empty one, is that of a local engine.
    pub(super) fn parse(text: Option<&str>) -> Done<Self> {
        let text = text.filter(|text| !text.is_empty()).unwrap_or(DEFAULT);
        let refused = |why: String| Failure::new(why).during("initializing docker engine client");
        let Some((scheme, rest)) = text.split_once("://").filter(|(_, rest)| !rest.is_empty())
        else {
            return Err(refused(format!("unable to parse docker host `{text}`")));
        };
        let rest = rest.trim_end_matches('/');
        let (route, base) = match scheme {
            "unix" => (
                Route::Socket(PathBuf::from(rest)),
                format!("http://{SOCKET_HOST}"),
            ),
            "http" => (Route::Plain, format!("http://{rest}")),
            "tcp" | "https" => (Route::Tls, format!("https://{rest}")),
            other => {
                return Err(refused(format!(
                    "docker host `{text}`: {other}: addresses are not supported; use unix://PATH, \
                     tcp://HOST:PORT (TLS) or http://HOST:PORT"
                )));
            }
        };
        Ok(Self {
            text: text.to_owned(),
            route,
            base,
        })
    }

    /// Whether it is on this machine, where no proxy leads.
    pub(super) fn is_local(&self) -> bool {
        let host = self.base.split("://").nth(1).unwrap_or_default();
        let name = host.split(['/', ':']).next().unwrap_or_default();
        let is_v6 = host.starts_with("[::1]");
        matches!(self.route, Route::Socket(_))
            || is_v6
            || name == "localhost"
            || name
                .parse::<std::net::Ipv4Addr>()
                .is_ok_and(|address| address.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_docker_does() {
        #[track_caller]
        fn check(text: &str, route: &Route, base: &str, is_local: bool) {
            let address = Address::parse(Some(text)).unwrap();
            assert_eq!(&address.route, route);
            assert_eq!(address.base, base);
            assert_eq!(address.is_local(), is_local);
        }
        let socket = |path: &str| Route::Socket(PathBuf::from(path));
        check("", &socket("/var/run/docker.sock"), "http://docker", true);
        check(
            "unix:///a/b.sock",
            &socket("/a/b.sock"),
            "http://docker",
            true,
        );
        check(
            "http://127.0.0.1:2375",
            &Route::Plain,
            "http://127.0.0.1:2375",
            true,
        );
        check("tcp://[::1]:2376", &Route::Tls, "https://[::1]:2376", true);
        check(
            "tcp://build.corp:2376/x/",
            &Route::Tls,
            "https://build.corp:2376/x",
            false,
        );
        assert_eq!(Address::parse(None).unwrap().text, DEFAULT);
        let unparsed = Address::parse(Some("foo")).unwrap_err();
        assert_eq!(
            unparsed.text,
            "initializing docker engine client: unable to parse docker host `foo`"
        );
        assert!(Address::parse(Some("ssh://a")).is_err());
    }
}
