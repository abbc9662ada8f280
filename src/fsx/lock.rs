//! Advisory locks between processes, released by the kernel when a process dies.

use std::fs::File;
use std::io;
use std::path::Path;

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
        let locked = Self::lock(path, |file| {
            let locked = match mode {
                LockMode::Shared => file.try_lock_shared(),
                LockMode::Exclusive => file.try_lock(),
            };
            Ok(locked?)
        });
        match locked {
            Ok(lock) => Ok(Some(lock)),
            Err(error) if error.kind() == IoKind::Busy => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes the lock on the file at `path`, creating it and waiting for it.
    pub fn acquire(path: &Path, mode: LockMode) -> Result<Self, Error> {
        Self::lock(
            path,
            match mode {
                LockMode::Shared => File::lock_shared,
                LockMode::Exclusive => File::lock,
            },
        )
    }

    fn lock(path: &Path, take: impl Fn(&File) -> io::Result<()>) -> Result<Self, Error> {
        loop {
            let file = open_own_file(path, 0o600)?;
            uninterrupted(|| take(&file)).map_err(|source| Error::new("lock", path, source))?;
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
            uninterrupted(|| file.lock_shared())
                .map_err(|source| Error::new("lock", path, source))?;
            if is_current(&file, path)? {
                return Ok(Some(Self { file }));
            }
        }
    }

    /// Takes an exclusive lock on a directory itself, waiting for it; leaves nothing behind. `None`
    /// on file systems that cannot lock directories (some network ones).
    pub fn of_dir(path: &Path) -> Result<Option<Self>, Error> {
        let file = super::open(path)?;
        match uninterrupted(|| file.lock()) {
            Ok(()) => Ok(Some(Self { file })),
            Err(source) if is_unsupported(&source) => Ok(None),
            Err(source) => Err(Error::new("lock", path, source)),
        }
    }

    /// Turns an exclusive lock into a shared one, never letting go of it in between by more than
    /// the kernel's conversion does.
    pub fn share(&self, path: &Path) -> Result<(), Error> {
        let shared = self.file.lock_shared();
        shared.map_err(|source| Error::new("lock", path, source))
    }
}

impl Drop for DirLock {
    fn drop(&mut self) {
        // A child that is being started may have the file open for an instant longer. Where the
        // kernel refuses, closing releases it.
        let _ = self.file.unlock();
    }
}

/// Waits for a lock, also when a signal comes meanwhile.
fn uninterrupted(lock: impl Fn() -> io::Result<()>) -> io::Result<()> {
    loop {
        match lock() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            locked => return locked,
        }
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
