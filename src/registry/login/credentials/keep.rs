//! What `hod login` and `hod logout` change: one file, as both Docker and containers read it.
//!
//! Everything else in the file stays byte for byte, save for the space around it. Where the file
//! names a helper for a registry, the helper keeps the login and the file only a marker, as Docker
//! has it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use serde::Serialize;
use serde_json::value::RawValue;

use super::auth_file::{AuthFile, BASE64, normalise};
use super::{CredentialsError, DOCKER_HUB_KEY, Login, keychain, server_name};
use crate::HelperError;
use hod_fsx::DirLock;
use hod_oci::{Registry, RepositoryName};
use hod_report::ErrorClass::Auth;
use hod_report::{Diagnose, Diagnosis};

/// The longest file of credentials, in bytes.
const FILE_LEN_MAX: u64 = 4 * 1024 * 1024;

/// A file in which logins are kept. All calls block; two at once wait for each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginFile {
    path: PathBuf,
}

/// The place where a login was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    InFile,
    /// By this helper; the file says so.
    InHelper(String),
}

/// Why a login was not stored, or not removed.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    #[error(transparent)]
    File(hod_fsx::Error),
    #[error("credentials in `{}` cannot be read", path.display())]
    Credentials {
        path: PathBuf,
        source: CredentialsError,
    },
    #[error(transparent)]
    Helper(HelperError),
}

impl Diagnose for KeepError {
    fn diagnose(&self) -> Diagnosis {
        match self {
            Self::File(error) => error.diagnose(),
            Self::Credentials { source, .. } => source.diagnose(),
            Self::Helper(_) => Diagnosis::new(Auth).hint(
                "The file names this helper in `credsStore` or `credHelpers`. Repair the helper, \
                 remove the entry, or keep the login in another file with `--authfile FILE`.",
            ),
        }
    }
}

impl LoginFile {
    /// The file at `path`, which need not be there.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Stores a login for a registry or, in the file only, for a part of it.
    ///
    /// Atomic: a reader sees the old file or the new one. The new one is readable by its owner
    /// only.
    pub fn keep(
        &self,
        registry: &Registry,
        repository: Option<&RepositoryName>,
        login: &Login,
    ) -> Result<Kept, KeepError> {
        let key = key(registry, repository);
        self.change(|file, entries| {
            entries.retain(|other, _| normalise(other) != normalise(&key));
            let keeper = file.keeper(registry).filter(|_| repository.is_none());
            let entry = match keeper {
                Some(name) => {
                    keychain::store(name, &server_name(registry), login)
                        .map_err(KeepError::Helper)?;
                    Entry::default()
                }
                None => Entry::of(login),
            };
            entries.insert(key.clone(), raw(&entry));
            Ok(keeper.map_or(Kept::InFile, |name| Kept::InHelper(name.to_owned())))
        })
    }

    /// Removes the login of a registry or of a part of it; false when there was none.
    pub fn forget(
        &self,
        registry: &Registry,
        repository: Option<&RepositoryName>,
    ) -> Result<bool, KeepError> {
        if !self.is_there()? {
            return Ok(false);
        }
        let key = key(registry, repository);
        self.change(|file, entries| {
            let n_before = entries.len();
            entries.retain(|other, _| normalise(other) != normalise(&key));
            let mut has_forgotten = entries.len() < n_before;
            if let Some(name) = file.keeper(registry).filter(|_| repository.is_none()) {
                has_forgotten |=
                    keychain::erase(name, &server_name(registry)).map_err(KeepError::Helper)?;
            }
            Ok(has_forgotten)
        })
    }

    /// Forgets all logins of the file, and those that helpers keep for it; returns of how many
    /// registries or parts of them.
    pub fn forget_all(&self) -> Result<usize, KeepError> {
        if !self.is_there()? {
            return Ok(0);
        }
        self.change(|file, entries| {
            let mut names: Vec<String> = entries.keys().map(|key| normalise(key)).collect();
            names.extend(file.helped_hosts().map(|(host, _)| host.to_owned()));
            names.sort();
            names.dedup();
            let mut n_forgotten = 0;
            for name in names {
                let mut has_forgotten = entries.keys().any(|key| normalise(key) == name);
                if let Ok(registry) = name.parse::<Registry>()
                    && let Some(helper) = file.keeper(&registry)
                {
                    let erased = keychain::erase(helper, &server_name(&registry));
                    has_forgotten |= erased.map_err(KeepError::Helper)?;
                }
                n_forgotten += usize::from(has_forgotten);
            }
            entries.clear();
            Ok(n_forgotten)
        })
    }

    fn is_there(&self) -> Result<bool, KeepError> {
        let stat = hod_fsx::try_stat(&self.path).map_err(KeepError::File)?;
        Ok(stat.is_some())
    }

    /// Applies `change` to the entries of the file, and writes it if they changed. In any case the
    /// file is readable by its owner only afterwards.
    fn change<T>(
        &self,
        change: impl FnOnce(&AuthFile, &mut Entries) -> Result<T, KeepError>,
    ) -> Result<T, KeepError> {
        // A link stays one: some people keep such files elsewhere.
        let path = hod_fsx::resolve(&self.path).map_err(KeepError::File)?;
        let dir = hod_fsx::dir_of(&path);
        hod_fsx::create_private_dir_all(dir).map_err(KeepError::File)?;
        let _lock = DirLock::of_dir(dir).map_err(KeepError::File)?;
        // A login that was killed may have left passwords.
        hod_fsx::sweep_private(dir).map_err(KeepError::File)?;
        let bytes = hod_fsx::try_read(&path, FILE_LEN_MAX).map_err(KeepError::File)?;
        let before = bytes.filter(|bytes| !bytes.trim_ascii().is_empty());
        let before = before.unwrap_or_else(|| b"{}".to_vec());
        let wrong = |source| KeepError::Credentials {
            path: self.path.clone(),
            source,
        };
        let file = AuthFile::parse(&before).map_err(wrong)?;
        let (mut document, mut entries) = open(&before).map_err(wrong)?;
        let keys_before = shown(&entries);
        let value = change(&file, &mut entries)?;
        let kept = if shown(&entries) == keys_before {
            hod_fsx::make_private(&path)
        } else {
            document.insert("auths".to_owned(), Node::Auths(entries));
            hod_fsx::write_private(&path, &with_tabs(&document), hod_fsx::Durability::Synced)
        };
        kept.map_err(KeepError::File)?;
        Ok(value)
    }
}

/// The key under which both Docker and containers find it.
fn key(registry: &Registry, repository: Option<&RepositoryName>) -> String {
    match repository {
        Some(repository) => format!("{registry}/{repository}"),
        None if registry.is_docker_hub() => DOCKER_HUB_KEY.to_owned(),
        None => registry.to_string(),
    }
}

type Entries = BTreeMap<String, Box<RawValue>>;

/// A field of the file.
#[derive(Serialize)]
#[serde(untagged)]
enum Node {
    Raw(Box<RawValue>),
    Auths(Entries),
}

/// The entry of one registry; empty where a helper stores the login.
#[derive(Default, Serialize)]
struct Entry {
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identitytoken: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    registrytoken: Option<String>,
}

impl Entry {
    fn of(login: &Login) -> Self {
        let mut entry = Self::default();
        match login {
            Login::Password { username, password } => {
                let text = format!("{username}:{}", password.reveal());
                entry.auth = Some(BASE64.encode(text));
            }
            Login::IdentityToken(token) => entry.identitytoken = Some(token.reveal().to_owned()),
            Login::BearerToken(token) => entry.registrytoken = Some(token.reveal().to_owned()),
        }
        entry
    }
}

/// An entry as it stands in the file, with its indentation there.
fn raw(entry: &Entry) -> Box<RawValue> {
    let text = String::from_utf8(with_tabs(entry)).expect("JSON is UTF-8");
    RawValue::from_string(text.replace('\n', "\n\t\t")).expect("a map of texts is JSON")
}

fn shown(entries: &Entries) -> Vec<(String, String)> {
    let entries = entries.iter();
    entries
        .map(|(key, value)| (key.clone(), value.get().to_owned()))
        .collect()
}

fn open(bytes: &[u8]) -> Result<(BTreeMap<String, Node>, Entries), CredentialsError> {
    let wrong = |error: serde_json::Error| CredentialsError::Json {
        line: error.line(),
        column: error.column(),
    };
    let mut document: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(bytes).map_err(wrong)?;
    let auths = document.remove("auths").map(|auths| auths.get().to_owned());
    let auths = auths.unwrap_or_else(|| "null".to_owned());
    let auths: Option<Entries> = serde_json::from_str(&auths).map_err(wrong)?;
    let document = document.into_iter();
    let document = document.map(|(name, value)| (name, Node::Raw(value)));
    Ok((document.collect(), auths.unwrap_or_default()))
}

/// With tabs and without a newline at the end, as Docker writes it.
fn with_tabs(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    value
        .serialize(&mut serializer)
        .expect("what was read as JSON is JSON");
    bytes
}
