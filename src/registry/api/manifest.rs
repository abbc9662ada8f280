//! Manifests: head, fetch and put.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};

use crate::api::content_check::{Facts, RequestedBy};
use crate::error::meaning::Meaning;
use crate::login::registry_check::note_absence;
use crate::login::registry_check::{not_a_registry, page_of};
use crate::login::session::Session;
use crate::login::target::Target;
use crate::route::mirrors::Mirrors;
use crate::wire::endpoint::object_url;
use crate::wire::transport::{Answer, Call};
use crate::{ContentCheck, ManifestRef, Refusal, RegistryError, Repo, RequestLine};
use hod_oci::{
    Descriptor, Digest, MANIFEST_LEN_MAX, Manifest, ManifestError, MediaType, MediaTypeKind,
    ReferrerTag,
};

/// The properties of a manifest according to the headers of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadManifest {
    /// `None` where the registry does not say, as it need not.
    pub digest: Option<Digest>,
    pub media_type: MediaType,
    pub len: Option<u64>,
}

impl HeadManifest {
    pub(crate) fn of(answer: &Answer) -> Self {
        Self {
            digest: answer.digest(),
            media_type: content_type(answer).unwrap_or_else(|| MediaType::new("")),
            len: answer.content_length(),
        }
    }

    /// Compares the content of a tag with a manifest.
    pub fn compare(&self, manifest: &Manifest) -> ContentCheck {
        let facts = Facts {
            status: 200,
            len: self.len,
            digest: self.digest.clone(),
            is_page: false,
        };
        let len = manifest.bytes().len() as u64;
        facts.judge(RequestedBy::Tag, manifest.digest(), len)
    }
}

impl From<&Manifest> for HeadManifest {
    fn from(manifest: &Manifest) -> Self {
        Self {
            digest: Some(manifest.digest().clone()),
            media_type: manifest.media_type().clone(),
            len: Some(manifest.bytes().len() as u64),
        }
    }
}

/// Whether a registry that took a manifest made its subject lead to it (`OCI-Subject`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectSupport {
    Indexed,
    /// It says nothing about referrers, as expected without a subject.
    Unsaid,
}

/// The manifests of registries.
#[derive(Debug, Clone)]
pub struct Manifests {
    mirrors: Mirrors,
}

impl Manifests {
    pub(crate) fn new(mirrors: Mirrors) -> Self {
        Self { mirrors }
    }

    pub(crate) fn mirrors(&self) -> &Mirrors {
        &self.mirrors
    }

    pub(crate) fn session(&self) -> &Session {
        self.mirrors.session()
    }

    /// Returns the properties of a manifest; `None` when it is not found.
    ///
    /// Docker Hub does not count it as a pull. A HEAD that finds nothing, or is refused, is not
    /// final: Nexus answers 404 for content that it proxies, and others do not allow HEAD. A GET
    /// follows, so that a second run finds what the first one found.
    pub fn head<'a>(
        &'a self,
        repo: &'a Repo,
        reference: &'a ManifestRef,
    ) -> BoxFuture<'a, Result<Option<HeadManifest>, RegistryError>> {
        Box::pin(async move {
            let read = |session: Session, repo: Repo| async move {
                self.head_at(&session, &repo, reference).await
            };
            self.mirrors
                .read(repo, Some(reference), Option::is_some, read)
                .await
        })
    }

    /// As [`Self::head`], from one place.
    pub(crate) async fn head_at(
        &self,
        session: &Session,
        repo: &Repo,
        reference: &ManifestRef,
    ) -> Result<Option<HeadManifest>, RegistryError> {
        let target = session.reading(repo);
        let call = manifest_call(session, Method::HEAD, repo, reference)?;
        let what = format!("{repo} {reference}");
        let head = session.retry(&what, || async {
            let answer = session.send(&target, &call).await?;
            match answer.status() {
                200 if answer.is_page() => Err(page_of(answer).await),
                200 => Ok(Some(HeadManifest::of(&answer))),
                404 => Ok(None),
                _ => Err(session.refusal(&target, answer).await),
            }
        });
        match head.await {
            Ok(None) => self.confirm_absence(session, repo, reference).await,
            // Any server answers 200; the bytes tell whether they are a manifest.
            Ok(Some(HeadManifest { digest: None, .. })) => {
                let found = match fetch_at(session, repo, reference).await {
                    // Then a PUT replaces it.
                    Err(error) if session.is_for_push() && error.is_not_a_manifest() => None,
                    result => result?,
                };
                Ok(found.as_ref().map(HeadManifest::from))
            }
            // A GET may succeed, or give the reason in its body: 400 is the answer of TLS to plain
            // HTTP, 412 that of Harbor for an image whose pulls a policy prevents.
            Err(error)
                if error.is_refusal() && !error.is_unauthorized()
                    || matches!(error, RegistryError::NotARegistry { .. }) =>
            {
                let manifest = fetch_at(session, repo, reference).await?;
                Ok(manifest.as_ref().map(HeadManifest::from))
            }
            result => result,
        }
    }

    /// Confirms with a GET that there is no manifest where a HEAD found none.
    ///
    /// Before writing, once for a registry is enough: an existing manifest that was overlooked is
    /// written again, which changes nothing. The same holds for the tags of referrers, of which
    /// there are several for each image, most of them absent.
    pub(crate) async fn confirm_absence(
        &self,
        session: &Session,
        repo: &Repo,
        reference: &ManifestRef,
    ) -> Result<Option<HeadManifest>, RegistryError> {
        let memory = session.memory(&repo.registry);
        let is_enough = session.is_for_push() || is_of_referrers(reference);
        if is_enough && memory.has_reliable_heads() {
            return Ok(None);
        }
        let manifest = match fetch_at(session, repo, reference).await {
            // Then a PUT decides.
            Err(error) if session.is_for_push() && !error.is_hidden_by_policy() => return Ok(None),
            result => result?,
        };
        if manifest.is_none() {
            memory.note_reliable_heads();
        }
        Ok(manifest.as_ref().map(HeadManifest::from))
    }

    /// Fetches a manifest, byte for byte; `None` when it is not found.
    ///
    /// Its digest must be the requested one and the one that the registry names.
    pub fn fetch<'a>(
        &'a self,
        repo: &'a Repo,
        reference: &'a ManifestRef,
    ) -> BoxFuture<'a, Result<Option<Manifest>, RegistryError>> {
        Box::pin(async move {
            let read = |session: Session, repo: Repo| async move {
                fetch_at(&session, &repo, reference).await
            };
            self.mirrors
                .read(repo, Some(reference), Option::is_some, read)
                .await
        })
    }

    /// Requests a manifest that was not found once more, for the words in which the registry says
    /// so; `None` if it is found now.
    pub fn absence<'a>(
        &'a self,
        repo: &'a Repo,
        reference: &'a ManifestRef,
    ) -> BoxFuture<'a, Result<Option<Box<Refusal>>, RegistryError>> {
        Box::pin(async move {
            let session = self.session();
            let target = session.reading(repo);
            let call = manifest_call(session, Method::GET, repo, reference)?;
            let answer = session.send(&target, &call).await?;
            if answer.status() == 200 {
                return Ok(None);
            }
            match session.refusal(&target, answer).await {
                RegistryError::Refused(refusal) => Ok(Some(refusal)),
                error => Err(error),
            }
        })
    }

    /// Puts a manifest under a tag or its digest; everything it refers to must be there already.
    pub fn put<'a>(
        &'a self,
        repo: &'a Repo,
        reference: &'a ManifestRef,
        manifest: &'a Manifest,
    ) -> BoxFuture<'a, Result<SubjectSupport, RegistryError>> {
        Box::pin(async move {
            let what = format!("{repo} {reference}");
            self.session()
                .retry(&what, || self.try_put(repo, reference, manifest))
                .await
        })
    }

    /// As [`Self::put`], in one attempt.
    ///
    /// Success is proved: by a 201 with the manifest's digest, or by a GET whose bytes have it.
    pub fn try_put<'a>(
        &'a self,
        repo: &'a Repo,
        reference: &'a ManifestRef,
        manifest: &'a Manifest,
    ) -> BoxFuture<'a, Result<SubjectSupport, RegistryError>> {
        Box::pin(async move {
            let session = self.session();
            let target = Target::push(repo);
            let url = object_url(&session.root(&repo.registry)?, repo, "manifests", reference);
            let mut call = Call::new(Method::PUT, url);
            call.body = manifest.bytes().clone();
            let content_type = HeaderValue::try_from(manifest.media_type().as_str());
            let call = match content_type {
                Ok(content_type) => call.header(CONTENT_TYPE, content_type),
                // Neither is one with control characters any registry's manifest media type.
                Err(_) => {
                    return Err(RegistryError::Protocol {
                        request: Box::new(RequestLine::new(&call.method, &call.url)),
                        problem: "the manifest's media type cannot be sent",
                    });
                }
            };
            let answer = session.send(&target, &call).await?;
            if answer.meaning() != Meaning::Success {
                let mut error = session.refusal(&target, answer).await;
                if let RegistryError::Refused(refusal) = &mut error {
                    refusal.has_foreign_layers = manifest.blobs().any(Descriptor::is_foreign);
                }
                return Err(error);
            }
            let support = if answer.header("oci-subject").is_some() {
                SubjectSupport::Indexed
            } else {
                SubjectSupport::Unsaid
            };
            if Facts::of(&answer).is_stored(manifest.digest()) {
                return Ok(support);
            }
            let (request, status) = (answer.line.clone(), answer.status());
            drop(answer);
            // The answer alone proves nothing, so the manifest is fetched and compared.
            let there = fetch_at(session, repo, reference).await?;
            if there.is_some_and(|there| there.digest() == manifest.digest()) {
                return Ok(support);
            }
            Err(RegistryError::NotStored {
                request,
                status,
                digest: manifest.digest().clone(),
            })
        })
    }
}

/// Fetches a manifest from one place.
pub(crate) async fn fetch_at(
    session: &Session,
    repo: &Repo,
    reference: &ManifestRef,
) -> Result<Option<Manifest>, RegistryError> {
    let target = session.reading(repo);
    let call = manifest_call(session, Method::GET, repo, reference)?;
    let what = format!("{repo} {reference}");
    session
        .retry(&what, || async {
            let answer = session.send(&target, &call).await?;
            match answer.status() {
                200 => read_manifest(answer, reference).await.map(Some),
                404 => {
                    note_absence(session.context(), &repo.registry, answer).await;
                    Ok(None)
                }
                _ => Err(session.refusal(&target, answer).await),
            }
        })
        .await
}

/// Returns the request for a manifest.
pub(crate) fn manifest_call(
    session: &Session,
    method: Method,
    repo: &Repo,
    reference: &ManifestRef,
) -> Result<Call, RegistryError> {
    let url = object_url(&session.root(&repo.registry)?, repo, "manifests", reference);
    // On one line: not every server looks at further ones.
    let accept = HeaderValue::try_from(MediaType::MANIFESTS.join(", "))
        .expect("media types are legal in a header");
    Ok(Call::new(method, url).header(ACCEPT, accept))
}

/// Whether a tag is one that leads to referrers by its form.
fn is_of_referrers(reference: &ManifestRef) -> bool {
    match reference {
        ManifestRef::Tag(tag) => ReferrerTag::parse(tag).is_some(),
        ManifestRef::Digest(_) => false,
    }
}

fn content_type(answer: &Answer) -> Option<MediaType> {
    answer.header(CONTENT_TYPE).map(MediaType::new)
}

async fn read_manifest(answer: Answer, reference: &ManifestRef) -> Result<Manifest, RegistryError> {
    let (request, status) = (answer.line.clone(), answer.status());
    let (declared, named) = (content_type(&answer), answer.digest());
    let is_page = answer.is_page();
    let bytes = match answer.read(MANIFEST_LEN_MAX).await {
        Err(RegistryError::AnswerTooLong { .. }) if is_page => {
            return Err(not_a_registry(request, status, &[]));
        }
        result => result?,
    };
    // Some registries send manifests under any media type, so the bytes decide first.
    let read = read_checked(
        &bytes,
        reference,
        named.as_ref(),
        declared.as_ref(),
        &request,
    );
    read.map_err(|error| {
        if is_page && error.is_not_a_manifest() {
            not_a_registry(request, status, &bytes)
        } else {
            error
        }
    })
}

fn read_checked(
    bytes: &Bytes,
    reference: &ManifestRef,
    named: Option<&Digest>,
    declared: Option<&MediaType>,
    request: &RequestLine,
) -> Result<Manifest, RegistryError> {
    let wrong = |source| RegistryError::Manifest {
        request: Box::new(request.clone()),
        source,
    };
    // Its digest is not that of its bytes, so that it must be refused by name before it is hashed.
    if declared.is_some_and(|m| m.kind() == MediaTypeKind::Schema1) {
        return Err(wrong(ManifestError::Schema1));
    }
    let digest = match reference {
        ManifestRef::Digest(expected) => check(bytes, expected, request)?,
        ManifestRef::Tag(_) => Digest::of(bytes),
    };
    if let Some(named) = named {
        check(bytes, named, request)?;
    }
    Manifest::parse_as(bytes.clone(), digest, declared).map_err(wrong)
}

/// Returns `expected` when it is the digest of `bytes`.
fn check(bytes: &[u8], expected: &Digest, request: &RequestLine) -> Result<Digest, RegistryError> {
    let found = expected.algorithm().digest(bytes);
    if found == *expected {
        Ok(found)
    } else {
        Err(RegistryError::DigestMismatch {
            request: Box::new(request.clone()),
            expected: expected.clone(),
            actual: found,
        })
    }
}
