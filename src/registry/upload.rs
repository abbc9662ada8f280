//! Uploads: a session, or a mount in its place, and the blob in one PUT (distribution-spec,
//! "Pushing blobs": POST then PUT).

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use tokio::time::Instant;

use super::auth::Scopes;
use super::client::{LoginRounds, Target};
use super::endpoint::{same_origin, upload_url, with_digest};
use super::transport::{Answer, COMMIT_TIMEOUT, Call, STALL_TIMEOUT, with_login};
use super::{Client, RegistryError, Repo, RequestLine, SafeUrl};
use crate::bridge::{FileRange, stream_file};
use crate::oci::{Descriptor, Digest, RepositoryName};
use crate::report::{Event, Reporter};

/// What became of the wish to upload.
#[derive(Debug)]
pub enum UploadStart {
    /// The registry took the blob over from the other repository: nothing is left to do.
    Mounted,
    /// The registry waits for the bytes.
    Session(UploadSession),
}

/// Where a registry waits for the bytes of a blob. Whoever knows it may upload there, so that it
/// is not shown.
pub struct UploadSession {
    repo: Repo,
    location: Url,
}

impl fmt::Debug for UploadSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadSession")
            .field("repo", &self.repo)
            .field("location", &SafeUrl::new(&self.location))
            .finish()
    }
}

/// The bytes of a blob to upload.
pub enum UploadBody {
    /// A part of a file, read while it is sent.
    File(FileRange),
    Bytes(Bytes),
    /// Bytes that come once; after a refused token they have to be begun again by the caller.
    Stream(UploadStream),
}

/// A stream of bytes to upload.
pub type UploadStream = Pin<Box<dyn Stream<Item = Result<Bytes, io::Error>> + Send>>;

impl fmt::Debug for UploadBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(range) => f.debug_tuple("File").field(range).finish(),
            Self::Bytes(bytes) => f.debug_tuple("Bytes").field(&bytes.len()).finish(),
            Self::Stream(_) => f.debug_tuple("Stream").finish_non_exhaustive(),
        }
    }
}

impl Client {
    /// Begins an upload, or has the registry take the blob over from `mount`'s repository.
    ///
    /// A registry that does not mount answers with a session, or with a refusal, after which the
    /// upload is begun without the mount: Harbor answers 401 where the source may not be read.
    pub async fn start_upload(
        &self,
        repo: &Repo,
        mount: Option<(&Digest, &RepositoryName)>,
    ) -> Result<UploadStart, RegistryError> {
        let url = upload_url(&self.root(&repo.registry)?, repo);
        if let Some((digest, from)) = mount {
            let mut target = Target::push(repo);
            target.scopes.merge(&Scopes::pull(from));
            let mut url = url.clone();
            url.set_query(Some(&format!("mount={digest}&from={from}")));
            match self.post_upload(repo, &target, url).await {
                Err(error) if matches!(error.status(), Some(400 | 401 | 403 | 404 | 405)) => {}
                result => return result,
            }
        }
        self.post_upload(repo, &Target::push(repo), url).await
    }

    async fn post_upload(
        &self,
        repo: &Repo,
        target: &Target<'_>,
        url: Url,
    ) -> Result<UploadStart, RegistryError> {
        let is_mount = url.query().is_some();
        let call =
            Call::new(Method::POST, url).header(CONTENT_LENGTH, HeaderValue::from_static("0"));
        self.retry(call.url.path(), || async {
            let answer = self.send(target, &call).await?;
            match answer.status() {
                StatusCode::CREATED if is_mount => Ok(UploadStart::Mounted),
                StatusCode::ACCEPTED => match answer.location() {
                    Some(location) => Ok(UploadStart::Session(UploadSession {
                        repo: repo.clone(),
                        location,
                    })),
                    None => Err(RegistryError::Protocol {
                        request: answer.line,
                        problem: "the answer does not say where to upload to",
                    }),
                },
                status if status.is_success() => Err(RegistryError::Protocol {
                    request: answer.line,
                    problem: "the answer to the start of an upload is neither 201 nor 202",
                }),
                _ => Err(self.refusal(target, answer).await),
            }
        })
        .await
    }

    /// Uploads a blob in one PUT: one attempt, which the caller may [`Client::retry`] from
    /// [`Client::start_upload`] on.
    ///
    /// The registry checks the digest; the length is checked here. Reports the bytes as they are
    /// handed to the network ([`Event::BytesMoved`]), and takes them back when the attempt fails
    /// ([`Event::BytesLost`]). The login stays with the registry's own origin.
    pub async fn upload_blob(
        &self,
        session: UploadSession,
        blob: &Descriptor,
        body: UploadBody,
    ) -> Result<(), RegistryError> {
        let UploadSession { repo, location } = session;
        let mut target = Target::push(&repo);
        let is_ours = same_origin(&location, &self.root(&repo.registry)?);
        let url = with_digest(location, &blob.digest);
        let mut rounds = LoginRounds::default();
        let mut body = body;
        loop {
            let (current, again) = duplicate(body);
            let authorization = if is_ours {
                self.authorization(&target).await?
            } else {
                None
            };
            let upload = Upload {
                url: &url,
                blob,
                authorization: authorization.as_ref(),
            };
            rounds.sent_at = std::time::Instant::now();
            let answer = self.put_blob(&upload, current).await?;
            let status = answer.status();
            if status == StatusCode::UNAUTHORIZED && is_ours {
                let seen = (authorization.as_ref(), answer.headers());
                if self.heed(&mut target, &mut rounds, seen).await? {
                    let request = answer.line;
                    body = again.ok_or(RegistryError::StaleToken { request })?;
                    continue;
                }
            }
            // 202 is what an upload that goes on is answered with.
            if !status.is_success() || status == StatusCode::ACCEPTED {
                return Err(self.refusal(&target, answer).await);
            }
            return match answer.digest() {
                Some(actual) if actual != blob.digest => Err(RegistryError::DigestMismatch {
                    request: answer.line,
                    expected: blob.digest.clone(),
                    actual,
                }),
                _ => Ok(()),
            };
        }
    }

    /// Sends one PUT and waits for its answer, as long as bytes go out.
    async fn put_blob(
        &self,
        upload: &Upload<'_>,
        body: UploadBody,
    ) -> Result<Answer, RegistryError> {
        let line = || Box::new(RequestLine::new(&Method::PUT, upload.url));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(upload.blob.size));
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
        let watch = Arc::new(Watch::new(upload.blob.size, Arc::clone(self.reporter())));
        let request = self
            .transport()
            .request(&Method::PUT, upload.url)
            .await?
            .headers(with_login(&headers, upload.authorization))
            .body(reqwest::Body::wrap_stream(watched(
                body,
                Arc::clone(&watch),
            )));
        let sent = tokio::select! {
            sent = request.send() => sent,
            after = watch.stalled() => {
                watch.take_back();
                return Err(RegistryError::Stalled { request: line(), after });
            }
        };
        let result = match (sent, watch.take_error()) {
            // The data's own error, of which the connection's is only the echo.
            (Err(_), Some(source)) => Err(RegistryError::UploadSource {
                request: line(),
                source,
            }),
            (Err(error), None) => Err(RegistryError::transport(line(), error)),
            (Ok(response), _) => Ok(Answer::new(&Method::PUT, upload.url.clone(), response)),
        };
        if !matches!(&result, Ok(answer) if answer.status().is_success()) {
            watch.take_back();
        }
        result
    }
}

struct Upload<'a> {
    url: &'a Url,
    blob: &'a Descriptor,
    authorization: Option<&'a HeaderValue>,
}

/// The body, and the same again where that is possible.
fn duplicate(body: UploadBody) -> (UploadBody, Option<UploadBody>) {
    let again = match &body {
        UploadBody::File(range) => Some(UploadBody::File(range.clone())),
        UploadBody::Bytes(bytes) => Some(UploadBody::Bytes(bytes.clone())),
        UploadBody::Stream(_) => None,
    };
    (body, again)
}

/// How far an upload is, and until when it has to move on.
struct Watch {
    len: u64,
    reporter: Arc<dyn Reporter>,
    state: Mutex<WatchState>,
}

struct WatchState {
    handed: u64,
    error: Option<io::Error>,
    /// `None` while the data's source is waited for, which has a deadline of its own.
    deadline: Option<Deadline>,
}

#[derive(Clone, Copy)]
struct Deadline {
    since: Instant,
    after: Duration,
}

impl Watch {
    fn new(len: u64, reporter: Arc<dyn Reporter>) -> Self {
        Self {
            len,
            reporter,
            state: Mutex::new(WatchState {
                handed: 0,
                error: None,
                // Connecting has a deadline of its own as well, and is part of the first step.
                deadline: Some(deadline(0, len)),
            }),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, WatchState> {
        self.state
            .lock()
            .expect("nothing panics while it holds the lock")
    }

    /// Notes what the source said, and passes it on to the network.
    fn note(&self, item: Option<Result<Bytes, io::Error>>) -> Option<Result<Bytes, io::Error>> {
        let mut state = self.state();
        let error = match item {
            Some(Ok(chunk)) if state.handed + chunk.len() as u64 <= self.len => {
                let len = chunk.len() as u64;
                state.handed += len;
                state.deadline = Some(deadline(state.handed, self.len));
                drop(state);
                self.reporter.event(Event::BytesMoved { len });
                return Some(Ok(chunk));
            }
            None if state.handed == self.len => return None,
            Some(Err(error)) => error,
            Some(Ok(_)) => io::Error::new(
                io::ErrorKind::InvalidData,
                format!("more than the expected {} bytes", self.len),
            ),
            None => io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{} of the expected {} bytes", state.handed, self.len),
            ),
        };
        let echo = io::Error::from(error.kind());
        state.error = Some(error);
        Some(Err(echo))
    }

    fn wait_for_source(&self) {
        self.state().deadline = None;
    }

    fn take_error(&self) -> Option<io::Error> {
        self.state().error.take()
    }

    /// Reports as lost what was reported as moved.
    fn take_back(&self) {
        let len = std::mem::take(&mut self.state().handed);
        if len > 0 {
            self.reporter.event(Event::BytesLost { len });
        }
    }

    /// Returns when the network took nothing for too long, and how long that was.
    async fn stalled(&self) -> Duration {
        loop {
            let deadline = self.state().deadline;
            match deadline {
                Some(Deadline { since, after }) if since.elapsed() >= after => return after,
                Some(Deadline { since, after }) => tokio::time::sleep_until(since + after).await,
                None => tokio::time::sleep(STALL_TIMEOUT).await,
            }
        }
    }
}

/// From now: for the next chunk, or for the answer when all `len` bytes are handed over.
fn deadline(handed: u64, len: u64) -> Deadline {
    Deadline {
        since: Instant::now(),
        after: if handed == len {
            COMMIT_TIMEOUT
        } else {
            STALL_TIMEOUT
        },
    }
}

/// The chunks of `body`, each noted by `watch` when the network takes it.
fn watched(
    body: UploadBody,
    watch: Arc<Watch>,
) -> impl Stream<Item = Result<Bytes, io::Error>> + Send {
    let mut chunks: UploadStream = match body {
        UploadBody::File(range) => Box::pin(stream_file(range)),
        UploadBody::Bytes(bytes) => Box::pin(futures_util::stream::iter([Ok(bytes)])),
        UploadBody::Stream(stream) => stream,
    };
    futures_util::stream::poll_fn(move |context| match chunks.poll_next_unpin(context) {
        Poll::Pending => {
            watch.wait_for_source();
            Poll::Pending
        }
        Poll::Ready(item) => Poll::Ready(watch.note(item)),
    })
}
