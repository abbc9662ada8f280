//! The files that are to be removed, as they were found.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::shape::TreeFile;
use crate::StoreError;
use hod_fsx::{FileStat, PinnedDir};
use hod_oci::{Digest, ReferrerTag, RepositoryName, Tag};

/// A file to remove, with its status when it was found.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) file: TreeFile,
    pub(super) path: PathBuf,
    pub(super) identity: (u64, u64),
    pub(super) len: u64,
    /// The identity of the directory that it is in.
    pub(super) parent: (u64, u64),
    /// For a blob: the copy of the origin, unless the origin can rebuild it.
    pub(super) copy: Option<Copy>,
}

impl Planned {
    /// Returns the status of a file; `None` if it does not exist, is not a regular file, or is
    /// reached through a link.
    pub(super) fn new(
        file: TreeFile,
        path: &Path,
        dir: &PinnedDir,
    ) -> Result<Option<Self>, StoreError> {
        let within = path.strip_prefix(dir.path()).unwrap_or(path);
        let (stat, parent) = (dir.stat(within)?, dir.stat_parent(within)?);
        let (Some(stat), Some(parent)) = (stat.filter(|stat| stat.is_file), parent) else {
            return Ok(None);
        };
        Ok(Some(Self {
            file,
            path: path.to_owned(),
            identity: stat.identity,
            len: stat.len,
            parent: parent.identity,
            copy: None,
        }))
    }

    pub(super) fn blob(&self) -> Option<&Digest> {
        match &self.file {
            TreeFile::Blob(digest) => Some(digest),
            _ => None,
        }
    }

    /// The directory of a tag whose present link it is.
    pub(super) fn tag_dir(&self) -> Option<&Path> {
        match &self.file {
            TreeFile::Current(..) => self.path.parent()?.parent(),
            _ => None,
        }
    }

    /// The position in the order of removal: referencing files go first, so that everything visible
    /// is complete at any time. Tags of images come before those of referrers, and an index before
    /// its children.
    pub(super) fn rank(&self, order: &HashMap<Digest, usize>) -> (PruneStep, TreeFile) {
        let step = match &self.file {
            TreeFile::Current(name, tag) | TreeFile::Past(name, tag, _) => {
                let is_referrer = ReferrerTag::parse(tag).is_some();
                PruneStep::Tag(is_referrer, name.clone(), tag.clone())
            }
            TreeFile::Revision(_, digest) => {
                PruneStep::Revision(order.get(digest).copied().unwrap_or(usize::MAX))
            }
            TreeFile::Layer(..) => PruneStep::Layer,
            TreeFile::Blob(_) => PruneStep::Blob,
        };
        (step, self.file.clone())
    }
}

/// A step of the removal.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PruneStep {
    /// All files of a tag; first its current link.
    Tag(bool, RepositoryName, Tag),
    Revision(usize),
    Layer,
    Blob,
}

/// The file that the origin has of a blob.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) path: PathBuf,
    identity: (u64, u64),
    len: u64,
    modified: Option<SystemTime>,
}

impl Copy {
    pub(super) fn new(path: PathBuf, stat: &FileStat) -> Self {
        Self {
            path,
            identity: stat.identity,
            len: stat.len,
            modified: stat.modified,
        }
    }

    /// Returns true if the file is unchanged.
    pub(super) fn stands(&self) -> Result<bool, hod_fsx::Error> {
        let stat = hod_fsx::try_stat_link(&self.path)?;
        Ok(stat.is_some_and(|stat| {
            stat.is_file
                && (stat.identity, stat.len, stat.modified)
                    == (self.identity, self.len, self.modified)
        }))
    }
}

/// Opens the directory of a store so that its tree is reached without following a link.
pub(super) fn open_tree(path: &Path, tree: &Path) -> Result<PinnedDir, StoreError> {
    let dir = PinnedDir::open(path)?;
    let within = tree.strip_prefix(path).unwrap_or(tree);
    let inner = [within.join("blobs"), within.join("repositories")];
    for within in within.ancestors().chain(inner.iter().map(PathBuf::as_path)) {
        if within.as_os_str().is_empty() {
            continue;
        }
        if !dir.stat(within)?.is_some_and(|stat| stat.is_dir) {
            return Err(StoreError::Indirect {
                path: path.join(within),
            });
        }
    }
    Ok(dir)
}
