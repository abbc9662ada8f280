//! Uploads: a session, or a mount in its place, and the blob in one PUT or in chunks
//! (distribution-spec, "Pushing blobs").
//!
//! ```text
//! upload       what to upload, where to, and how a session begins
//!   run        one upload, step by step     request   one of its requests
//!   recover    how it continues after a failure
//!   verdict    how it reacts to a failure
//!   parts      the length of chunks, ranges, and the limits found for each registry
//!   data       the bytes, parts of which may be sent again
//!   again      data that can be opened at any byte
//!   verifier   verifies the digest of the bytes
//!   watch      the progress and the deadline of a request
//!   kept       sessions for the next run     drain   a stop between two chunks
//! ```
//!
//! A session is only ever spoken to at the newest `Location` it gave: distribution 2.8, which every
//! Harbor has inside, ends a session that is spoken to at an older one.

mod again;
mod data;
mod drain;
mod kept;
mod parts;
mod recover;
mod request;
mod run;
mod verdict;
mod verifier;
mod watch;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::header::{CONTENT_LENGTH, HeaderValue};
use reqwest::{Method, Url};

pub use again::{Reopen, UploadStream};
pub use drain::Drain;

use crate::api::blob::Blobs;
use crate::api::content_check::Facts;
use crate::error::meaning::Meaning;
use crate::login::registry_check::page_of;
use crate::login::scopes::Scopes;
use crate::login::session::Session;
use crate::login::target::Target;
use crate::wire::endpoint::upload_url;
use crate::wire::transport::{Answer, Call};
use crate::{RegistryError, Repo, SafeUrl};
use hod_fsx::FileRange;
use hod_oci::{Descriptor, RepositoryName};
use kept::{Kept, KeptSession};
use parts::Limits;

/// Options for uploading blobs.
#[derive(Debug, Clone)]
pub struct UploadOptions {
    /// The length of a chunk in bytes; a blob that is not longer is sent in one request. 0 sends
    /// every blob in one request.
    pub chunk_len: u64,
    /// The directory for sessions that the next run may continue; `None` keeps none.
    pub sessions: Option<PathBuf>,
    /// Announces a stop.
    pub drain: Drain,
}

/// Below the 100 MB that proxies and CDNs allow by default where they limit at all, and done within
/// their 60 seconds at 10 Mbit/s and more; large enough that what lies between two chunks, one round
/// trip, does not show.
pub const CHUNK_LEN_DEFAULT: u64 = 64 * 1024 * 1024;

impl Default for UploadOptions {
    fn default() -> Self {
        Self {
            chunk_len: CHUNK_LEN_DEFAULT,
            sessions: None,
            drain: Drain::default(),
        }
    }
}

/// What all uploads of a run share.
#[derive(Debug, Default)]
pub(crate) struct UploadState {
    options: UploadOptions,
    limits: Limits,
    kept: Option<Kept>,
}

impl UploadState {
    pub(crate) fn new(options: UploadOptions) -> Self {
        Self {
            kept: options.sessions.clone().map(Kept::new),
            limits: Limits::default(),
            options,
        }
    }
}

/// The result of starting an upload.
#[derive(Debug)]
pub enum UploadStart {
    /// The registry took the blob over from the other repository: nothing is left to do.
    Mounted,
    /// The registry waits for the bytes.
    Session(UploadSession),
}

/// The URL at which a registry expects the bytes of a blob. It is not shown, since anyone who knows
/// it may upload there.
pub struct UploadSession {
    repo: Repo,
    location: Url,
    /// The least length of all chunks but the last, in bytes (`OCI-Chunk-Min-Length`).
    chunk_len_min: u64,
    /// Set for a session of an earlier run, which may have come to an end since.
    kept: Option<Box<KeptSession>>,
}

impl fmt::Debug for UploadSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadSession")
            .field("repo", &self.repo)
            .field("location", &SafeUrl::new(&self.location))
            .finish_non_exhaustive()
    }
}

/// The bytes of a blob to upload.
pub enum UploadBody {
    /// A part of a file, read while it is sent.
    File(FileRange),
    /// Bytes that can be read again from any of them on.
    Again(Reopen),
    /// Bytes that come once. They go in chunks of which each is held in memory until the registry
    /// has it.
    Stream(UploadStream),
}

impl fmt::Debug for UploadBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(range) => f.debug_tuple("File").field(range).finish(),
            Self::Again(_) => f.debug_tuple("Again").finish_non_exhaustive(),
            Self::Stream(_) => f.debug_tuple("Stream").finish_non_exhaustive(),
        }
    }
}

/// Uploads blobs to registries.
#[derive(Debug, Clone)]
pub struct Uploads {
    blobs: Blobs,
    state: Arc<UploadState>,
}

impl Uploads {
    pub(crate) fn new(blobs: Blobs, state: Arc<UploadState>) -> Self {
        Self { blobs, state }
    }

    pub(crate) fn state(&self) -> &Arc<UploadState> {
        &self.state
    }

    fn session(&self) -> &Session {
        self.blobs.mirrors().session()
    }

    /// Begins an upload, continues one that an earlier run began, or mounts the blob from `from`.
    ///
    /// A registry that does not mount answers with a session, or with a refusal, after which the
    /// upload is begun without the mount: Harbor answers 401 where the source may not be read. A
    /// failed mount never fails the upload.
    pub fn start<'a>(
        &'a self,
        repo: &'a Repo,
        blob: &'a Descriptor,
        from: Option<&'a RepositoryName>,
    ) -> BoxFuture<'a, Result<UploadStart, RegistryError>> {
        Box::pin(async move {
            let url = upload_url(&self.session().root(&repo.registry)?, repo);
            if let Some(from) = from.filter(|from| self.may_mount(repo, from)) {
                let mut target = Target::push(repo);
                target.scopes.merge(&Scopes::pull(from));
                let mut url = url.clone();
                url.set_query(Some(&format!("mount={}&from={from}", blob.digest)));
                match self.post(repo, &target, Some(blob), url).await {
                    Ok(start) => return Ok(start),
                    Err(error) => {
                        // A feature that failed once is not tried again for each blob.
                        let limits = &self.state.limits;
                        match error.meaning() {
                            Some(meaning) if meaning.is_about_login() => {
                                limits.stop_mounting_from(&repo.registry, from);
                            }
                            Some(Meaning::MethodNotAllowed | Meaning::Unsupported) => {
                                limits.stop_mounting(&repo.registry);
                            }
                            Some(meaning) if meaning.is_failing() => {
                                limits.stop_mounting(&repo.registry);
                            }
                            _ => {}
                        }
                    }
                }
            }
            if let Some(session) = self.kept_session(repo, blob).await {
                return Ok(UploadStart::Session(session));
            }
            let target = Target::push(repo);
            self.post(repo, &target, None, url).await
        })
    }

    /// Whether a mount may work.
    fn may_mount(&self, repo: &Repo, from: &RepositoryName) -> bool {
        let dialect = self.session().dialect(&repo.registry);
        self.state.limits.may_mount(&repo.registry, from)
            && dialect.is_none_or(|dialect| dialect.may_mount_from(from))
    }

    /// A session that an earlier run left between two chunks.
    async fn kept_session(&self, repo: &Repo, blob: &Descriptor) -> Option<UploadSession> {
        let uploads = &self.state;
        let chunk_len = uploads.options.chunk_len;
        if chunk_len == 0 || blob.size <= chunk_len.min(uploads.limits.of(&repo.registry)) {
            return None;
        }
        let kept = uploads.kept.as_ref()?;
        let session = kept.find(repo, blob, self.session().reporter()).await?;
        Some(UploadSession {
            repo: repo.clone(),
            location: session.location.clone(),
            chunk_len_min: session.chunk_len_min,
            kept: Some(Box::new(session)),
        })
    }

    /// Starts an upload, or mounts the blob `mounted`.
    async fn post(
        &self,
        repo: &Repo,
        target: &Target<'_>,
        mounted: Option<&Descriptor>,
        url: Url,
    ) -> Result<UploadStart, RegistryError> {
        let call =
            Call::new(Method::POST, url).header(CONTENT_LENGTH, HeaderValue::from_static("0"));
        let session = self.session();
        session
            .retry(call.url.path(), || async {
                let answer = session.send(target, &call).await?;
                let is_mounted = |blob: &Descriptor| Facts::of(&answer).is_created(&blob.digest);
                match answer.status() {
                    _ if mounted.is_some_and(is_mounted) => Ok(UploadStart::Mounted),
                    202 => match answer.location() {
                        Some(location) => Ok(UploadStart::Session(UploadSession {
                            repo: repo.clone(),
                            location,
                            chunk_len_min: chunk_len_min(&answer),
                            kept: None,
                        })),
                        None => Err(RegistryError::Protocol {
                            request: answer.line,
                            problem: "the answer does not say where to upload to",
                        }),
                    },
                    _ if answer.meaning() == Meaning::Success && answer.is_page() => {
                        Err(page_of(answer).await)
                    }
                    _ if answer.meaning() == Meaning::Success => Err(RegistryError::Protocol {
                        request: answer.line,
                        problem: "the answer to the start of an upload is neither 201 nor 202",
                    }),
                    _ => Err(session.refusal(target, answer).await),
                }
            })
            .await
    }
}

fn chunk_len_min(answer: &Answer) -> u64 {
    let header = answer.header("oci-chunk-min-length");
    header
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or_default()
}
