//! Preflight of verbs that read registries: one request is sent to each registry that the images come from,
//! before the whole list is processed.
//!
//! An image whose mirrors cannot be reached may still come from its registry, and the reverse; so
//! it is a finding only if none of an image's places can be used.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use futures_util::StreamExt as _;
use serde::Serialize;
use tokio::sync::OnceCell;

use super::super::Context;
use super::finding::{Finding, write_table};
use hod_oci::{Registry, Tag};
use hod_registry::{Client, ManifestRef, ReadPlace, RegistryError, Repo};
use hod_report::amount::format_count;
use hod_report::{Diagnose, Diagnosis, ErrorClass};
use hod_store::Store;
use hod_transfer::{Locate, ReferrerMode, Resolution, TransferError, Wanted};

/// Number of registries asked at once.
const ASK_AT_ONCE: usize = 16;
/// With how many images of a registry a token is asked for.
const SAMPLES_MAX: usize = 3;

/// Whether registries are asked whether they can be read before images are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceCheck {
    Skip,
    /// Before a pull or a copy.
    Run,
    /// Before a verb that only looks.
    Look,
}

impl SourceCheck {
    /// The value of `--no-preflight` of a pull or a copy.
    pub fn unless(no_preflight: bool) -> Self {
        if no_preflight { Self::Skip } else { Self::Run }
    }

    /// The work that is not done if the check fails; `None` without a check.
    pub(crate) fn undone(self) -> Option<Undone> {
        match self {
            Self::Skip => None,
            Self::Run => Some(Undone::Pull),
            Self::Look => Some(Undone::Look),
        }
    }
}

/// The work that was not done because registries are not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undone {
    Pull,
    Look,
    Receipt,
    Login,
}

impl Undone {
    fn in_words(self) -> &'static str {
        match self {
            Self::Pull => "nothing was changed",
            Self::Look => "nothing was read",
            Self::Receipt => "no receipt was written",
            Self::Login => "no login was stored",
        }
    }
}

/// Registries that cannot be read from; nothing was done.
#[derive(Debug, Clone, Serialize, thiserror::Error)]
pub struct SourcesNotReady {
    /// The number of registries that the images come from.
    #[serde(skip)]
    n_sources: usize,
    /// The work that was not done.
    #[serde(skip)]
    undone: Undone,
    /// The registries that cannot be used.
    #[serde(serialize_with = "as_texts")]
    pub registries: Vec<Registry>,
    pub findings: Vec<Finding>,
}

fn as_texts<S: serde::Serializer>(registries: &[Registry], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(registries.iter().map(Registry::as_str))
}

impl fmt::Display for SourcesNotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.registries.as_slice() {
            [registry] => write!(f, "`{registry}` is not ready")?,
            several => write!(
                f,
                "{} of {} registries are not ready",
                several.len(),
                self.n_sources
            )?,
        }
        let problems = format_count(self.findings.len(), "problem");
        write!(f, ": {problems}; {}", self.undone.in_words())?;
        write_table(f, &self.findings)
    }
}

impl Diagnose for SourcesNotReady {
    fn diagnose(&self) -> Diagnosis {
        let found = super::finding::diagnose(&self.findings);
        if self.registries.len() == self.n_sources {
            return found;
        }
        found.and(match self.undone {
            Undone::Pull => "`--no-preflight` pulls from the other registries.",
            Undone::Look | Undone::Receipt | Undone::Login => {
                "`--no-preflight` reads the other registries."
            }
        })
    }
}

/// The places of some images, in the order in which they are asked.
type Chain = Vec<Registry>;

/// The known state of a registry.
#[derive(Default)]
struct Source {
    /// Images to try, of different projects.
    samples: Vec<ReadPlace>,
    answer: OnceCell<Result<(), Arc<RegistryError>>>,
}

/// Asks every registry that the images of `wanted` come from, except for an image that `known` has
/// already and that is requested by digest only.
pub(crate) async fn check_sources(
    cx: &Context,
    client: &Client,
    wanted: &[Wanted],
    known: Option<&Store>,
    undone: Undone,
) -> Result<(), SourcesNotReady> {
    let asked = wanted.iter().filter_map(|image| {
        let Locate::Remote { repos, at } = &image.locate else {
            return None;
        };
        let has_it = |store: &Store| match &image.pinned {
            Some(digest) => store.find_manifest(digest).is_some(),
            None => false,
        };
        let is_here = image.referrers == ReferrerMode::Leave && known.is_some_and(has_it);
        (!is_here).then_some((repos.as_slice(), at))
    });
    check(cx, client, asked, undone).await
}

/// Asks every registry whose tags are to be listed, each group of repositories by any of them.
pub(crate) async fn check_repositories(
    cx: &Context,
    client: &Client,
    repositories: &[Vec<Repo>],
    undone: Undone,
) -> Result<(), SourcesNotReady> {
    let latest = ManifestRef::Tag(Tag::latest());
    let asked = repositories.iter().map(|repos| (repos.as_slice(), &latest));
    check(cx, client, asked, undone).await
}

/// Checks the registries of a receipt, with the images to look up.
pub(crate) async fn check_source<'a>(
    cx: &Context,
    client: &Client,
    asked: impl Iterator<Item = (&'a [Repo], &'a ManifestRef)>,
) -> Result<(), SourcesNotReady> {
    check(cx, client, asked, Undone::Receipt).await
}

/// The error of a registry that does not answer usably.
pub(crate) fn not_ready(
    registry: &Registry,
    error: &RegistryError,
    undone: Undone,
) -> SourcesNotReady {
    SourcesNotReady {
        n_sources: 1,
        undone,
        registries: vec![registry.clone()],
        findings: vec![Finding::of_error(registry, error)],
    }
}

/// Refuses a pull when a registry lets this client read none of the images that come from it.
///
/// This is known only after all manifests were requested: many registries issue a token to
/// everyone, and private images may be mixed with public ones.
pub(crate) fn require_access(
    resolutions: &[Resolution],
    undone: Undone,
) -> Result<(), SourcesNotReady> {
    let mut seen: BTreeMap<&Registry, Access<'_>> = BTreeMap::new();
    for resolution in resolutions {
        let (wanted, error) = match resolution {
            Resolution::Resolved(image) => (&image.wanted, None),
            Resolution::Failed(wanted, error) => (wanted, Some(&**error)),
            // The message is short, because the check stops at the first failure.
            Resolution::NotTried(_) => return Ok(()),
        };
        let Locate::Remote { repos, .. } = &wanted.locate else {
            continue;
        };
        let Some(repo) = repos.first() else { continue };
        let access = seen.entry(&repo.registry).or_default();
        match error {
            Some(TransferError::Registry(error))
                if error.diagnose().class == ErrorClass::Auth && !error.is_tls() =>
            {
                access.refusal.get_or_insert(error);
            }
            // Content that may not be read is often reported as not found.
            Some(error) if error.diagnose().class == ErrorClass::NotFound => {}
            _ => access.is_given = true,
        }
    }
    let n_sources = seen.len();
    let refused = seen
        .into_iter()
        .filter(|(_, access)| !access.is_given)
        .filter_map(|(registry, access)| Some((registry, access.refusal?)));
    let (registries, findings): (Vec<Registry>, Vec<Finding>) = refused
        .map(|(registry, error)| (registry.clone(), Finding::of_error(registry, error)))
        .unzip();
    if registries.is_empty() {
        return Ok(());
    }
    Err(SourcesNotReady {
        n_sources,
        undone,
        registries,
        findings,
    })
}

/// The access of this client to the images of a registry.
#[derive(Default)]
struct Access<'a> {
    /// Whether one of them could be read, or failed for another reason than a right.
    is_given: bool,
    refusal: Option<&'a RegistryError>,
}

/// Asks every registry that images may come from, each by any of these repositories.
async fn check<'a>(
    cx: &Context,
    client: &Client,
    asked: impl Iterator<Item = (&'a [Repo], &'a ManifestRef)>,
    undone: Undone,
) -> Result<(), SourcesNotReady> {
    let mut sources: BTreeMap<Registry, Source> = BTreeMap::new();
    let mut chains: BTreeMap<Chain, Registry> = BTreeMap::new();
    let mut projects: HashSet<(Registry, String)> = HashSet::new();
    for (repos, at) in asked {
        for repo in repos {
            // An image that the user's rules forbid fails later.
            let Ok(places) = ReadPlace::of(&client.manifests, repo, at) else {
                continue;
            };
            let mut chain = Chain::new();
            for place in places {
                let project = repo.name.components().next().unwrap_or_default().to_owned();
                if !chain.contains(&place.registry) {
                    chain.push(place.registry.clone());
                }
                let is_new = projects.insert((place.registry.clone(), project));
                let source = sources.entry(place.registry.clone()).or_default();
                if is_new && source.samples.len() < SAMPLES_MAX {
                    source.samples.push(place);
                }
            }
            chains.insert(chain, repo.registry.clone());
        }
    }
    if chains.is_empty() {
        return Ok(());
    }
    let n_sources = chains.values().collect::<HashSet<_>>().len();
    let names: Vec<&str> = sources.keys().map(Registry::as_str).collect();
    cx.stage(&format!("checking {}", names.join(", ")));
    let broken: Vec<Option<&Registry>> = futures_util::stream::iter(&chains)
        .map(|(chain, registry)| {
            let sources = &sources;
            async move { is_broken(client, sources, chain).await.then_some(registry) }
        })
        .buffered(ASK_AT_ONCE)
        .collect()
        .await;
    let mut registries: Vec<Registry> = broken.iter().flatten().copied().cloned().collect();
    registries.dedup();
    if registries.is_empty() {
        return Ok(());
    }
    Err(SourcesNotReady {
        n_sources,
        undone,
        findings: findings(&sources, &chains, &registries),
        registries,
    })
}

/// Whether none of the registries of `chain` can be used.
async fn is_broken(client: &Client, sources: &BTreeMap<Registry, Source>, chain: &Chain) -> bool {
    for registry in chain {
        let Some(source) = sources.get(registry) else {
            continue;
        };
        let answer = source
            .answer
            .get_or_init(|| async {
                let checked = ReadPlace::check(&client.manifests, &source.samples).await;
                checked.map_err(Arc::new)
            })
            .await;
        if answer.is_ok() {
            return false;
        }
    }
    true
}

/// One finding for each failed registry that was asked for the images of `registries`.
fn findings(
    sources: &BTreeMap<Registry, Source>,
    chains: &BTreeMap<Chain, Registry>,
    registries: &[Registry],
) -> Vec<Finding> {
    let is_wanted = |(_, own): &(&Chain, &Registry)| registries.contains(own);
    let mut asked: Vec<(&Registry, &Registry)> = Vec::new();
    for (chain, own) in chains.iter().filter(is_wanted) {
        for registry in chain {
            if !asked.iter().any(|(known, _)| *known == registry) {
                asked.push((registry, own));
            }
        }
    }
    let found = asked.into_iter().filter_map(|(registry, own)| {
        let error = sources.get(registry)?.answer.get()?.as_ref().err()?;
        let mut finding = Finding::of_error(registry, error);
        if registry != own {
            finding.what = format!("{registry} (mirror of {own})");
        }
        Some(finding)
    });
    found.collect()
}
