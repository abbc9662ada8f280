//! Lists the content of a registry.

use futures_util::{Stream, StreamExt as _};

use crate::OpsError;
use crate::preflight::{Undone, not_ready};
use hod_list::{Destination, ImageList, LineOptions, ListEntry, ListLine, ListPosition};
use hod_oci::{Reference, ReferrerTag, Registry, RepositoryName, Tag};
use hod_registry::{Client, RegistryError, Repo};

/// How many repositories are asked at once for their tags.
const ASK_AT_ONCE: usize = 16;

/// Lists the repositories of a registry, or those below a prefix, with their tags.
pub(crate) async fn tags<'a>(
    client: &'a Client,
    registry: &Registry,
    prefix: Option<&RepositoryName>,
) -> Result<impl Stream<Item = (Repo, Result<Vec<Tag>, RegistryError>)> + 'a, RegistryError> {
    let names = client.list_repositories(registry, prefix).await?;
    let repos = names.into_iter().map(|name| Repo {
        registry: registry.clone(),
        name,
    });
    let repos: Vec<Repo> = repos.collect();
    client.expect(&repos);
    let tags = futures_util::stream::iter(repos).map(move |repo| async move {
        let tags = match client.tags.list(&repo).await {
            // A repository whose tags are all deleted.
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            tags => tags,
        };
        (repo, tags)
    });
    Ok(tags.buffered(ASK_AT_ONCE))
}

/// Why the repositories of a registry cannot be listed: many registries show their catalog to
/// administrators only.
pub(crate) fn no_catalog(registry: &Registry, error: RegistryError, undone: Undone) -> OpsError {
    if error.is_refusal() {
        OpsError::NoCatalog {
            registry: registry.clone(),
            source: Box::new(error),
        }
    } else {
        not_ready(registry, &error, undone).into()
    }
}

/// Lists every tag of a registry, or of the repositories below a prefix; the destination of each is
/// its name. Tags of referrers are left out: they are carried with their images.
pub async fn registry_list(
    client: &Client,
    registry: &Registry,
    prefix: Option<&RepositoryName>,
) -> Result<ImageList, OpsError> {
    let listed = tags(client, registry, prefix).await;
    let mut listed =
        std::pin::pin!(listed.map_err(|error| no_catalog(registry, error, Undone::Look))?);
    let mut lines = Vec::new();
    while let Some((repo, tags)) = listed.next().await {
        match tags {
            Ok(tags) => {
                let tags = tags.into_iter();
                let images = tags.filter(|tag| ReferrerTag::parse(tag).is_none());
                lines.extend(images.map(|tag| ListLine::Image(entry(&repo, tag))));
            }
            Err(error) => return Err(error.into()),
        }
    }
    if lines.is_empty() {
        let path = match prefix {
            Some(prefix) => format!("{registry}/{prefix}"),
            None => registry.to_string(),
        };
        return Err(OpsError::NoImages { path: path.into() });
    }
    Ok(ImageList {
        lines,
        warnings: Vec::new(),
        registries: Vec::new(),
        problems: Vec::new(),
        formats: Vec::new(),
    })
}

fn entry(repo: &Repo, tag: Tag) -> ListEntry {
    ListEntry {
        reference: Reference {
            registry: Some(repo.registry.clone()),
            repository: repo.name.clone(),
            tag: Some(tag.clone()),
            digest: None,
        },
        destination: Some(Destination {
            repository: repo.name.clone(),
            tag: Some(tag),
        }),
        targets: Vec::new(),
        options: LineOptions::default(),
        section: None,
        origin: ListPosition {
            file: repo.registry.to_string(),
            line: 1,
        },
    }
}
