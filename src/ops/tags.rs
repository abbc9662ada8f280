//! `tags`: the tags of a repository, the newest last.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;

use super::input::repository_tags;
use super::{Catalog, Context, OpsError, Verb};
use hod_list::{TagPattern, TagRule};
use hod_oci::{RepositoryName, Tag};
use hod_registry::{Client, Repo};
use hod_transfer::{Destination, Stated, TransferError, Unmatched};

/// Number of tags to suggest if none matches.
const SHOWN_MAX: usize = 5;

/// Where a repository is.
#[derive(Debug)]
pub enum TagsOf {
    /// At a registry, under the first of these names that exists.
    Registry {
        client: Box<Client>,
        repos: Vec<Repo>,
    },
    /// In a store, bundle or layout; without a name, its only one.
    Local {
        path: PathBuf,
        stated: Box<Stated>,
        repository: Option<RepositoryName>,
    },
}

/// Which tags to list.
#[derive(Debug)]
pub struct TagsOptions {
    pub of: TagsOf,
    pub pattern: TagPattern,
    pub referrers: ReferrerTags,
}

/// Whether tags that lead to referrers are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferrerTags {
    List,
    Leave,
}

/// The tags of a repository.
#[derive(Debug, Clone, Serialize)]
pub struct TagsOutcome {
    /// With the registry, if there is one.
    pub repository: String,
    /// From the oldest to the newest, as far as the tags say.
    pub tags: Vec<Tag>,
    /// The number of all tags of the repository, listed or not.
    pub n_tags: usize,
}

/// Lists the tags of a repository that match a pattern; none is an error.
pub fn tags<'a>(cx: &'a Context, options: &'a TagsOptions) -> Verb<'a, TagsOutcome> {
    Box::pin(async { run(cx, options).await.map_err(OpsError::looking) })
}

async fn run(cx: &Context, options: &TagsOptions) -> Result<TagsOutcome, OpsError> {
    let (repository, tags) = match &options.of {
        TagsOf::Registry { client, repos } => {
            let (repo, tags) = repository_tags(client, repos).await?;
            (repo.to_string(), tags)
        }
        TagsOf::Local {
            path,
            stated,
            repository,
        } => {
            let catalog = Catalog::open_once(path, stated.transport, &cx.reading).await?;
            let catalog = catalog.taken_as(stated)?;
            local(&catalog, repository.as_ref()).await?
        }
    };
    let (n_tags, pattern, referrers) = (tags.len(), options.pattern.clone(), options.referrers);
    // A hostile registry can return very many tags, and regular expressions are slow.
    let chosen = hod_bridge::run(move || {
        let chosen = match referrers {
            ReferrerTags::List => pattern.choose_any(tags.iter().cloned()),
            ReferrerTags::Leave => pattern.choose(tags.iter().cloned()),
        };
        if chosen.is_empty() && pattern.rule != TagRule::Any {
            let all = TagPattern {
                rule: TagRule::Any,
                limit: None,
            };
            let mut newest = all.choose(tags);
            let n_tags = newest.len();
            let newest = newest.split_off(n_tags.saturating_sub(SHOWN_MAX));
            return Err(Unmatched::NoTag { n_tags, newest });
        }
        Ok(chosen)
    });
    Ok(TagsOutcome {
        repository,
        tags: chosen.await.map_err(TransferError::from)?,
        n_tags,
    })
}

/// The tags of a repository of a local source.
async fn local(
    catalog: &Catalog,
    wanted: Option<&RepositoryName>,
) -> Result<(String, Vec<Tag>), OpsError> {
    let images = catalog.destinations().await?;
    let known: BTreeSet<&RepositoryName> = images.iter().map(|image| &image.repository).collect();
    let names = |known: &BTreeSet<&RepositoryName>| known.iter().map(ToString::to_string).collect();
    let path = catalog.path().to_owned();
    let mut known_names = known.iter().copied();
    let repository = match wanted {
        // A name without a host is one of Docker Hub, as in lists.
        Some(wanted) => {
            let library = wanted.with_library();
            let found = known_names.find(|known| *known == wanted || **known == library);
            found.ok_or_else(|| OpsError::NoSuchRepository {
                path,
                repository: wanted.to_string(),
                present: names(&known),
            })?
        }
        None if known.len() > 1 => {
            return Err(OpsError::OneRepository {
                path,
                repositories: names(&known),
            });
        }
        None => known_names.next().ok_or(OpsError::NoImages { path })?,
    };
    let of_it = images
        .iter()
        .filter(|image| image.repository == *repository);
    let tags = of_it.filter_map(|Destination { tag, .. }| tag.clone());
    Ok((repository.to_string(), tags.collect()))
}
