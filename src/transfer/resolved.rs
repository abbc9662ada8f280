//! An image of which everything is known.

use std::collections::BTreeSet;

use super::{Location, Referrer, Wanted, absent};
use hod_oci::{Descriptor, Digest, Manifest, Platform};

/// An image of which everything is known.
#[derive(Debug, Clone)]
pub struct Resolved {
    pub wanted: Wanted,
    pub location: Location,
    /// Every manifest to carry, once, children before parents; the last one is the image's.
    pub manifests: Vec<Manifest>,
    /// Every blob to carry, once.
    pub blobs: Vec<Descriptor>,
    /// Foreign layers that are not carried.
    pub foreign: Vec<Descriptor>,
    /// Children that a kept index names and that are not carried.
    pub absent: Vec<Descriptor>,
    /// Its platform according to the index that it was chosen from, or to its configuration, if
    /// that was read.
    pub platform: Option<Platform>,
    /// The digest of the index that was rewritten or replaced by one of its manifests.
    pub original: Option<Digest>,
    /// The manifest of that digest.
    pub original_manifest: Option<Manifest>,
    /// Referrers of the image or its parts that are carried with it.
    pub referrers: Vec<Referrer>,
    /// Whether the original index, which is not carried, has referrers, which are not carried
    /// either.
    pub leaves_referrers: bool,
    /// Whether its destination has all of it already, so that only its referrers are to be put.
    pub is_in_place: bool,
    /// The number of attestations in its index that were left out, since referrers are not wanted.
    pub n_left_referrers: usize,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}

impl Resolved {
    /// An image of these manifests, children before parents, at one place; its foreign layers stay
    /// where they are.
    pub fn of_manifests(wanted: Wanted, location: Location, manifests: Vec<Manifest>) -> Self {
        let mut seen = BTreeSet::new();
        let (mut blobs, mut foreign) = (Vec::new(), Vec::new());
        for blob in manifests.iter().flat_map(Manifest::blobs) {
            if seen.insert((blob.is_foreign(), &blob.digest)) {
                let list = if blob.is_foreign() {
                    &mut foreign
                } else {
                    &mut blobs
                };
                list.push(blob.clone());
            }
        }
        // A layer that one manifest leaves at its URLs may be an ordinary layer of another.
        let is_stored = |blob: &Descriptor| seen.contains(&(false, &blob.digest));
        foreign.retain(|blob| !is_stored(blob));
        Self {
            wanted,
            location,
            blobs,
            foreign,
            absent: Vec::new(),
            platform: None,
            original: None,
            original_manifest: None,
            referrers: Vec::new(),
            leaves_referrers: false,
            is_in_place: false,
            n_left_referrers: 0,
            warnings: Vec::new(),
            manifests,
        }
    }

    /// The manifest that the destination names.
    pub fn top(&self) -> &Manifest {
        self.manifests
            .last()
            .expect("an image has at least its own manifest")
    }

    /// Every manifest to carry but the indexes of referrers, which each place has its own of.
    pub fn all_manifests(&self) -> impl Iterator<Item = &Manifest> {
        let referrers = self
            .referrers
            .iter()
            .flat_map(|referrer| &referrer.manifests);
        self.manifests.iter().chain(referrers)
    }

    /// Every blob to carry, with its possible locations; blobs of referrers may also belong to the
    /// image.
    pub fn all_blobs(&self) -> impl Iterator<Item = (&Descriptor, &[Location])> {
        let own = std::slice::from_ref(&self.location);
        let blobs = self.blobs.iter().map(move |blob| (blob, own));
        blobs.chain(self.referrers.iter().flat_map(|referrer| {
            let locations = &referrer.locations[..];
            referrer.blobs.iter().map(move |blob| (blob, locations))
        }))
    }

    /// The children that its indexes list and that are not carried, each with its role.
    pub fn absent_children(&self) -> Vec<(String, &Digest)> {
        let of = |child: &Descriptor| {
            let lists = |index: &&Manifest| index.children().contains(child);
            let index = self.manifests.iter().find(lists);
            index.map_or_else(|| "manifest".to_owned(), |index| absent::role(index, child))
        };
        let absent = self.absent.iter();
        absent.map(|child| (of(child), &child.digest)).collect()
    }

    /// The number of referrers carried with it.
    pub fn n_referrers(&self) -> usize {
        self.referrers.iter().map(Referrer::n_referrers).sum()
    }

    /// The platforms of the carried children of an index, or the platform of a single manifest.
    pub fn platforms(&self) -> Vec<Platform> {
        let carried: BTreeSet<&Digest> = self.manifests.iter().map(Manifest::digest).collect();
        let mut platforms: Vec<Platform> = self
            .manifests
            .iter()
            .flat_map(Manifest::children)
            .filter(|child| carried.contains(&child.digest))
            .filter_map(|child| child.platform.clone())
            .chain(self.platform.clone())
            .filter(|platform| platform.os != "unknown" && platform.is_printable())
            .collect();
        platforms.sort();
        platforms.dedup();
        platforms
    }
}
