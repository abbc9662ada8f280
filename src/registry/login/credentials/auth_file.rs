//! One file of credentials: containers' `auth.json`, Docker's `config.json` or its old
//! `~/.dockercfg`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::Value;

use super::{CredentialsError, Login, Secret};
use hod_oci::{Registry, RepositoryName};

/// Standard base64, whose padding people who write these files by hand forget.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The parsed content of a file.
#[derive(Debug, Clone, Default)]
pub(super) struct AuthFile {
    /// By key as [`normalise`] has it.
    entries: HashMap<String, Entry>,
    /// Helpers of single hosts.
    cred_helpers: HashMap<String, String>,
    /// The helper of all hosts.
    creds_store: Option<String>,
}

#[derive(Debug, Clone)]
struct Entry {
    /// As the file has it.
    key: String,
    /// An invalid entry is an error only when it is needed.
    login: Result<Arc<Login>, CredentialsError>,
}

/// An entry of a file that applies to a registry; they are tried in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clue<'a> {
    Login {
        key: &'a str,
        login: &'a Arc<Login>,
    },
    /// An entry that cannot be used.
    Broken(&'a CredentialsError),
    /// The helper of this host.
    Helper(&'a str),
    /// The helper of all hosts, which may be missing if the file was copied from another machine.
    Store(&'a str),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireFile {
    #[serde(default)]
    auths: Option<BTreeMap<String, Value>>,
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

impl AuthFile {
    /// Parses a `config.json` or `auth.json`.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, CredentialsError> {
        let file: WireFile = parse_json(bytes)?;
        let mut parsed = Self::of_entries(file.auths.unwrap_or_default());
        parsed.creds_store = file.creds_store.filter(|name| !name.is_empty());
        for (host, helper) in file.cred_helpers.into_iter().flatten() {
            parsed.cred_helpers.insert(normalise(&host), helper);
        }
        Ok(parsed)
    }

    /// Parses a `~/.dockercfg`, which has the entries at its top.
    pub(super) fn parse_dockercfg(bytes: &[u8]) -> Result<Self, CredentialsError> {
        Ok(Self::of_entries(parse_json(bytes)?))
    }

    /// Of two keys for one host, the one that is written as the bare host wins.
    fn of_entries(auths: BTreeMap<String, Value>) -> Self {
        let mut entries = HashMap::new();
        for (key, wire) in auths {
            let Some(login) = parse_entry(wire, &key).transpose() else {
                continue;
            };
            let name = normalise(&key);
            let is_bare = name == key;
            let entry = Entry {
                key,
                login: login.map(Arc::new),
            };
            if is_bare {
                entries.insert(name, entry);
            } else {
                entries.entry(name).or_insert(entry);
            }
        }
        Self {
            entries,
            ..Self::default()
        }
    }

    /// The entries for a repository, or for a registry as a whole.
    ///
    /// A host's own helper comes first, as in containers and Docker; then keys, the longest first.
    /// A credential store, which only Docker supports and which knows only hosts, comes before the
    /// key of the host, as in Docker, and after keys with a path, which only containers supports.
    /// host, as with Docker, and behind those of its parts, which only containers knows.
    pub(super) fn clues(
        &self,
        registry: &Registry,
        repository: Option<&RepositoryName>,
    ) -> Vec<Clue<'_>> {
        let mut clues = Vec::new();
        let host = registry.as_str();
        clues.extend(self.cred_helpers.get(host).map(|name| Clue::Helper(name)));
        let mut key = host.to_owned();
        if let Some(repository) = repository {
            key.push('/');
            key.push_str(repository.as_str());
        }
        loop {
            if key == host {
                clues.extend(self.creds_store.as_deref().map(Clue::Store));
            }
            clues.extend(self.entries.get(&key).map(|entry| match &entry.login {
                Ok(login) => Clue::Login {
                    key: &entry.key,
                    login,
                },
                Err(error) => Clue::Broken(error),
            }));
            match key.rfind('/') {
                Some(at) => key.truncate(at),
                None => return clues,
            }
        }
    }

    /// The helper that a login of `registry` is to be kept by, if any.
    pub(super) fn keeper(&self, registry: &Registry) -> Option<&str> {
        let own = self.cred_helpers.get(registry.as_str());
        own.or(self.creds_store.as_ref()).map(String::as_str)
    }

    /// Every host that has a helper of its own.
    pub(super) fn helped_hosts(&self) -> impl Iterator<Item = (&str, &str)> {
        let helpers = self.cred_helpers.iter();
        helpers.map(|(host, helper)| (host.as_str(), helper.as_str()))
    }
}

fn parse_json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, CredentialsError> {
    // Editors on Windows put a byte order mark in front.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.trim_ascii().is_empty() {
        return Err(CredentialsError::Empty);
    }
    serde_json::from_slice(bytes).map_err(|error| CredentialsError::Json {
        line: error.line(),
        column: error.column(),
    })
}

/// Reads one entry, which may be of any shape.
fn parse_entry(value: Value, key: &str) -> Result<Option<Login>, CredentialsError> {
    match serde_json::from_value::<Option<WireEntry>>(value) {
        Ok(None) => Ok(None),
        Ok(Some(entry)) => entry.parse(key),
        // Its cause is left out: it may quote a secret.
        Err(_) => Err(CredentialsError::Entry {
            key: key.to_owned(),
        }),
    }
}

impl WireEntry {
    /// `None` for the empty entry with which Docker marks that a helper has the login.
    fn parse(self, key: &str) -> Result<Option<Login>, CredentialsError> {
        let filled = |text: &String| !text.is_empty();
        if let Some(token) = self.identitytoken.filter(filled) {
            return Ok(Some(Login::IdentityToken(Secret::new(token))));
        }
        if let Some(token) = self.registrytoken.filter(filled) {
            return Ok(Some(Login::BearerToken(Secret::new(token))));
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
    // `base64` wraps its lines, and Docker accepts that.
    let auth: String = auth.split_ascii_whitespace().collect();
    let text = String::from_utf8(BASE64.decode(auth).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    // Docker's own files have been seen with trailing NULs, and Docker trims them.
    let password = password.trim_end_matches('\0');
    (!username.is_empty()).then(|| Login::password(username, password))
}

/// A key as it is looked for: without scheme, and Docker Hub by one name.
///
/// Old keys are URLs, of which only the host counts; `host/v1/` and `host/v2/` are such without
/// their scheme.
pub(super) fn normalise(key: &str) -> String {
    let key = key.trim();
    let is_scheme = |scheme: &str| {
        ["https", "http"]
            .iter()
            .any(|s| scheme.eq_ignore_ascii_case(s))
    };
    let bare = key
        .split_once("://")
        .filter(|(scheme, _)| is_scheme(scheme));
    let (is_url, rest) = bare.map_or((false, key), |(_, rest)| (true, rest));
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
