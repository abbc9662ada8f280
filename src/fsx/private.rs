//! Files that hold secrets: for their owner only.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

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
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let mut file = TempFile::create_private_in(dir, ".hod-")?;
    file.write_all(bytes)?;
    file.persist(path, durability)
}
