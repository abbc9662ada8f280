//! Files that hold secrets: for their owner only.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use super::dir_of;
use super::{Durability, Error, TempFile};

/// Creates a directory and its parents, those that are new with mode 0700; idempotent.
pub fn create_private_dir_all(path: &Path) -> Result<(), Error> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| Error::new("create directory", path, source))
}

/// Writes a small file at `path` with mode 0600, replacing what is there.
///
/// Atomic. A kill may leave a file named `.hod-` and six random characters beside it.
pub fn write_private(path: &Path, bytes: &[u8], durability: Durability) -> Result<(), Error> {
    let mut file = TempFile::create_private_in(dir_of(path), ".hod-")?;
    file.write_all(bytes)?;
    file.persist(path, durability)
}

/// Writes a new pair of small files, one of them with mode 0600, where neither may be there yet.
///
/// Each is whole and synced when it appears, the private one last: if it is there, both are. On
/// failure neither is. A kill may leave the other one, or files named `.hod-` and six random
/// characters.
pub fn write_new_pair(
    (private, private_bytes): (&Path, &[u8]),
    (other, other_bytes): (&Path, &[u8]),
) -> Result<(), Error> {
    let mut secret = TempFile::create_private_in(dir_of(private), ".hod-")?;
    secret.write_all(private_bytes)?;
    let mut open = TempFile::create_in(dir_of(other), ".hod-")?;
    open.write_all(other_bytes)?;
    open.persist_new(other)?;
    secret.persist_new(private).inspect_err(|_| {
        // It is ours: nothing was there before.
        let _ = super::remove_file(other);
    })
}
