//! Files that hold secrets: for their owner only.

use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use super::Error;

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
/// Atomic, and not synced: it survives a kill, not a power cut. A kill may leave a file named
/// `new-` and six random characters beside it.
pub fn write_private_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix("new-")
        .tempfile_in(dir)
        .map_err(|source| Error::new("create a file in", dir, source))?;
    file.write_all(bytes)
        .map_err(|source| Error::new("write", path, source))?;
    file.persist(path)
        .map_err(|error| Error::new("write", path, error.error))?;
    Ok(())
}
