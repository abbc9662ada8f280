//! One platform of an index: the manifest that replaces the index.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::no_platform::{SHOWN_MAX, no_platform};
use crate::absent::{Wish, is_about_another, role, stated};
use crate::walk::{Collected, DEPTH_MAX, Found, Walk, too_deep};
use crate::{TransferError, config};
use hod_oci::{Descriptor, Manifest, MediaTypeKind, Platform};

/// A child and the platform that it is for.
#[derive(Clone)]
struct Offer {
    /// The index that lists it.
    index: Arc<Manifest>,
    child: Descriptor,
    platform: Platform,
}

/// Children, each with the index that lists it.
type Orphans = Vec<(Arc<Manifest>, Descriptor)>;

/// The manifests found below an index.
#[derive(Default)]
struct Below {
    offers: Vec<Offer>,
    /// Children without a stated platform.
    unstated: Orphans,
    /// Indexes that were not found.
    lost: Orphans,
    /// Whether indexes are nested too deeply.
    is_deeper: bool,
}

impl Walk<'_> {
    /// The manifest of one platform, as the last of the collected manifests.
    pub(super) async fn one(
        &self,
        index: &Manifest,
        platform: &Platform,
    ) -> Result<Collected, TransferError> {
        let index = Arc::new(index.clone());
        let Below {
            mut offers,
            unstated,
            mut lost,
            is_deeper,
        } = self.offers(&index).await?;
        if !offers.iter().any(|offer| platform.accepts(&offer.platform)) {
            for (index, child) in unstated {
                match self.find(&child).await? {
                    Found::Here(manifest) => {
                        let platform =
                            config::platform_of(self.source, self.location, &manifest).await?;
                        offers.extend(platform.map(|platform| Offer {
                            index,
                            child,
                            platform,
                        }));
                    }
                    Found::Absent => lost.push((index, child)),
                }
            }
        }
        let best = best(&offers, platform);
        let Some(first) = best.first() else {
            if is_deeper {
                return Err(too_deep());
            }
            if let Some((index, child)) = lost.first() {
                return Err(self.missing(index, child, Wish::Platform).await);
            }
            let offered = offers.into_iter().map(|offer| offer.platform);
            let offered = offered.filter(|platform| !platform.is_unknown()).collect();
            return Err(no_platform(std::slice::from_ref(platform), &offered));
        };
        let mut chosen = None;
        for offer in &best {
            if let Found::Here(manifest) = self.find(&offer.child).await? {
                chosen = Some((offer, manifest));
                break;
            }
        }
        let Some((offer, manifest)) = chosen else {
            return Err(self
                .missing(&first.index, &first.child, Wish::Platform)
                .await);
        };
        let mut collected = self.all(Manifest::clone(&manifest)).await?;
        collected.platform = Some(offer.platform.clone());
        collected.warnings.extend(several(platform, &best, offer));
        Ok(collected)
    }

    /// The manifests offered by an index and by nested indexes without a platform.
    async fn offers(&self, top: &Arc<Manifest>) -> Result<Below, TransferError> {
        let mut all = Below::default();
        let mut seen = BTreeSet::new();
        let mut level = vec![Arc::clone(top)];
        for depth in 0..=DEPTH_MAX {
            let mut below = Vec::new();
            for index in std::mem::take(&mut level) {
                for child in index.children() {
                    let is_index = child.media_type.kind() == MediaTypeKind::Index;
                    match stated(child) {
                        Some(platform) => all.offers.push(Offer {
                            index: Arc::clone(&index),
                            child: child.clone(),
                            platform: platform.clone(),
                        }),
                        None if is_about_another(child) => {}
                        None if is_index && depth < DEPTH_MAX => {
                            if seen.insert(child.digest.clone()) {
                                below.push((Arc::clone(&index), child.clone()));
                            }
                        }
                        None if is_index => all.is_deeper = true,
                        None => all.unstated.push((Arc::clone(&index), child.clone())),
                    }
                }
            }
            self.read(below.iter().map(|(_, child)| child)).await?;
            for (index, child) in below {
                match self.find(&child).await? {
                    Found::Here(nested) => level.push(nested),
                    Found::Absent => all.lost.push((index, child)),
                }
            }
        }
        Ok(all)
    }
}

/// The offers that fit best, each manifest once: those for exactly this platform, or else all that
/// run there.
fn best<'a>(offers: &'a [Offer], platform: &Platform) -> Vec<&'a Offer> {
    let fit = |fits: &dyn Fn(&Platform) -> bool| {
        let mut seen = BTreeSet::new();
        let fitting = offers.iter().filter(|offer| fits(&offer.platform));
        let each = fitting.filter(|offer| seen.insert(&offer.child.digest));
        each.collect::<Vec<_>>()
    };
    let exact = fit(&|has| platform.is_exactly(has));
    if exact.is_empty() {
        return fit(&|has| platform.accepts(has));
    }
    exact
}

/// The warning that several manifests are for one platform, so that the choice is ambiguous.
fn several(platform: &Platform, best: &[&Offer], chosen: &Offer) -> Option<String> {
    if best.len() < 2 {
        return None;
    }
    let shown: Vec<String> = best
        .iter()
        .take(SHOWN_MAX)
        .map(|offer| format!("{} (`{}`)", offer.platform, offer.child.digest))
        .collect();
    let differ = best.iter().any(|offer| offer.platform != chosen.platform);
    let advice = if differ {
        let other = best.iter().map(|offer| &offer.platform);
        let other = other.max().unwrap_or(&chosen.platform);
        format!("; `--platform {other}` selects another")
    } else {
        "; a digest in the list, `NAME@sha256:…`, selects another".to_owned()
    };
    Some(format!(
        "the index has {} manifests for {platform}: {}; using {} (`{}`){advice}",
        best.len(),
        shown.join(", "),
        role(&chosen.index, &chosen.child),
        chosen.child.digest,
    ))
}
