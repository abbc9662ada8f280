//! The tags of a repository.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::Method;
use serde::Deserialize;

use crate::api::pages::{Listed, read_list, read_pages};
use crate::login::session::Session;
use crate::route::mirrors::Mirrors;
use crate::wire::endpoint::object_url;
use crate::wire::transport::Call;
use crate::{ManifestRef, RegistryError, Repo};
use hod_oci::Tag;
use hod_report::Event;

/// Number of tags requested at once; registries may send fewer.
const PAGE_TAGS: usize = 1000;

#[derive(Deserialize)]
struct Page {
    tags: Option<Vec<String>>,
}

/// Number of times per run that similar tags are looked up: enough to recognise the mistake.
const SIMILAR_ASKED_MAX: usize = 3;
/// Maximum number of similar tags named.
const SIMILAR_MAX: usize = 5;
/// Maximum time spent on them.
const SIMILAR_TIME_MAX: Duration = Duration::from_secs(10);

/// The tags of repositories.
#[derive(Debug, Clone)]
pub struct Tags {
    mirrors: Mirrors,
}

impl Tags {
    pub(crate) fn new(mirrors: Mirrors) -> Self {
        Self { mirrors }
    }

    /// Returns tags of a repository that resemble `tag`, which it lacks: for a message, so with one
    /// request, none after the first few calls, and none where the registry does not tell.
    pub fn similar<'a>(&'a self, repo: &'a Repo, tag: &'a Tag) -> BoxFuture<'a, Vec<Tag>> {
        Box::pin(async move {
            let n_before = &self.mirrors.session().context().n_similar_tags;
            if n_before.fetch_add(1, Ordering::Relaxed) >= SIMILAR_ASKED_MAX {
                return Vec::new();
            }
            let asked =
                tokio::time::timeout(SIMILAR_TIME_MAX, first_tags(self.mirrors.session(), repo))
                    .await;
            let mut tags = asked.ok().flatten().unwrap_or_default();
            tags.sort_by_cached_key(|other| {
                std::cmp::Reverse(likeness(tag.as_str(), other.as_str()))
            });
            tags.truncate(SIMILAR_MAX);
            tags
        })
    }

    /// Lists all tags in the registry's order, following its pages.
    pub fn list<'a>(&'a self, repo: &'a Repo) -> BoxFuture<'a, Result<Vec<Tag>, RegistryError>> {
        Box::pin(async move { list_at(self.mirrors.session(), repo).await })
    }

    /// Lists all tags of a repository from where its images are read: its mirrors, then the registry
    /// itself. `None` when there is no such repository.
    pub fn list_readable<'a>(
        &'a self,
        repo: &'a Repo,
    ) -> BoxFuture<'a, Result<Option<Vec<Tag>>, RegistryError>> {
        Box::pin(async move {
            let list = |session: Session, repo: Repo| async move {
                match list_at(&session, &repo).await {
                    Err(error) if error.is_not_found() => Ok(None),
                    tags => tags.map(Some),
                }
            };
            let has_some =
                |tags: &Option<Vec<Tag>>| tags.as_ref().is_some_and(|tags| !tags.is_empty());
            let latest = ManifestRef::Tag(Tag::latest());
            self.mirrors.read(repo, Some(&latest), has_some, list).await
        })
    }
}

async fn list_at(session: &Session, repo: &Repo) -> Result<Vec<Tag>, RegistryError> {
    let mut url = object_url(&session.root(&repo.registry)?, repo, "tags", "list");
    url.set_query(Some(&format!("n={PAGE_TAGS}")));
    let listed = Listed {
        target: session.reading(repo),
        what: &format!("{repo} tags"),
        problem: "the answer is not a list of tags",
    };
    let mut tags = Vec::new();
    let take = |page: Page| {
        for text in page.tags.into_iter().flatten() {
            match text.parse() {
                Ok(tag) => tags.push(tag),
                // distribution lists any stray file as a tag.
                Err(error) => session.reporter().event(Event::Warning {
                    text: &format!("{repo}: ignored an invalid tag: {error}"),
                }),
            }
        }
    };
    read_pages(session, &listed, url, take).await?;
    Ok(tags)
}

async fn first_tags(session: &Session, repo: &Repo) -> Option<Vec<Tag>> {
    let mut url = object_url(&session.root(&repo.registry).ok()?, repo, "tags", "list");
    url.set_query(Some(&format!("n={PAGE_TAGS}")));
    let call = Call::new(Method::GET, url);
    let answer = session.send(&session.reading(repo), &call).await.ok()?;
    if answer.status() != 200 {
        return None;
    }
    let (page, _) = read_list::<Page>(answer, "").await.ok()?;
    let tags = page.tags.unwrap_or_default();
    Some(tags.iter().filter_map(|text| text.parse().ok()).collect())
}

/// The number of characters that two tags share, at their start and at their end.
fn likeness(tag: &str, other: &str) -> (usize, usize) {
    let same = |a: char, b: char| a.eq_ignore_ascii_case(&b);
    let start = tag.chars().zip(other.chars());
    let end = tag.chars().rev().zip(other.chars().rev());
    (
        start.take_while(|(a, b)| same(*a, *b)).count(),
        end.take_while(|(a, b)| same(*a, *b)).count(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likest_tag_is_the_first() {
        #[track_caller]
        fn check(tag: &str, tags: &[&str], expect: &str) {
            let likest = tags.iter().max_by_key(|other| likeness(tag, other));
            assert_eq!(likest, Some(&expect));
        }
        check(
            "5.0.13-alpine",
            &["7", "5.0.14", "5.0.14-alpine", "latest"],
            "5.0.14-alpine",
        );
        check("v1.27.0", &["1.27.0", "v1.2", "v1.28.0"], "v1.28.0");
        check("Latest", &["v1", "latest"], "latest");
    }
}
