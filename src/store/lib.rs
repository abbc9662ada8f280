//! The store: distribution's registry v2 tree on disk.
//!
//! ```text
//! STORE/docker/registry/v2/blobs/<alg>/<hh>/<hex>/data            layers, configs and manifests
//!                          repositories/<name>/_layers/…/link     the blobs of a repository
//!                                              _manifests/revisions/…/link
//!                                                         tags/<tag>/{current,index/…}/link
//! STORE/.hod/{lock,tmp,partial,originals}                         ours
//! ```
//!
//! Byte for byte what `registry:2` and `registry:3` write, so that they can serve it, and tolerant
//! of what others write when reading, for which `.hod` is not needed. What appears appears whole:
//! blobs by rename, a new repository or tag by renaming its directory, links by rename; data before
//! links, the tag last. Blob data may be hardlinked between trees and is never changed in place;
//! link files never are hardlinked, since older registries rewrite them in place.

mod blob;
mod error;
mod image;
mod indirect;
mod layout;
mod original;
mod partial;
mod prune;
mod publish;
mod referrers;
mod repository;
mod stamp;
mod tag;
#[cfg(test)]
mod tests;
mod upload;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use blob::{BlobWriter, Holding, StagedBlob};
pub use error::StoreError;
pub use image::{StoredImage, StoredImages, UnreadableTag};
pub use indirect::IndirectCheck;
pub use partial::{Partial, PartialBlob};
pub use prune::{Kept, Lost, Removal, Surplus, WhyLost};
pub use publish::Publication;
pub use stamp::{Soundness, examine, examine_foreign};
pub use upload::Upload;
pub use verify::{LinkFault, Problem, VerifyOutcome, verify};

use hod_fsx::{DirLock, LockMode, MadeDirs};
use layout::{PathKind, Tree};

/// The directory of hod's own state, next to the tree.
const STATE_DIR: &str = ".hod";
/// The directories in it.
const TEMP_DIR: &str = "tmp";
const PARTIAL_DIR: &str = "partial";
const ORIGINALS_DIR: &str = "originals";

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
struct Writing {
    temp_dir: PathBuf,
    /// Held while the store is open, so that no other process removes our temporary files.
    _lock: DirLock,
}

/// The directories that [`Store::create_new`] created, to be removed by [`Made::discard`].
#[derive(Debug)]
pub struct Made {
    lock_path: PathBuf,
    /// The store's directory and its state, made before its lock could be taken.
    outer: MadeDirs,
    /// The directories of the tree, made under the lock.
    inner: MadeDirs,
}

impl Made {
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
            // The lock file is removed last: a process that waited for it sees that it is gone and
            // starts again.
            hod_fsx::remove_file(&self.lock_path)?;
        }
        self.outer.remove_empty()?;
        Ok(true)
    }
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

    /// Opens the store at `path` for reading and writing, creating what is missing of it.
    ///
    /// Several processes may have it open so. The first of them removes the temporary files of
    /// those that were killed. Fails, and touches nothing, when `.hod` or a directory in it is not
    /// a real directory of this user's, or a directory of the tree is a symbolic link; `path` itself
    /// may be one.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        Ok(Self::create_new(path)?.0)
    }

    /// Opens the store as [`Store::create`] does, and returns the directories that it created.
    pub fn create_new(path: &Path) -> Result<(Self, Made), StoreError> {
        Self::create_as(path, Sharing::WithOthers)
    }

    /// Opens the store as [`Store::create_new`] does, exclusively: while it is open, no other
    /// process has it open for writing. Fails with [`StoreError::InUse`] when one has.
    pub fn create_alone(path: &Path) -> Result<(Self, Made), StoreError> {
        Self::create_as(path, Sharing::Alone)
    }

    /// Takes a shared lock on the store, so that nothing is removed from it, and waits for a
    /// process that holds it exclusively. `None` when the store has no lock file: hod has never
    /// written to it.
    pub fn hold(&self) -> Result<Option<DirLock>, StoreError> {
        // Of the inside of a tree, it is that of the store around it.
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
    /// nothing. A single blob or repository may have an owner of its own all the same.
    pub fn require_writable(path: &Path) -> Result<(), hod_fsx::Error> {
        Tree::below(path).require_writable(path)
    }

    fn create_as(path: &Path, sharing: Sharing) -> Result<(Self, Made), StoreError> {
        if Tree::look(path)? == Some(PathKind::Tree) {
            return Err(StoreError::InsideTree {
                path: path.to_owned(),
            });
        }
        let mut made = Made {
            lock_path: path.join(STATE_DIR).join("lock"),
            outer: MadeDirs::default(),
            inner: MadeDirs::default(),
        };
        match Self::open_for_writing(path, sharing, &mut made) {
            Ok(store) => Ok((store, made)),
            Err(error) => {
                // The original error is returned, not that of cleaning up.
                let _ = made.discard();
                Err(error)
            }
        }
    }

    fn open_for_writing(
        path: &Path,
        sharing: Sharing,
        made: &mut Made,
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

    fn new(path: &Path, tree: Tree, writing: Option<Writing>) -> Self {
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

    fn temp_path(&self) -> Result<&Path, StoreError> {
        match &self.shared.writing {
            Some(writing) => Ok(&writing.temp_dir),
            None => Err(StoreError::ReadOnly {
                path: self.shared.path.clone(),
            }),
        }
    }

    fn tree(&self) -> &Tree {
        &self.shared.tree
    }
}

/// Whether others may have a store open for writing at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sharing {
    WithOthers,
    Alone,
}

/// The lock of a store, as it was got.
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
fn lock_state(state: &Path, sharing: Sharing, made: &mut Made) -> Result<HeldLock, StoreError> {
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
