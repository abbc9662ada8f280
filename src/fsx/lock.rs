//! Advisory locks between processes, released by the kernel when a process dies.

use std::fs::File;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::Error;

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
    lock: Flock<File>,
}

impl DirLock {
    /// Takes the lock on the file at `path`, creating it; `None` when somebody else has it.
    pub fn try_acquire(path: &Path, mode: LockMode) -> Result<Option<Self>, Error> {
        let file = lock_file(path)?;
        let arg = match mode {
            LockMode::Shared => FlockArg::LockSharedNonblock,
            LockMode::Exclusive => FlockArg::LockExclusiveNonblock,
        };
        match Flock::lock(file, arg) {
            Ok(lock) => Ok(Some(Self { lock })),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, errno)) => Err(Error::new("lock", path, errno.into())),
        }
    }

    /// Takes the lock on the file at `path`, creating it and waiting for it.
    pub fn acquire(path: &Path, mode: LockMode) -> Result<Self, Error> {
        let file = lock_file(path)?;
        let arg = match mode {
            LockMode::Shared => FlockArg::LockShared,
            LockMode::Exclusive => FlockArg::LockExclusive,
        };
        match Flock::lock(file, arg) {
            Ok(lock) => Ok(Self { lock }),
            Err((_, errno)) => Err(Error::new("lock", path, errno.into())),
        }
    }

    /// Takes a directory itself as the lock, alone, waiting for it; leaves nothing behind. `None`
    /// on file systems that cannot lock directories (some network ones).
    pub fn of_dir(path: &Path) -> Result<Option<Self>, Error> {
        match Flock::lock(super::open(path)?, FlockArg::LockExclusive) {
            Ok(lock) => Ok(Some(Self { lock })),
            Err((_, Errno::EBADF | Errno::EINVAL | Errno::ENOLCK | Errno::EOPNOTSUPP)) => Ok(None),
            Err((_, errno)) => Err(Error::new("lock", path, errno.into())),
        }
    }

    /// Turns an exclusive lock into a shared one, never letting go of it in between by more than
    /// the kernel's conversion does.
    pub fn share(&self, path: &Path) -> Result<(), Error> {
        self.lock
            .relock(FlockArg::LockShared)
            .map_err(|errno| Error::new("lock", path, errno.into()))
    }
}

#[expect(clippy::disallowed_methods, reason = "the one home of lock files")]
fn lock_file(path: &Path) -> Result<File, Error> {
    std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|source| Error::new("open lock", path, source))
}
