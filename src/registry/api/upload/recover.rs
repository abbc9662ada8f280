//! Recovery of an upload after failures.

use reqwest::header::RANGE;
use reqwest::{Method, Url};

use super::UploadStart;
use super::parts::{Why, received, smaller};
use super::run::{Recovered, Step, Upload};
use super::verdict::{Phase, Verdict, verdict};
use crate::error::meaning::Meaning;
use crate::login::target::Target;
use crate::wire::endpoint::{same_origin, upload_url};
use crate::wire::transport::Call;
use crate::{ContentCheck, RegistryError};
use hod_report::Event;
use hod_report::amount::format_len;
use hod_retry::{Decision, Failure, HostState};

impl Upload<'_> {
    /// Decides what to do about a failure, and does it.
    pub(super) async fn recover(
        &mut self,
        step: Step,
        error: RegistryError,
    ) -> Result<Recovered, RegistryError> {
        match verdict(&error, step.phase) {
            Verdict::Smaller(Why::TooLarge) => {
                if !self.shrink(step.len, Why::TooLarge, &error) {
                    return Err(error);
                }
                match step.phase {
                    Phase::Whole => self.restart(error).await,
                    _ => self.ask(step, error).await,
                }
            }
            Verdict::Smaller(Why::TooSlow) => {
                self.shrink(step.len, Why::TooSlow, &error);
                let error = self.pause(error).await?;
                match step.phase {
                    Phase::Whole => self.look_and_restart(error).await,
                    _ => self.ask(step, error).await,
                }
            }
            Verdict::Ask => {
                if self.retries.n_all() > 0 {
                    // Smaller parts are confirmed more often, which helps on a bad line.
                    let len = smaller(step.len, Why::TooLarge);
                    self.chunk_len_max = self.chunk_len_max.min(len.unwrap_or(u64::MAX));
                }
                let error = self.pause(error).await?;
                self.ask(step, error).await
            }
            // A blob that Harbor is collecting as garbage is refused after all of it was sent: it is
            // sent twice at most.
            Verdict::Restart if error.is_final_not_found() && self.n_refused > 0 => {
                Err(error.gave_up(2))
            }
            Verdict::Restart => {
                self.n_refused += u32::from(error.is_final_not_found());
                let error = self.pause(error).await?;
                self.look_and_restart(error).await
            }
            Verdict::RestartOnce
                if self.may_be_corrupt
                    && !self.has_restarted_for_corruption
                    && self.data.has(0) =>
            {
                self.has_restarted_for_corruption = true;
                self.begin().await?;
                Ok(Recovered::GoOn)
            }
            Verdict::Fatal | Verdict::RestartOnce => Err(error),
            Verdict::InOne => {
                if self.data.is_held() || self.limits().of(&self.repo.registry) < self.blob.size {
                    return Err(error);
                }
                self.limits().stop_chunks(&self.repo.registry);
                self.restart(error).await
            }
        }
    }

    /// Has all uploads to the registry send smaller parts than the one of `len` that was refused;
    /// false when they cannot.
    fn shrink(&self, len: u64, why: Why, error: &RegistryError) -> bool {
        let registry = &self.repo.registry;
        let is_chunked = self.uploads.state.options.chunk_len > 0;
        let Some(next) = smaller(len, why).filter(|next| {
            is_chunked && self.limits().takes_chunks(registry) && *next >= self.chunk_len_min
        }) else {
            return false;
        };
        if self.limits().limit(registry, next) {
            let status = error.status().unwrap_or_default();
            let text = format!(
                "{registry}: a request of {} was refused ({status}); continuing with at most \
                 {} per request",
                format_len(len),
                format_len(next),
            );
            self.session().reporter().event(Event::Note { text: &text });
        }
        true
    }

    /// Waits, or gives up after failures without progress; returns the error for the time after.
    async fn pause(&mut self, error: RegistryError) -> Result<RegistryError, RegistryError> {
        let what = format!("blob {}", self.blob.digest.short());
        let failure = match error.failure() {
            Failure::Limited { wait } => Failure::Limited { wait },
            // A session may be lost, or a replica may not know of it yet.
            _ => Failure::Passing {
                retry_after: error.retry_after(),
            },
        };
        let session = self.session();
        session.wait(&mut self.retries, &what, error, failure).await
    }

    /// Checks whether the blob arrived although the answer did not, and starts again otherwise.
    async fn look_and_restart(&mut self, error: RegistryError) -> Result<Recovered, RegistryError> {
        if self.uploads.blobs.head(&self.repo, self.blob).await? == ContentCheck::Present {
            let left = self.blob.size - self.moved - self.kept;
            let event = Event::BytesMoved { len: left };
            self.session().reporter().event(event);
            return Ok(Recovered::Landed);
        }
        self.restart(error).await
    }

    /// Starts again, unless that was done too often or the data cannot be read again.
    async fn restart(&mut self, error: RegistryError) -> Result<Recovered, RegistryError> {
        if !self.data.has(0) {
            return Err(RegistryError::ReadOnce {
                source: Box::new(error),
            });
        }
        // Restarts because of a size are few, and no failures.
        if error.meaning() != Some(Meaning::TooLarge) {
            let failure = Failure::Passing { retry_after: None };
            if self.restarts.failed(failure, 0, HostState::Usual) == Decision::GiveUp {
                return Err(error.gave_up(self.restarts.n_all()));
            }
        }
        self.begin().await?;
        Ok(Recovered::GoOn)
    }

    /// Begins a new session with nothing in it.
    pub(super) async fn begin(&mut self) -> Result<(), RegistryError> {
        self.lose_all();
        self.offset = 0;
        self.forget().await;
        let url = upload_url(&self.session().root(&self.repo.registry)?, &self.repo);
        let target = Target::push(&self.repo);
        if let UploadStart::Session(session) =
            self.uploads.post(&self.repo, &target, None, url).await?
        {
            self.location = session.location;
            self.chunk_len_min = session.chunk_len_min;
        }
        Ok(())
    }

    /// Asks the registry how much it has of an interrupted session, and continues from there.
    ///
    /// If the interruption left part of a chunk, distribution 2.8 ends the session because of the
    /// request.
    async fn ask(&mut self, step: Step, error: RegistryError) -> Result<Recovered, RegistryError> {
        match self.progress().await? {
            Some((has, location)) if self.data.has(has) => {
                self.move_to(has, location);
                Ok(Recovered::GoOn)
            }
            Some(_) | None if step.phase == Phase::Close => self.look_and_restart(error).await,
            Some(_) | None => self.restart(error).await,
        }
    }

    /// Whether a session of an earlier run still exists.
    pub(super) async fn go_on_with_earlier_run(&mut self) -> Result<bool, RegistryError> {
        match self.progress().await? {
            Some((has, location)) if self.data.has(has) => {
                self.kept = has;
                let event = Event::BytesKept { len: has };
                self.session().reporter().event(event);
                self.move_to(has, location);
                let text = format!(
                    "{}: resuming blob {} after {} of {}",
                    self.repo,
                    self.blob.digest.short(),
                    format_len(has),
                    format_len(self.blob.size)
                );
                self.session().reporter().event(Event::Note { text: &text });
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn move_to(&mut self, has: u64, location: Option<Url>) {
        if let Some(len) = self.kept.checked_sub(has).filter(|len| *len > 0) {
            self.session().reporter().event(Event::KeptLost { len });
            self.kept = has;
        }
        let moved = has - self.kept;
        if let Some(len) = moved.checked_sub(self.moved).filter(|len| *len > 0) {
            self.session().reporter().event(Event::BytesMoved { len });
        }
        self.lost(self.moved.saturating_sub(moved));
        self.moved = moved;
        self.offset = has;
        if let Some(location) = location {
            self.location = location;
        }
    }

    /// The number of bytes that the registry has, and where it expects the rest; `None` for a
    /// session that has ended.
    async fn progress(&self) -> Result<Option<(u64, Option<Url>)>, RegistryError> {
        let call = Call::new(Method::GET, self.location.clone());
        let target = Target::push(&self.repo);
        let root = self.session().root(&self.repo.registry)?;
        self.session()
            .retry(call.url.path(), || async {
                let answer = if same_origin(&call.url, &root) {
                    self.session().send(&target, &call).await?
                } else {
                    self.session().transport().send(&call, None).await?
                };
                if answer.meaning() != Meaning::Success {
                    let error = self.session().refusal(&target, answer).await;
                    let is_over = !error.is_transient() || error.is_not_found();
                    return if is_over { Ok(None) } else { Err(error) };
                }
                let has = match answer.header(RANGE) {
                    Some(range) => received(range, self.offset),
                    None => Some(self.offset),
                };
                let has = has.filter(|has| *has <= self.blob.size);
                Ok(has.map(|has| (has, answer.location())))
            })
            .await
    }
}
