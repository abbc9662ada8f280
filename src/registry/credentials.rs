//! Who to log in as: the `auths` of Docker's `config.json` and of containers' `auth.json`.
//!
//! Pure: who reads the file, and which, is decided elsewhere.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use crate::oci::{Registry, RepositoryName};

/// Standard base64, whose padding people who write these files by hand forget.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// Takes the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the request it is sent in.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// As whom to log in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Login {
    /// A user and a password, as a password challenge and token servers take them.
    Password { username: String, password: Secret },
    /// A refresh token of the OAuth2 kind, for which a token server gives out tokens.
    IdentityToken(Secret),
    /// A token that is sent to the registry as it is (`registrytoken`).
    BearerToken(Secret),
}

impl Login {
    /// A user with a password.
    pub fn password(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self::Password {
            username: username.into(),
            password: Secret::new(password),
        }
    }

    /// The user's name, where it is known: no token tells.
    pub fn username(&self) -> Option<&str> {
        match self {
            Self::Password { username, .. } => Some(username),
            Self::IdentityToken(_) | Self::BearerToken(_) => None,
        }
    }
}

/// Which login goes to which registry or part of it.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    entries: HashMap<String, Arc<Login>>,
    /// Where the file says that a helper program has the logins.
    has_helper: bool,
}

/// Why a file of credentials cannot be used; says nothing of what is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// Its causes are left out on purpose: serde quotes the value it stumbles over.
    #[error("credentials are not JSON of the expected shape, line {line} column {column}")]
    Json { line: usize, column: usize },
    #[error("`auth` of `{key}` in the credentials is not base64 of `user:password`")]
    Auth { key: String },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireFile {
    #[serde(default)]
    auths: Option<BTreeMap<String, Option<WireEntry>>>,
    #[serde(default)]
    cred_helpers: Option<BTreeMap<String, String>>,
    #[serde(default)]
    creds_store: Option<String>,
}

#[derive(Deserialize)]
struct WireEntry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

impl Credentials {
    /// Logs in nowhere.
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// Parses the bytes of a `config.json` or `auth.json`; of two keys for one host, the one that
    /// is written as the bare host wins.
    pub fn parse_docker_config(bytes: &[u8]) -> Result<Self, CredentialsError> {
        let file: WireFile =
            serde_json::from_slice(bytes).map_err(|error| CredentialsError::Json {
                line: error.line(),
                column: error.column(),
            })?;
        let mut entries = HashMap::new();
        for (key, wire) in file.auths.into_iter().flatten() {
            let Some(entry) = wire.map(|wire| wire.parse(&key)).transpose()?.flatten() else {
                continue;
            };
            let name = normalise(&key);
            let entry = Arc::new(entry);
            if name == key {
                entries.insert(name, entry);
            } else {
                entries.entry(name).or_insert(entry);
            }
        }
        let has_store = file.creds_store.is_some_and(|name| !name.is_empty());
        let has_helper = file.cred_helpers.is_some_and(|helpers| !helpers.is_empty());
        Ok(Self {
            entries,
            has_helper: has_store || has_helper,
        })
    }

    /// The login of the longest of `registry/a/b`, `registry/a`, `registry` that has one.
    pub fn lookup(
        &self,
        registry: &Registry,
        repository: Option<&RepositoryName>,
    ) -> Option<Arc<Login>> {
        let mut key = registry.to_string();
        if let Some(repository) = repository {
            key.push('/');
            key.push_str(repository.as_str());
        }
        loop {
            if let Some(login) = self.entries.get(&key) {
                return Some(Arc::clone(login));
            }
            key.truncate(key.rfind('/')?);
        }
    }

    /// Why there is no login although the user may believe that there is one.
    pub(super) fn obstacle(&self, registry: &Registry) -> Option<&'static str> {
        let is_unknown = self.lookup(registry, None).is_none();
        (is_unknown && self.has_helper).then_some(
            "the credentials name a helper program, which is not asked: only user and password \
             in `auths` are read",
        )
    }
}

impl WireEntry {
    /// `None` for the empty entry with which Docker marks that a helper has the login.
    fn parse(self, key: &str) -> Result<Option<Login>, CredentialsError> {
        let filled = |text: &String| !text.is_empty();
        if let Some(token) = self.identitytoken.filter(filled) {
            return Ok(Some(Login::IdentityToken(Secret(token))));
        }
        if let Some(token) = self.registrytoken.filter(filled) {
            return Ok(Some(Login::BearerToken(Secret(token))));
        }
        if let Some(auth) = self.auth.filter(filled) {
            let login = parse_auth(&auth).ok_or_else(|| CredentialsError::Auth {
                key: key.to_owned(),
            })?;
            return Ok(Some(login));
        }
        Ok(match (self.username, self.password) {
            (Some(username), Some(password)) if !username.is_empty() => {
                Some(Login::password(username, password))
            }
            _ => None,
        })
    }
}

fn parse_auth(auth: &str) -> Option<Login> {
    let text = String::from_utf8(BASE64.decode(auth.trim()).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    // Docker's own files have been seen with trailing NULs, and Docker trims them.
    let password = password.trim_end_matches('\0');
    (!username.is_empty()).then(|| Login::password(username, password))
}

/// A key as [`Credentials::lookup`] looks for it: without scheme, and Docker Hub by one name.
///
/// Old keys are URLs, of which only the host counts; `host/v1/` and `host/v2/` are such without
/// their scheme.
fn normalise(key: &str) -> String {
    let bare = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"));
    let (is_url, rest) = (bare.is_some(), bare.unwrap_or(key));
    let rest = rest.trim_end_matches('/');
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.to_ascii_lowercase();
    let host = match host.as_str() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        host => host,
    };
    if is_url || matches!(path, "" | "v1" | "v2") {
        host.to_owned()
    } else {
        format!("{host}/{path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(text: &str) -> String {
        BASE64.encode(text)
    }

    #[test]
    fn the_most_specific_key_wins() {
        let config = format!(
            r#"{{"auths": {{
                "harbor.corp": {{"auth": "{}"}},
                "harbor.corp/team": {{"auth": "{}"}},
                "harbor.corp/team/app": {{"username": "app", "password": "p"}},
                "https://index.docker.io/v1/": {{"auth": "{}"}},
                "https://old.corp:8443/v2/": {{"auth": "{}"}},
                "http://twice.corp": {{"auth": "{}"}},
                "twice.corp": {{"auth": "{}"}},
                "helped.corp": {{}},
                "nulled.corp": null,
                "ready.corp": {{"registrytoken": "r"}},
                "token.corp": {{"auth": "", "identitytoken": "t"}}
            }}, "HttpHeaders": {{}}, "currentContext": "x"}}"#,
            encode("host:h"),
            encode("team:t:with:colons\0\0").trim_end_matches('='),
            encode("hub:x"),
            encode("old:x"),
            encode("url:x"),
            encode("bare:x"),
        );
        let credentials = Credentials::parse_docker_config(config.as_bytes()).unwrap();
        let check = |registry: &str, name: &str, expect: Option<&str>| {
            let (registry, name) = (registry.parse().unwrap(), name.parse().unwrap());
            let login = credentials.lookup(&registry, Some(&name));
            let actual = login.map(|login| match &*login {
                Login::Password { username, password } => format!("{username} {}", password.0),
                Login::IdentityToken(token) => format!("identity {}", token.0),
                Login::BearerToken(token) => format!("bearer {}", token.0),
            });
            assert_eq!(actual.as_deref(), expect, "{registry}/{name}");
        };
        check("ready.corp", "a", Some("bearer r"));
        check("harbor.corp", "x", Some("host h"));
        check("harbor.corp", "teams/app", Some("host h"));
        check("harbor.corp", "team/other", Some("team t:with:colons"));
        check("harbor.corp", "team/app", Some("app p"));
        check("harbor.corp", "team/app/sub", Some("app p"));
        check("harbor.corp:443", "team/app", None);
        check("docker.io", "library/redis", Some("hub x"));
        check("index.docker.io", "library/redis", Some("hub x"));
        check("old.corp:8443", "a", Some("old x"));
        check("twice.corp", "a", Some("bare x"));
        check("helped.corp", "a", None);
        check("token.corp", "a", Some("identity t"));
        assert!(credentials.obstacle(&"x.y".parse().unwrap()).is_none());
    }

    #[test]
    fn bad_files_are_errors_that_tell_nothing() {
        #[track_caller]
        fn check(config: &str, expect: &str) {
            let error = Credentials::parse_docker_config(config.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), expect);
            assert!(!format!("{error:?}").contains("hunter2"));
        }
        check(
            r#"{"auths": {"a.b": "hunter2"}}"#,
            "credentials are not JSON of the expected shape, line 1 column 27",
        );
        for auth in [
            "hunter2!",
            &encode("hunter2"),
            &encode(":hunter2"),
            "/w==", // not UTF-8
        ] {
            check(
                &format!(r#"{{"auths": {{"a.b": {{"auth": "{auth}"}}}}}}"#),
                "`auth` of `a.b` in the credentials is not base64 of `user:password`",
            );
        }
    }

    #[test]
    fn a_file_without_logins_is_fine() {
        let registry = "a.b".parse().unwrap();
        for (config, has_obstacle) in [
            ("{}", false),
            (r#"{"auths": null}"#, false),
            (r#"{"credsStore": "desktop"}"#, true),
            (
                r#"{"credHelpers": {"a.b": "x"}, "auths": {"a.b": {}}}"#,
                true,
            ),
        ] {
            let credentials = Credentials::parse_docker_config(config.as_bytes()).unwrap();
            assert_eq!(credentials.lookup(&registry, None), None);
            assert_eq!(credentials.obstacle(&registry).is_some(), has_obstacle);
        }
    }

    #[test]
    fn a_secret_is_never_shown() {
        let login = Login::password("u", "hunter2");
        let shown = format!("{login:?}");
        assert_eq!(shown, r#"Password { username: "u", password: [redacted] }"#);
    }
}
