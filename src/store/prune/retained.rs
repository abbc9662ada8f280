//! The content that a tree keeps.

use std::collections::{HashMap, HashSet};

use super::shape::TreeFile;
use crate::{Publication, StoredImage};
use hod_oci::{Digest, RepositoryName, Tag};

/// The content that the tree is to keep.
#[derive(Debug, Default)]
pub struct Retained {
    pub(super) repositories: HashMap<RepositoryName, KeptLinks>,
    /// Blobs and manifests of all repositories.
    pub(super) blobs: HashSet<Digest>,
}

#[derive(Debug, Default)]
pub(super) struct KeptLinks {
    tags: HashMap<Tag, Digest>,
    revisions: HashSet<Digest>,
    layers: HashSet<Digest>,
}

impl Retained {
    /// All that publishing these images puts into a tree.
    pub fn of(images: &[Publication]) -> Self {
        let mut kept = Self::default();
        for image in images {
            let links = kept.repositories.entry(image.repository.clone());
            let links = links.or_default();
            if let Some(tag) = &image.tag {
                links.tags.insert(tag.clone(), image.top.clone());
            }
            let manifests = || image.manifests.iter().chain([&image.top]).cloned();
            links.revisions.extend(manifests());
            links.layers.extend(image.blobs.iter().cloned());
            kept.blobs.extend(manifests());
            kept.blobs.extend(image.blobs.iter().cloned());
        }
        kept
    }

    /// Whether an image is one of those, by its tag or, when it has none, as a manifest.
    pub fn has(&self, image: &StoredImage) -> bool {
        let Some(links) = self.repositories.get(&image.repository) else {
            return false;
        };
        match &image.tag {
            Some(tag) => links.tags.get(tag) == Some(&image.digest),
            None => links.revisions.contains(&image.digest),
        }
    }

    pub(super) fn keeps(&self, file: &TreeFile) -> bool {
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
