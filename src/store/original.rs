//! The original indexes of images of which only some platforms were carried. The store does not
//! serve them. With them, a later run detects that nothing has changed without fetching manifests,
//! which registries count and limit.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hod_fsx::{Durability, Leftover, TempFile};
use hod_oci::{Digest, MANIFEST_LEN_MAX, Manifest};

use super::layout::{ORIGINALS_DIR, STATE_DIR};
use super::partial::digest_of;
use super::{Store, StoreError};

/// Time after which an original is fetched again.
const STALE_AFTER: Duration = Duration::from_hours(90 * 24);

impl Store {
    /// Stores a manifest next to the tree; idempotent, not synced.
    pub fn keep_original(&self, manifest: &Manifest) -> Result<(), StoreError> {
        if self.find_manifest(manifest.digest()).is_some() {
            return Ok(());
        }
        let path = self.original_path(manifest.digest());
        if let Some(dir) = path.parent() {
            hod_fsx::make_own_dir(dir)?;
        }
        let mut temp = TempFile::create_in(self.temp_path()?, "original-")?;
        temp.write_all(manifest.bytes())?;
        Ok(temp.persist(&path, Durability::Deferred)?)
    }

    /// Reads a manifest in the tree or next to it; `None` when it is not found or is damaged, since
    /// it can be fetched again.
    pub fn find_manifest(&self, digest: &Digest) -> Option<Manifest> {
        if let Ok(Some(manifest)) = self.read_manifest(digest) {
            return Some(manifest);
        }
        let bytes = hod_fsx::try_read(&self.original_path(digest), MANIFEST_LEN_MAX);
        let bytes = bytes.ok()??;
        if !digest.matches(&bytes) {
            return None;
        }
        Manifest::parse_as(bytes.into(), digest.clone(), None).ok()
    }

    fn original_path(&self, digest: &Digest) -> PathBuf {
        let (algorithm, hex) = (digest.algorithm().as_str(), digest.hex());
        let dir = self.path().join(STATE_DIR).join(ORIGINALS_DIR);
        dir.join(format!("{algorithm}-{hex}"))
    }
}

/// Removes originals, which can be fetched again; requires that no other process has the store
/// open.
pub(super) fn sweep(store: &Path) -> Result<(), StoreError> {
    let dir = store.join(STATE_DIR).join(ORIGINALS_DIR);
    let judge = |name: &std::ffi::OsStr| match digest_of(name) {
        Some(_) => Leftover::Useful,
        None => Leftover::Foreign,
    };
    Ok(hod_fsx::sweep_older(&dir, STALE_AFTER, judge)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_original_is_found_unless_it_is_damaged() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::create(root.path()).unwrap();
        let text = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
        let manifest = Manifest::parse(text.to_vec().into(), None).unwrap();
        let digest = manifest.digest();
        assert!(store.find_manifest(digest).is_none());
        store.keep_original(&manifest).unwrap();
        store.keep_original(&manifest).unwrap();
        assert_eq!(
            store.find_manifest(digest).unwrap().bytes(),
            manifest.bytes()
        );
        assert_eq!(store.blob_len(digest).unwrap(), None, "it is not served");
        hod_fsx::write_file(&store.original_path(digest), b"{}").unwrap();
        assert!(store.find_manifest(digest).is_none());
    }
}
