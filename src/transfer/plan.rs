//! The plan: every unique blob, its possible origins, and the images that require it.

use std::collections::{BTreeMap, HashSet};

use super::{Location, Resolved};
use hod_oci::{Descriptor, Digest, RepositoryName, sum_len};

/// The blobs and images to move, known before the first blob moves.
#[derive(Debug)]
pub struct Plan {
    pub images: Vec<Resolved>,
    /// Unique by digest and size; largest first, then by digest. If images state different sizes
    /// for one digest, at most one is right, and the images with the others fail.
    pub blobs: Vec<PlannedBlob>,
}

/// One blob of the plan.
#[derive(Debug, Clone)]
pub struct PlannedBlob {
    pub descriptor: Descriptor,
    /// The places that have it, the most likely first.
    pub from: Vec<Location>,
    /// Positions in [`Plan::images`] of the images that need it.
    pub images: Vec<usize>,
    pub presence: Presence,
}

/// The holder of the bytes of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// The source; the target may have them too.
    Source,
    /// Only the target has it: a registry in these repositories, from which it is mounted into the
    /// others, or a store among its blobs.
    Target(Vec<RepositoryName>),
    /// Neither has it: the images that need it are not published.
    Nowhere,
}

impl Plan {
    /// Joins the blobs of all images.
    pub fn new(images: Vec<Resolved>) -> Self {
        let mut blobs: BTreeMap<(&Digest, u64), PlannedBlob> = BTreeMap::new();
        for (at, image) in images.iter().enumerate() {
            for (descriptor, locations) in image.all_blobs() {
                let key = (&descriptor.digest, descriptor.size);
                let planned = blobs.entry(key).or_insert_with(|| PlannedBlob {
                    descriptor: descriptor.clone(),
                    from: Vec::new(),
                    images: Vec::new(),
                    presence: Presence::Source,
                });
                // Only some of the manifests may state its URLs.
                if descriptor.is_foreign() {
                    planned.descriptor = descriptor.clone();
                }
                // A referrer may have a blob of its image's, or of another referrer's.
                if planned.images.last() != Some(&at) {
                    planned.images.push(at);
                }
                for location in locations {
                    if !planned.from.contains(location) {
                        planned.from.push(location.clone());
                    }
                }
            }
        }
        let mut blobs: Vec<PlannedBlob> = blobs.into_values().collect();
        blobs.sort_by_key(|blob| std::cmp::Reverse(blob.descriptor.size));
        Self { images, blobs }
    }

    /// The digests for which images state different sizes.
    pub(super) fn disputed(&self) -> HashSet<&Digest> {
        let mut seen = HashSet::new();
        let digests = self.blobs.iter().map(|blob| &blob.descriptor.digest);
        digests.filter(|digest| !seen.insert(*digest)).collect()
    }

    /// The bytes of all unique blobs.
    pub fn len(&self) -> u64 {
        sum_len(self.blobs.iter().map(|blob| blob.descriptor.size))
    }

    /// Whether nothing is to be moved.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// The additional bytes that carrying each image separately would move.
    pub fn shared_len(&self) -> u64 {
        let apart = self.images.iter().flat_map(Resolved::all_blobs);
        sum_len(apart.map(|(blob, _)| blob.size)).saturating_sub(self.len())
    }
}
