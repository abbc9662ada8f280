//! Repositories and their content.

use std::path::Path;

use hod_fsx::{TempDir, WalkKind};
use hod_oci::{Digest, RepositoryName};

use super::{Store, StoreError};

/// The longest link file that is read, in bytes; a sha512 digest has 135.
const LINK_LEN_MAX: u64 = 256;

impl Store {
    /// Lists the repositories, sorted: every directory with `_manifests` or `_layers` in it.
    ///
    /// Invalid names are left out; `verify` reports them.
    pub fn repositories(&self) -> Result<Vec<RepositoryName>, StoreError> {
        let root = self.tree().repositories();
        let mut names = Vec::new();
        for entry in hod_fsx::walk(&root, |path| !is_marker(path)) {
            let entry = entry?;
            if entry.kind != WalkKind::Dir || !is_marker(&entry.path) {
                continue;
            }
            let name = entry
                .path
                .parent()
                .and_then(|dir| dir.strip_prefix(&root).ok());
            let name = name
                .and_then(Path::to_str)
                .and_then(|name| name.parse().ok());
            if matches!(file_name(&entry.path), "_layers" | "_manifests") {
                names.extend(name);
            }
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// Lists the manifests that belong to a repository, sorted.
    pub fn revisions(&self, repository: &RepositoryName) -> Result<Vec<Digest>, StoreError> {
        linked(&self.tree().repository(repository).revisions())
    }

    /// Whether a manifest belongs to a repository; does not look for its bytes.
    pub fn has_revision(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        is_link(&self.tree().repository(repository).revision(digest))
    }

    /// Whether a layer or config belongs to a repository; does not look for its bytes.
    pub fn has_layer(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        is_link(&self.tree().repository(repository).layer(digest))
    }

    /// Removes a manifest from a repository, and the tags that name it; its bytes stay.
    ///
    /// Returns whether it existed. As in distribution, the directory of the link stays; it
    /// distinguishes a deleted manifest from a lost link.
    pub fn delete_revision(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        for tag in self.tags(repository)? {
            if self.resolve_tag(repository, &tag)?.as_ref() == Some(digest) {
                self.delete_tag(repository, &tag)?;
            }
        }
        self.take_away(&self.tree().repository(repository).revision(digest))
    }

    /// Removes a config or layer from a repository; its bytes stay. Returns whether it existed.
    pub fn delete_layer(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        self.take_away(&self.tree().repository(repository).layer(digest))
    }

    /// Removes a link, or a directory of links, atomically; returns whether it existed.
    pub(super) fn take_away(&self, path: &Path) -> Result<bool, StoreError> {
        let grave = TempDir::create_in(self.temp_path()?, "gone-")?;
        match hod_fsx::rename(path, &grave.path().join("gone")) {
            Err(error) if error.kind() == hod_fsx::IoKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
            Ok(()) => Ok(true),
        }
    }
}

/// Whether a directory is one of the registry's own, which no repository's name can be.
fn is_marker(path: &Path) -> bool {
    file_name(path).starts_with('_')
}

fn file_name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}

/// Whether a link exists, as a file that is not empty (a crash may leave an empty one).
fn is_link(path: &Path) -> Result<bool, StoreError> {
    Ok(hod_fsx::try_stat(path)?.is_some_and(|stat| stat.is_file && stat.len > 0))
}

/// The digests that have a `<alg>/<hex>/link` in `dir`, sorted.
pub(super) fn linked(dir: &Path) -> Result<Vec<Digest>, StoreError> {
    let mut digests = Vec::new();
    for algorithm in hod_fsx::try_read_dir_names(dir)?.unwrap_or_default() {
        let dir = dir.join(&algorithm);
        for hex in hod_fsx::try_read_dir_names(&dir)?.unwrap_or_default() {
            let text = format!("{}:{}", algorithm.to_string_lossy(), hex.to_string_lossy());
            let Ok(digest) = text.parse() else { continue };
            if is_link(&dir.join(hex).join("link"))? {
                digests.push(digest);
            }
        }
    }
    digests.sort_unstable();
    Ok(digests)
}

/// Reads the digest in a link file; `None` when it is not found.
///
/// Tolerates white space around it, which other tools leave and registries do not.
pub(super) fn read_link(path: &Path) -> Result<Option<Digest>, StoreError> {
    let Some(bytes) = hod_fsx::try_read(path, LINK_LEN_MAX)? else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&bytes);
    match text.trim().parse() {
        Ok(digest) => Ok(Some(digest)),
        Err(source) => Err(StoreError::BadLink {
            path: path.to_owned(),
            source,
        }),
    }
}
