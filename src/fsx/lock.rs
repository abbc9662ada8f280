//! Advisory locks between processes, released by the kernel when a process dies.

use std::fs::File;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::flock::{is_current, is_unsupported};
use super::owned::open_own_file;
use super::{Error, IoKind};

/// Whether others may hold the lock at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    /// With others who share.
    Shared,
    /// Alone.
    Exclusive,
}

/// A held lock; dropping it releases it.
#[derive(Debug)]
pub struct DirLock {
    file: File,
}

impl DirLock {
    /// Takes the lock on the file at `path`, creating it; `None` when another process holds it.
    pub fn try_acquire(path: &Path, mode: LockMode) -> Result<Option<Self>, Error> {
        let operation = match mode {
            LockMode::Shared => FlockOperation::NonBlockingLockShared,
            LockMode::Exclusive => FlockOperation::NonBlockingLockExclusive,
        };
        match Self::lock(path, operation) {
            Ok(lock) => Ok(Some(lock)),
            Err(error) if error.kind() == IoKind::Busy => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes the lock on the file at `path`, creating it and waiting for it.
    pub fn acquire(path: &Path, mode: LockMode) -> Result<Self, Error> {
        let operation = match mode {
            LockMode::Shared => FlockOperation::LockShared,
            LockMode::Exclusive => FlockOperation::LockExclusive,
        };
        Self::lock(path, operation)
    }

    fn lock(path: &Path, operation: FlockOperation) -> Result<Self, Error> {
        loop {
            let file = open_own_file(path, 0o600)?;
            match flock(&file, operation) {
                Ok(()) => {}
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(Error::new("lock", path, errno.into())),
            }
            // Its holder may have removed it between our opening and our lock.
            if is_current(&file, path)? {
                return Ok(Self { file });
            }
        }
    }

    /// Takes a shared lock on an existing file, waiting for it; changes nothing. `None` when the
    /// file is not found.
    pub fn join(path: &Path) -> Result<Option<Self>, Error> {
        loop {
            let Some(file) = super::try_open(path)? else {
                return Ok(None);
            };
            match flock(&file, FlockOperation::LockShared) {
                Ok(()) if is_current(&file, path)? => return Ok(Some(Self { file })),
                Ok(()) | Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::new("lock", path, errno.into())),
            }
        }
    }

    /// Takes an exclusive lock on a directory itself, waiting for it; leaves nothing behind. `None`
    /// on file systems that cannot lock directories (some network ones).
    pub fn of_dir(path: &Path) -> Result<Option<Self>, Error> {
        let file = super::open(path)?;
        loop {
            match flock(&file, FlockOperation::LockExclusive) {
                Ok(()) => return Ok(Some(Self { file })),
                Err(Errno::INTR) => {}
                Err(errno) if is_unsupported(errno) => return Ok(None),
                Err(errno) => return Err(Error::new("lock", path, errno.into())),
            }
        }
    }

    /// Turns an exclusive lock into a shared one, never letting go of it in between by more than
    /// the kernel's conversion does.
    pub fn share(&self, path: &Path) -> Result<(), Error> {
        flock(&self.file, FlockOperation::LockShared)
            .map_err(|errno| Error::new("lock", path, errno.into()))
    }
}

impl Drop for DirLock {
    fn drop(&mut self) {
        // A child that is being started may have the file open for an instant longer. Where the
        // kernel refuses, closing releases it.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_file_that_was_removed_locks_nothing() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("lock");
        let held = DirLock::acquire(&path, LockMode::Exclusive).unwrap();
        let busy = DirLock::try_acquire(&path, LockMode::Shared).unwrap();
        assert!(busy.is_none());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| DirLock::acquire(&path, LockMode::Exclusive).unwrap());
            crate::remove_file(&path).unwrap();
            let new = DirLock::try_acquire(&path, LockMode::Exclusive).unwrap();
            drop(held);
            drop(new);
            let _second = waiting.join().unwrap();
            let busy = DirLock::try_acquire(&path, LockMode::Shared).unwrap();
            assert!(busy.is_none(), "whoever waited has the new file");
        });
    }

    #[test]
    fn a_planted_lock_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let (target, path) = (root.path().join("target"), root.path().join("lock"));
        std::os::unix::fs::symlink(&target, &path).unwrap();
        let error = DirLock::try_acquire(&path, LockMode::Shared).unwrap_err();
        assert_eq!(error.kind(), IoKind::NotOwn);
        assert!(crate::try_stat(&target).unwrap().is_none());
    }
}
