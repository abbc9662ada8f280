//! The tags of an artifact, in Harbor's own API: only this API deletes a tag alone.

use futures_util::future::BoxFuture;
use reqwest::Method;
use serde::Deserialize;

use super::api::{repository_path, send_with_password, url};
use super::{Harbor, Project};
use crate::error::meaning::Meaning;
use crate::login::target::Target;
use crate::wire::endpoint::same_origin;
use crate::wire::transport::Call;
use crate::{Deleted, RegistryError, Repo};
use hod_oci::{Digest, Tag};

/// Maximum number of tags in one answer, which is the maximum of Harbor's pages.
const PAGE_LEN: usize = 100;

#[derive(Deserialize)]
struct WireTag {
    name: String,
}

impl Harbor {
    /// Lists the tags of a manifest; `None` if this login may not see them, or they may be more than
    /// one answer has.
    pub fn tags_of<'a>(
        &'a self,
        repo: &'a Repo,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<Vec<Tag>>, RegistryError>> {
        Box::pin(async move {
            let Some(project) = Project::of(&repo.registry, &repo.name) else {
                return Ok(None);
            };
            let path = format!(
                "{}/artifacts/{digest}/tags?page_size={PAGE_LEN}",
                repository_path(&project, &repo.name)
            );
            let tags: Option<Vec<WireTag>> = self.read(&project, &path).await?;
            let tags = tags.filter(|tags| tags.len() < PAGE_LEN);
            Ok(tags.map(|tags| {
                let names = tags.iter();
                names.filter_map(|tag| tag.name.parse().ok()).collect()
            }))
        })
    }

    /// Deletes a tag, and not the manifest that it names.
    pub fn delete_tag<'a>(
        &'a self,
        repo: &'a Repo,
        tag: &'a Tag,
    ) -> BoxFuture<'a, Result<Deleted, RegistryError>> {
        Box::pin(async move {
            let Some(project) = Project::of(&repo.registry, &repo.name) else {
                return Ok(Deleted::Before);
            };
            let path = format!(
                "{}/artifacts/{tag}/tags/{tag}",
                repository_path(&project, &repo.name)
            );
            let url = url(self.session.context(), &project, &path)?;
            let call = Call::new(Method::DELETE, url);
            let target = Target::delete(repo);
            self.session
                .retry(call.url.path(), || async {
                    let answer = send_with_password(&self.session, &target, &call).await?;
                    match answer.meaning() {
                        Meaning::Success if same_origin(&answer.url, &call.url) => Ok(Deleted::Now),
                        Meaning::NotFound => Ok(Deleted::Before),
                        _ => Err(self.session.refusal(&target, answer).await),
                    }
                })
                .await
        })
    }
}
