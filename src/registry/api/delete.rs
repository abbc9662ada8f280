//! Deletes manifests and tags (distribution-spec 1.1, "Deleting Manifests", "Deleting tags").

use futures_util::future::BoxFuture;
use reqwest::Method;

use crate::api::manifest::{Manifests, manifest_call};
use crate::error::meaning::Meaning;
use crate::login::registry_check::{note_absence, page_of};
use crate::login::target::Target;
use crate::{ManifestRef, RegistryError, Repo};

/// Whether something existed before it was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    Now,
    /// The registry did not have it.
    Before,
}

impl Manifests {
    /// Deletes a manifest by its digest, with every tag that names it; or a tag alone, which many
    /// registries do not support.
    ///
    /// The blobs stay until the registry collects its garbage, and so do the manifests of an index.
    pub fn delete<'a>(
        &'a self,
        repo: &'a Repo,
        reference: &'a ManifestRef,
    ) -> BoxFuture<'a, Result<Deleted, RegistryError>> {
        Box::pin(async move {
            let session = self.session();
            let target = Target::delete(repo);
            let call = manifest_call(session, Method::DELETE, repo, reference)?;
            let what = format!("{repo} {reference}");
            let mut n_sent = 0;
            session
                .retry(&what, || {
                    n_sent += 1;
                    let is_first = n_sent == 1;
                    let (target, call) = (&target, &call);
                    async move {
                        let answer = session.send(target, call).await?;
                        match answer.meaning() {
                            // Any web server answers 200.
                            Meaning::Success if answer.is_page() => Err(page_of(answer).await),
                            Meaning::Success => Ok(Deleted::Now),
                            // The answer to an attempt before this one was lost.
                            Meaning::NotFound if !is_first => Ok(Deleted::Now),
                            Meaning::NotFound => {
                                note_absence(session.context(), &repo.registry, answer).await;
                                Ok(Deleted::Before)
                            }
                            _ => Err(session.refusal(target, answer).await),
                        }
                    }
                })
                .await
        })
    }
}
