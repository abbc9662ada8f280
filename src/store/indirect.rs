//! Checks that images can be written to a tree: not through symbolic links in it, and with the
//! permissions of this user.

use std::path::{Path, PathBuf};

use super::layout::Tree;
use super::{Publication, StoreError};
use hod_fsx::RealDirs;

/// Looks at the directories to which images are to be written, at each once.
#[derive(Debug)]
pub struct IndirectCheck {
    /// The store, which may be a link itself.
    path: PathBuf,
    dirs: RealDirs,
}

impl IndirectCheck {
    /// Checks a store at `path`, which need not exist.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            dirs: RealDirs::below(path),
        }
    }

    /// Fails with [`StoreError::Indirect`] if one of the directories that the image has in the tree
    /// is a symbolic link, and with [`StoreError::File`] if one cannot be created; changes nothing.
    pub fn check(&mut self, image: &Publication) -> Result<(), StoreError> {
        let tree = Tree::below(&self.path);
        let repository = tree.repository(&image.repository);
        for digest in image.blobs.iter().chain(&image.manifests) {
            self.require(&tree.blob(digest))?;
        }
        for digest in &image.blobs {
            self.require(&repository.layer(digest))?;
        }
        for digest in &image.manifests {
            self.require(&repository.revision(digest))?;
        }
        if let Some(tag) = &image.tag {
            let tag = repository.tag(tag);
            self.require(&tag.current())?;
            self.require(&tag.past(&image.top))?;
        }
        Ok(())
    }

    /// Fails if a directory between the store and the file at `path` is a symbolic link, or cannot be
    /// created.
    fn require(&mut self, path: &Path) -> Result<(), StoreError> {
        let dirs = &mut self.dirs;
        dirs.require_creatable(path).map_err(StoreError::indirect)
    }
}
