//! Symbolic links in a tree, through which nothing is written.

use std::path::{Path, PathBuf};

use super::layout::Tree;
use super::{Publication, StoreError};
use crate::fsx::RealDirs;

/// Looks for symbolic links where images are to be written; looks at each directory once.
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
    /// is a symbolic link; changes nothing.
    pub fn check(&mut self, image: &Publication) -> Result<(), StoreError> {
        let tree = Tree::below(&self.path);
        let repository = tree.repository(&image.repository);
        for digest in image.blobs.iter().chain(&image.manifests) {
            self.require_real(&tree.blob(digest))?;
        }
        for digest in &image.blobs {
            self.require_real(&repository.layer(digest))?;
        }
        for digest in &image.manifests {
            self.require_real(&repository.revision(digest))?;
        }
        if let Some(tag) = &image.tag {
            let tag = repository.tag(tag);
            self.require_real(&tag.current())?;
            self.require_real(&tag.past(&image.top))?;
        }
        Ok(())
    }

    /// Fails if a directory between the store and the file at `path` is a symbolic link.
    fn require_real(&mut self, path: &Path) -> Result<(), StoreError> {
        self.dirs.require(path).map_err(StoreError::indirect)
    }
}
