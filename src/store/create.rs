//! Opens a store for writing, and creates it if necessary.

use std::path::{Path, PathBuf};

use super::layout::{ORIGINALS_DIR, PARTIAL_DIR, PathKind, STATE_DIR, TEMP_DIR, Tree};
use super::store::Writing;
use super::{Store, StoreError, original, partial, prune};
use hod_fsx::{DirLock, LockMode, MadeDirs};

/// The directories that [`Store::create_new`] created, to be removed by [`CreatedDirs::discard`].
#[derive(Debug)]
pub struct CreatedDirs {
    lock_path: PathBuf,
    /// The directories that were created before the lock was acquired.
    outer: MadeDirs,
    /// The directories of the tree, made under the lock.
    inner: MadeDirs,
}

impl CreatedDirs {
    /// Removes the directories that were made, as far as nothing is in them by now.
    ///
    /// Does nothing, and returns false, while another process has the store open.
    pub fn discard(&mut self) -> Result<bool, StoreError> {
        let state = self.lock_path.parent().unwrap_or(&self.lock_path);
        let has_none = self.outer.is_empty() && self.inner.is_empty();
        if has_none || hod_fsx::open_own_dir(state)?.is_none() {
            return Ok(true);
        }
        let Some(_alone) = DirLock::try_acquire(&self.lock_path, LockMode::Exclusive)? else {
            return Ok(false);
        };
        self.inner.remove_empty()?;
        if self.outer.contains(state) {
            // The lock file is removed last: a process that waits for it detects this and starts
            // again.
            hod_fsx::remove_file(&self.lock_path)?;
        }
        self.outer.remove_empty()?;
        Ok(true)
    }
}

impl Store {
    /// Opens the store at `path` for reading and writing, and creates it if necessary.
    ///
    /// Several processes can have it open. The first one removes the temporary files of killed
    /// processes. Fails, and touches nothing, when `.hod` or a directory in it is not a real
    /// directory of this user's, or a directory of the tree is a symbolic link; `path` itself may
    /// be one.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        Ok(Self::create_new(path)?.0)
    }

    /// Opens the store as [`Store::create`] does, and returns the directories that it created.
    pub fn create_new(path: &Path) -> Result<(Self, CreatedDirs), StoreError> {
        Self::create_as(path, Sharing::WithOthers)
    }

    /// Opens the store as [`Store::create_new`] does, exclusively: while it is open, no other
    /// process has it open for writing. Fails with [`StoreError::InUse`] when one has.
    pub fn create_alone(path: &Path) -> Result<(Self, CreatedDirs), StoreError> {
        Self::create_as(path, Sharing::Alone)
    }

    fn create_as(path: &Path, sharing: Sharing) -> Result<(Self, CreatedDirs), StoreError> {
        if Tree::look(path)? == Some(PathKind::Tree) {
            return Err(StoreError::InsideTree {
                path: path.to_owned(),
            });
        }
        let mut made = CreatedDirs {
            lock_path: path.join(STATE_DIR).join("lock"),
            outer: MadeDirs::default(),
            inner: MadeDirs::default(),
        };
        match Self::open_for_writing(path, sharing, &mut made) {
            Ok(store) => Ok((store, made)),
            Err(error) => {
                // The original error is returned, not the error of the clean-up.
                let _ = made.discard();
                Err(error)
            }
        }
    }

    fn open_for_writing(
        path: &Path,
        sharing: Sharing,
        made: &mut CreatedDirs,
    ) -> Result<Self, StoreError> {
        let tree = Tree::below(path);
        tree.require_real(path)?;
        let state = path.join(STATE_DIR);
        let lock = lock_state(&state, sharing, made)?;
        if let HeldLock::Alone(lock) = &lock {
            prune::restore(path, &state.join(TEMP_DIR), |digest| tree.blob(digest))?;
            hod_fsx::sweep_scratch(&state.join(TEMP_DIR))?;
            partial::sweep(path, &tree)?;
            original::sweep(path)?;
            if sharing == Sharing::WithOthers {
                lock.share(&made.lock_path)?;
            }
        }
        let temp_dir = state.join(TEMP_DIR);
        for dir in [&tree.blobs(), &tree.repositories(), &temp_dir] {
            made.inner.make(dir)?;
        }
        let writing = Writing {
            temp_dir,
            _lock: lock.into_inner(),
        };
        Ok(Self::new(path, tree, Some(writing)))
    }
}

/// Whether others may have a store open for writing at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sharing {
    WithOthers,
    Alone,
}

/// A lock of a store.
enum HeldLock {
    /// No other process has the store open.
    Alone(DirLock),
    Shared(DirLock),
}

impl HeldLock {
    fn into_inner(self) -> DirLock {
        match self {
            Self::Alone(lock) | Self::Shared(lock) => lock,
        }
    }
}

/// Makes the directory of the state, checks it and those in it, and locks it.
fn lock_state(
    state: &Path,
    sharing: Sharing,
    made: &mut CreatedDirs,
) -> Result<HeldLock, StoreError> {
    loop {
        made.outer.make(state)?;
        hod_fsx::open_own_dir(state)?;
        for dir in [TEMP_DIR, PARTIAL_DIR, ORIGINALS_DIR] {
            hod_fsx::open_own_dir(&state.join(dir))?;
        }
        let lock = match DirLock::try_acquire(&made.lock_path, LockMode::Exclusive) {
            Ok(Some(lock)) => Ok(HeldLock::Alone(lock)),
            Ok(None) if sharing == Sharing::Alone => {
                let path = state.parent().unwrap_or(state).to_owned();
                return Err(StoreError::InUse { path });
            }
            Ok(None) => DirLock::acquire(&made.lock_path, LockMode::Shared).map(HeldLock::Shared),
            Err(error) => Err(error),
        };
        match lock {
            // A run that came to nothing has just removed the directory.
            Err(error) if error.kind() == hod_fsx::IoKind::NotFound => {}
            lock => return Ok(lock?),
        }
    }
}
