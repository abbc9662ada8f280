//! Paths in distribution's tree (registry/storage/paths.go).

use std::path::{Path, PathBuf};

use hod_oci::{Digest, RepositoryName, Tag};

use super::StoreError;

/// The directory of hod's own state, next to the tree.
pub(super) const STATE_DIR: &str = ".hod";
/// The directories in it.
pub(super) const TEMP_DIR: &str = "tmp";
pub(super) const PARTIAL_DIR: &str = "partial";
pub(super) const ORIGINALS_DIR: &str = "originals";

/// The path of the tree below a registry's `rootdirectory`.
const TREE: &str = "docker/registry/v2";

/// The `docker/registry/v2` directory.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    root: PathBuf,
}

/// Which directory a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathKind {
    /// A registry's `rootdirectory`, which has the tree below it.
    Root,
    /// The tree itself.
    Tree,
}

impl Tree {
    /// The tree that is, or will be, below the root directory `path`.
    pub(super) fn below(path: &Path) -> Self {
        Self {
            root: path.join(TREE),
        }
    }

    /// The tree at `path` itself.
    pub(super) fn at(path: &Path) -> Self {
        Self {
            root: path.to_owned(),
        }
    }

    /// Determines whether `path` is a root or a tree; `None` when it is neither.
    ///
    /// The tree must have both of its directories: one alone also occurs elsewhere (an OCI layout
    /// has `blobs/`, a developer's home may have `repositories/`).
    pub(super) fn look(path: &Path) -> Result<Option<PathKind>, StoreError> {
        let is_dir =
            |path: &Path| Ok::<_, StoreError>(hod_fsx::try_stat(path)?.is_some_and(|s| s.is_dir));
        if is_dir(&path.join(TREE))? {
            Ok(Some(PathKind::Root))
        } else if is_dir(&path.join("blobs"))? && is_dir(&path.join("repositories"))? {
            Ok(Some(PathKind::Tree))
        } else {
            Ok(None)
        }
    }

    /// Fails if hod's own directory or one of the tree is a symbolic link, or leads through one below `path`, as far
    /// as that can be seen without looking at every blob and repository.
    pub(super) fn require_real(&self, path: &Path) -> Result<(), StoreError> {
        let mut dirs = hod_fsx::RealDirs::below(path);
        for dir in self.main_dirs(path) {
            let inside = dir.join("-");
            dirs.require(&inside).map_err(StoreError::indirect)?;
        }
        Ok(())
    }

    /// Fails if this user can create nothing in hod's own directory or one of the tree, below
    /// `path`, as far as that can be seen without looking at every blob and repository.
    pub(super) fn require_writable(&self, path: &Path) -> Result<(), hod_fsx::Error> {
        hod_fsx::require_writable(path)?;
        let mut dirs = self.main_dirs(path).into_iter();
        dirs.try_for_each(|dir| hod_fsx::require_writable(&dir))
    }

    /// The directories below `path` that every blob or image goes through, and whose number does
    /// not grow.
    fn main_dirs(&self, path: &Path) -> Vec<PathBuf> {
        let state = path.join(STATE_DIR);
        let own = [TEMP_DIR, PARTIAL_DIR, ORIGINALS_DIR].map(|dir| state.join(dir));
        let blobs = ["sha256", "sha384", "sha512"].map(|algorithm| self.blobs().join(algorithm));
        let mut dirs = vec![self.repositories()];
        dirs.extend(own.into_iter().chain(blobs));
        dirs
    }

    /// `docker/registry/v2`
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// `blobs`
    pub(super) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// `blobs/<alg>/<hh>/<hex>/data`
    pub(super) fn blob(&self, digest: &Digest) -> PathBuf {
        let (algorithm, hex) = (digest.algorithm().as_str(), digest.hex());
        self.root
            .join(format!("blobs/{algorithm}/{}/{hex}/data", &hex[..2]))
    }

    /// `repositories`
    pub(super) fn repositories(&self) -> PathBuf {
        self.root.join("repositories")
    }

    /// `repositories/<name>`
    pub(super) fn repository(&self, name: &RepositoryName) -> RepositoryDir {
        RepositoryDir::new(self.root.join(format!("repositories/{name}")))
    }
}

/// The directory of one repository, in the tree or in a temporary place where it is built.
#[derive(Debug, Clone)]
pub(super) struct RepositoryDir {
    path: PathBuf,
}

impl RepositoryDir {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// `<name>`
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// `_layers`
    pub(super) fn layers(&self) -> PathBuf {
        self.path.join("_layers")
    }

    /// `_layers/<alg>/<hex>/link`
    pub(super) fn layer(&self, digest: &Digest) -> PathBuf {
        self.path.join(format!("_layers/{}/link", in_path(digest)))
    }

    /// `_manifests`
    pub(super) fn manifests(&self) -> PathBuf {
        self.path.join("_manifests")
    }

    /// `_manifests/revisions`
    pub(super) fn revisions(&self) -> PathBuf {
        self.path.join("_manifests/revisions")
    }

    /// `_manifests/revisions/<alg>/<hex>/link`
    pub(super) fn revision(&self, digest: &Digest) -> PathBuf {
        self.path
            .join(format!("_manifests/revisions/{}/link", in_path(digest)))
    }

    /// `_manifests/tags`
    pub(super) fn tags(&self) -> PathBuf {
        self.path.join("_manifests/tags")
    }

    /// `_manifests/tags/<tag>`
    pub(super) fn tag(&self, tag: &Tag) -> TagDir {
        TagDir::new(self.path.join(format!("_manifests/tags/{}", tag.as_str())))
    }
}

/// The directory of one tag, in the tree or in a temporary place where it is built.
#[derive(Debug, Clone)]
pub(super) struct TagDir {
    path: PathBuf,
}

impl TagDir {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// `<tag>`
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// `current/link`
    pub(super) fn current(&self) -> PathBuf {
        self.path.join("current/link")
    }

    /// `index`
    pub(super) fn history(&self) -> PathBuf {
        self.path.join("index")
    }

    /// `index/<alg>/<hex>/link`
    pub(super) fn past(&self, digest: &Digest) -> PathBuf {
        self.path.join(format!("index/{}/link", in_path(digest)))
    }
}

/// `<alg>/<hex>`
fn in_path(digest: &Digest) -> String {
    format!("{}/{}", digest.algorithm().as_str(), digest.hex())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_distribution() {
        #[track_caller]
        fn check(path: &Path, expect: &str) {
            let expect = format!("/r/docker/registry/v2/{expect}");
            assert_eq!(path.to_str().unwrap(), expect);
        }
        let tree = Tree::below(Path::new("/r"));
        let digest = Digest::of(b"");
        let hex = digest.hex();
        let repository = tree.repository(&"library/redis".parse().unwrap());
        let tag = repository.tag(&Tag::latest());
        check(&tree.blob(&digest), &format!("blobs/sha256/e3/{hex}/data"));
        check(
            &repository.layer(&digest),
            &format!("repositories/library/redis/_layers/sha256/{hex}/link"),
        );
        check(
            &repository.revision(&digest),
            &format!("repositories/library/redis/_manifests/revisions/sha256/{hex}/link"),
        );
        check(
            &tag.current(),
            "repositories/library/redis/_manifests/tags/latest/current/link",
        );
        check(
            &tag.past(&digest),
            &format!("repositories/library/redis/_manifests/tags/latest/index/sha256/{hex}/link"),
        );
    }
}
