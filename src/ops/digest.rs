//! `digest`: the digest of a file, as registries and manifests name it.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{OpsError, Verb};
use hod_oci::{Algorithm, Digest, MANIFEST_LEN_MAX, signed_payload};

/// The digest of a file.
#[derive(Debug, Clone, Serialize)]
pub struct DigestOutcome {
    pub path: PathBuf,
    pub digest: Digest,
    /// The length of what the digest is of.
    pub bytes: u64,
    /// Whether it is the digest of a manifest of schema 1 without its signatures.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub without_signatures: bool,
}

/// Computes the sha256 digest of a file, or of stdin for `-`.
///
/// That of a signed manifest of schema 1 is the digest of what was signed, as in registries.
pub fn digest(path: &Path) -> Verb<'_, DigestOutcome> {
    let path = path.to_owned();
    Box::pin(hod_bridge::run(move || digest_of(path)))
}

fn digest_of(path: PathBuf) -> Result<DigestOutcome, OpsError> {
    let mut file = if hod_fsx::is_stdin(&path) {
        hod_fsx::stdin()?
    } else if hod_fsx::try_stat(&path)?.is_none() {
        return Err(OpsError::NoSource { path });
    } else {
        hod_fsx::open_input(&path)?
    };
    let unreadable = |source| hod_fsx::Error::new("read", &path, source);
    // Whatever is longer is not a manifest.
    let mut start = Vec::new();
    let limited = Read::by_ref(&mut file).take(MANIFEST_LEN_MAX + 1);
    { limited }.read_to_end(&mut start).map_err(unreadable)?;
    if start.len() as u64 <= MANIFEST_LEN_MAX
        && let Some(payload) = signed_payload(&start).map_err(|source| OpsError::SchemaOne {
            path: path.clone(),
            source,
        })?
    {
        return Ok(DigestOutcome {
            digest: Digest::of(&payload),
            bytes: payload.len() as u64,
            without_signatures: true,
            path,
        });
    }
    let mut all = start.as_slice().chain(file);
    let read = Digest::of_all(Algorithm::Sha256, |buffer| all.read(buffer));
    let (digest, bytes) = read.map_err(unreadable)?;
    Ok(DigestOutcome {
        path,
        digest,
        bytes,
        without_signatures: false,
    })
}
