//! Carries several platforms of an index, or all that exist: selects its children, and decides how
//! the index is treated.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::no_platform::no_platform;
use crate::absent::{Wish, is_about_another, reference, stated};
use crate::walk::{Collected, Found, Walk, check_depth};
use crate::{IndexMode, ReferrerMode, TransferError, config};
use hod_oci::{Descriptor, Digest, IndexEntry, Manifest, MediaTypeKind, Platform, PlatformChoice};

/// The requested part of an index.
pub(super) struct Part<'a> {
    pub(super) platforms: &'a PlatformChoice,
    pub(super) mode: IndexMode,
    pub(super) referrers: ReferrerMode,
}

/// The part of an index that is selected so far.
struct Taken<'a> {
    part: &'a Part<'a>,
    collected: Collected,
    offered: BTreeSet<Platform>,
    /// Those that were wanted and not found, with the index that lists them.
    lost: Vec<(Arc<Manifest>, Descriptor)>,
    /// Positions of wanted platforms for which something was found.
    served: BTreeSet<usize>,
    /// The carried form of each index; `None` if nothing of it is selected.
    carried: HashMap<Digest, Option<Arc<Manifest>>>,
}

/// Why a child of an index is carried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// Its platform is wanted, or all are.
    Wanted,
    /// It describes a selected child.
    Attests,
    /// It may list something that is wanted.
    MayList,
}

impl Walk<'_> {
    /// The wanted children, and an index of them.
    pub(super) async fn some(
        &self,
        index: Manifest,
        part: &Part<'_>,
    ) -> Result<Collected, TransferError> {
        let mut taken = Taken {
            part,
            collected: Collected::default(),
            offered: BTreeSet::new(),
            lost: Vec::new(),
            served: BTreeSet::new(),
            carried: HashMap::new(),
        };
        let carried = self.subset(Arc::new(index), &mut taken, 0).await?;
        let wanted = part.platforms.platforms();
        let unserved = wanted.iter().enumerate();
        let unserved = unserved.filter(|(at, _)| !taken.served.contains(at));
        let unserved: Vec<Platform> = unserved.map(|(_, platform)| platform.clone()).collect();
        let is_filter = matches!(part.platforms, PlatformChoice::AnyOf(_));
        if carried.is_some() && (unserved.is_empty() || is_filter) {
            return Ok(taken.collected);
        }
        let may_serve = |child: &Descriptor| match stated(child) {
            Some(has) => wanted.is_empty() || unserved.iter().any(|wanted| wanted.accepts(has)),
            None => true,
        };
        if let Some((index, child)) = taken.lost.iter().find(|(_, child)| may_serve(child)) {
            let wish = if wanted.is_empty() {
                Wish::Whole
            } else {
                Wish::Platform
            };
            return Err(self.missing(index, child, wish).await);
        }
        if unserved.is_empty() {
            // An index may be listed for a platform that nothing in it is for.
            return Err(no_platform(wanted, &BTreeSet::new()));
        }
        Err(match no_platform(&unserved, &taken.offered) {
            TransferError::NoPlatform { wanted, offered } if is_filter => {
                TransferError::Filtered { wanted, offered }
            }
            error => error,
        })
    }

    /// Collects the selected part of `index` and every platform that it offers; returns its carried
    /// form, if any.
    fn subset<'s>(
        &'s self,
        index: Arc<Manifest>,
        taken: &'s mut Taken<'_>,
        depth: usize,
    ) -> BoxFuture<'s, Result<Option<Arc<Manifest>>, TransferError>> {
        async move {
            check_depth(depth)?;
            let platforms = self.platforms(&index, taken.part).await?;
            let chosen = taken.choose(&index, &platforms);
            self.read(chosen.iter().map(|(at, _)| &index.children()[*at]))
                .await?;
            // Position in the index → the child's manifest as it is to be carried.
            let mut kept: BTreeMap<usize, Arc<Manifest>> = BTreeMap::new();
            let (attest, wanted): (Vec<_>, Vec<_>) = chosen
                .into_iter()
                .partition(|(_, why)| *why == Why::Attests);
            for (at, why) in wanted.into_iter().chain(attest) {
                let child = &index.children()[at];
                if why == Why::Attests && is_about_lost(&index, child, &kept) {
                    continue;
                }
                let Found::Here(manifest) = self.find(child).await? else {
                    taken.lose(self, &index, child, why)?;
                    continue;
                };
                let carried = if child.media_type.kind() == MediaTypeKind::Index {
                    self.nested(manifest, taken, depth).await?
                } else {
                    taken.collected.push(&manifest);
                    Some(manifest)
                };
                if let Some(manifest) = carried {
                    taken.serve(platforms[at].as_ref());
                    kept.insert(at, manifest);
                }
            }
            taken.put_together(&index, &kept)
        }
        .boxed()
    }

    /// The wanted part of an index in an index at `depth`.
    async fn nested(
        &self,
        nested: Arc<Manifest>,
        taken: &mut Taken<'_>,
        depth: usize,
    ) -> Result<Option<Arc<Manifest>>, TransferError> {
        let digest = nested.digest().clone();
        if let Some(carried) = taken.carried.get(&digest) {
            return Ok(carried.clone());
        }
        let carried = self.subset(nested, taken, depth + 1).await?;
        taken.carried.insert(digest, carried.clone());
        Ok(carried)
    }

    /// The platform of each child. If a child does not state it and a requested platform is not
    /// offered otherwise, its config is read.
    async fn platforms(
        &self,
        index: &Manifest,
        part: &Part<'_>,
    ) -> Result<Vec<Option<Platform>>, TransferError> {
        let children = index.children();
        let mut platforms: Vec<Option<Platform>> = children
            .iter()
            .map(|child| stated(child).cloned())
            .collect();
        let wanted = part.platforms.platforms();
        if wanted.is_empty() {
            return Ok(platforms);
        }
        let is_offered =
            |wanted: &Platform| platforms.iter().flatten().any(|has| wanted.accepts(has));
        if wanted.iter().all(is_offered) {
            return Ok(platforms);
        }
        let is_unstated = |child: &&Descriptor| {
            stated(child).is_none()
                && !is_about_another(child)
                && child.media_type.kind() != MediaTypeKind::Index
        };
        self.read(children.iter().filter(is_unstated)).await?;
        for (at, child) in children.iter().enumerate() {
            if is_unstated(&child)
                && let Found::Here(manifest) = self.find(child).await?
            {
                platforms[at] = config::platform_of(self.source, self.location, &manifest).await?;
            }
        }
        Ok(platforms)
    }
}

impl Taken<'_> {
    /// The positions of the children that are wanted, and why.
    fn choose(&mut self, index: &Manifest, platforms: &[Option<Platform>]) -> Vec<(usize, Why)> {
        let children = index.children();
        self.offered.extend(
            platforms
                .iter()
                .flatten()
                .filter(|platform| !platform.is_unknown())
                .cloned(),
        );
        let accepts = |has: &Platform| match self.part.platforms {
            PlatformChoice::All => true,
            PlatformChoice::These(wanted) | PlatformChoice::AnyOf(wanted) => {
                wanted.iter().any(|wanted| wanted.accepts(has))
            }
        };
        let is_all = *self.part.platforms == PlatformChoice::All;
        let is_accepted = |at: usize| platforms[at].as_ref().is_some_and(accepts);
        let accepted: BTreeSet<&str> = (0..children.len())
            .filter(|at| is_accepted(*at))
            .map(|at| children[at].digest.as_str())
            .collect();
        let leaves =
            self.part.referrers == ReferrerMode::Leave && !children.iter().all(is_about_another);
        let mut n_left = 0;
        let mut chosen = Vec::new();
        for (at, child) in children.iter().enumerate() {
            let is_index = child.media_type.kind() == MediaTypeKind::Index;
            let attests = || reference(child).is_some_and(|about| accepted.contains(about));
            let why = if !is_all && is_accepted(at) {
                Some(Why::Wanted)
            } else if is_about_another(child) {
                (is_all || attests()).then_some(Why::Attests)
            } else if is_all {
                Some(Why::Wanted)
            } else {
                (is_index && platforms[at].is_none()).then_some(Why::MayList)
            };
            match why {
                Some(Why::Attests) if leaves => n_left += 1,
                Some(why) => chosen.push((at, why)),
                None => {}
            }
        }
        self.collected.n_left_referrers += n_left;
        chosen
    }

    /// Goes on without a child that was not found, if that may be.
    fn lose(
        &mut self,
        walk: &Walk<'_>,
        index: &Arc<Manifest>,
        child: &Descriptor,
        why: Why,
    ) -> Result<(), TransferError> {
        let is_all = *self.part.platforms == PlatformChoice::All;
        let must_have = is_all && self.part.mode != IndexMode::Rewrite;
        if must_have && why == Why::Wanted {
            return Err(walk.absent(index, child, Wish::Whole));
        }
        self.lost.push((Arc::clone(index), child.clone()));
        self.collected.warnings.push(walk.left_out(index, child));
        Ok(())
    }

    /// Records that a platform is offered.
    fn serve(&mut self, has: Option<&Platform>) {
        let Some(has) = has else {
            return;
        };
        let served = self.part.platforms.platforms().iter().enumerate();
        let served = served.filter(|(_, wanted)| wanted.accepts(has));
        self.served.extend(served.map(|(at, _)| at));
    }

    /// Builds the replacement of an index from its carried children.
    fn put_together(
        &mut self,
        index: &Arc<Manifest>,
        kept: &BTreeMap<usize, Arc<Manifest>>,
    ) -> Result<Option<Arc<Manifest>>, TransferError> {
        let children = index.children();
        if kept.is_empty() && !children.is_empty() {
            return Ok(None);
        }
        let is_same = |at: usize, child: &Manifest| children[at].digest == *child.digest();
        let unchanged =
            kept.len() == children.len() && kept.iter().all(|(at, child)| is_same(*at, child));
        if unchanged || self.part.mode == IndexMode::Keep {
            let absent = children.iter().enumerate();
            let absent = absent.filter(|(at, _)| !kept.contains_key(at));
            self.collected
                .absent
                .extend(absent.map(|(_, child)| child.clone()));
            self.collected.push(index);
            return Ok(Some(Arc::clone(index)));
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
        self.collected.push(&rewritten);
        Ok(Some(Arc::new(rewritten)))
    }
}

/// Whether a child refers to another child of the index that is not carried.
fn is_about_lost(
    index: &Manifest,
    child: &Descriptor,
    kept: &BTreeMap<usize, Arc<Manifest>>,
) -> bool {
    let Some(about) = reference(child) else {
        return false;
    };
    let at = index
        .children()
        .iter()
        .position(|other| other.digest.as_str() == about);
    at.is_some_and(|at| !kept.contains_key(&at))
}
