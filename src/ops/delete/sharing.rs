//! The tags that go with a manifest, and the indexes that need it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::Context;
use hod_oci::{Digest, Manifest, MediaTypeKind, Tag};
use hod_registry::{Client, ManifestRef, RegistryError, Repo};
use hod_report::amount::format_count;
use hod_report::chain;

/// Number of manifests that are looked up at once.
pub(super) const LOOKUPS_AT_ONCE: usize = 16;

/// What is about manifests besides the tags that were given.
#[derive(Default)]
pub(super) struct Others {
    tags: HashMap<(Repo, Digest), Vec<Tag>>,
    /// Tags of indexes that list a manifest and stay.
    indexes: HashMap<(Repo, Digest), Vec<Tag>>,
}

/// The manifests to delete in a repository, each with the tags that were given.
type Doomed = BTreeMap<Digest, BTreeSet<Tag>>;

/// A tag of a repository that was not given.
struct Other {
    tag: Tag,
    digest: Digest,
    /// What it lists, if it is an index.
    children: Vec<Digest>,
}

impl Others {
    pub(super) fn tags_of(&self, repo: &Repo, digest: &Digest) -> Vec<Tag> {
        let found = self.tags.get(&(repo.clone(), digest.clone()));
        found.cloned().unwrap_or_default()
    }

    pub(super) fn indexes_of(&self, repo: &Repo, digest: &Digest) -> Vec<Tag> {
        let found = self.indexes.get(&(repo.clone(), digest.clone()));
        found.cloned().unwrap_or_default()
    }
}

/// Looks at all other tags of the repositories; warns where that is not possible.
pub(super) async fn find(cx: &Context, client: &Client, doomed: &BTreeMap<Repo, Doomed>) -> Others {
    let mut others = Others::default();
    for (repo, doomed) in doomed {
        let found = match of_harbor(client, repo, doomed).await {
            Ok(Some(found)) => Ok(found),
            Ok(None) => of_tags(cx, client, repo, doomed).await,
            Err(error) => Err(error),
        };
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                cx.warn(&format!(
                    "{repo}: the other tags of the same manifests are not known, and are deleted \
                     with them: {}",
                    chain(&error)
                ));
                continue;
            }
        };
        for other in found {
            let key = |digest: &Digest| (repo.clone(), digest.clone());
            if doomed.contains_key(&other.digest) {
                let tags = others.tags.entry(key(&other.digest)).or_default();
                tags.push(other.tag);
                continue;
            }
            let listed = other.children.iter();
            for child in listed.filter(|child| doomed.contains_key(*child)) {
                let indexes = others.indexes.entry(key(child)).or_default();
                indexes.push(other.tag.clone());
            }
        }
    }
    others
}

/// The tags of each manifest in the database of a Harbor, which itself keeps what an index lists.
async fn of_harbor(
    client: &Client,
    repo: &Repo,
    doomed: &Doomed,
) -> Result<Option<Vec<Other>>, RegistryError> {
    let Some(harbor) = client.harbor(&repo.registry) else {
        return Ok(None);
    };
    let mut others = Vec::new();
    for (digest, given) in doomed {
        let Some(tags) = harbor.tags_of(repo, digest).await? else {
            return Ok(None);
        };
        let tags = tags.into_iter().filter(|tag| !given.contains(tag));
        others.extend(tags.map(|tag| Other {
            tag,
            digest: digest.clone(),
            children: Vec::new(),
        }));
    }
    Ok(Some(others))
}

/// Asks for every other tag of a repository what it names; fetches only indexes.
async fn of_tags(
    cx: &Context,
    client: &Client,
    repo: &Repo,
    doomed: &Doomed,
) -> Result<Vec<Other>, RegistryError> {
    let tags = client.tags.list(repo).await?;
    let is_given = |tag: &Tag| doomed.values().any(|given| given.contains(tag));
    let rest: Vec<Tag> = tags.into_iter().filter(|tag| !is_given(tag)).collect();
    if rest.is_empty() {
        return Ok(Vec::new());
    }
    let n = format_count(rest.len(), "other tag");
    cx.stage(&format!("looking at {n} of {repo}"));
    let read = futures_util::stream::iter(rest).map(|tag| look(client, repo, doomed, tag));
    let read = read.buffered(LOOKUPS_AT_ONCE);
    let others: Vec<Option<Other>> = read.try_collect().await?;
    Ok(others.into_iter().flatten().collect())
}

/// Asks what a tag names; `None` if it is gone.
async fn look(
    client: &Client,
    repo: &Repo,
    doomed: &Doomed,
    tag: Tag,
) -> Result<Option<Other>, RegistryError> {
    let at = ManifestRef::Tag(tag.clone());
    let head = client.manifests.head(repo, &at).await?;
    let Some((digest, media_type)) = head.and_then(|head| Some((head.digest?, head.media_type)))
    else {
        return Ok(None);
    };
    let is_index = media_type.kind() == MediaTypeKind::Index;
    let index = if is_index && !doomed.contains_key(&digest) {
        let at = ManifestRef::Digest(digest.clone());
        client.manifests.fetch(repo, &at).await?
    } else {
        None
    };
    let children = index.iter().flat_map(Manifest::children);
    let children = children.map(|child| child.digest.clone()).collect();
    Ok(Some(Other {
        tag,
        digest,
        children,
    }))
}
