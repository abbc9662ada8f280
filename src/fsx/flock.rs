//! The kernel's locks on open files.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::errno::Errno;

use super::Error;

/// The result of trying to lock an open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Locked {
    /// It is locked until it is closed.
    Yes,
    ByAnother,
    /// Its file system has no locks for it (some network ones).
    Unsupported,
}

/// Locks an open file exclusively, without waiting.
///
/// The lock belongs to the open file and its duplicates, and ends when the last of them is closed.
pub(super) fn lock_now(file: &File, path: &Path) -> Result<Locked, Error> {
    match file.try_lock() {
        Ok(()) => Ok(Locked::Yes),
        Err(TryLockError::WouldBlock) => Ok(Locked::ByAnother),
        Err(TryLockError::Error(source)) if is_unsupported(&source) => Ok(Locked::Unsupported),
        Err(TryLockError::Error(source)) => Err(Error::new("lock", path, source)),
    }
}

/// Whether the file system has no locks.
pub(super) fn is_unsupported(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(Errno::EBADF | Errno::EINVAL | Errno::ENOLCK | Errno::EOPNOTSUPP | Errno::ENOSYS)
    )
}

/// Whether `path` still names the open file.
pub(super) fn is_current(file: &File, path: &Path) -> Result<bool, Error> {
    let metadata = file.metadata();
    let metadata = metadata.map_err(|source| Error::new("stat", path, source))?;
    let identity = (metadata.dev(), metadata.ino());
    Ok(super::try_stat(path)?.is_some_and(|stat| stat.identity == identity))
}
