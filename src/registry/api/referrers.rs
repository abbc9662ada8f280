//! Finds the referrers of a manifest: by the referrers API, and by tags where that is not enough.
//!
//! The API is called for each manifest; a registry that does not have it is not called again. cosign
//! uses tags even if the API exists, and listing a repository's tags costs one request.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue, LINK};
use reqwest::{Method, Url};
use serde::Deserialize;
use tokio::sync::{Mutex as AsyncMutex, OnceCell};

use crate::api::manifest::Manifests;
use crate::api::pages::{next_link, next_page};
use crate::login::session::Session;
use crate::wire::endpoint::object_url;
use crate::wire::transport::Call;
use crate::{ManifestRef, RegistryError, Repo, RequestLine};
use hod_oci::{
    Digest, MANIFEST_LEN_MAX, Manifest, MediaType, MediaTypeKind, ReferrerTag, Registry, Tag,
};

/// Maximum number of referrers of one manifest, and of pages.
const LISTED_MAX: usize = 1000;
const PAGES_MAX: usize = 100;
/// Number of pages of tags after which it is cheaper to request each relevant tag.
const TAG_PAGES_MAX: usize = 5;
/// How many tags are asked for at once; registries may send fewer.
const PAGE_TAGS: usize = 1000;

/// Looks up referrers, and remembers what registries support; one for a run.
#[derive(Debug)]
pub struct ReferrerFinder {
    manifests: Manifests,
    apis: Mutex<HashMap<Registry, Arc<AsyncMutex<Api>>>>,
    /// Repositories that are said to have no referrers API, though their registry may.
    without: Mutex<HashSet<Repo>>,
    tags: Mutex<HashMap<Repo, Arc<OnceCell<Arc<Tags>>>>>,
}

/// The state of a registry's referrers API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Api {
    /// No request was sent yet.
    Unknown,
    /// The registry has the API.
    Asked,
    /// The registry does not know such paths.
    Absent,
}

/// The known tags of a repository.
#[derive(Debug)]
enum Tags {
    /// The tags with the form of a referrer's; there are no others of that form.
    Listed(HashSet<Tag>),
    /// They cannot be listed, or are too many.
    Unlisted,
}

/// The answer of a registry's referrers API.
#[derive(Debug)]
enum Answered {
    Listed(Vec<Digest>),
    /// It has no API for this repository.
    NotHere,
    /// It has no API.
    Nowhere,
}

/// A page of the API. Harbor sends `{}` for none, and sizes that are not the manifests'.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    manifests: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    digest: Digest,
}

#[derive(Deserialize)]
struct TagPage {
    tags: Option<Vec<String>>,
}

impl ReferrerFinder {
    pub fn new(manifests: Manifests) -> Self {
        Self {
            manifests,
            apis: Mutex::default(),
            without: Mutex::default(),
            tags: Mutex::default(),
        }
    }

    /// Lists the referrers of `subject`: those that the API lists, and those in the index under the
    /// referrers tag.
    ///
    /// The list is empty when there are none. A failed look-up is an error, so that an image does
    /// not appear to be unsigned.
    pub fn list<'a>(
        &'a self,
        repo: &'a Repo,
        subject: &'a Digest,
    ) -> BoxFuture<'a, Result<Vec<Digest>, RegistryError>> {
        Box::pin(async move {
            let asked = self.ask(repo, subject).await?;
            let tag = ReferrerTag::index_of(subject);
            // Where tags are listed this is free, and it finds referrers from before the registry had
            // the API.
            let is_worth_it = asked.is_none() || self.tags(repo).await.is_listed();
            let mut listed = asked.unwrap_or_default();
            if is_worth_it && self.has_tag(repo, &tag).await? {
                let at = ManifestRef::Tag(tag);
                let index = self.manifests.fetch(repo, &at).await?;
                for child in index.iter().flat_map(Manifest::children) {
                    if !listed.contains(&child.digest) {
                        listed.push(child.digest.clone());
                    }
                }
            }
            Ok(listed)
        })
    }

    /// The tags under which cosign keeps something about `subject`.
    pub fn cosign_tags<'a>(
        &'a self,
        repo: &'a Repo,
        subject: &'a Digest,
    ) -> BoxFuture<'a, Result<Vec<Tag>, RegistryError>> {
        Box::pin(async move {
            let mut found = Vec::new();
            for tag in ReferrerTag::cosign_of(subject) {
                if self.has_tag(repo, &tag).await? {
                    found.push(tag);
                }
            }
            Ok(found)
        })
    }

    /// The referrers that the API lists; `None` where there is no API.
    ///
    /// The place that serves the image is asked, so a mirror's answer is enough where nothing else
    /// is reachable.
    pub fn ask<'a>(
        &'a self,
        repo: &'a Repo,
        subject: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<Vec<Digest>>, RegistryError>> {
        Box::pin(async move {
            let ask = |session: Session, repo: Repo| async move {
                self.ask_at(&session, &repo, subject).await
            };
            let mirrors = self.manifests.mirrors();
            mirrors.read(repo, None, |_| true, ask).await
        })
    }

    async fn ask_at(
        &self,
        session: &Session,
        repo: &Repo,
        subject: &Digest,
    ) -> Result<Option<Vec<Digest>>, RegistryError> {
        if self.lock_without().contains(repo) {
            return Ok(None);
        }
        let api = {
            let mut apis = self.apis.lock().expect("no panic while looking up");
            let api = apis.entry(repo.registry.clone());
            Arc::clone(api.or_insert_with(|| Arc::new(AsyncMutex::new(Api::Unknown))))
        };
        // The first request is sent alone: if there is no API, the others are not needed.
        let mut known = api.lock().await;
        let answered = match *known {
            Api::Absent => return Ok(None),
            Api::Unknown => {
                let answered = fetch_referrers(session, repo, subject).await;
                // After a failure the others need not wait for one another.
                *known = match answered {
                    Ok(Answered::Nowhere) => Api::Absent,
                    Ok(Answered::Listed(_) | Answered::NotHere) | Err(_) => Api::Asked,
                };
                answered?
            }
            Api::Asked => {
                drop(known);
                fetch_referrers(session, repo, subject).await?
            }
        };
        match answered {
            Answered::Listed(listed) => Ok(Some(listed)),
            Answered::NotHere | Answered::Nowhere => {
                self.lock_without().insert(repo.clone());
                Ok(None)
            }
        }
    }

    fn lock_without(&self) -> std::sync::MutexGuard<'_, HashSet<Repo>> {
        self.without.lock().expect("no panic while looking up")
    }

    async fn has_tag(&self, repo: &Repo, tag: &Tag) -> Result<bool, RegistryError> {
        match &*self.tags(repo).await {
            Tags::Listed(tags) => Ok(tags.contains(tag)),
            Tags::Unlisted => {
                let at = ManifestRef::Tag(tag.clone());
                Ok(self.manifests.head(repo, &at).await?.is_some())
            }
        }
    }

    async fn tags(&self, repo: &Repo) -> Arc<Tags> {
        let cell = {
            let mut tags = self.tags.lock().expect("no panic while looking up");
            Arc::clone(tags.entry(repo.clone()).or_default())
        };
        let listing = || async {
            let list = |session: Session, repo: Repo| async move {
                Ok(referrer_tags(&session, &repo).await)
            };
            let mirrors = self.manifests.mirrors();
            let listed = mirrors.read(repo, None, Tags::is_listed, list);
            Arc::new(listed.await.unwrap_or(Tags::Unlisted))
        };
        Arc::clone(cell.get_or_init(listing).await)
    }
}

impl Tags {
    fn is_listed(&self) -> bool {
        matches!(self, Self::Listed(_))
    }
}

/// Asks the referrers API, following its pages.
async fn fetch_referrers(
    session: &Session,
    repo: &Repo,
    subject: &Digest,
) -> Result<Answered, RegistryError> {
    let root = session.root(&repo.registry)?;
    let mut next = Some(object_url(&root, repo, "referrers", subject));
    let mut listed: Vec<Digest> = Vec::new();
    let mut n_pages = 0;
    while let Some(url) = next {
        let what = format!("{repo} referrers");
        let page = session.retry(&what, || fetch_page_of_referrers(session, repo, &url));
        let (found, more) = match page.await? {
            Ok(page) => page,
            Err(nothing) if n_pages == 0 => return Ok(nothing),
            Err(_) => {
                return Err(RegistryError::Protocol {
                    request: Box::new(RequestLine::new(&Method::GET, &url)),
                    problem: "a page of referrers is not found",
                });
            }
        };
        listed.extend(found);
        n_pages += 1;
        if listed.len() > LISTED_MAX || (n_pages >= PAGES_MAX && more.is_some()) {
            return Err(RegistryError::Protocol {
                request: Box::new(RequestLine::new(&Method::GET, &url)),
                problem: "there are more than 1000 referrers, or 100 pages of them",
            });
        }
        next = more;
    }
    listed.sort_unstable();
    listed.dedup();
    Ok(Answered::Listed(listed))
}

/// Returns one page and the URL of the next, or the meaning of its absence.
async fn fetch_page_of_referrers(
    session: &Session,
    repo: &Repo,
    url: &Url,
) -> Result<Result<(Vec<Digest>, Option<Url>), Answered>, RegistryError> {
    let target = session.reading(repo);
    let accept = HeaderValue::from_static(MediaType::OCI_INDEX);
    let call = Call::new(Method::GET, url.clone()).header(ACCEPT, accept);
    let answer = session.send(&target, &call).await?;
    match answer.status() {
        200 => {}
        400 | 404..=406 | 501 => {
            let refusal = session.refusal(&target, answer).await;
            // A registry that does not know the path does not answer with one of the
            // specification's errors.
            return Ok(Err(if refusal.code().is_some() {
                Answered::NotHere
            } else {
                Answered::Nowhere
            }));
        }
        _ => return Err(session.refusal(&target, answer).await),
    }
    let is_index = answer
        .header(CONTENT_TYPE)
        .is_some_and(|text| MediaType::new(text).kind() == MediaTypeKind::Index);
    let next = next_page(&answer, url);
    let request = answer.line.clone();
    let bytes = answer.read(MANIFEST_LEN_MAX).await?;
    match serde_json::from_slice::<Page>(&bytes) {
        Ok(page) => {
            let entries = page.manifests.into_iter().flatten();
            Ok(Ok((entries.map(|entry| entry.digest).collect(), next)))
        }
        // Some web server that has a page for everything.
        Err(_) if !is_index => Ok(Err(Answered::Nowhere)),
        Err(_) => Err(RegistryError::Protocol {
            request,
            problem: "the answer is not a list of referrers",
        }),
    }
}

/// Lists the tags that lead to referrers, if that is cheap.
///
/// Never fails and never tries twice: each tag can be asked for, which then must succeed.
async fn referrer_tags(session: &Session, repo: &Repo) -> Tags {
    let Ok(root) = session.root(&repo.registry) else {
        return Tags::Unlisted;
    };
    let mut url = object_url(&root, repo, "tags", "list");
    url.set_query(Some(&format!("n={PAGE_TAGS}")));
    let mut tags = HashSet::new();
    for _ in 0..TAG_PAGES_MAX {
        let Some((page, next)) = fetch_page_of_tags(session, repo, &url).await else {
            return Tags::Unlisted;
        };
        let parsed = page.tags.into_iter().flatten();
        let parsed = parsed.filter_map(|text| text.parse::<Tag>().ok());
        tags.extend(parsed.filter(|tag| ReferrerTag::parse(tag).is_some()));
        match next {
            Some(next) => url = next,
            None => return Tags::Listed(tags),
        }
    }
    Tags::Unlisted
}

async fn fetch_page_of_tags(
    session: &Session,
    repo: &Repo,
    url: &Url,
) -> Option<(TagPage, Option<Url>)> {
    let call = Call::new(Method::GET, url.clone());
    let answer = session.send(&session.reading(repo), &call).await.ok()?;
    if answer.status() != 200 {
        return None;
    }
    let next = match answer.header(LINK).and_then(next_link) {
        // A page that cannot be read is not the last.
        Some(_) => Some(next_page(&answer, url)?),
        None => None,
    };
    let bytes = answer.read(MANIFEST_LEN_MAX).await.ok()?;
    Some((serde_json::from_slice(&bytes).ok()?, next))
}
