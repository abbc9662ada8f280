//! The publications of the images of a plan.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::options::{ReferrerTags, StoreSinkOptions};
use crate::referrer::make_index;
use crate::sinks::take_over::ManifestFiles;
use crate::{Plan, Referrer, Resolved, TransferError};
use hod_oci::{Descriptor, Digest, Manifest, ReferrerEntry, ReferrerTagKind};
use hod_store::{Publication, Store};

/// The publications of the images of a plan with [`ReferrerTags::Carried`].
pub fn publications(plan: &Plan) -> Vec<Publication> {
    let mut all = Vec::new();
    for image in &plan.images {
        for referrer in &image.referrers {
            all.push(of_referrer(image, referrer, &referrer.with_top()));
        }
        all.push(of_image(image));
    }
    all
}

/// Writes the manifests of images of the plan, and makes the images visible.
pub(super) fn write_images(
    store: &Store,
    files: &ManifestFiles,
    plan: &Plan,
    images: &[usize],
    options: StoreSinkOptions,
) -> Result<(), TransferError> {
    let mut publications = Vec::with_capacity(images.len());
    let mut subjects = HashMap::new();
    for &at in images {
        let image = &plan.images[at];
        let repository = &image.wanted.destination.repository;
        // Before the image, so that its tag is the last.
        for referrer in &image.referrers {
            let manifests = match options.referrers {
                ReferrerTags::Carried => referrer.with_top(),
                ReferrerTags::Joined => {
                    let known = match subjects.entry(repository) {
                        Entry::Occupied(known) => known.into_mut(),
                        Entry::Vacant(new) => new.insert(store.subjects(repository)?),
                    };
                    joined(store, known, referrer)?
                }
            };
            for manifest in &manifests {
                store.link_manifest(manifest, || files.find(&referrer.locations, manifest))?;
            }
            publications.push(of_referrer(image, referrer, &manifests));
        }
        for manifest in &image.manifests {
            let own = std::slice::from_ref(&image.location);
            store.link_manifest(manifest, || files.find(own, manifest))?;
        }
        publications.push(of_image(image));
    }
    // The engine asked for every blob, or put it.
    store.publish_seen(&publications, options.durability)?;
    Ok(())
}

fn of_image(image: &Resolved) -> Publication {
    let destination = &image.wanted.destination;
    Publication {
        repository: destination.repository.clone(),
        tag: destination.tag.clone(),
        top: image.top().digest().clone(),
        manifests: digests(&image.manifests),
        blobs: blob_digests(&image.blobs),
    }
}

/// `manifests` are those of the referrer; the last one is named by its tag.
fn of_referrer(image: &Resolved, referrer: &Referrer, manifests: &[Manifest]) -> Publication {
    let top = manifests.last();
    Publication {
        repository: image.wanted.destination.repository.clone(),
        tag: Some(referrer.tag.clone()),
        top: top
            .expect("what a tag leads to has a manifest")
            .digest()
            .clone(),
        manifests: digests(manifests),
        blobs: blob_digests(&referrer.blobs),
    }
}

fn digests(manifests: &[Manifest]) -> Vec<Digest> {
    manifests.iter().map(Manifest::digest).cloned().collect()
}

fn blob_digests(blobs: &[Descriptor]) -> Vec<Digest> {
    blobs.iter().map(|blob| blob.digest.clone()).collect()
}

/// The manifests of a referrer, with the top last: an index lists what the repository has about
/// the same subject, too.
fn joined(
    store: &Store,
    known: &[(Digest, Digest)],
    referrer: &Referrer,
) -> Result<Vec<Manifest>, TransferError> {
    let mut manifests = referrer.manifests.clone();
    if referrer.kind == ReferrerTagKind::Cosign {
        return Ok(manifests);
    }
    let mut entries = referrer.entries();
    for (digest, _) in known.iter().filter(|(_, about)| *about == referrer.subject) {
        if let Some(manifest) = store.read_manifest(digest)? {
            entries.push(ReferrerEntry::of(&manifest));
        }
    }
    manifests.push(make_index(entries));
    Ok(manifests)
}
