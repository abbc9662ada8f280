//! Upload sessions: blobs that arrive in several requests. They live as long as the process.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderValue, header};
use tokio::sync::OwnedMutexGuard;

use hod_oci::{Algorithm, Digest, RepositoryName};
use hod_store::{Store, Upload};

use super::error::{ApiError, Code};

/// Maximum number of open sessions; each may hold a file.
const SESSIONS_MAX: usize = 4096;
/// How long a session is kept without a request.
const IDLE_MAX: Duration = Duration::from_hours(24);
/// Idle time after which a session with bytes may be ended to make room.
const ABANDONED_AFTER: Duration = Duration::from_mins(10);
/// Time after which a client can retry if too many uploads are open.
const RETRY_AFTER_SECONDS: u64 = 60;
/// How long a request waits for an earlier one of its session to finish.
const TURN_WAIT_MAX: Duration = Duration::from_secs(10);

/// All open sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<String, Arc<UploadSession>>>);

/// One blob on its way in.
#[derive(Debug)]
pub(super) struct UploadSession {
    id: String,
    repository: RepositoryName,
    arrived: Arc<tokio::sync::Mutex<Arrived>>,
}

/// The received part of a blob. The holder of its lock has exclusive use of the session.
#[derive(Debug)]
pub(super) struct Arrived {
    /// `None` until the first byte, so that an idle session costs no file.
    writer: Option<Upload>,
    used: Instant,
    ended: bool,
}

/// Exclusive use of a session by one request; dropping it leaves the received bytes for the next.
pub(super) type SessionGuard = OwnedMutexGuard<Arrived>;

impl Sessions {
    /// Opens a session of `repository`.
    pub(super) fn start(&self, repository: RepositoryName) -> Result<Arc<UploadSession>, ApiError> {
        let mut sessions = self.lock();
        sessions.retain(|_, session| !session.is_stale());
        if sessions.len() >= SESSIONS_MAX {
            make_room(&mut sessions)?;
        }
        let session = Arc::new(UploadSession {
            id: random_id(),
            repository,
            arrived: Arc::new(tokio::sync::Mutex::new(Arrived {
                writer: None,
                used: Instant::now(),
                ended: false,
            })),
        });
        sessions.insert(session.id.clone(), Arc::clone(&session));
        Ok(session)
    }

    /// Finds the session `id` of `repository`.
    pub(super) fn find(
        &self,
        repository: &RepositoryName,
        id: &str,
    ) -> Result<Arc<UploadSession>, ApiError> {
        match self.lock().get(id) {
            Some(session) if session.repository == *repository => Ok(Arc::clone(session)),
            _ => Err(unknown()),
        }
    }

    /// Ends a session; received data is removed, unless it was committed.
    pub(super) fn end(&self, session: &UploadSession, guard: &mut SessionGuard) {
        guard.writer = None;
        guard.ended = true;
        self.lock().remove(&session.id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<UploadSession>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UploadSession {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn repository(&self) -> &RepositoryName {
        &self.repository
    }

    /// The path under which the client finds the session, relative to the server.
    ///
    /// Relative, since only the client knows how it reaches the server.
    pub(super) fn location(&self) -> String {
        format!("/v2/{}/blobs/uploads/{}", self.repository, self.id)
    }

    /// Takes the session for one request.
    ///
    /// A request whose connection was lost may still be writing its data, so this waits for a
    /// limited time.
    pub(super) async fn guard(&self) -> Result<SessionGuard, ApiError> {
        let lock = Arc::clone(&self.arrived).lock_owned();
        let Ok(mut guard) = tokio::time::timeout(TURN_WAIT_MAX, lock).await else {
            return Err(ApiError::new(
                Code::UploadBusy,
                "another request of this upload is still running",
            ));
        };
        if guard.ended {
            return Err(unknown());
        }
        guard.used = Instant::now();
        Ok(guard)
    }

    fn is_stale(&self) -> bool {
        self.arrived
            .try_lock()
            .is_ok_and(|arrived| arrived.used.elapsed() > IDLE_MAX)
    }
}

impl Arrived {
    /// The number of bytes received.
    pub(super) fn len(&self) -> u64 {
        self.writer.as_ref().map_or(0, Upload::len)
    }

    /// Appends `bytes`; blocks.
    pub(super) fn append(&mut self, store: &Store, bytes: &[u8]) -> Result<(), ApiError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(store.upload(Algorithm::Sha256)?),
        };
        Ok(writer.write(bytes)?)
    }

    /// Prepares for a blob whose digest is known before its first byte.
    pub(super) fn expect(&mut self, store: &Store, digest: &Digest) -> Result<(), ApiError> {
        if self.writer.is_none() {
            self.writer = Some(store.upload(digest.algorithm())?);
        }
        Ok(())
    }

    /// Takes what arrived, to commit it.
    pub(super) fn take(&mut self) -> Option<Upload> {
        self.writer.take()
    }
}

fn unknown() -> ApiError {
    ApiError::new(Code::BlobUploadUnknown, "upload not found, or it has ended")
}

/// Ends the session that was idle for longest among those without bytes, which its client has most
/// likely forgotten and can restart at no cost; otherwise among those without a request for
/// [`ABANDONED_AFTER`].
fn make_room(sessions: &mut HashMap<String, Arc<UploadSession>>) -> Result<(), ApiError> {
    let idle = sessions.values().filter_map(|session| {
        let arrived = session.arrived.try_lock().ok()?;
        let (is_empty, idle) = (arrived.writer.is_none(), arrived.used.elapsed());
        let may_go = is_empty || idle > ABANDONED_AFTER;
        may_go.then(|| (is_empty, idle, session.id.clone()))
    });
    let Some((.., id)) = idle.max() else {
        let message = format!("{SESSIONS_MAX} uploads are already open");
        return Err(ApiError::new(Code::TooManyRequests, message)
            .with_header(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS)));
    };
    sessions.remove(&id);
    Ok(())
}

/// 128 bits that a client cannot guess, from the keys of the standard library's hash maps.
fn random_id() -> String {
    let half = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", half(), half())
}
