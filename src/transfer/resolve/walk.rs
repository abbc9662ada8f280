//! The walk over an index and what it lists: all of it, or what is wanted of it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};

use super::super::{Location, SizeClaim, Source, TransferError, Wanted};
use super::{DEPTH_MAX, IndexMode, MANIFESTS_LEN_MAX, MANIFESTS_MAX};
use crate::oci::{Descriptor, Digest, IndexEntry, Manifest, MediaTypeKind, Platform};

/// How many platforms are named when the wanted one is missing.
const OFFERS_SHOWN_MAX: usize = 20;
/// How many children of one index are read at once.
const CHILDREN_AT_ONCE: usize = 8;
/// The annotation by which `BuildKit` ties an attestation to the manifest it is about.
const ATTESTS: &str = "vnd.docker.reference.digest";

/// Manifests in the order in which they are to be published, each once, and children left out.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) manifests: Vec<Manifest>,
    seen: BTreeSet<Digest>,
    pub(super) absent: Vec<Descriptor>,
}

impl Collected {
    fn push(&mut self, manifest: &Manifest) {
        if self.seen.insert(manifest.digest().clone()) {
            self.manifests.push(manifest.clone());
        }
    }
}

/// The part of an index that is wanted, and what is known of it so far.
struct Part<'a> {
    platforms: &'a [Platform],
    mode: IndexMode,
    collected: Collected,
    offered: BTreeSet<Platform>,
    /// As what each index is carried; `None` where nothing of it is wanted.
    carried: HashMap<Digest, Option<Arc<Manifest>>>,
}

/// What was read of an image, so that a manifest is read once however often it is listed: eight
/// indexes that list each other a hundred times are a few KiB, and stand for 10¹⁶ images.
#[derive(Default)]
struct Known {
    manifests: HashMap<Digest, Found>,
    len: u64,
}

/// What came of reading a manifest.
#[derive(Clone)]
enum Found {
    Here(Arc<Manifest>),
    Absent,
}

pub(super) struct Walk<'a> {
    source: &'a Source,
    location: &'a Location,
    known: Mutex<Known>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(source: &'a Source, location: &'a Location) -> Self {
        Self {
            source,
            location,
            known: Mutex::default(),
        }
    }

    /// Everything below `top`, and itself last. A local source may hold an index that was kept
    /// with a part of its children; a registry may not.
    pub(super) async fn all(&self, top: Manifest) -> Result<Collected, TransferError> {
        let mut level = vec![Arc::new(top.clone())];
        for _ in 0..=DEPTH_MAX {
            let mut seen = BTreeSet::new();
            let children = level.iter().flat_map(|manifest| manifest.children());
            let unread: Vec<Descriptor> = children
                .filter(|child| self.known(&child.digest).is_none() && seen.insert(&child.digest))
                .cloned()
                .collect();
            let read: Vec<Found> = futures_util::stream::iter(unread)
                .map(|child| async move { self.find(&child).await })
                .buffered(CHILDREN_AT_ONCE)
                .try_collect()
                .await?;
            let here = read.into_iter().filter_map(|found| match found {
                Found::Here(manifest) => Some(manifest),
                Found::Absent => None,
            });
            level = here.collect();
        }
        let mut collected = Collected::default();
        self.collect(&top, 0, &mut collected)?;
        Ok(collected)
    }

    /// Collects what was read, children before those that list them.
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
        if let (0, Some(child)) = (n_present, absent.first()) {
            return Err(self::absent(child));
        }
        collected.absent.extend(absent);
        collected.push(manifest);
        Ok(())
    }

    /// The manifest of one platform.
    pub(super) async fn one(
        &self,
        index: &Manifest,
        platform: &Platform,
    ) -> Result<Manifest, TransferError> {
        let mut offered = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut queue = vec![(Arc::new(index.clone()), 0)];
        let mut best: Option<Descriptor> = None;
        while let Some((index, depth)) = queue.pop() {
            for child in index.children() {
                match &child.platform {
                    Some(has) if platform.accepts(has) => {
                        let is_exact = |best: &Descriptor| best.platform.as_ref() == Some(platform);
                        if best
                            .as_ref()
                            .is_none_or(|best| has == platform && !is_exact(best))
                        {
                            best = Some(child.clone());
                        }
                    }
                    Some(has) => {
                        offered.insert(has.clone());
                    }
                    None if child.media_type.kind() == MediaTypeKind::Index
                        && depth < DEPTH_MAX
                        && seen.insert(child.digest.clone()) =>
                    {
                        queue.push((self.child(child).await?, depth + 1));
                    }
                    None => {}
                }
            }
        }
        match best {
            Some(best) => Ok(Manifest::clone(&*self.child(&best).await?)),
            None => Err(no_platform(std::slice::from_ref(platform), offered)),
        }
    }

    async fn child(&self, child: &Descriptor) -> Result<Arc<Manifest>, TransferError> {
        match self.find(child).await? {
            Found::Here(found) => Ok(found),
            Found::Absent => Err(absent(child)),
        }
    }

    /// Reads a manifest; absent it may be in a local source only.
    async fn find(&self, child: &Descriptor) -> Result<Found, TransferError> {
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
            None if matches!(self.source, Source::Registry(_)) => return Err(absent(child)),
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

    /// What was read of a digest, if anything was tried.
    fn known(&self, digest: &Digest) -> Option<Found> {
        let known = self.known.lock().expect("no panic while reading");
        known.manifests.get(digest).cloned()
    }

    /// The children for `platforms`, and an index of them.
    pub(super) async fn some(
        &self,
        index: Manifest,
        platforms: &[Platform],
        mode: IndexMode,
    ) -> Result<Collected, TransferError> {
        let mut part = Part {
            platforms,
            mode,
            collected: Collected::default(),
            offered: BTreeSet::new(),
            carried: HashMap::new(),
        };
        let carried = self.subset(Arc::new(index), &mut part, 0).await?;
        let offers = |wanted: &Platform| part.offered.iter().any(|offer| wanted.accepts(offer));
        let missing = platforms.iter().filter(|wanted| !offers(wanted)).cloned();
        let missing: Vec<Platform> = missing.collect();
        match carried {
            Some(_) if missing.is_empty() => Ok(part.collected),
            // An index may be listed for a platform that nothing in it is for.
            None if missing.is_empty() => Err(no_platform(platforms, BTreeSet::new())),
            _ => Err(no_platform(&missing, part.offered)),
        }
    }

    /// Collects the wanted part of `index`, and every platform that it offers; returns as what it
    /// is carried, if at all.
    fn subset<'s>(
        &'s self,
        index: Arc<Manifest>,
        part: &'s mut Part<'_>,
        depth: usize,
    ) -> BoxFuture<'s, Result<Option<Arc<Manifest>>, TransferError>> {
        async move {
            check_depth(depth)?;
            let platforms = part.platforms;
            let accepted = |child: &Descriptor| {
                let has = child.platform.as_ref();
                has.is_some_and(|has| platforms.iter().any(|wanted| wanted.accepts(has)))
            };
            let chosen: BTreeSet<&str> = index
                .children()
                .iter()
                .filter(|child| accepted(child))
                .map(|child| child.digest.as_str())
                .collect();
            // Position in the index → the child's manifest as it is to be carried.
            let mut kept: Vec<(usize, Arc<Manifest>)> = Vec::new();
            let mut absent = Vec::new();
            for (at, child) in index.children().iter().enumerate() {
                let platform = child.platform.clone();
                part.offered
                    .extend(platform.filter(|platform| platform.os != "unknown"));
                let attests = child
                    .annotations
                    .get(ATTESTS)
                    .is_some_and(|about| chosen.contains(about.as_str()));
                let is_index = child.media_type.kind() == MediaTypeKind::Index;
                let carried = if is_index && (child.platform.is_none() || accepted(child)) {
                    self.nested(child, part, depth).await?
                } else if accepted(child) || attests {
                    let manifest = self.child(child).await?;
                    part.collected.push(&manifest);
                    Some(manifest)
                } else {
                    None
                };
                match carried {
                    Some(manifest) => kept.push((at, manifest)),
                    None => absent.push(child.clone()),
                }
            }
            if kept.is_empty() {
                return Ok(None);
            }
            let is_same =
                |at: usize, child: &Manifest| index.children()[at].digest == *child.digest();
            let unchanged = kept.len() == index.children().len()
                && kept.iter().all(|(at, child)| is_same(*at, child));
            if unchanged || part.mode == IndexMode::Keep {
                part.collected.absent.extend(absent);
                part.collected.push(&index);
                return Ok(Some(index));
            }
            let entries: Vec<IndexEntry<'_>> = kept
                .iter()
                .map(|(at, child)| {
                    if is_same(*at, child) {
                        IndexEntry::Keep(*at)
                    } else {
                        IndexEntry::Replace(*at, child)
                    }
                })
                .collect();
            let rewritten = index.with_entries(&entries).ok_or(TransferError::Rewrite)?;
            part.collected.push(&rewritten);
            Ok(Some(Arc::new(rewritten)))
        }
        .boxed()
    }

    /// The wanted part of an index in an index at `depth`.
    async fn nested(
        &self,
        child: &Descriptor,
        part: &mut Part<'_>,
        depth: usize,
    ) -> Result<Option<Arc<Manifest>>, TransferError> {
        if let Some(carried) = part.carried.get(&child.digest) {
            return Ok(carried.clone());
        }
        let nested = self.child(child).await?;
        let carried = self.subset(nested, part, depth + 1).await?;
        part.carried.insert(child.digest.clone(), carried.clone());
        Ok(carried)
    }
}

fn absent(child: &Descriptor) -> TransferError {
    TransferError::ChildAbsent {
        digest: child.digest.clone(),
    }
}

fn check_depth(depth: usize) -> Result<(), TransferError> {
    if depth > DEPTH_MAX {
        return Err(TransferError::TooDeep {
            depth_max: DEPTH_MAX,
        });
    }
    Ok(())
}

/// A pinned index must stay as it is: any other top would make the pinned digest unservable.
pub(super) fn refuse_pin(wanted: &Wanted, found: &Manifest) -> Result<(), TransferError> {
    match (&wanted.pinned, wanted.index_mode) {
        (Some(_), IndexMode::Fitting | IndexMode::Rewrite) => Err(TransferError::PinnedIndex {
            digest: found.digest().clone(),
            platforms: wanted.platforms.to_string(),
        }),
        _ => Ok(()),
    }
}

fn no_platform(wanted: &[Platform], offered: BTreeSet<Platform>) -> TransferError {
    let list = |platforms: &[Platform]| {
        let shown = platforms.iter().take(OFFERS_SHOWN_MAX);
        let mut texts: Vec<String> = shown.map(ToString::to_string).collect();
        if platforms.len() > texts.len() {
            texts.push(format!("and {} more", platforms.len() - texts.len()));
        }
        if texts.is_empty() {
            "no platforms at all".to_owned()
        } else {
            texts.join(", ")
        }
    };
    TransferError::NoPlatform {
        wanted: list(wanted),
        offered: list(&Vec::from_iter(offered)),
    }
}
