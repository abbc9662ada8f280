//! Files that hold secrets: for their owner only.

use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use super::dir_of;
use super::sweep::sweep_beside;
use super::{Durability, Error, TempFile};

/// Creates a directory and its parents, those that are new with mode 0700; idempotent.
pub fn create_private_dir_all(path: &Path) -> Result<(), Error> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| Error::new("create directory", path, source))
}

/// What the names of temporary files with secrets begin with; six random characters follow.
const PREFIX: &str = ".hod-";

/// Removes the temporary files with secrets that killed runs left in `dir`.
pub fn sweep_private(dir: &Path) -> Result<(), Error> {
    sweep_beside(dir, PREFIX, None)
}

/// Sets the mode of a file with secrets to 0600. A file that does not exist, or that only its owner
/// can read and write, is left as it is.
pub fn make_private(path: &Path) -> Result<(), Error> {
    let Some(file) = super::try_open(path)? else {
        return Ok(());
    };
    let wrap = |source| Error::new("restrict", path, source);
    let metadata = file.metadata().map_err(wrap)?;
    let rights_of_others = metadata.mode() & 0o077;
    if !metadata.is_file() || rights_of_others == 0 {
        return Ok(());
    }
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
        .map_err(wrap)
}

/// Writes a small file at `path` with mode 0600, replacing an existing one.
///
/// Atomic. A kill may leave a temporary file beside it: see [`sweep_private`].
pub fn write_private(path: &Path, bytes: &[u8], durability: Durability) -> Result<(), Error> {
    let mut file = TempFile::create_private_in(dir_of(path), PREFIX)?;
    file.write_all(bytes)?;
    file.persist(path, durability)
}

/// Writes a new pair of small files, one of them with mode 0600; neither may exist.
///
/// Each is complete and synced when it appears, the private one last: if it exists, both do. On
/// failure neither exists. A kill may leave the other one, or temporary files, which are removed by
/// the next call for the same directory.
pub fn write_new_pair(
    private: &Path,
    private_bytes: &[u8],
    other: &Path,
    other_bytes: &[u8],
) -> Result<(), Error> {
    let mut secret = TempFile::create_private_in(dir_of(private), PREFIX)?;
    sweep_beside(dir_of(private), PREFIX, secret.path().file_name())?;
    secret.write_all(private_bytes)?;
    let mut open = TempFile::create_private_in(dir_of(other), PREFIX)?;
    open.make_public()?;
    open.write_all(other_bytes)?;
    open.persist_new(other, Durability::Synced)?;
    secret
        .persist_new(private, Durability::Synced)
        .inspect_err(|_| {
            // It is ours: nothing was there before.
            let _ = super::remove_file(other);
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_away_from_others() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("config.json");
        make_private(&path).unwrap();
        crate::write_file(&path, b"{}").unwrap();
        for mode in [0o644, 0o666, 0o620, 0o600, 0o400] {
            let permissions = std::fs::Permissions::from_mode(mode);
            crate::open(&path)
                .unwrap()
                .set_permissions(permissions)
                .unwrap();
            make_private(&path).unwrap();
            let expect = if mode == 0o400 { 0o400 } else { 0o600 };
            assert_eq!(crate::stat(&path).unwrap().mode & 0o777, expect, "{mode:o}");
        }
    }

    #[test]
    fn a_pair_of_files_has_its_modes() {
        let root = tempfile::tempdir().unwrap();
        let (secret, open) = (root.path().join("k.key"), root.path().join("k.pub"));
        crate::write_file(&root.path().join(".hod-killed"), b"secret").unwrap();
        write_new_pair(&secret, b"1", &open, b"2").unwrap();
        let mode = |path: &Path| crate::stat(path).unwrap().mode & 0o777;
        assert_eq!((mode(&secret), mode(&open)), (0o600, 0o644));
        assert_eq!(
            crate::read_dir_names(root.path()).unwrap(),
            ["k.key", "k.pub"]
        );
        assert!(write_new_pair(&secret, b"1", &open, b"2").is_err());
    }
}
