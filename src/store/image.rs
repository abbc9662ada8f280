//! Images: what a store offers to carry on, and all that belongs to one.

use std::collections::BTreeSet;
use std::fmt;

use crate::oci::{Descriptor, Digest, Manifest, MediaTypeKind, RepositoryName, Tag};

use super::{Store, StoreError};

/// An image in a store, by its tag or, when it has none, by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoredImage {
    pub repository: RepositoryName,
    pub tag: Option<Tag>,
    /// What the tag names: a manifest or an index.
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

/// What a store lists.
#[derive(Debug, Default)]
pub struct StoredImages {
    /// Sorted.
    pub images: Vec<StoredImage>,
    /// Tags of which it cannot be told what they name.
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

/// A manifest and all below it.
#[derive(Debug, Clone)]
pub struct Closure {
    pub top: Manifest,
    /// Children before those that list them, `top` last, each once.
    pub manifests: Vec<Manifest>,
    /// What an index lists and the store does not have (a sparse index).
    pub absent_children: Vec<Descriptor>,
    /// The configs and layers that registries hold, each once, in the order of the manifests.
    pub blobs: Vec<Descriptor>,
}

impl Store {
    /// Lists the images, sorted: all tags, and the manifests that stand on their own.
    ///
    /// The latter are those that no tag of the repository names or once named and no other manifest
    /// of it lists.
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
                    // What it named is not an image of its own for that.
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
            // The history is worth reading only while something is left to explain.
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
            // One that cannot be read is an image like any other until somebody wants it.
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

    /// Reads the manifest `top` and all below it, each verified.
    ///
    /// A child whose bytes are not there is absent, as long as one beside it is there; an index
    /// with none is an error. Does not look whether the blobs are there.
    pub fn image_closure(&self, top: &Digest) -> Result<Closure, StoreError> {
        let top = self
            .read_manifest(top)?
            .ok_or_else(|| StoreError::MissingManifest {
                digest: top.clone(),
            })?;
        let mut walk = Walk {
            store: self,
            seen: BTreeSet::new(),
            manifests: Vec::new(),
            absent_children: Vec::new(),
            blobs: Vec::new(),
            seen_blobs: BTreeSet::new(),
        };
        // A stack of our own: how deep indexes nest is for their author to say.
        let mut stack = vec![walk.enter(top.clone())?];
        while let Some(level) = stack.last_mut() {
            match level.children.pop() {
                // Another index may have led to it since it was read.
                Some(child) if walk.seen.contains(child.digest()) => {}
                Some(child) => {
                    let below = walk.enter(child)?;
                    stack.push(below);
                }
                None => walk
                    .manifests
                    .extend(stack.pop().map(|level| level.manifest)),
            }
        }
        for manifest in &walk.manifests {
            for blob in manifest.stored_blobs() {
                if walk.seen_blobs.insert(blob.digest.clone()) {
                    walk.blobs.push(blob.clone());
                }
            }
        }
        Ok(Closure {
            top,
            manifests: walk.manifests,
            absent_children: walk.absent_children,
            blobs: walk.blobs,
        })
    }
}

/// A walk down from a top manifest.
struct Walk<'a> {
    store: &'a Store,
    seen: BTreeSet<Digest>,
    manifests: Vec<Manifest>,
    absent_children: Vec<Descriptor>,
    blobs: Vec<Descriptor>,
    seen_blobs: BTreeSet<Digest>,
}

/// A manifest whose children are being walked.
struct Level {
    manifest: Manifest,
    /// Those yet to come, last first.
    children: Vec<Manifest>,
}

impl Walk<'_> {
    /// Reads the children of `manifest` that were not entered before.
    fn enter(&mut self, manifest: Manifest) -> Result<Level, StoreError> {
        self.seen.insert(manifest.digest().clone());
        let mut children = Vec::new();
        let mut any_present = manifest.children().is_empty();
        for child in manifest.children() {
            if self.seen.contains(&child.digest) {
                any_present = true;
                continue;
            }
            // Build caches list layers in an index.
            let kind = child.media_type.kind();
            if kind == MediaTypeKind::Blob && !child.media_type.as_str().is_empty() {
                if self.store.blob_len(&child.digest)?.is_none() {
                    self.absent_children.push(child.clone());
                } else {
                    any_present = true;
                    if self.seen_blobs.insert(child.digest.clone()) {
                        self.blobs.push(child.clone());
                    }
                }
                continue;
            }
            match self.store.read_manifest(&child.digest)? {
                Some(read) => {
                    any_present = true;
                    children.push(read);
                }
                None => self.absent_children.push(child.clone()),
            }
        }
        if !any_present {
            return Err(StoreError::NoChildren {
                digest: manifest.digest().clone(),
            });
        }
        children.reverse();
        Ok(Level { manifest, children })
    }
}
