//! Removing the images of a tree that are not to be in it any more, file by file.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::{Store, StoreError};
use crate::fsx::{self, WalkKind};
use crate::oci::{Digest, RepositoryName, Tag};

/// What a tree is to hold.
#[derive(Debug, Default)]
pub struct Kept {
    repositories: HashMap<RepositoryName, KeptLinks>,
    /// Blobs and manifests of all repositories.
    blobs: HashSet<Digest>,
}

#[derive(Debug, Default)]
struct KeptLinks {
    tags: HashMap<Tag, Digest>,
    revisions: HashSet<Digest>,
    layers: HashSet<Digest>,
}

impl Kept {
    pub fn add_tag(&mut self, repository: &RepositoryName, tag: &Tag, digest: &Digest) {
        let links = self.repositories.entry(repository.clone()).or_default();
        links.tags.insert(tag.clone(), digest.clone());
    }

    pub fn add_manifest(&mut self, repository: &RepositoryName, digest: &Digest) {
        let links = self.repositories.entry(repository.clone()).or_default();
        links.revisions.insert(digest.clone());
        self.blobs.insert(digest.clone());
    }

    pub fn add_blob(&mut self, repository: &RepositoryName, digest: &Digest) {
        let links = self.repositories.entry(repository.clone()).or_default();
        links.layers.insert(digest.clone());
        self.blobs.insert(digest.clone());
    }

    /// Whether a repository is to have the tag, or without one the manifest.
    pub fn has(&self, repository: &RepositoryName, tag: Option<&Tag>, digest: &Digest) -> bool {
        let Some(links) = self.repositories.get(repository) else {
            return false;
        };
        match tag {
            Some(tag) => links.tags.get(tag) == Some(digest),
            None => links.revisions.contains(digest),
        }
    }

    fn keeps(&self, file: &TreeFile) -> bool {
        let links = |repository| self.repositories.get(repository);
        match file {
            TreeFile::Blob(digest) => self.blobs.contains(digest),
            TreeFile::Layer(name, digest) => links(name).is_some_and(|l| l.layers.contains(digest)),
            TreeFile::Revision(name, digest) => {
                links(name).is_some_and(|l| l.revisions.contains(digest))
            }
            TreeFile::Current(name, tag) => links(name).is_some_and(|l| l.tags.contains_key(tag)),
            TreeFile::Past(name, tag, digest) => {
                links(name).is_some_and(|l| l.tags.get(tag) == Some(digest))
            }
        }
    }
}

/// Every kind of file that a finished tree has, in the order in which they are removed: what names
/// others goes first, so that a tree is whole at any time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum TreeFile {
    Current(RepositoryName, Tag),
    Past(RepositoryName, Tag, Digest),
    Revision(RepositoryName, Digest),
    Layer(RepositoryName, Digest),
    Blob(Digest),
}

impl TreeFile {
    /// Parses a path below `docker/registry/v2`.
    fn parse(path: &Path) -> Option<Self> {
        let parts: Vec<&str> = path.to_str()?.split('/').collect();
        let digest = |algorithm: &str, hex: &str| format!("{algorithm}:{hex}").parse().ok();
        match parts.as_slice() {
            ["blobs", algorithm, start, hex, "data"] if hex.starts_with(start) => {
                Some(Self::Blob(digest(algorithm, hex)?))
            }
            ["repositories", name @ .., "_layers", algorithm, hex, "link"] => Some(Self::Layer(
                name.join("/").parse().ok()?,
                digest(algorithm, hex)?,
            )),
            [
                "repositories",
                name @ ..,
                "_manifests",
                "revisions",
                algorithm,
                hex,
                "link",
            ] => Some(Self::Revision(
                name.join("/").parse().ok()?,
                digest(algorithm, hex)?,
            )),
            [
                "repositories",
                name @ ..,
                "_manifests",
                "tags",
                tag,
                "current",
                "link",
            ] => Some(Self::Current(
                name.join("/").parse().ok()?,
                tag.parse().ok()?,
            )),
            [
                "repositories",
                name @ ..,
                "_manifests",
                "tags",
                tag,
                "index",
                algorithm,
                hex,
                "link",
            ] => Some(Self::Past(
                name.join("/").parse().ok()?,
                tag.parse().ok()?,
                digest(algorithm, hex)?,
            )),
            _ => None,
        }
    }
}

/// Files of a tree that are to be removed.
#[derive(Debug)]
pub struct Surplus {
    files: Vec<(TreeFile, PathBuf)>,
    root: PathBuf,
}

impl Store {
    /// Lists the files of the tree that are not of what is kept.
    ///
    /// Refuses a tree with anything that no finished tree has, and one with a blob that `origin`
    /// lacks: whatever is removed can be selected again.
    pub fn surplus(&self, kept: &Kept, origin: &Self) -> Result<Surplus, StoreError> {
        let root = self.tree().repositories();
        let root = root.parent().expect("it is a directory of the tree");
        let mut files = Vec::new();
        for entry in fsx::walk(root, |_| true) {
            let entry = entry?;
            if entry.kind == WalkKind::Dir {
                continue;
            }
            let below = entry.path.strip_prefix(root).ok();
            let file = below.filter(|_| entry.kind == WalkKind::File);
            let Some(file) = file.and_then(TreeFile::parse) else {
                return Err(StoreError::Foreign { path: entry.path });
            };
            if kept.keeps(&file) {
                continue;
            }
            if let TreeFile::Blob(digest) = &file
                && origin.blob_len(digest)?.is_none()
            {
                return Err(StoreError::OnlyCopy {
                    path: entry.path,
                    origin: origin.path().to_owned(),
                });
            }
            files.push((file, entry.path));
        }
        files.sort();
        Ok(Surplus {
            files,
            root: root.to_owned(),
        })
    }
}

impl Surplus {
    /// Removes the files one by one, and the directories that are empty after that.
    pub fn remove(self) -> Result<(), StoreError> {
        for (_, path) in &self.files {
            fsx::remove_file(path)?;
            let dirs = path.ancestors().skip(1);
            for dir in dirs.take_while(|dir| dir.parent().is_some_and(|up| up != self.root)) {
                fsx::remove_dir_if_empty(dir)?;
                if fsx::try_stat(dir)?.is_some() {
                    break;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_a_tree_has_are_known() {
        let hex = "ab".repeat(32);
        let known = [
            format!("blobs/sha256/ab/{hex}/data"),
            format!("repositories/a/b/_layers/sha256/{hex}/link"),
            format!("repositories/a/_manifests/revisions/sha256/{hex}/link"),
            "repositories/a/_manifests/tags/1/current/link".to_owned(),
            format!("repositories/a/_manifests/tags/1/index/sha256/{hex}/link"),
        ];
        for path in &known {
            assert!(TreeFile::parse(Path::new(path)).is_some(), "{path}");
        }
        for path in [
            format!("blobs/sha256/cd/{hex}/data"),
            format!("blobs/sha256/ab/{hex}/data.bak"),
            "repositories/_manifests/tags/1/current/link".to_owned(),
            "repositories/a/_uploads/x/data".to_owned(),
            "repositories/a/notes.txt".to_owned(),
            format!("blobs/md5/ab/{hex}/data"),
        ] {
            assert!(TreeFile::parse(Path::new(&path)).is_none(), "{path}");
        }
    }
}
