//! Resolves tag patterns of a list at registries.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use futures_util::StreamExt as _;

use super::Registries;
use crate::preflight::check_repositories;
use crate::{Context, OpsError};
use hod_list::{BadLine, Expanded, PatternLine, TagPattern, TagRule};
use hod_oci::{Registry, Tag};
use hod_registry::{Client, Repo};
use hod_transfer::{TransferError, Unmatched};

/// How many repositories are asked at once for their tags.
const ASK_AT_ONCE: usize = 16;
/// Maximum number of tags of one pattern: more are most likely a mistake.
const MATCHES_MAX: usize = 10_000;

/// Number of tags to suggest if none matches.
const SHOWN_MAX: usize = 5;

/// The images of a list; a pattern without matches fails alone.
pub(super) type Images = Vec<Expanded<Arc<TransferError>>>;

/// Asks registries for the tags of the repositories that patterns name, each once; refuses images
/// with the same destination.
pub(super) async fn expand(cx: &Context, from: &Registries) -> Result<Images, OpsError> {
    let (images, problems) = expand_usable(cx, from).await?;
    from.list.refuse(problems)?;
    Ok(images)
}

/// The same for a list whose other images are used if some have the same destination; with these
/// problems.
pub(super) async fn expand_usable(
    cx: &Context,
    from: &Registries,
) -> Result<(Images, Vec<BadLine>), OpsError> {
    let patterns = from.list.patterns();
    let mut asked: Vec<Vec<Repo>> = patterns.map(|line| repos(line, &from.source)).collect();
    asked.sort();
    asked.dedup();
    if !asked.is_empty() {
        from.client.expect(asked.iter().flatten());
        if let Some(undone) = from.preflight.undone() {
            check_repositories(cx, &from.client, &asked, undone).await?;
        }
        let n = asked.len();
        cx.stage(&match n {
            1 => "listing the tags of 1 repository".to_owned(),
            _ => format!("listing the tags of {n} repositories"),
        });
    }
    let tags = futures_util::stream::iter(asked).map(|repos| async {
        let tags = tags(&from.client, &repos).await;
        let tags = tags.map(|(_, tags)| tags).map_err(Arc::new);
        (repos, tags)
    });
    let tags: HashMap<_, _> = tags.buffer_unordered(ASK_AT_ONCE).collect().await;
    let (list, source) = (from.list.clone(), from.source.clone());
    // A hostile registry can return very many tags, and regular expressions are slow.
    let expanded = hod_bridge::run(move || {
        list.expand_usable(&source, |line| match &tags[&repos(line, &source)] {
            Ok(tags) => choose(line, tags).map_err(|error| Arc::new(error.into())),
            Err(error) => Err(Arc::clone(error)),
        })
    });
    Ok(expanded.await)
}

/// The repositories that a line may mean, the most likely one first.
fn repos(line: &PatternLine, source: &Registry) -> Vec<Repo> {
    let reference = &line.stem.reference;
    let registry = reference.registry.as_ref().unwrap_or(source);
    let names = reference.remote_names(registry).into_iter();
    let repo = |name| Repo {
        registry: registry.clone(),
        name,
    };
    names.map(repo).collect()
}

/// The first repository that exists, and its tags.
pub(crate) async fn tags<'r>(
    client: &Client,
    repos: &'r [Repo],
) -> Result<(&'r Repo, Vec<Tag>), TransferError> {
    let mut refused = None;
    for repo in repos {
        match client.tags.list_readable(repo).await {
            Ok(Some(tags)) => return Ok((repo, tags)),
            Ok(None) => {}
            Err(error) if error.may_mean_absent() => {
                refused.get_or_insert(error);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(match refused {
        Some(error) => error.into(),
        None => Unmatched::NoRepository {
            registry: repos[0].registry.clone(),
        }
        .into(),
    })
}

/// The tags that match a pattern: at least one, and not too many.
fn choose(line: &PatternLine, tags: &[Tag]) -> Result<Vec<Tag>, Unmatched> {
    let all = |limit| TagPattern {
        rule: TagRule::Any,
        limit: NonZeroUsize::new(limit),
    };
    let chosen = line.tags.choose(tags.iter().cloned());
    match chosen.len() {
        0 => Err(Unmatched::NoTag {
            n_tags: all(0).choose(tags.iter().cloned()).len(),
            newest: all(SHOWN_MAX).choose(tags.iter().cloned()),
        }),
        1..=MATCHES_MAX => Ok(chosen),
        n_tags => Err(Unmatched::TooMany {
            n_tags,
            n_max: MATCHES_MAX,
        }),
    }
}
