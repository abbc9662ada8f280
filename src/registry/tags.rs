//! The tags of a repository.

use serde::Deserialize;

use super::endpoint::object_url;
use super::pages::Listed;
use super::{Client, RegistryError, Repo};
use crate::oci::Tag;
use crate::report::Event;

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
        let listed = Listed {
            target: self.reading(repo),
            what: &format!("{repo} tags"),
            problem: "the answer is no list of tags",
        };
        let mut tags = Vec::new();
        let take = |page: Page| {
            for text in page.tags.into_iter().flatten() {
                match text.parse() {
                    Ok(tag) => tags.push(tag),
                    // distribution lists any stray file as a tag.
                    Err(error) => self.reporter().event(Event::Warning {
                        text: &format!("{repo}: left out of its tags: {error}"),
                    }),
                }
            }
        };
        self.read_pages(&listed, url, take).await?;
        Ok(tags)
    }
}
