//! From a wanted image to its manifests and blobs, with the choice of platforms applied.

mod absent;
mod one;
mod some;
mod walk;

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt as _;

use self::some::Part;
use self::walk::Walk;
use super::referrers::{Finder, Referrer};
use super::{Locate, Location, OnFailure, ReferrerMode, Source, TransferError, Wanted, sizes};
pub(super) use absent::role;
pub use absent::{AbsentChild, Holder, Wish, is_about_another};
use hod_oci::{
    Descriptor, Digest, ForeignLayers, Manifest, ManifestBody, Platform, PlatformChoice,
};
use hod_report::{Event, Reporter};

/// Maximum nesting of indexes.
pub(super) const DEPTH_MAX: usize = 8;
/// Maximum number of manifests of one image, all of which are held in memory.
pub(super) const MANIFESTS_MAX: usize = 1000;
/// Maximum number of bytes of these together.
pub(super) const MANIFESTS_LEN_MAX: u64 = 32 * 1024 * 1024;

/// Maximum number of platforms named when the requested one is missing.
const SHOWN_MAX: usize = 20;

/// How to treat an index if only some of its platforms are carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexMode {
    /// One platform: its manifest takes the index's place. Several: as [`IndexMode::Rewrite`].
    Fitting,
    /// The index is written anew with the carried children only, and has a new digest.
    Rewrite,
    /// The index keeps its bytes and names children that are not carried.
    Keep,
}

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
    /// Whether the original, which is left behind, has referrers, which are left behind with it.
    pub leaves_referrers: bool,
    /// Whether its destination has all of it already, so that only its referrers are to be put.
    pub is_in_place: bool,
    /// The number of attestations in its index that were left out, since referrers are not wanted.
    pub n_left_referrers: usize,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}

impl Resolved {
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

    /// Every blob to carry, with where it may be; those of referrers may be the image's too.
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

    /// The platforms that the carried children of an index say they are for, or its own.
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

/// The result of resolving an image.
#[derive(Debug)]
pub enum Resolution {
    Resolved(Box<Resolved>),
    Failed(Wanted, Arc<TransferError>),
    /// An image before it in the list failed, after which no other was to be tried.
    NotTried(Wanted),
}

/// Resolves images, `at_once` at a time; one resolution for each, in the given order. Those behind
/// the first that fails are given up where the batch is to stop there.
pub async fn resolve_all(
    source: &dyn Source,
    wanted: Vec<Wanted>,
    (at_once, on_failure): (usize, OnFailure),
    reporter: &Arc<dyn Reporter>,
) -> Vec<Resolution> {
    let finder = Finder::new(source, reporter);
    let finder = &finder;
    let mut resolutions = Vec::with_capacity(wanted.len());
    let mut results = futures_util::stream::iter(&wanted)
        .map(|wanted| async move {
            let result = match &wanted.locate {
                Locate::Unreadable(error) => Err(Arc::clone(error)),
                _ => resolve_with(source, wanted, finder).await.map_err(Arc::new),
            };
            reporter.event(Event::ImageResolved {
                image: &wanted.name,
            });
            result
        })
        .buffered(at_once.max(1));
    let mut is_stopped = false;
    while !is_stopped && let Some(result) = results.next().await {
        is_stopped = result.is_err() && on_failure == OnFailure::Stop;
        resolutions.push(match result {
            Ok(resolved) => Resolution::Resolved(Box::new(resolved)),
            Err(error) => Resolution::Failed(wanted[resolutions.len()].clone(), error),
        });
    }
    drop(results);
    let rest = wanted.into_iter().skip(resolutions.len());
    resolutions.extend(rest.map(Resolution::NotTried).collect::<Vec<_>>());
    resolutions
}

/// Resolves one image with its referrers.
async fn resolve_with(
    source: &dyn Source,
    wanted: &Wanted,
    finder: &Finder<'_>,
) -> Result<Resolved, TransferError> {
    let mut resolved = resolve(source, wanted).await?;
    if wanted.referrers == ReferrerMode::Carry {
        resolved.referrers = finder.find(&resolved).await?;
        if let Some(original) = &resolved.original {
            resolved.leaves_referrers = finder.has_any(&resolved, original).await;
        }
    }
    sizes::check(source, &resolved).await?;
    Ok(resolved)
}

/// Collects a manifest and all below it, itself last; the second are children that are not there.
pub(super) async fn closure(
    source: &dyn Source,
    location: &Location,
    top: Manifest,
) -> Result<(Vec<Manifest>, Vec<Descriptor>), TransferError> {
    let cx = Walk::new(source, location);
    let collected = cx.all(top).await?;
    Ok((collected.manifests, collected.absent))
}

/// Resolves one image without its referrers.
pub async fn resolve(source: &dyn Source, wanted: &Wanted) -> Result<Resolved, TransferError> {
    let (found, location) = source.top(wanted).await?;
    let cx = Walk::of(source, &location, wanted);
    let is_index = matches!(found.body(), ManifestBody::Index(_));
    let original = found.clone();
    let part = |mode| Part {
        platforms: &wanted.platforms,
        mode,
        referrers: wanted.referrers,
    };
    let collected = match (&wanted.platforms, wanted.index_mode) {
        _ if !is_index => cx.all(found).await?,
        (PlatformChoice::These(platforms), mode) => {
            refuse_pin(wanted, &found)?;
            match mode {
                IndexMode::Fitting if platforms.len() == 1 => cx.one(&found, &platforms[0]).await?,
                IndexMode::Keep => cx.some(found, &part(IndexMode::Keep)).await?,
                _ => cx.some(found, &part(IndexMode::Rewrite)).await?,
            }
        }
        (PlatformChoice::All, IndexMode::Rewrite) => {
            cx.some(found, &part(IndexMode::Rewrite)).await?
        }
        // Attestations in an index are referrers, which are not wanted; a pinned index must keep
        // its bytes.
        (PlatformChoice::All, IndexMode::Fitting)
            if wanted.referrers == ReferrerMode::Leave && wanted.pinned.is_none() =>
        {
            cx.some(found, &part(IndexMode::Fitting)).await?
        }
        _ => cx.all(found).await?,
    };
    let mut resolved = Resolved {
        wanted: wanted.clone(),
        location,
        blobs: Vec::new(),
        foreign: Vec::new(),
        absent: collected.absent,
        platform: collected.platform,
        original: None,
        original_manifest: None,
        referrers: Vec::new(),
        leaves_referrers: false,
        is_in_place: false,
        n_left_referrers: collected.n_left_referrers,
        warnings: collected.warnings,
        manifests: collected.manifests,
    };
    let mut seen = BTreeSet::new();
    for blob in resolved.manifests.iter().flat_map(Manifest::blobs) {
        if seen.insert((blob.is_foreign(), &blob.digest)) {
            let list = if blob.is_foreign() {
                &mut resolved.foreign
            } else {
                &mut resolved.blobs
            };
            list.push(blob.clone());
        }
    }
    // A layer that one manifest leaves at its URLs may be an ordinary layer of another.
    let is_stored = |blob: &Descriptor| seen.contains(&(false, &blob.digest));
    resolved.foreign.retain(|blob| !is_stored(blob));
    carry_foreign(source, &mut resolved).await?;
    let top = resolved.top().digest();
    if let Some(expected) = wanted
        .rewritten
        .as_ref()
        .filter(|&expected| expected != top)
    {
        return Err(TransferError::Rewritten {
            expected: expected.clone(),
            actual: top.clone(),
        });
    }
    if top != original.digest() {
        refuse_pin(wanted, &original)?;
        resolved.original = Some(original.digest().clone());
        resolved.original_manifest = Some(original);
    }
    Ok(resolved)
}

/// Makes ordinary blobs of the foreign layers that are to be carried.
async fn carry_foreign(source: &dyn Source, resolved: &mut Resolved) -> Result<(), TransferError> {
    if resolved.foreign.is_empty() {
        return Ok(());
    }
    let foreign = std::mem::take(&mut resolved.foreign);
    let (carried, left) = if resolved.wanted.foreign_layers == ForeignLayers::Leave {
        (Vec::new(), foreign)
    } else if source.is_remote() {
        (foreign, Vec::new())
    } else {
        let place = |layer: &Descriptor| (resolved.location.clone(), layer.digest.clone());
        let lens = source
            .blob_lens(foreign.iter().map(place).collect())
            .await?;
        let (mut carried, mut left) = (Vec::new(), Vec::new());
        for (layer, len) in foreign.into_iter().zip(lens) {
            let is_here = len == Some(layer.size);
            if is_here { &mut carried } else { &mut left }.push(layer);
        }
        (carried, left)
    };
    resolved.blobs.extend(carried);
    resolved.foreign = left;
    Ok(())
}

/// A pinned index must stay as it is, unless what takes its place is pinned too: any other top would
/// make the pinned digest unservable.
fn refuse_pin(wanted: &Wanted, found: &Manifest) -> Result<(), TransferError> {
    match (&wanted.pinned, wanted.index_mode) {
        (Some(_), IndexMode::Fitting | IndexMode::Rewrite) if wanted.rewritten.is_none() => {
            Err(TransferError::PinnedIndex {
                digest: found.digest().clone(),
                platforms: match &wanted.platforms {
                    PlatformChoice::All => "a part of it".to_owned(),
                    platforms @ PlatformChoice::These(_) => platforms.to_string(),
                },
            })
        }
        _ => Ok(()),
    }
}

fn no_platform(wanted: &[Platform], offered: &BTreeSet<Platform>) -> TransferError {
    let list = |platforms: &mut dyn ExactSizeIterator<Item = &Platform>| {
        let n = platforms.len();
        let mut texts: Vec<String> = platforms.take(SHOWN_MAX).map(ToString::to_string).collect();
        if n > texts.len() {
            texts.push(format!("and {} more", n - texts.len()));
        }
        if texts.is_empty() {
            "no platforms at all".to_owned()
        } else {
            texts.join(", ")
        }
    };
    TransferError::NoPlatform {
        wanted: list(&mut wanted.iter()),
        offered: list(&mut offered.iter()),
    }
}
