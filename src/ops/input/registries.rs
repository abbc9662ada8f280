//! The images that a list names at registries.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::origin::Registries;
use super::patterns::{self, Images};
use crate::batch::resolve_images;
use crate::carry::Carry;
use crate::catalog::{landed, require_apart};
use crate::preflight::{check_sources, require_access};
use crate::{Context, OpsError};
use hod_list::{Expanded, ListEntry, PatternLine, RenameRules};
use hod_oci::{Digest, Registry, Tag};
use hod_registry::{Client, ManifestRef, Repo};
use hod_store::Store;
use hod_transfer::{
    Destination, Locate, OnFailure, ReferrerMode, Resolution, Source, TransferError, Wanted,
};

impl Registries {
    /// The images under the names that `renames` gives them; without rules, those that the list
    /// gives them.
    pub(super) fn wanted(
        &self,
        images: &[Expanded<Arc<TransferError>>],
        renames: Option<&RenameRules>,
        referrers: ReferrerMode,
    ) -> Result<Vec<Wanted>, OpsError> {
        let carry = Carry {
            platforms: self.platforms.platforms.as_ref(),
            index: self.platforms.index,
            referrers,
            foreign_layers: self.foreign_layers,
        };
        let wanted = images.iter().map(|image| match image {
            Expanded::Image(entry) => self::wanted(entry, &self.source, &carry),
            Expanded::Nothing(line, error) => unmatched(line, error, &carry),
        });
        let mut wanted: Vec<Wanted> = wanted.collect();
        let Some(renames) = renames else {
            return Ok(wanted);
        };
        renames.require_used(wanted.iter().map(|image| &image.destination.repository))?;
        let mut landings = Vec::with_capacity(wanted.len());
        let named = |image: &&mut Wanted| !matches!(image.locate, Locate::Unreadable(_));
        for image in wanted.iter_mut().filter(named) {
            let (digest, destination) = (image.pinned.clone(), image.destination.clone());
            let (destination, landing) = landed(renames, &image.name, digest, destination)?;
            image.destination = destination;
            landings.push(landing);
        }
        require_apart(&landings)?;
        Ok(wanted)
    }

    /// The images of the list, with resolved patterns; a pattern without matches is unreadable.
    pub(crate) async fn listed(&self, cx: &Context) -> Result<Vec<Wanted>, OpsError> {
        let images = patterns::expand(cx, self).await?;
        self.wanted(&images, None, ReferrerMode::Leave)
    }

    /// The images under the names that a push gives them; those of a registry without its prefix.
    pub(super) fn surveyed(
        &self,
        images: &Images,
        referrers: ReferrerMode,
    ) -> Result<Vec<Wanted>, OpsError> {
        let mut wanted = self.wanted(images, None, referrers)?;
        if let Some(prefix) = &self.origin.prefix {
            for image in &mut wanted {
                let name = &mut image.destination.repository;
                let below = name.as_str().strip_prefix(prefix.as_str());
                let below = below.and_then(|rest| rest.strip_prefix('/')?.parse().ok());
                // The prefix may be a repository itself.
                *name = below.unwrap_or_else(|| name.clone());
            }
        }
        Ok(wanted)
    }

    /// The same, with resolved patterns.
    pub(crate) async fn survey(
        &self,
        cx: &Context,
        referrers: ReferrerMode,
    ) -> Result<Vec<Wanted>, OpsError> {
        let images = patterns::expand(cx, self).await?;
        self.surveyed(&images, referrers)
    }

    /// Asks the registries whether they can be read, then for every image.
    pub(super) async fn resolve(
        &self,
        cx: &Context,
        source: &dyn Source,
        known: Option<&Store>,
        wanted: Vec<Wanted>,
        on_failure: OnFailure,
    ) -> Result<Vec<Resolution>, OpsError> {
        let undone = self.preflight.undone();
        expect(&self.client, &wanted);
        expect_pulls(&self.client, &wanted, known.cloned()).await;
        if let Some(undone) = undone {
            check_sources(cx, &self.client, &wanted, known, undone).await?;
        }
        let resolutions = resolve_images(cx, source, wanted, on_failure).await;
        if let Some(undone) = undone {
            require_access(&resolutions, undone)?;
        }
        Ok(resolutions)
    }

    /// Reports the remaining pulls of registries that count them, after all manifests are fetched.
    pub(super) fn note_budgets(&self, cx: &Context) {
        for (host, budget) in self.client.budgets() {
            cx.note(&format!("`{host}`: {budget}"));
        }
    }
}

/// The image of a line at its registry, with the destination from the list.
fn wanted(entry: &ListEntry, source: &Registry, carry: &Carry<'_>) -> Wanted {
    let reference = &entry.reference;
    let registry = reference.registry.clone().unwrap_or_else(|| source.clone());
    let repos = reference
        .remote_names(&registry)
        .into_iter()
        .map(|name| Repo {
            registry: registry.clone(),
            name,
        })
        .collect();
    let at = match (&reference.digest, &reference.tag) {
        (Some(digest), _) => ManifestRef::Digest(digest.clone()),
        (None, Some(tag)) => ManifestRef::Tag(tag.clone()),
        (None, None) => ManifestRef::Tag(Tag::latest()),
    };
    let stored = entry.stored();
    let destination = Destination {
        repository: stored.repository,
        tag: stored.tag,
    };
    let locate = Locate::Remote { repos, at };
    Wanted {
        pinned: reference.digest.clone(),
        ..carry
            .of(&entry.options)
            .wanted(reference.to_string(), locate, destination)
    }
}

/// A pattern without matches, which fails in place of its images.
fn unmatched(line: &PatternLine, error: &Arc<TransferError>, carry: &Carry<'_>) -> Wanted {
    let stored = line.stem.stored();
    let destination = Destination {
        repository: stored.repository,
        tag: None,
    };
    let locate = Locate::Unreadable(Arc::clone(error));
    carry
        .of(&line.stem.options)
        .wanted(line.to_string(), locate, destination)
}

/// Tells the client which repositories are to be read.
fn expect(client: &Client, wanted: &[Wanted]) {
    client.expect(wanted.iter().filter_map(|image| match &image.locate {
        Locate::Remote { repos, .. } => repos.first(),
        _ => None,
    }));
}

/// Passes the number of unresolved images to the client; each costs at least one manifest.
async fn expect_pulls(client: &Client, wanted: &[Wanted], known: Option<Store>) {
    let mut images: Vec<(Registry, Destination, Option<Digest>)> = Vec::new();
    for image in wanted {
        if let Locate::Remote { repos, at } = &image.locate
            && let Some(repo) = repos.first()
        {
            let digest = match at {
                ManifestRef::Digest(digest) => Some(digest.clone()),
                ManifestRef::Tag(_) => None,
            };
            images.push((repo.registry.clone(), image.destination.clone(), digest));
        }
    }
    let counts = hod_bridge::run(move || {
        let mut counts: BTreeMap<Registry, usize> = BTreeMap::new();
        for (registry, destination, digest) in images {
            let is_known = known
                .as_ref()
                .is_some_and(|store| match (digest, destination.tag) {
                    (Some(digest), _) => store.find_manifest(&digest).is_some(),
                    (None, Some(tag)) => {
                        matches!(
                            store.resolve_tag(&destination.repository, &tag),
                            Ok(Some(_))
                        )
                    }
                    (None, None) => false,
                });
            *counts.entry(registry).or_default() += usize::from(!is_known);
        }
        counts
    })
    .await;
    for (registry, n) in counts {
        // A registry that cannot be asked at all fails each of its images, with the reason.
        let _ = client.expect_pulls(&registry, n);
    }
}
