//! What a run knows of one login at one registry.
//!
//! Many registries lock a user out after a few wrong passwords, and a batch sends many requests at
//! once. So the first request with a password is sent alone, and a login that was refused is not
//! sent again in this run.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use crate::login::credentials::Login;
use crate::login::unknown_login::{Outlook, UnknownLogin};
use crate::{ErrorBody, RequestLine};

/// What is known of a login.
#[derive(Debug, Default)]
pub(crate) struct KnownLogin {
    verdict: Mutex<Verdict>,
    gate: Arc<tokio::sync::Mutex<()>>,
    unknown: Mutex<UnknownLogin>,
}

#[derive(Debug, Clone, Default)]
enum Verdict {
    #[default]
    Unknown,
    Accepted,
    Refused(Refusal),
}

/// Details of a refused login.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) request: Box<RequestLine>,
    pub(crate) status: u16,
    pub(crate) body: ErrorBody,
}

/// The right to send the first request with a login.
#[derive(Debug)]
pub(crate) struct FirstUse {
    pub(crate) login: Arc<Login>,
    pub(crate) known: Arc<KnownLogin>,
    _held: tokio::sync::OwnedMutexGuard<()>,
}

impl KnownLogin {
    /// Whether the login was accepted.
    pub(crate) fn is_accepted(&self) -> bool {
        matches!(self.check(), Ok(true))
    }

    /// Whether the login was accepted; fails if it was refused.
    fn check(&self) -> Result<bool, Refusal> {
        match &*lock(&self.verdict) {
            Verdict::Unknown => Ok(false),
            Verdict::Accepted => Ok(true),
            Verdict::Refused(refusal) => Err(refusal.clone()),
        }
    }

    /// Whether a login that was accepted before may be sent at `now`.
    pub(crate) fn may_send(&self, now: Instant) -> bool {
        lock(&self.unknown).may_send(now)
    }

    /// Notes that the registry does not know a login that it accepted before and that was sent with
    /// `request` at `sent_at`.
    pub(crate) fn note_unknown(&self, request: &RequestLine, sent_at: Instant) {
        let outlook = lock(&self.unknown).note(sent_at, Instant::now());
        if outlook == Outlook::Lost {
            self.refuse(Refusal {
                request: Box::new(request.clone()),
                status: 401,
                body: ErrorBody::default(),
            });
        }
    }

    /// Notes that the registry knows the login.
    pub(crate) fn note_known(&self) {
        lock(&self.unknown).over();
    }

    pub(crate) fn accept(&self) {
        *lock(&self.verdict) = Verdict::Accepted;
    }

    pub(crate) fn refuse(&self, refusal: Refusal) {
        *lock(&self.verdict) = Verdict::Refused(refusal);
    }

    /// Waits for the right to be the first to send the login; `None` if it was accepted meanwhile.
    pub(crate) async fn first_use(
        self: &Arc<Self>,
        login: &Arc<Login>,
    ) -> Result<Option<FirstUse>, Refusal> {
        if self.check()? {
            return Ok(None);
        }
        let held = Arc::clone(&self.gate).lock_owned().await;
        if self.check()? {
            return Ok(None);
        }
        Ok(Some(FirstUse {
            login: Arc::clone(login),
            known: Arc::clone(self),
            _held: held,
        }))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .expect("nothing panics while it holds the lock")
}
