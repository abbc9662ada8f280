//! Blobs: head and fetch.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bytes::{Buf as _, Bytes};
use futures_util::future::BoxFuture;
use futures_util::stream::try_unfold;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use reqwest::header::{CONTENT_RANGE, HeaderValue, RANGE};
use reqwest::{Method, Url};

use crate::api::content_check::{Facts, RequestedBy};
use crate::error::meaning::Meaning;
use crate::login::registry_check::page_of;
use crate::login::session::Session;
use crate::login::target::Target;
use crate::route::mirrors::Mirrors;
use crate::wire::endpoint::object_url;
use crate::wire::transport::{Answer, Call};
use crate::{BlobBody, BlobOrigin, ContentCheck, RegistryError, Repo, RequestLine};
use hod_oci::{Descriptor, Verifier};
use hod_retry::Failure;

/// Maximum number of bytes read to find out whether a blob or its descriptor is wrong.
const HASHED_LEN_MAX: u64 = 256 * 1024 * 1024;

/// The blobs of registries.
#[derive(Debug, Clone)]
pub struct Blobs {
    mirrors: Mirrors,
}

impl Blobs {
    pub(crate) fn new(mirrors: Mirrors) -> Self {
        Self { mirrors }
    }

    pub(crate) fn mirrors(&self) -> &Mirrors {
        &self.mirrors
    }

    fn session(&self) -> &Session {
        self.mirrors.session()
    }

    /// Checks whether a repository has a blob.
    ///
    /// If the answer to a HEAD contradicts the descriptor, the headers of the answer to a GET
    /// decide: some servers answer every HEAD with a length of 0.
    pub fn head<'a>(
        &'a self,
        repo: &'a Repo,
        blob: &'a Descriptor,
    ) -> BoxFuture<'a, Result<ContentCheck, RegistryError>> {
        Box::pin(async move {
            let session = self.session();
            let target = session.reading(repo);
            let url = blob_url(session, repo, blob)?;
            let head = Call::new(Method::HEAD, url.clone());
            let get = Call::new(Method::GET, url);
            let what = format!("{repo} {}", blob.digest);
            let judge = |answer: &Answer| {
                Facts::of(answer).judge(RequestedBy::Digest, &blob.digest, blob.size)
            };
            session
                .retry(&what, || async {
                    let mut answer = session.send(&target, &head).await?;
                    let is_refused = answer.meaning() == Meaning::MethodNotAllowed;
                    if is_refused || matches!(judge(&answer), ContentCheck::Differs { .. }) {
                        // Its body is not read, which costs the connection and nothing else.
                        answer = session.send(&target, &get).await?;
                    }
                    match (judge(&answer), answer.status()) {
                        (ContentCheck::Unknown, 200) if answer.is_page() => {
                            Err(page_of(answer).await)
                        }
                        (ContentCheck::Unknown, 200) => Err(RegistryError::Protocol {
                            request: answer.line,
                            problem: "the answer does not say how long the blob is",
                        }),
                        (ContentCheck::Unknown, _) => Err(session.refusal(&target, answer).await),
                        (evidence, _) => Ok(evidence),
                    }
                })
                .await
        })
    }

    /// Checks what a repository has of a blob by fetching its last byte.
    ///
    /// The answer to a HEAD may outlive the content: distribution keeps the lengths of blobs in
    /// memory or in Redis, where it also notes those of uploads that it then throws away.
    pub fn probe<'a>(
        &'a self,
        repo: &'a Repo,
        blob: &'a Descriptor,
    ) -> BoxFuture<'a, Result<ContentCheck, RegistryError>> {
        Box::pin(async move {
            let Some(last) = blob.size.checked_sub(1) else {
                return self.head(repo, blob).await;
            };
            let session = self.session();
            let target = &session.reading(repo);
            let whole = &Call::new(Method::GET, blob_url(session, repo, blob)?);
            let n_cut = &AtomicU32::new(0);
            let what = format!("{repo} {}", blob.digest);
            session
                .retry(&what, || async move {
                    let answer = session.send(target, &part_of(whole, last)).await?;
                    let body = match part_body(session, target, answer, blob, last).await {
                        Ok(Some(body)) => Ok(body),
                        // The registry does not support this range.
                        Ok(None) => {
                            let answer = session.send(target, whole).await?;
                            whole_body(session, target, answer, blob).await
                        }
                        Err(error) => Err(error),
                    };
                    let mut body = match body {
                        Ok(body) => body,
                        Err(error) if error.is_not_found() => return Ok(ContentCheck::Absent),
                        Err(
                            RegistryError::Length { actual, .. }
                            | RegistryError::WrongClaim { actual, .. },
                        ) => return Ok(ContentCheck::Differs { len: Some(actual) }),
                        Err(error) => return Err(error),
                    };
                    // If the whole blob is sent, its start is enough: the rest would cost as much as a
                    // pull.
                    match body.answer.chunk().await {
                        Ok(Some(_)) => Ok(ContentCheck::Present),
                        Ok(None) => Ok(ContentCheck::Differs { len: None }),
                        Err(error @ RegistryError::Stalled { .. }) => Err(error),
                        // A line may be cut at this very place; twice is what the registry has.
                        Err(_) if n_cut.fetch_add(1, Ordering::Relaxed) > 0 => {
                            Ok(ContentCheck::Differs { len: None })
                        }
                        Err(error) => Err(error),
                    }
                })
                .await
        })
    }

    /// Fetches a blob from the byte `from` on as a stream of chunks: one attempt, which the caller
    /// may retry.
    ///
    /// The stream fails unless it ends with the descriptor's length. The digest is **not** checked:
    /// who writes the bytes hashes them, and distrusts their origin if they are wrong. A stream that
    /// is dropped closes its connection. A registry that cannot send a part, or sends another one, is
    /// asked for the whole, of which the start is passed over.
    ///
    /// A place that sent wrong bytes of the blob before is used only if no other has it.
    pub fn fetch<'a>(
        &'a self,
        repo: &'a Repo,
        blob: &'a Descriptor,
        from: u64,
    ) -> BoxFuture<'a, Result<BlobBody, RegistryError>> {
        Box::pin(async move {
            let has_passed_over = &AtomicBool::new(false);
            let read_trusted = |session: Session, repo: Repo| async move {
                if self.has_garbled(&repo, blob) {
                    has_passed_over.store(true, Ordering::Relaxed);
                    return Ok(None);
                }
                self.fetch_at(&session, &repo, blob, from).await.map(Some)
            };
            match self
                .mirrors
                .read(repo, None, Option::is_some, read_trusted)
                .await
            {
                Ok(Some(body)) => return Ok(body),
                Ok(None) => {}
                Err(error)
                    if has_passed_over.load(Ordering::Relaxed)
                        && error.failure() == Failure::Lasting => {}
                Err(error) => return Err(error),
            }
            let read = |session: Session, repo: Repo| async move {
                self.fetch_at(&session, &repo, blob, from).await
            };
            self.mirrors.read(repo, None, |_| true, read).await
        })
    }

    /// Whether every place that a repository is read from sent wrong bytes of a blob before.
    pub fn garbles(&self, repo: &Repo, blob: &Descriptor) -> bool {
        let places = self.mirrors.places(repo, None).map(|found| found.places);
        let places = places.unwrap_or_default();
        !places.is_empty() && places.iter().all(|at| self.has_garbled(&at.repo, blob))
    }

    fn has_garbled(&self, repo: &Repo, blob: &Descriptor) -> bool {
        let url = blob_url(self.session(), repo, blob);
        url.is_ok_and(|url| {
            let request = RequestLine::new(&Method::GET, &url);
            self.mirrors.garblers().has(&request)
        })
    }

    async fn fetch_at(
        &self,
        session: &Session,
        repo: &Repo,
        blob: &Descriptor,
        from: u64,
    ) -> Result<BlobBody, RegistryError> {
        let target = session.reading(repo);
        let whole = Call::new(Method::GET, blob_url(session, repo, blob)?);
        // A part is asked for at the registry's own URL, which may redirect: where it leads to is
        // signed for a moment only.
        if from > 0 {
            let answer = session.send(&target, &part_of(&whole, from)).await?;
            if let Some(body) = part_body(session, &target, answer, blob, from).await? {
                return Ok(self.blob_body(body, from));
            }
        }
        let answer = session.send(&target, &whole).await?;
        let body = whole_body(session, &target, answer, blob).await?;
        Ok(self.blob_body(body, from))
    }

    /// The bytes of a body from the byte `from` of its blob on.
    pub(crate) fn blob_body(&self, body: Body, from: u64) -> BlobBody {
        let origin = BlobOrigin::new(&body.answer.line, self.mirrors.garblers());
        let here = origin.clone();
        let stream = stream(body, from).inspect_err(move |error| {
            if matches!(error, RegistryError::Length { .. }) {
                here.distrust();
            }
        });
        BlobBody {
            origin,
            stream: stream.boxed(),
        }
    }
}

fn blob_url(session: &Session, repo: &Repo, blob: &Descriptor) -> Result<Url, RegistryError> {
    let root = session.root(&repo.registry)?;
    Ok(object_url(&root, repo, "blobs", &blob.digest))
}

/// The body of an answer to a request for a blob from `from` on; `None` where the answer is of
/// no use.
pub(crate) async fn part_body(
    session: &Session,
    target: &Target<'_>,
    answer: Answer,
    blob: &Descriptor,
    from: u64,
) -> Result<Option<Body>, RegistryError> {
    let status = answer.status();
    if status == 200 {
        return whole_body(session, target, answer, blob).await.map(Some);
    }
    if !matches!(status, 206 | 416) {
        return Err(session.refusal(target, answer).await);
    }
    let range = answer.header(CONTENT_RANGE).and_then(ContentRange::parse);
    if let Some(ContentRange {
        total: Some(actual),
        ..
    }) = range
        && actual != blob.size
    {
        return Err(RegistryError::Length {
            request: answer.line,
            expected: blob.size,
            actual,
        });
    }
    let starts_at = range.and_then(|range| range.start);
    Ok((status == 206 && starts_at == Some(from)).then_some(Body {
        answer,
        at: from,
        size: blob.size,
    }))
}

/// The body of an answer that should have all of a blob.
pub(crate) async fn whole_body(
    session: &Session,
    target: &Target<'_>,
    answer: Answer,
    blob: &Descriptor,
) -> Result<Body, RegistryError> {
    if answer.status() != 200 {
        return Err(session.refusal(target, answer).await);
    }
    if let Some(actual) = answer.content_length().filter(|&len| len != blob.size) {
        return Err(other_length(answer, blob, actual).await);
    }
    Ok(Body {
        answer,
        at: 0,
        size: blob.size,
    })
}

/// Determines why the body of an answer has a different length than in the manifest: if the bytes
/// have the right digest, the manifest is wrong, otherwise the bytes are.
async fn other_length(mut answer: Answer, blob: &Descriptor, actual: u64) -> RegistryError {
    let (request, expected) = (answer.line.clone(), blob.size);
    let damaged = RegistryError::Length {
        request: request.clone(),
        expected,
        actual,
    };
    if actual > expected.max(HASHED_LEN_MAX) {
        return damaged;
    }
    let mut verifier = Verifier::from(&blob.digest);
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if verifier.update(&chunk).is_ok() => {}
            Ok(None) => break,
            // It is tried again.
            _ => return damaged,
        }
    }
    if verifier.finish().is_err() {
        return damaged;
    }
    RegistryError::WrongClaim {
        request,
        expected,
        actual,
    }
}

/// Returns the request for the bytes of `whole` from `from` on.
pub(crate) fn part_of(whole: &Call, from: u64) -> Call {
    let range =
        HeaderValue::try_from(format!("bytes={from}-")).expect("a number is legal in a header");
    whole.clone().header(RANGE, range)
}

/// The body of an answer, and where in the blob it is.
pub(crate) struct Body {
    answer: Answer,
    at: u64,
    size: u64,
}

/// The chunks of a body from the byte `from` of its blob on.
fn stream(body: Body, from: u64) -> impl Stream<Item = Result<Bytes, RegistryError>> + Send {
    try_unfold(body, move |mut body| async move {
        loop {
            let Some(mut chunk) = body.answer.chunk().await? else {
                if body.at == body.size {
                    return Ok(None);
                }
                return Err(RegistryError::Truncated {
                    request: body.answer.line,
                    expected: body.size,
                    actual: body.at,
                });
            };
            let start = body.at;
            body.at += chunk.len() as u64;
            if body.at > body.size {
                return Err(RegistryError::Length {
                    request: body.answer.line,
                    expected: body.size,
                    actual: body.at,
                });
            }
            let n_passed_over = from.saturating_sub(start).min(chunk.len() as u64);
            chunk.advance(usize::try_from(n_passed_over).expect("no more than a chunk has"));
            if !chunk.is_empty() {
                return Ok(Some((chunk, body)));
            }
        }
    })
}

/// The content of `Content-Range` (RFC 9110, 14.4): `bytes 10-99/100`, `bytes 10-99/*`,
/// `bytes */100`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ContentRange {
    start: Option<u64>,
    total: Option<u64>,
}

impl ContentRange {
    fn parse(value: &str) -> Option<Self> {
        let (unit, rest) = value.trim().split_once(' ')?;
        let (range, total) = rest.trim().split_once('/')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let start = match range.trim() {
            "*" => None,
            range => Some(range.split_once('-')?.0.parse().ok()?),
        };
        let total = match total.trim() {
            "*" => None,
            total => Some(total.parse().ok()?),
        };
        Some(Self { start, total })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_parse() {
        #[track_caller]
        fn check(value: &str, expect: Option<(Option<u64>, Option<u64>)>) {
            let actual = ContentRange::parse(value).map(|range| (range.start, range.total));
            assert_eq!(actual, expect, "{value}");
        }
        check("bytes 10-99/100", Some((Some(10), Some(100))));
        check(" Bytes  10-99/* ", Some((Some(10), None)));
        check("bytes */100", Some((None, Some(100))));
        check("10-99/100", None);
        check("bytes 10/100", None);
        check("bytes x-99/100", None);
        check("bytes 10-99", None);
        check("items 10-99/100", None);
        check("", None);
    }
}
