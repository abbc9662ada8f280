//! The tags of a repository.

use reqwest::header::LINK;
use reqwest::{Method, Url};
use serde::Deserialize;

use super::endpoint::{object_url, resolve, same_origin};
use super::transport::Call;
use super::{Client, RegistryError, Repo};
use crate::oci::Tag;
use crate::report::Event;

/// The longest page, in bytes.
const PAGE_LEN_MAX: u64 = 4 * 1024 * 1024;
/// How many pages are read before a registry is taken to go in circles.
const PAGES_MAX: usize = 1000;
/// How many tags are asked for at once; registries may send fewer.
const PAGE_TAGS: usize = 1000;

#[derive(Deserialize)]
struct Page {
    tags: Option<Vec<String>>,
}

impl Client {
    /// Lists all tags in the registry's order, following its pages.
    pub async fn list_tags(&self, repo: &Repo) -> Result<Vec<Tag>, RegistryError> {
        let mut url = object_url(&self.root(&repo.registry)?, repo, "tags", "list");
        url.set_query(Some(&format!("n={PAGE_TAGS}")));
        let mut tags = Vec::new();
        let mut next = Some(url);
        let mut n_pages = 0;
        while let Some(url) = next {
            let (page, more) = self.fetch_page(repo, url).await?;
            for text in page.tags.into_iter().flatten() {
                match text.parse() {
                    Ok(tag) => tags.push(tag),
                    // distribution lists any stray file as a tag.
                    Err(error) => self.reporter().event(Event::Warning {
                        text: &format!("{repo}: left out of its tags: {error}"),
                    }),
                }
            }
            n_pages += 1;
            next = more.filter(|_| n_pages < PAGES_MAX);
        }
        Ok(tags)
    }

    async fn fetch_page(
        &self,
        repo: &Repo,
        url: Url,
    ) -> Result<(Page, Option<Url>), RegistryError> {
        let target = self.reading(repo);
        let call = Call::new(Method::GET, url);
        self.retry(&format!("{repo} tags"), || async {
            let answer = self.send(&target, &call).await?;
            if answer.status().as_u16() != 200 {
                return Err(self.refusal(&target, answer).await);
            }
            // The login goes with the next page, so it must not lead elsewhere.
            let next = answer
                .header(LINK)
                .and_then(next_link)
                .and_then(|link| resolve(&answer.url, link))
                .filter(|next| same_origin(next, &call.url) && *next != call.url);
            let request = answer.line.clone();
            let bytes = answer.read(PAGE_LEN_MAX).await?;
            let page = serde_json::from_slice(&bytes).map_err(|_| RegistryError::Protocol {
                request,
                problem: "the answer is no list of tags",
            })?;
            Ok((page, next))
        })
        .await
    }
}

/// The target of the link whose relation is `next` (RFC 8288).
pub(super) fn next_link(header: &str) -> Option<&str> {
    header.split(',').find_map(|link| {
        let (target, params) = link.trim().strip_prefix('<')?.split_once('>')?;
        params
            .split(';')
            .any(|param| {
                let param: String = param.split_whitespace().collect();
                matches!(
                    param.to_ascii_lowercase().as_str(),
                    "rel=next" | "rel=\"next\""
                )
            })
            .then_some(target)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_the_link_of_that_relation() {
        #[track_caller]
        fn check(header: &str, expect: Option<&str>) {
            assert_eq!(next_link(header), expect, "{header}");
        }
        check(
            r#"</v2/a/tags/list?last=z&n=2>; rel="next""#,
            Some("/v2/a/tags/list?last=z&n=2"),
        );
        check(r"<b>;rel=next", Some("b"));
        check(r#"<a>; rel="prev", <b>; title=x; REL = "Next""#, Some("b"));
        check(r#"<a>; rel="prev""#, None);
        check("a; rel=next", None);
        check("", None);
    }
}
