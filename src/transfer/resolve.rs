//! From a wanted image to its manifests and blobs, with the choice of platforms applied.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};

use super::{Location, Source, TransferError, Wanted};
use crate::oci::{
    Descriptor, Digest, IndexEntry, Manifest, ManifestBody, MediaTypeKind, Platform, PlatformChoice,
};
use crate::report::{Event, Reporter};

/// How deep indexes may nest.
const DEPTH_MAX: usize = 8;
/// How many children of one index are read at once.
const CHILDREN_AT_ONCE: usize = 8;
/// The annotation by which `BuildKit` ties an attestation to the manifest it is about.
const ATTESTS: &str = "vnd.docker.reference.digest";

/// What becomes of an index of which not every platform is carried.
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
    /// Layers that registries do not hold and that stay at their URLs.
    pub foreign: Vec<Descriptor>,
    /// Children that a kept index names and that are not carried.
    pub absent: Vec<Descriptor>,
    /// The digest of the index that was rewritten or replaced by one of its manifests.
    pub original: Option<Digest>,
}

impl Resolved {
    /// The manifest that the destination names.
    pub fn top(&self) -> &Manifest {
        self.manifests
            .last()
            .expect("an image has at least its own manifest")
    }

    /// The platforms that the carried children of an index say they are for.
    pub fn platforms(&self) -> Vec<Platform> {
        let carried: BTreeSet<&Digest> = self.manifests.iter().map(Manifest::digest).collect();
        let mut platforms: Vec<Platform> = self
            .manifests
            .iter()
            .flat_map(Manifest::children)
            .filter(|child| carried.contains(&child.digest))
            .filter_map(|child| child.platform.clone())
            .filter(|platform| platform.os != "unknown")
            .collect();
        platforms.sort();
        platforms.dedup();
        platforms
    }
}

/// Resolves images, `at_once` at a time, in the given order; failures stand beside successes.
pub async fn resolve_all(
    source: &Source,
    wanted: Vec<Wanted>,
    at_once: usize,
    reporter: &Arc<dyn Reporter>,
) -> Vec<Result<Resolved, (Wanted, TransferError)>> {
    futures_util::stream::iter(wanted)
        .map(|wanted| async move {
            let result = resolve(source, &wanted).await;
            reporter.event(Event::ImageResolved {
                image: &wanted.name,
            });
            result.map_err(|error| (wanted, error))
        })
        .buffered(at_once.max(1))
        .collect()
        .await
}

/// Resolves one image.
pub async fn resolve(source: &Source, wanted: &Wanted) -> Result<Resolved, TransferError> {
    let (found, location) = source.top(wanted).await?;
    let cx = Walk {
        source,
        location: &location,
    };
    let is_index = matches!(found.body(), ManifestBody::Index(_));
    let original = found.digest().clone();
    let mut collected = match (&wanted.platforms, wanted.index_mode) {
        (PlatformChoice::These(platforms), mode) if is_index => {
            refuse_pin(wanted, &found)?;
            match mode {
                IndexMode::Fitting if platforms.len() == 1 => {
                    let leaf = cx.one(&found, &platforms[0]).await?;
                    cx.all(leaf, 0).await?
                }
                IndexMode::Keep => cx.some(found, platforms, IndexMode::Keep).await?,
                _ => cx.some(found, platforms, IndexMode::Rewrite).await?,
            }
        }
        _ => cx.all(found, 0).await?,
    };
    let mut seen = BTreeSet::new();
    collected
        .manifests
        .retain(|manifest| seen.insert(manifest.digest().clone()));
    let mut resolved = Resolved {
        wanted: wanted.clone(),
        location,
        blobs: Vec::new(),
        foreign: Vec::new(),
        absent: collected.absent,
        original: None,
        manifests: collected.manifests,
    };
    let mut seen = BTreeSet::new();
    for blob in resolved.manifests.iter().flat_map(Manifest::blobs) {
        if seen.insert(&blob.digest) {
            let list = if blob.is_foreign() {
                &mut resolved.foreign
            } else {
                &mut resolved.blobs
            };
            list.push(blob.clone());
        }
    }
    resolved.original = (*resolved.top().digest() != original).then_some(original);
    Ok(resolved)
}

/// Manifests in the order in which they are to be published, and children left out.
#[derive(Default)]
struct Collected {
    manifests: Vec<Manifest>,
    absent: Vec<Descriptor>,
}

/// The part of an index that is wanted, and what becomes of the index.
#[derive(Clone, Copy)]
struct PartOf<'a> {
    platforms: &'a [Platform],
    mode: IndexMode,
}

struct Walk<'a> {
    source: &'a Source,
    location: &'a Location,
}

impl Walk<'_> {
    /// Everything below `manifest`, and itself last. A local source may hold an index that was
    /// kept with a part of its children; a registry may not.
    fn all(
        &self,
        manifest: Manifest,
        depth: usize,
    ) -> BoxFuture<'_, Result<Collected, TransferError>> {
        async move {
            if depth > DEPTH_MAX {
                return Err(TransferError::TooDeep {
                    depth_max: DEPTH_MAX,
                });
            }
            let mut collected = Collected::default();
            let children: Vec<Descriptor> = manifest.children().to_vec();
            let parts: Vec<_> = futures_util::stream::iter(children)
                .map(|child| async move {
                    match self.source.manifest(self.location, &child).await? {
                        Some(found) => Ok((child, Some(self.all(found, depth + 1).await?))),
                        None => Ok::<_, TransferError>((child, None)),
                    }
                })
                .buffered(CHILDREN_AT_ONCE)
                .try_collect()
                .await?;
            let n_present = parts.iter().filter(|(_, part)| part.is_some()).count();
            for (child, part) in parts {
                match part {
                    Some(part) => {
                        collected.manifests.extend(part.manifests);
                        collected.absent.extend(part.absent);
                    }
                    None if n_present > 0 && !matches!(self.source, Source::Registry(_)) => {
                        collected.absent.push(child);
                    }
                    None => {
                        return Err(TransferError::ChildAbsent {
                            digest: child.digest,
                        });
                    }
                }
            }
            collected.manifests.push(manifest);
            Ok(collected)
        }
        .boxed()
    }

    /// The manifest of one platform.
    async fn one(&self, index: &Manifest, platform: &Platform) -> Result<Manifest, TransferError> {
        let mut offered = Vec::new();
        let mut queue = vec![(index.clone(), 0)];
        let mut matches: Vec<Descriptor> = Vec::new();
        while let Some((index, depth)) = queue.pop() {
            for child in index.children() {
                match &child.platform {
                    Some(has) if platform.accepts(has) => matches.push(child.clone()),
                    Some(has) => offered.push(has.clone()),
                    None if child.media_type.kind() == MediaTypeKind::Index
                        && depth < DEPTH_MAX =>
                    {
                        queue.push((self.child(child).await?, depth + 1));
                    }
                    None => {}
                }
            }
        }
        let exact = |child: &&Descriptor| child.platform.as_ref() == Some(platform);
        let Some(best) = matches.iter().find(exact).or_else(|| matches.first()) else {
            return Err(no_platform(std::slice::from_ref(platform), offered));
        };
        self.child(best).await
    }

    async fn child(&self, child: &Descriptor) -> Result<Manifest, TransferError> {
        let found = self.source.manifest(self.location, child).await?;
        found.ok_or_else(|| TransferError::ChildAbsent {
            digest: child.digest.clone(),
        })
    }

    /// The children for `platforms`, and an index of them.
    async fn some(
        &self,
        index: Manifest,
        platforms: &[Platform],
        mode: IndexMode,
    ) -> Result<Collected, TransferError> {
        let (collected, offered) = self.subset(index, PartOf { platforms, mode }, 0).await?;
        let has = |wanted: &&Platform| !offered.iter().any(|offer| wanted.accepts(offer));
        let missing: Vec<Platform> = platforms.iter().filter(has).cloned().collect();
        if missing.is_empty() {
            Ok(collected)
        } else {
            Err(no_platform(&missing, offered))
        }
    }

    /// The wanted part of `index`, and every platform that it offers.
    fn subset<'a>(
        &'a self,
        index: Manifest,
        part: PartOf<'a>,
        depth: usize,
    ) -> BoxFuture<'a, Result<(Collected, Vec<Platform>), TransferError>> {
        async move {
            if depth > DEPTH_MAX {
                return Err(TransferError::TooDeep {
                    depth_max: DEPTH_MAX,
                });
            }
            let mut collected = Collected::default();
            let mut offered = Vec::new();
            // Position in the index → the child's manifest as it is to be carried.
            let mut kept: Vec<(usize, Manifest)> = Vec::new();
            let accepted = |child: &Descriptor| {
                let has = child.platform.as_ref();
                has.is_some_and(|has| part.platforms.iter().any(|wanted| wanted.accepts(has)))
            };
            let chosen: BTreeSet<&str> = index
                .children()
                .iter()
                .filter(|child| accepted(child))
                .map(|child| child.digest.as_str())
                .collect();
            for (at, child) in index.children().iter().enumerate() {
                offered.extend(
                    child
                        .platform
                        .clone()
                        .filter(|platform| platform.os != "unknown"),
                );
                let attests = child
                    .annotations
                    .get(ATTESTS)
                    .is_some_and(|about| chosen.contains(about.as_str()));
                let is_index = child.media_type.kind() == MediaTypeKind::Index;
                if is_index && (child.platform.is_none() || accepted(child)) {
                    let nested = self.child(child).await?;
                    let (nested_part, nested_offer) = self.subset(nested, part, depth + 1).await?;
                    offered.extend(nested_offer);
                    if nested_part.manifests.len() > 1 {
                        let top = nested_part.manifests.last().expect("longer than one");
                        kept.push((at, top.clone()));
                        collected.manifests.extend(nested_part.manifests);
                        collected.absent.extend(nested_part.absent);
                        continue;
                    }
                } else if accepted(child) || attests {
                    let manifest = self.child(child).await?;
                    kept.push((at, manifest.clone()));
                    collected.manifests.push(manifest);
                    continue;
                }
                collected.absent.push(child.clone());
            }
            let unchanged = kept.len() == index.children().len()
                && kept
                    .iter()
                    .all(|(at, child)| index.children()[*at].digest == *child.digest());
            if unchanged || part.mode == IndexMode::Keep {
                collected.manifests.push(index);
                return Ok((collected, offered));
            }
            let entries: Vec<IndexEntry<'_>> = kept
                .iter()
                .map(|(at, child)| {
                    if index.children()[*at].digest == *child.digest() {
                        IndexEntry::Keep(*at)
                    } else {
                        IndexEntry::Replace(*at, child)
                    }
                })
                .collect();
            collected
                .manifests
                .push(index.with_entries(&entries).ok_or(TransferError::Rewrite)?);
            collected.absent.clear();
            Ok((collected, offered))
        }
        .boxed()
    }
}

/// A pinned index must stay as it is: any other top would make the pinned digest unservable.
fn refuse_pin(wanted: &Wanted, found: &Manifest) -> Result<(), TransferError> {
    match (&wanted.pinned, wanted.index_mode) {
        (Some(_), IndexMode::Fitting | IndexMode::Rewrite) => Err(TransferError::PinnedIndex {
            digest: found.digest().clone(),
            platforms: wanted.platforms.to_string(),
        }),
        _ => Ok(()),
    }
}

fn no_platform(wanted: &[Platform], mut offered: Vec<Platform>) -> TransferError {
    offered.sort();
    offered.dedup();
    let list = |platforms: &[Platform]| {
        let texts: Vec<String> = platforms.iter().map(ToString::to_string).collect();
        if texts.is_empty() {
            "no platforms at all".to_owned()
        } else {
            texts.join(", ")
        }
    };
    TransferError::NoPlatform {
        wanted: list(wanted),
        offered: list(&offered),
    }
}
