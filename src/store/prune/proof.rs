//! Checks that a store has the content of a tree.

use std::collections::HashSet;

use super::lost::WhyLost;
use super::planned::{Copy, Planned};
use crate::{Store, StoreError, stamp};
use hod_oci::{Digest, IndexEntry, Manifest, ReferrerEntry, referrers_index};

/// The evidence about a blob that is to be removed.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The origin has it.
    Copied(Copy),
    /// It is an index that can be made again.
    Derived,
    Lost(WhyLost),
}

/// Compares a tree with the store that it was selected from.
pub(super) struct Prover<'a> {
    pub(super) tree: &'a Store,
    origin: &'a Store,
    revisions: Option<HashSet<Digest>>,
    tagged: Option<HashSet<Digest>>,
    indexes: Option<Vec<Manifest>>,
}

impl<'a> Prover<'a> {
    pub(super) fn new(tree: &'a Store, origin: &'a Store) -> Self {
        Self {
            tree,
            origin,
            revisions: None,
            tagged: None,
            indexes: None,
        }
    }

    /// Looks for the origin's own copy of a blob: another name of the same inode, or a file that
    /// was verified, now or earlier.
    pub(super) fn prove(&self, digest: &Digest, of: &Planned) -> Result<Verdict, StoreError> {
        let path = self.origin.blob_path(digest);
        let Some(copy) = hod_fsx::try_stat_link(&path)?.filter(|stat| stat.is_file) else {
            return Ok(Verdict::Lost(WhyLost::Absent));
        };
        let parent = hod_fsx::try_stat(hod_fsx::dir_of(&path))?;
        if parent.is_some_and(|parent| parent.identity == of.parent) {
            return Err(StoreError::SameDirectory {
                path: of.path.clone(),
                origin: self.origin.path().to_owned(),
            });
        }
        if copy.identity == of.identity {
            return Ok(Verdict::Copied(Copy::new(path, &copy)));
        }
        let Some(opened) = self.origin.open_unverified(digest)? else {
            return Ok(Verdict::Lost(WhyLost::Absent));
        };
        let is_known = copy.len == of.len && self.origin.is_verified(digest, &opened);
        if !is_known {
            let (actual, _) =
                hod_fsx::digest_of(&opened.file, &opened.path, digest.algorithm(), &|_| ())?;
            if actual != *digest {
                stamp::record_damaged(self.origin.path(), &opened.file);
                return Ok(Verdict::Lost(WhyLost::Damaged));
            }
            self.origin.record_verified(digest, &opened);
        }
        // As it is after it was read.
        match hod_fsx::try_stat_link(&path)? {
            Some(now) if now == copy => Ok(Verdict::Copied(Copy::new(path, &copy))),
            _ => Err(StoreError::Changed { path }),
        }
    }

    /// Whether an image can be found in the origin, as a manifest of a repository or by a tag.
    pub(super) fn has_image(&mut self, digest: &Digest) -> Result<bool, StoreError> {
        Ok(self.has_revision(digest)? || self.has_tag_of(digest)?)
    }

    /// Whether a tag of the origin names a manifest.
    pub(super) fn has_tag_of(&mut self, digest: &Digest) -> Result<bool, StoreError> {
        if self.tagged.is_none() {
            let images = self.origin.images()?.images.into_iter();
            let tagged = images.filter(|image| image.tag.is_some());
            self.tagged = Some(tagged.map(|image| image.digest).collect());
        }
        Ok(self.tagged.get_or_insert_default().contains(digest))
    }

    fn has_revision(&mut self, digest: &Digest) -> Result<bool, StoreError> {
        Ok(self.revisions()?.contains(digest))
    }

    fn revisions(&mut self) -> Result<&HashSet<Digest>, StoreError> {
        if self.revisions.is_none() {
            let mut all = HashSet::new();
            for repository in self.origin.repositories()? {
                all.extend(self.origin.revisions(&repository)?);
            }
            self.revisions = Some(all);
        }
        Ok(self.revisions.get_or_insert_default())
    }

    /// Whether a manifest is an index that a selection makes again from the same images: a part of
    /// an index of the origin, or the index of referrers.
    pub(super) fn can_make(
        &mut self,
        index: &Manifest,
        kept: &HashSet<Digest>,
    ) -> Result<bool, StoreError> {
        let mut children = Vec::new();
        for child in index.children() {
            if !kept.contains(&child.digest) && !self.has_image(&child.digest)? {
                return Ok(false);
            }
            let Ok(Some(child)) = self.origin.read_manifest(&child.digest) else {
                return Ok(false);
            };
            children.push(child);
        }
        if children.is_empty() {
            return Ok(false);
        }
        let referrers = referrers_index(children.iter().map(ReferrerEntry::of).collect());
        if referrers == **index.bytes() {
            return Ok(true);
        }
        Ok(self.indexes()?.iter().any(|whole| is_part(index, whole)))
    }

    /// The indexes of the origin.
    fn indexes(&mut self) -> Result<&[Manifest], StoreError> {
        if self.indexes.is_none() {
            let origin = self.origin;
            let revisions = self.revisions()?.iter();
            let read = revisions.filter_map(|digest| origin.read_manifest(digest).ok()?);
            let indexes = read.filter(|manifest| !manifest.children().is_empty());
            self.indexes = Some(indexes.collect());
        }
        Ok(self.indexes.get_or_insert_default())
    }
}

/// Returns true if an index is a rewritten form of another one.
fn is_part(index: &Manifest, whole: &Manifest) -> bool {
    let mut entries = Vec::new();
    let mut rest = whole.children().iter().enumerate();
    for child in index.children() {
        let Some((at, _)) = rest.find(|(_, other)| other.digest == child.digest) else {
            return false;
        };
        entries.push(IndexEntry::Keep(at));
    }
    let made = whole.with_entries(&entries);
    made.is_some_and(|made| made.digest() == index.digest())
}
