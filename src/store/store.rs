//! A store that is open.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::StoreError;
use super::layout::{PathKind, STATE_DIR, Tree};
use hod_fsx::DirLock;

/// A registry tree on disk. Cheap to clone; clones share the lock.
#[derive(Debug, Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    tree: Tree,
    writing: Option<Writing>,
}

/// The additional state of a store that may be changed.
#[derive(Debug)]
pub(super) struct Writing {
    pub(super) temp_dir: PathBuf,
    /// Held while the store is open, so that no other process removes our temporary files.
    pub(super) _lock: DirLock,
}

impl Store {
    /// Opens the store or registry tree at `path` for reading; writes nothing.
    ///
    /// `path` is a store, a registry's `rootdirectory`, or the `docker/registry/v2` in it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let tree = match Tree::look(path)? {
            Some(PathKind::Root) => Tree::below(path),
            Some(PathKind::Tree) => Tree::at(path),
            None => {
                return Err(StoreError::NotAStore {
                    path: path.to_owned(),
                });
            }
        };
        Ok(Self::new(path, tree, None))
    }

    /// Takes a shared lock on the store, so that nothing is removed from it, and waits for a
    /// process that holds it exclusively. `None` when the store has no lock file: hod has never
    /// written to it.
    pub fn hold(&self) -> Result<Option<DirLock>, StoreError> {
        // Inside a tree, the lock is that of the surrounding store.
        let root = if self.path() == self.tree().root() {
            self.path().join("../../..")
        } else {
            self.path().to_owned()
        };
        Ok(DirLock::join(&root.join(STATE_DIR).join("lock"))?)
    }

    /// Whether the two stores share a directory of the tree, under any name.
    pub fn shares_directory(&self, other: &Self) -> Result<bool, StoreError> {
        let dirs = |store: &Self| {
            [
                store.tree().root().to_owned(),
                store.tree().blobs(),
                store.tree().repositories(),
            ]
        };
        for (ours, theirs) in dirs(self).iter().zip(&dirs(other)) {
            if let (Some(ours), Some(theirs)) =
                (hod_fsx::try_stat(ours)?, hod_fsx::try_stat(theirs)?)
                && ours.identity == theirs.identity
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Fails if this user cannot write to the store at `path`, or cannot create it there; changes
    /// nothing. A single blob or repository can still have another owner.
    pub fn require_writable(path: &Path) -> Result<(), hod_fsx::Error> {
        Tree::below(path).require_writable(path)
    }

    pub(super) fn new(path: &Path, tree: Tree, writing: Option<Writing>) -> Self {
        Self {
            shared: Arc::new(Shared {
                path: path.to_owned(),
                tree,
                writing,
            }),
        }
    }

    /// Whether [`Store::open`] would take `path`.
    pub fn detect(path: &Path) -> Result<bool, StoreError> {
        Ok(Tree::look(path)?.is_some())
    }

    /// The path that the store was opened by.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// The directory for temporary files on the store's file system; swept when no process writes
    /// to the store.
    ///
    /// Fails with [`StoreError::ReadOnly`] on a store opened for reading.
    pub fn temp_dir(&self) -> Result<PathBuf, StoreError> {
        self.temp_path().map(Path::to_owned)
    }

    pub(super) fn temp_path(&self) -> Result<&Path, StoreError> {
        match &self.shared.writing {
            Some(writing) => Ok(&writing.temp_dir),
            None => Err(StoreError::ReadOnly {
                path: self.shared.path.clone(),
            }),
        }
    }

    pub(super) fn tree(&self) -> &Tree {
        &self.shared.tree
    }
}
