//! Basic authentication for the users of an htpasswd file.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::HeaderValue;
use axum::http::header::{self, HeaderMap};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use super::error::{ApiError, Code};
use super::startup_error::ServerError;

/// The longest htpasswd file, in bytes.
const FILE_LEN_MAX: u64 = 4 * 1024 * 1024;
/// Maximum number of passwords hashed at once: each occupies a core for a good part of a second.
const HASHED_MAX: usize = 2;
/// Maximum number of logins remembered.
const KNOWN_MAX: usize = 1024;
/// Maximum length of a password that bcrypt uses, in bytes.
const PASSWORD_LEN_MAX: usize = 72;

/// The users of an htpasswd file with bcrypt hashes, as in docker-registry.
#[derive(Debug)]
pub struct Logins {
    hashes: HashMap<String, String>,
    /// Hashed for unknown users, so that the time of an answer does not reveal which users exist.
    decoy: String,
    /// Keyed digests of logins that were right, so that bcrypt is not paid for each request.
    known: Mutex<HashSet<[u8; 32]>>,
    key: RandomState,
    hashing: Semaphore,
}

impl Logins {
    /// Reads the file; blocks.
    pub fn open(path: &Path) -> Result<Self, ServerError> {
        let bytes = hod_fsx::read(path, FILE_LEN_MAX).map_err(ServerError::File)?;
        let text = String::from_utf8_lossy(&bytes);
        let mut hashes = HashMap::new();
        for (n, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let bad = |reason| ServerError::BadLogin {
                path: path.to_owned(),
                line: n + 1,
                reason,
            };
            let (user, hash) = line.split_once(':').ok_or_else(|| bad("no `:`"))?;
            if user.is_empty() {
                return Err(bad("no user name"));
            }
            if hash.parse::<bcrypt::HashParts>().is_err() {
                return Err(bad("the password is not hashed with bcrypt"));
            }
            hashes.insert(user.to_owned(), hash.to_owned());
        }
        let decoy = hashes.values().next().cloned();
        let decoy = decoy.ok_or_else(|| ServerError::NoLogins {
            path: path.to_owned(),
        })?;
        Ok(Self {
            hashes,
            decoy,
            known: Mutex::default(),
            key: RandomState::new(),
            hashing: Semaphore::new(HASHED_MAX),
        })
    }

    /// Returns the user whose login the request has, or the answer that asks for one.
    pub(super) async fn user(self: &Arc<Self>, headers: &HeaderMap) -> Result<String, ApiError> {
        let Some((user, password)) = headers.get(header::AUTHORIZATION).and_then(basic) else {
            return Err(challenge("a login is required"));
        };
        let key = self.key_of(&user, &password);
        if self.known().contains(&key) {
            return Ok(user);
        }
        let _turn = self.hashing.acquire().await;
        let (logins, name) = (Arc::clone(self), user.clone());
        let is_right = hod_bridge::run(move || logins.verify(&name, &password)).await;
        if !is_right {
            return Err(challenge("wrong user name or password"));
        }
        let mut known = self.known();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(key);
        Ok(user)
    }

    fn verify(&self, user: &str, password: &str) -> bool {
        let hash = self.hashes.get(user);
        let is_right = bcrypt::verify(password, hash.unwrap_or(&self.decoy)).unwrap_or(false);
        is_right && hash.is_some() && password.len() <= PASSWORD_LEN_MAX
    }

    /// A digest that cannot be computed from outside, of a length that reveals nothing.
    fn key_of(&self, user: &str, password: &str) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for n in 0..4_u8 {
            hasher.update(self.key.hash_one(n).to_le_bytes());
        }
        hasher.update(user.len().to_le_bytes());
        hasher.update(user);
        hasher.update(password);
        hasher.finalize().into()
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashSet<[u8; 32]>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads `Basic <base64 of user:password>`.
fn basic(value: &HeaderValue) -> Option<(String, String)> {
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let login = String::from_utf8(BASE64.decode(rest.trim()).ok()?).ok()?;
    let (user, password) = login.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn challenge(message: &str) -> ApiError {
    let realm = HeaderValue::from_static("Basic realm=\"hod\"");
    ApiError::new(Code::Unauthorized, message).with_header(header::WWW_AUTHENTICATE, realm)
}
