//! The images of a store.

use std::collections::BTreeSet;
use std::fmt;

use hod_oci::{Digest, Manifest, RepositoryName, Tag};

use super::{Store, StoreError};

/// An image in a store, by its tag or, when it has none, by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoredImage {
    pub repository: RepositoryName,
    pub tag: Option<Tag>,
    /// The target of the tag: a manifest or an index.
    pub digest: Digest,
}

impl fmt::Display for StoredImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tag {
            Some(tag) => write!(f, "{}:{}", self.repository, tag.as_str()),
            None => write!(f, "{}@{}", self.repository, self.digest),
        }
    }
}

/// The images of a store, and what could not be listed.
#[derive(Debug, Default)]
pub struct StoredImages {
    /// Sorted.
    pub images: Vec<StoredImage>,
    /// Tags that cannot be read.
    pub unreadable: Vec<UnreadableTag>,
}

/// A tag whose link is empty or garbage, as a crash leaves it.
#[derive(Debug)]
pub struct UnreadableTag {
    pub repository: RepositoryName,
    pub tag: Tag,
    pub error: StoreError,
}

impl fmt::Display for UnreadableTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag.as_str())
    }
}

impl Store {
    /// Lists the images, sorted: all tags, and the untagged top-level manifests.
    ///
    /// The latter are those that no tag of the repository names or once named and that no other
    /// manifest of it lists.
    pub fn images(&self) -> Result<StoredImages, StoreError> {
        let mut listed = StoredImages::default();
        for repository in self.repositories()? {
            self.images_of(&repository, &mut listed)?;
        }
        listed.images.sort_unstable();
        Ok(listed)
    }

    fn images_of(
        &self,
        repository: &RepositoryName,
        listed: &mut StoredImages,
    ) -> Result<(), StoreError> {
        let revisions = self.revisions(repository)?;
        let mut rootless: BTreeSet<Digest> = revisions.iter().cloned().collect();
        for tag in self.tags(repository)? {
            let digest = match self.resolve_tag(repository, &tag) {
                Ok(Some(digest)) => digest,
                Ok(None) => continue,
                Err(error) => {
                    // A digest that the tag named earlier is not listed as an image.
                    for digest in self.tag_history(repository, &tag)? {
                        rootless.remove(&digest);
                    }
                    let repository = repository.clone();
                    listed.unreadable.push(UnreadableTag {
                        repository,
                        tag,
                        error,
                    });
                    continue;
                }
            };
            rootless.remove(&digest);
            // The history need not be read when no manifests remain to be explained.
            if !rootless.is_empty() {
                for digest in self.tag_history(repository, &tag)? {
                    rootless.remove(&digest);
                }
            }
            listed.images.push(StoredImage {
                repository: repository.clone(),
                tag: Some(tag),
                digest,
            });
        }
        for revision in &revisions {
            if rootless.is_empty() {
                break;
            }
            // One that cannot be read is listed as an image, and fails when it is used.
            let Ok(manifest) = self.read_manifest(revision) else {
                continue;
            };
            for child in manifest.iter().flat_map(Manifest::children) {
                rootless.remove(&child.digest);
            }
        }
        listed
            .images
            .extend(rootless.into_iter().map(|digest| StoredImage {
                repository: repository.clone(),
                tag: None,
                digest,
            }));
        Ok(())
    }
}
