//! Early answers of a registry about destinations, while images are still resolved.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt as _;

use hod_oci::Registry;
use hod_registry::{Client, HeadManifest, ManifestRef, Probe, Repo};
use hod_transfer::{Destination, Wanted};

/// Number of destinations asked for at once.
const ASK_AT_ONCE: usize = 16;

/// The answers to requests that do not depend on the source.
#[derive(Debug, Default)]
pub(crate) struct Early {
    /// To the first request, for this destination.
    pub(super) probe: Option<(Destination, Probe)>,
    /// The manifests of the other destinations, if the registry requires no login.
    pub(super) heads: BTreeMap<Destination, Option<HeadManifest>>,
}

impl Early {
    /// Asks for the destinations of `wanted`, as far as they have tags: one for a registry that wants
    /// a login, otherwise all. What cannot be answered now is asked for again later.
    pub(crate) async fn ask(client: &Client, registry: &Registry, wanted: &[Wanted]) -> Self {
        let repo = |destination: &Destination| Repo {
            registry: registry.clone(),
            name: destination.repository.clone(),
        };
        let mut early = Self::default();
        let mut destinations = wanted.iter().map(|wanted| &wanted.destination);
        let Some((first, tag)) = destinations
            .next()
            .and_then(|first| Some((first, first.tag.clone()?)))
        else {
            return early;
        };
        let at = ManifestRef::Tag(tag);
        let Ok(probe) = Probe::run(&client.manifests, &repo(first), &at).await else {
            return early;
        };
        let is_open = matches!(probe, Probe::Found(_));
        early.probe = Some((first.clone(), probe));
        if !is_open {
            return early;
        }
        let others: BTreeSet<&Destination> = destinations.filter(|other| *other != first).collect();
        let others = others.into_iter().filter_map(|destination| {
            let at = ManifestRef::Tag(destination.tag.clone()?);
            Some((destination, repo(destination), at))
        });
        early.heads = futures_util::stream::iter(others)
            .map(|(destination, repo, at)| async move {
                let head = client.manifests.head(&repo, &at).await;
                Some((destination.clone(), head.ok()?))
            })
            .buffer_unordered(ASK_AT_ONCE)
            .filter_map(std::future::ready)
            .collect()
            .await;
        early
    }
}
