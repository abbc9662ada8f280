//! Referrers of one manifest.

use super::Location;
use hod_oci::{Descriptor, Digest, Manifest, ReferrerEntry, ReferrerTagKind, Tag, referrers_index};

/// Referrers of one manifest, found in one way.
#[derive(Debug, Clone)]
pub struct Referrer {
    /// The manifest that they refer to.
    pub subject: Digest,
    pub kind: ReferrerTagKind,
    /// The tag that finds them; an index of referrers is used only without the referrers API.
    pub tag: Tag,
    /// Every manifest to carry, once, children before parents. Of cosign's, the last has the tag;
    /// an index is not among them, since each place may need another.
    pub manifests: Vec<Manifest>,
    /// Every blob to carry, once.
    pub blobs: Vec<Descriptor>,
    /// The places that have them, the most likely first.
    pub locations: Vec<Location>,
}

impl Referrer {
    pub(super) fn new(subject: &Digest, kind: ReferrerTagKind, tag: Tag) -> Self {
        Self {
            subject: subject.clone(),
            kind,
            tag,
            manifests: Vec::new(),
            blobs: Vec::new(),
            locations: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, manifests: &[Manifest], location: &Location) {
        for manifest in manifests {
            let is_same = |other: &Manifest| other.digest() == manifest.digest();
            if !self.manifests.iter().any(is_same) {
                self.manifests.push(manifest.clone());
            }
            for blob in manifest.stored_blobs() {
                if !self.blobs.iter().any(|other| other.digest == blob.digest) {
                    self.blobs.push(blob.clone());
                }
            }
        }
        if !self.locations.contains(location) {
            self.locations.push(location.clone());
        }
    }

    /// The manifests with this subject, as listed in an index.
    pub fn entries(&self) -> Vec<ReferrerEntry> {
        let is_about =
            |manifest: &&Manifest| manifest.subject().is_some_and(|s| s.digest == self.subject);
        let about = self.manifests.iter().filter(is_about);
        about.map(ReferrerEntry::of).collect()
    }

    /// The manifest that the tag names: cosign's, or an index made of the entries.
    pub fn top(&self) -> Manifest {
        match self.kind {
            ReferrerTagKind::Cosign => self
                .manifests
                .last()
                .expect("what a tag leads to has a manifest")
                .clone(),
            ReferrerTagKind::Index => make_index(self.entries()),
        }
    }

    /// All manifests, and the index that lists them where they need one, as the last.
    pub fn with_top(&self) -> Vec<Manifest> {
        let mut manifests = self.manifests.clone();
        if self.kind == ReferrerTagKind::Index {
            manifests.push(self.top());
        }
        manifests
    }

    /// The number of referrers that it represents.
    pub fn n_referrers(&self) -> usize {
        match self.kind {
            ReferrerTagKind::Cosign => 1,
            ReferrerTagKind::Index => self.entries().len(),
        }
    }
}

/// Makes the index of referrers that the referrers tag names.
pub(super) fn make_index(entries: Vec<ReferrerEntry>) -> Manifest {
    let bytes = referrers_index(entries);
    Manifest::parse(bytes.into(), None).expect("an index that was just made is one")
}
