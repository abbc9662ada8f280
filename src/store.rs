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
mod layout;
mod original;
mod partial;
mod publish;
mod referrers;
mod repository;
mod stamp;
mod tag;
#[cfg(test)]
mod tests;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use blob::{BlobWriter, Holding, StagedBlob};
pub use error::StoreError;
pub use image::{Closure, StoredImage};
pub use partial::{Partial, PartialBlob};
pub use publish::Publication;
pub use stamp::{Soundness, examine};
pub use verify::{LinkFault, Problem, VerifyOutcome, verify};

use crate::fsx::{self, DirLock, LockMode};
use layout::{PathKind, Tree};

/// Our own state, beside the tree.
const STATE_DIR: &str = ".hod";

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

/// What a store that may be changed has besides.
#[derive(Debug)]
struct Writing {
    temp_dir: PathBuf,
    /// Held while the store is open, so that nobody sweeps our temporary files away.
    _lock: DirLock,
}

/// What [`Store::create`] made of a store that is to be discarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// The store's directory, with all in it.
    Directory,
    /// What is in the directory, which was there before and held no store.
    Content,
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
    /// those that were killed.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        if Tree::look(path)? == Some(PathKind::Tree) {
            return Err(StoreError::InsideTree {
                path: path.to_owned(),
            });
        }
        let tree = Tree::below(path);
        let temp_dir = path.join(STATE_DIR).join("tmp");
        for dir in [&tree.blobs(), &tree.repositories(), &temp_dir] {
            fsx::create_dir_all(dir)?;
        }
        let lock_path = path.join(STATE_DIR).join("lock");
        let lock = match DirLock::try_acquire(&lock_path, LockMode::Exclusive)? {
            Some(lock) => {
                fsx::sweep_dir(&temp_dir)?;
                partial::sweep(path, &tree)?;
                let originals = path.join(STATE_DIR).join("originals");
                fsx::sweep_older(&originals, original::STALE_AFTER, |_| true)?;
                lock.share(&lock_path)?;
                lock
            }
            None => DirLock::acquire(&lock_path, LockMode::Shared)?,
        };
        let writing = Writing {
            temp_dir,
            _lock: lock,
        };
        Ok(Self::new(path, tree, Some(writing)))
    }

    /// Takes away a store that was made a moment ago and in which nothing has been published.
    ///
    /// Does nothing, and returns false, while anybody has the store at `path` open.
    pub fn discard(path: &Path, made: Made) -> Result<bool, StoreError> {
        let state = path.join(STATE_DIR);
        let Some(_alone) = DirLock::try_acquire(&state.join("lock"), LockMode::Exclusive)? else {
            return Ok(false);
        };
        match made {
            Made::Directory => fsx::remove_dir_all(path)?,
            Made::Content => {
                let tree = Tree::below(path);
                fsx::remove_dir_all(tree.root())?;
                // `docker/registry` and `docker`, unless somebody has something else there.
                for dir in tree.root().ancestors().skip(1).take(2) {
                    fsx::remove_dir_if_empty(dir)?;
                }
                fsx::remove_dir_all(&state)?;
            }
        }
        Ok(true)
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

    /// The directory for temporary files on the store's file system; swept when nobody writes.
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
