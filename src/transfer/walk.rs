//! The walk over an index and all that it lists.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use futures_util::{StreamExt as _, TryStreamExt as _};

use super::absent::{self, AbsentChild, Holder, Wish};
use super::{IndexMode, Indexes, Location, ReferrerMode, SizeClaim, Source, TransferError, Wanted};
use hod_oci::{Descriptor, Digest, Manifest, Platform, PlatformChoice};

/// Maximum nesting of indexes.
pub(super) const DEPTH_MAX: usize = 8;
/// Maximum number of manifests of one image, all of which are held in memory.
pub(super) const MANIFESTS_MAX: usize = 1000;
/// Maximum number of bytes of these together.
pub(super) const MANIFESTS_LEN_MAX: u64 = 32 * 1024 * 1024;

/// Number of children of one index read at once.
const CHILDREN_AT_ONCE: usize = 8;

/// Manifests in the order in which they are to be published, each once, and children left out.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) manifests: Vec<Manifest>,
    pub(super) seen: BTreeSet<Digest>,
    pub(super) absent: Vec<Descriptor>,
    /// The platform of the manifest that replaces the index, according to the index.
    pub(super) platform: Option<Platform>,
    /// The number of attestations left out, since referrers are not wanted.
    pub(super) n_left_referrers: usize,
    /// Warnings for the user.
    pub(super) warnings: Vec<String>,
}

impl Collected {
    pub(super) fn push(&mut self, manifest: &Manifest) {
        if self.seen.insert(manifest.digest().clone()) {
            self.manifests.push(manifest.clone());
        }
    }
}

/// The manifests read for an image. Each is read once, however often it is listed: eight indexes
/// that list each other a hundred times are a few KiB, and represent 10¹⁶ images.
#[derive(Default)]
struct Known {
    manifests: HashMap<Digest, Found>,
    len: u64,
}

/// The result of reading a manifest.
#[derive(Clone)]
pub(super) enum Found {
    Here(Arc<Manifest>),
    Absent,
}

/// Which children of a whole index may be missing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lenience {
    Nothing,
    /// Those that are about others.
    Referrers,
    /// At least one: a local source may have an index with only some of its children.
    Some,
}

pub(super) struct Walk<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) location: &'a Location,
    lenience: Lenience,
    known: Mutex<Known>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(source: &'a dyn Source, location: &'a Location) -> Self {
        Self {
            source,
            location,
            lenience: match source.caps().indexes {
                Indexes::Whole => Lenience::Nothing,
                Indexes::Partial => Lenience::Some,
            },
            known: Mutex::default(),
        }
    }

    /// A walk over an image that is wanted in a certain way.
    pub(super) fn of(source: &'a dyn Source, location: &'a Location, wanted: &Wanted) -> Self {
        let is_whole = wanted.platforms == PlatformChoice::All;
        let is_kept = wanted.index_mode == IndexMode::Keep;
        let may_lack = source.caps().indexes == Indexes::Partial;
        let lenience = match wanted.referrers {
            _ if may_lack && (is_kept || !is_whole) => Lenience::Some,
            ReferrerMode::Leave => Lenience::Referrers,
            ReferrerMode::Carry => Lenience::Nothing,
        };
        Self {
            lenience,
            ..Self::new(source, location)
        }
    }

    /// Everything below `top`, and itself last.
    pub(super) async fn all(&self, top: Manifest) -> Result<Collected, TransferError> {
        let mut level = vec![Arc::new(top.clone())];
        for _ in 0..=DEPTH_MAX {
            let mut below = Vec::new();
            for index in &level {
                below.extend(self.read_needed(index).await?);
            }
            level = below;
        }
        let mut collected = Collected::default();
        self.collect(&top, 0, &mut collected)?;
        Ok(collected)
    }

    /// Reads the children of an index that were not read yet; the first that is missing and must
    /// not be is an error at once.
    async fn read_needed(&self, index: &Manifest) -> Result<Vec<Arc<Manifest>>, TransferError> {
        let read = self.unread(index.children().iter());
        let read: Vec<Option<Arc<Manifest>>> = futures_util::stream::iter(read)
            .map(|child| async move {
                match self.find(&child).await? {
                    Found::Here(manifest) => Ok(Some(manifest)),
                    Found::Absent if self.may_lack(&child) => Ok(None),
                    Found::Absent => Err(self.absent(index, &child, Wish::Whole)),
                }
            })
            .buffered(CHILDREN_AT_ONCE)
            .try_collect()
            .await?;
        Ok(read.into_iter().flatten().collect())
    }

    /// Whether a whole index may be carried without one of its children.
    fn may_lack(&self, child: &Descriptor) -> bool {
        match self.lenience {
            Lenience::Nothing => false,
            Lenience::Referrers => absent::is_about_another(child),
            Lenience::Some => true,
        }
    }

    /// The unknown ones of `children`, each once.
    fn unread<'c>(&self, children: impl Iterator<Item = &'c Descriptor>) -> Vec<Descriptor> {
        let mut seen = BTreeSet::new();
        children
            .filter(|child| self.known(&child.digest).is_none() && seen.insert(&child.digest))
            .cloned()
            .collect()
    }

    /// Reads the unread ones of `children`, several at once.
    pub(super) async fn read(
        &self,
        children: impl Iterator<Item = &Descriptor>,
    ) -> Result<Vec<Found>, TransferError> {
        futures_util::stream::iter(self.unread(children))
            .map(|child| async move { self.find(&child).await })
            .buffered(CHILDREN_AT_ONCE)
            .try_collect()
            .await
    }

    /// Collects the manifests, children before their indexes.
    fn collect(
        &self,
        manifest: &Manifest,
        depth: usize,
        collected: &mut Collected,
    ) -> Result<(), TransferError> {
        check_depth(depth)?;
        let (mut n_present, mut absent) = (0, Vec::new());
        for child in manifest.children() {
            match self.known(&child.digest) {
                Some(Found::Here(_)) if collected.seen.contains(&child.digest) => n_present += 1,
                Some(Found::Here(found)) => {
                    n_present += 1;
                    self.collect(&found, depth + 1, collected)?;
                }
                Some(Found::Absent) | None => absent.push(child.clone()),
            }
        }
        let needed = |child: &&Descriptor| n_present == 0 || !self.may_lack(child);
        if let Some(child) = absent.iter().find(needed) {
            return Err(self.absent(manifest, child, Wish::Whole));
        }
        if self.lenience == Lenience::Referrers {
            let texts = absent.iter().map(|child| self.left_out(manifest, child));
            collected.warnings.extend(texts);
        }
        collected.absent.extend(absent);
        collected.push(manifest);
        Ok(())
    }

    /// Reads a manifest.
    pub(super) async fn find(&self, child: &Descriptor) -> Result<Found, TransferError> {
        if let Some(known) = self.known(&child.digest) {
            return Ok(known);
        }
        let (found, len) = match self.source.manifest(self.location, child).await? {
            Some(found) => {
                let len = found.bytes().len() as u64;
                if len != child.size {
                    return Err(TransferError::BlobLength {
                        digest: child.digest.clone(),
                        claim: SizeClaim::SomeManifest,
                        expected: child.size,
                        actual: len,
                    });
                }
                (Found::Here(Arc::new(found)), len)
            }
            None => (Found::Absent, 0),
        };
        let mut known = self.known.lock().expect("no panic while reading");
        known.len += len;
        known.manifests.insert(child.digest.clone(), found.clone());
        if known.manifests.len() > MANIFESTS_MAX || known.len > MANIFESTS_LEN_MAX {
            return Err(TransferError::TooMany {
                n_max: MANIFESTS_MAX,
                len_max: MANIFESTS_LEN_MAX,
            });
        }
        Ok(found)
    }

    /// The result of reading a digest, if that was tried.
    fn known(&self, digest: &Digest) -> Option<Found> {
        let known = self.known.lock().expect("no panic while reading");
        known.manifests.get(digest).cloned()
    }

    /// The error that a child is missing, with the platforms that exist.
    pub(super) async fn missing(
        &self,
        index: &Manifest,
        child: &Descriptor,
        wish: Wish,
    ) -> TransferError {
        if !self.source.is_remote()
            && let Err(error) = self.read(index.children().iter()).await
        {
            return error;
        }
        self.absent(index, child, wish)
    }

    /// The error that a child of `index` cannot be carried, with those that can.
    pub(super) fn absent(&self, index: &Manifest, child: &Descriptor, wish: Wish) -> TransferError {
        // Of a registry, the set of children read so far depends on timing.
        let is_here = |child: &&Descriptor| {
            !self.source.is_remote() && matches!(self.known(&child.digest), Some(Found::Here(_)))
        };
        let children = index.children().iter().filter(is_here);
        let mut present: Vec<String> = children
            .filter(|child| !absent::is_about_another(child))
            .filter_map(absent::stated)
            .map(ToString::to_string)
            .collect();
        present.dedup();
        TransferError::ChildAbsent(Box::new(AbsentChild {
            digest: child.digest.clone(),
            role: absent::role(index, child),
            holder: holder(self.source, self.location),
            present,
            wish,
        }))
    }

    /// The warning that a child of `index` is not carried, since it was not found.
    pub(super) fn left_out(&self, index: &Manifest, child: &Descriptor) -> String {
        format!(
            "{} (`{}`) was not found in {} and is left out",
            absent::role(index, child),
            child.digest,
            holder(self.source, self.location),
        )
    }
}

pub(super) fn check_depth(depth: usize) -> Result<(), TransferError> {
    if depth > DEPTH_MAX {
        return Err(too_deep());
    }
    Ok(())
}

pub(super) fn too_deep() -> TransferError {
    TransferError::TooDeep {
        depth_max: DEPTH_MAX,
    }
}

/// Collects a manifest and all below it, itself last; the second are children that are not there.
pub(super) async fn closure(
    source: &dyn Source,
    location: &Location,
    top: Manifest,
) -> Result<(Vec<Manifest>, Vec<Descriptor>), TransferError> {
    let walk = Walk::new(source, location);
    let collected = walk.all(top).await?;
    Ok((collected.manifests, collected.absent))
}

/// The holder that lacks missing content of a source.
fn holder(source: &dyn Source, location: &Location) -> Holder {
    match location {
        Location::Repo(repo) => Holder::Repository(repo.to_string()),
        _ if source.as_collection().is_some() => Holder::Archive,
        _ => Holder::Source,
    }
}
