//! Free space, and which file system a path is on.

use std::path::Path;

use super::Error;

/// Returns the bytes that this user may still write on the file system of `path`.
pub fn available(path: &Path) -> Result<u64, Error> {
    let stat = nix::sys::statvfs::statvfs(path)
        .map_err(|errno| Error::new("measure the free space of", path, errno.into()))?;
    Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
}

/// Whether two existing paths are on one file system, so that hardlinks between them work.
pub fn same_filesystem(a: &Path, b: &Path) -> Result<bool, Error> {
    Ok(super::stat(a)?.identity.0 == super::stat(b)?.identity.0)
}
