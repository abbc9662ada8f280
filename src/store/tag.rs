//! Tags: names of manifests within a repository.

use hod_oci::{Digest, RepositoryName, Tag};

use super::repository::{linked, read_link};
use super::{Store, StoreError};

impl Store {
    /// Lists the tags of a repository, sorted; only those that name something now.
    pub fn tags(&self, repository: &RepositoryName) -> Result<Vec<Tag>, StoreError> {
        let repository = self.tree().repository(repository);
        let mut tags = Vec::new();
        for name in hod_fsx::try_read_dir_names(&repository.tags())?.unwrap_or_default() {
            let Some(tag) = name.to_str().and_then(|name| name.parse::<Tag>().ok()) else {
                continue;
            };
            if hod_fsx::try_stat(&repository.tag(&tag).current())?.is_some() {
                tags.push(tag);
            }
        }
        tags.sort_unstable();
        Ok(tags)
    }

    /// Returns the digest that a tag names; `None` when the tag does not exist.
    pub fn resolve_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<Digest>, StoreError> {
        read_link(&self.tree().repository(repository).tag(tag).current())
    }

    /// Returns every digest in the history of a tag, sorted; registries keep the history beside the
    /// current link.
    pub fn tag_history(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<Vec<Digest>, StoreError> {
        linked(&self.tree().repository(repository).tag(tag).history())
    }

    /// Removes a tag with its history; its manifest stays. Returns whether the tag existed.
    pub fn delete_tag(&self, repository: &RepositoryName, tag: &Tag) -> Result<bool, StoreError> {
        let dir = self.tree().repository(repository).tag(tag);
        self.take_away(dir.path())
    }
}
