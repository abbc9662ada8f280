//! `keygen`: a pair of keys, to sign bundles with and to verify them.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Context, OpsError};
use hod_bundle::{KeyId, Password, SecretKey};
use hod_fsx::IoKind;

/// The paths of a new pair of keys.
#[derive(Debug)]
pub struct KeygenOptions {
    /// The path of both files without `.key` and `.pub`.
    pub output: PathBuf,
    /// The password that encrypts the secret key, if any.
    pub password: Option<Password>,
}

/// The new pair of keys.
#[derive(Debug, Clone, Serialize)]
pub struct KeygenOutcome {
    pub secret_key: PathBuf,
    pub public_key: PathBuf,
    pub key_id: KeyId,
    /// The public key as one line of base64.
    pub public_key_text: String,
    /// Whether a password seals the secret key.
    pub is_sealed: bool,
}

/// Makes a pair of keys in minisign's format: the secret one readable by its owner only, the public
/// one for everyone who verifies. Existing files are never replaced; on failure neither file
/// exists.
pub async fn keygen(cx: &Context, options: &KeygenOptions) -> Result<KeygenOutcome, OpsError> {
    let secret_path = with_suffix(&options.output, ".key");
    let public_path = with_suffix(&options.output, ".pub");
    let paths = [secret_path.clone(), public_path.clone()];
    hod_bridge::run(move || require_new(&paths)).await?;
    if options.password.is_some() {
        cx.stage("encrypting the secret key");
    }
    let password = options.password.clone();
    let is_sealed = password.is_some();
    hod_bridge::run(move || {
        let (key, file) = SecretKey::generate(password.as_ref()).map_err(OpsError::Key)?;
        let public = key.public_key();
        let written = hod_fsx::write_new_pair(
            &secret_path,
            file.as_bytes(),
            &public_path,
            public.to_file().as_bytes(),
        );
        written.map_err(|error| match error.kind() {
            // Somebody was faster.
            IoKind::Exists => OpsError::KeyExists {
                path: secret_path.clone(),
            },
            _ => OpsError::File(error),
        })?;
        Ok(KeygenOutcome {
            key_id: public.id(),
            public_key_text: public.to_string(),
            secret_key: secret_path,
            public_key: public_path,
            is_sealed,
        })
    })
    .await
}

/// Refuses to replace keys.
fn require_new(paths: &[PathBuf]) -> Result<(), OpsError> {
    for path in paths {
        if hod_fsx::try_stat(path)?.is_some() {
            return Err(OpsError::KeyExists { path: path.clone() });
        }
        crate::batch::require_writable_file(path)?;
    }
    Ok(())
}

/// `suffix` behind all of the name, which may have dots.
fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}
