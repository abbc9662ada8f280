//! The images of an archived registry: its tags, and the untagged top-level manifests.

use std::collections::BTreeSet;

use super::Collection;
use super::gather::Tree;
use super::name::NamedImage;
use hod_oci::{Digest, Manifest};

/// Lists the images, sorted, and the number of tags whose manifests are not in the archive.
///
/// An incremental archive of oc-mirror has all tags, but only new blobs.
pub(super) fn images(collection: &Collection, tree: &Tree) -> (Vec<NamedImage>, usize) {
    let mut images = Vec::new();
    let mut n_elsewhere = 0;
    for ((repository, tag), digest) in &tree.tags {
        if collection.has(digest) {
            let (repository, tag) = (repository.clone(), Some(tag.clone()));
            images.push(NamedImage::stored(repository, tag, digest.clone()));
        } else {
            n_elsewhere += 1;
        }
    }
    for (repository, revisions) in &tree.revisions {
        let here: BTreeSet<&Digest> = revisions.iter().filter(|d| collection.has(d)).collect();
        let mut rootless = here.clone();
        for ((of, _), digest) in &tree.tags {
            if of == repository {
                rootless.remove(digest);
            }
        }
        for digest in tree.named.get(repository).into_iter().flatten() {
            rootless.remove(digest);
        }
        if rootless.is_empty() {
            continue;
        }
        for digest in here {
            let manifest = collection.try_manifest(digest);
            for child in manifest.iter().flat_map(Manifest::children) {
                rootless.remove(&child.digest);
            }
        }
        for digest in rootless {
            images.push(NamedImage::stored(repository.clone(), None, digest.clone()));
        }
    }
    images.sort_by(|a, b| a.name.cmp(&b.name));
    (images, n_elsewhere)
}
