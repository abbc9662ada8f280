//! One upload, step by step, and its reaction to failures.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::header::RANGE;
use reqwest::{Method, Url};

use super::data::{Data, HELD_LEN_MAX};
use super::kept::Slot;
use super::parts::{Limits, received};
use super::verdict::Phase;
use super::{UploadBody, UploadOptions, UploadSession, Uploads};
use crate::api::content_check::Facts;
use crate::error::meaning::Meaning;
use crate::login::session::Session;
use crate::login::target::Target;
use crate::wire::endpoint::with_digest;
use crate::{ContentCheck, RegistryError, Repo, RequestLine};
use hod_oci::Descriptor;
use hod_report::Event;
use hod_retry::Retries;

/// The longest chunk of a stream that a registry may insist on: it is held in memory.
const HELD_CHUNK_LEN_MAX: u64 = 64 * 1024 * 1024;

/// An upload under way.
pub(super) struct Upload<'a> {
    pub(super) uploads: &'a Uploads,
    pub(super) blob: &'a Descriptor,
    pub(super) repo: Repo,
    pub(super) data: Data,
    /// The newest that the registry gave.
    pub(super) location: Url,
    /// The number of bytes that the registry has.
    pub(super) offset: u64,
    /// How many of them were reported as moved.
    pub(super) moved: u64,
    /// The number of bytes from an earlier run, as reported.
    pub(super) kept: u64,
    pub(super) chunk_len_min: u64,
    /// The maximum chunk length found for this upload, besides the registry's limit.
    pub(super) chunk_len_max: u64,
    pub(super) slot: Option<Arc<Slot>>,
    /// Whether to ask the registry first how many bytes it has.
    pub(super) is_of_earlier_run: bool,
    /// Whether the registry may have wrong bytes after a failure.
    pub(super) may_be_corrupt: bool,
    /// Whether the upload was started again for that reason.
    pub(super) has_restarted_for_corruption: bool,
    /// The failures since the last request that succeeded.
    pub(super) retries: Retries,
    /// The times that the upload was started again.
    pub(super) restarts: Retries,
    /// The number of times that the whole blob was sent and then refused as not found.
    pub(super) n_refused: u32,
}

/// One request with a part of the blob, which may be none of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) phase: Phase,
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// The result of an attempt to continue.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Recovered {
    /// There is more to send.
    GoOn,
    /// The registry has the blob.
    Landed,
}

impl Uploads {
    /// Uploads a blob: small ones in one PUT, large ones in chunks, as far as the registry, and the
    /// proxies before it, accept them.
    ///
    /// Continues after transient failures, from the last chunk or from the start, as often as the
    /// client tries anything; then it fails with [`RegistryError::GaveUp`]. Digest and length are
    /// checked here: the registry never gets the last bytes of damaged data, for which
    /// [`RegistryError::damaged_upload`] is true. Reports the bytes as they are handed to the
    /// network ([`Event::BytesMoved`]), and subtracts those that were in vain
    /// ([`Event::BytesLost`]). The login is sent only to the registry's own origin.
    ///
    /// After each chunk the session is stored for the next run ([`UploadOptions::sessions`]).
    ///
    /// [`Event::BytesMoved`]: hod_report::Event::BytesMoved
    /// [`Event::BytesLost`]: hod_report::Event::BytesLost
    pub fn upload<'a>(
        &'a self,
        session: UploadSession,
        blob: &'a Descriptor,
        body: UploadBody,
    ) -> BoxFuture<'a, Result<(), RegistryError>> {
        Box::pin(async move { Upload::new(self, session, blob, body)?.run().await })
    }
}

impl<'a> Upload<'a> {
    pub(super) fn new(
        uploads: &'a Uploads,
        session: UploadSession,
        blob: &'a Descriptor,
        body: UploadBody,
    ) -> Result<Self, RegistryError> {
        let UploadSession {
            repo,
            location,
            chunk_len_min,
            kept,
        } = session;
        let data = Data::new(body, blob).map_err(|source| RegistryError::UploadSource {
            request: Box::new(RequestLine::new(&Method::PUT, &location)),
            source,
        })?;
        Ok(Self {
            uploads,
            blob,
            repo,
            data,
            location,
            offset: kept.as_ref().map_or(0, |kept| kept.offset),
            moved: 0,
            kept: 0,
            chunk_len_min,
            chunk_len_max: u64::MAX,
            is_of_earlier_run: kept.is_some(),
            may_be_corrupt: kept.is_some(),
            has_restarted_for_corruption: false,
            slot: kept.map(|kept| kept.slot),
            retries: uploads.session().retries(),
            restarts: uploads.session().retries(),
            n_refused: 0,
        })
    }

    /// Sends all that is missing; see [`Uploads::upload`].
    pub(super) async fn run(mut self) -> Result<(), RegistryError> {
        let result = self.send_all().await;
        if let Err(error) = &result {
            self.lose_all();
            if error.damaged_upload().is_some() {
                // The registry has the start of something else.
                self.forget().await;
            }
        }
        result
    }

    async fn send_all(&mut self) -> Result<(), RegistryError> {
        if self.is_of_earlier_run && !self.go_on_with_earlier_run().await? {
            self.begin().await?;
        }
        loop {
            let step = self.next_step();
            match self.take(step).await {
                Ok(()) if matches!(step.phase, Phase::Whole | Phase::Close) => break,
                Ok(()) => self.retries.succeeded(),
                Err(error) => {
                    let recovered = self.recover(step, error).await?;
                    self.may_be_corrupt = true;
                    if recovered == Recovered::Landed {
                        break;
                    }
                }
            }
        }
        self.forget().await;
        Ok(())
    }

    /// The next request to make.
    fn next_step(&self) -> Step {
        let left = self.blob.size - self.offset;
        let chunk_len = self.chunk_len();
        let (phase, len) = if self.offset == 0 && left <= chunk_len {
            (Phase::Whole, left)
        } else if left == 0 {
            (Phase::Close, 0)
        } else if self.offset == 0 {
            (Phase::FirstChunk, chunk_len)
        } else {
            (Phase::Chunk, chunk_len.min(left))
        };
        Step {
            phase,
            offset: self.offset,
            len,
        }
    }

    /// The length of a chunk, and the maximum length of a blob that is sent in one request.
    fn chunk_len(&self) -> u64 {
        let UploadOptions { chunk_len, .. } = self.uploads.state.options;
        let limits = self.limits();
        if chunk_len == 0 || !limits.takes_chunks(&self.repo.registry) {
            return u64::MAX;
        }
        let limit = limits.of(&self.repo.registry).min(self.chunk_len_max);
        let len = chunk_len.min(limit).max(self.chunk_len_min);
        if self.data.is_held() {
            if self.chunk_len_min > HELD_CHUNK_LEN_MAX {
                return u64::MAX;
            }
            return len.min(HELD_LEN_MAX.max(self.chunk_len_min));
        }
        len
    }

    pub(super) fn session(&self) -> &'a Session {
        self.uploads.session()
    }

    pub(super) fn limits(&self) -> &'a Limits {
        &self.uploads.state.limits
    }

    /// Sends one request and records its answer if it succeeded.
    async fn take(&mut self, step: Step) -> Result<(), RegistryError> {
        match step.phase {
            Phase::Whole | Phase::Close => self.finish(step).await,
            Phase::FirstChunk | Phase::Chunk => {
                // Until what the registry says is written down.
                let _under_way = self.uploads.state.options.drain.enter().await;
                self.append(step).await?;
                self.keep().await;
                Ok(())
            }
        }
    }

    async fn finish(&mut self, step: Step) -> Result<(), RegistryError> {
        let url = with_digest(self.location.clone(), &self.blob.digest);
        let answer = self.send(&Method::PUT, url, step).await?;
        let status = answer.status();
        // 202 is the answer to an upload that continues.
        if answer.meaning() != Meaning::Success || status == 202 {
            return Err(self
                .session()
                .refusal(&Target::push(&self.repo), answer)
                .await);
        }
        if let Some(actual) = answer.digest()
            && actual != self.blob.digest
        {
            return Err(RegistryError::DigestMismatch {
                request: answer.line,
                expected: self.blob.digest.clone(),
                actual,
            });
        }
        let is_created = Facts::of(&answer).is_created(&self.blob.digest);
        let request = answer.line.clone();
        drop(answer);
        if !self.data.is_verified() {
            return Err(RegistryError::Protocol {
                request,
                problem: "the answer came before all of the blob was sent",
            });
        }
        if is_created
            || self.uploads.blobs.head(&self.repo, self.blob).await? == ContentCheck::Present
        {
            return Ok(());
        }
        Err(RegistryError::NotStored {
            request,
            status,
            digest: self.blob.digest.clone(),
        })
    }

    async fn append(&mut self, step: Step) -> Result<(), RegistryError> {
        let answer = self
            .send(&Method::PATCH, self.location.clone(), step)
            .await?;
        if answer.meaning() != Meaning::Success {
            return Err(self
                .session()
                .refusal(&Target::push(&self.repo), answer)
                .await);
        }
        if let Some(location) = answer.location() {
            self.location = location;
        }
        let end = step.offset + step.len;
        // A registry that took less says so; one that counts otherwise is found out by the digest.
        let has = answer
            .header(RANGE)
            .and_then(|range| received(range, end))
            .filter(|has| (step.offset.max(1) + 1..end).contains(has))
            .unwrap_or(end);
        self.lost(end - has);
        self.moved -= end - has;
        self.offset = has;
        Ok(())
    }

    /// Reports all bytes of the session as lost.
    pub(super) fn lose_all(&mut self) {
        let (moved, kept) = (
            std::mem::take(&mut self.moved),
            std::mem::take(&mut self.kept),
        );
        self.lost(moved);
        if kept > 0 {
            let event = Event::KeptLost { len: kept };
            self.session().reporter().event(event);
        }
    }

    pub(super) fn lost(&self, len: u64) {
        if len > 0 {
            self.session().reporter().event(Event::BytesLost { len });
        }
    }

    /// Keeps the session for the next run.
    async fn keep(&mut self) {
        let Some(kept) = &self.uploads.state.kept else {
            return;
        };
        let reporter = self.session().reporter();
        if self.slot.is_none() {
            self.slot = kept.slot(&self.repo, self.blob, reporter).await;
        }
        if let Some(slot) = &self.slot {
            let state = (&self.location, self.offset, self.chunk_len_min);
            kept.save(slot, state, reporter).await;
        }
    }

    pub(super) async fn forget(&mut self) {
        if let (Some(kept), Some(slot)) = (&self.uploads.state.kept, self.slot.take()) {
            kept.forget(slot, self.session().reporter()).await;
        }
    }
}
