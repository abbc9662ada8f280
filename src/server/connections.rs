//! Counts connections, and closes idle ones if the maximum is reached.

use std::collections::HashMap;
use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Sleep;

/// Maximum time that a client may not read the answer to its request.
const STALL_MAX: Duration = Duration::from_mins(2);
/// Time without progress after which a transfer may be closed to make room for another connection.
const STALLED_AFTER: Duration = Duration::from_secs(10);

/// All open connections.
#[derive(Debug)]
pub(super) struct Connections {
    open: Mutex<HashMap<u64, Arc<Activity>>>,
    born: Instant,
}

/// The activity of one connection.
#[derive(Debug)]
pub(super) struct Activity {
    n_requests: AtomicUsize,
    /// When bytes last moved, in milliseconds since `born`.
    moved: AtomicU64,
    born: Instant,
    shed: Notify,
}

/// A connection that is open until this is dropped.
#[derive(Debug)]
pub(super) struct Connection {
    id: u64,
    connections: Arc<Connections>,
    pub(super) activity: Arc<Activity>,
}

/// A request that is going on until this is dropped.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Activity>);

impl Default for Connections {
    fn default() -> Self {
        Self {
            open: Mutex::default(),
            born: Instant::now(),
        }
    }
}

impl Connections {
    pub(super) fn open(self: &Arc<Self>, id: u64) -> Connection {
        let activity = Arc::new(Activity {
            n_requests: AtomicUsize::new(0),
            moved: AtomicU64::new(0),
            born: self.born,
            shed: Notify::new(),
        });
        activity.touch();
        self.lock().insert(id, Arc::clone(&activity));
        Connection {
            id,
            connections: Arc::clone(self),
            activity,
        }
    }

    /// Ends the connection that can best be spared, if any can: the one without a request that was
    /// idle for longest, else the transfer that has not moved for longest.
    pub(super) fn shed(&self) -> bool {
        let mut open = self.lock();
        let spare = open.iter().filter_map(|(id, activity)| {
            let is_busy = activity.n_requests.load(Ordering::Relaxed) > 0;
            let still = activity.still_for();
            let may_go = !is_busy || still > STALLED_AFTER;
            may_go.then_some((!is_busy, still, *id))
        });
        let Some((.., id)) = spare.max() else {
            return false;
        };
        if let Some(activity) = open.remove(&id) {
            activity.shed.notify_one();
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Activity>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.lock().remove(&self.id);
    }
}

impl Activity {
    /// Counts a request until the returned guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        self.n_requests.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// Completes when the connection must make room for another.
    pub(super) async fn must_go(&self) {
        self.shed.notified().await;
    }

    fn touch(&self) {
        let now = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(now, Ordering::Relaxed);
    }

    fn still_for(&self) -> Duration {
        let moved = Duration::from_millis(self.moved.load(Ordering::Relaxed));
        self.born.elapsed().saturating_sub(moved)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.n_requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream that notes when bytes move, and fails when none can be sent for [`STALL_MAX`].
#[derive(Debug)]
pub(super) struct Watched<S> {
    inner: S,
    activity: Arc<Activity>,
    stall: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    pub(super) fn new(inner: S, activity: Arc<Activity>) -> Self {
        Self {
            inner,
            activity,
            stall: None,
        }
    }

    fn watch<T>(
        &mut self,
        sent: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if sent.is_ready() {
            self.activity.touch();
            self.stall = None;
            return sent;
        }
        let stall = self
            .stall
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(STALL_MAX)));
        match stall.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        if read.is_ready() {
            self.activity.touch();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.watch(sent, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.watch(sent, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "`tokio::test` enters a runtime of its own"
)]
mod tests {
    use super::*;

    #[test]
    fn idle_connections_go_before_transfers_and_the_longest_idle_first() {
        let connections = Arc::new(Connections {
            open: Mutex::default(),
            born: Instant::now().checked_sub(2 * STALLED_AFTER).unwrap(),
        });
        let open: Vec<Connection> = (0..4).map(|id| connections.open(id)).collect();
        let _request = open[0].activity.begin();
        for (connection, moved) in open.iter().zip([0, 30, 10, 20]) {
            connection.activity.moved.store(moved, Ordering::Relaxed);
        }
        let mut left = vec![0, 1, 2, 3];
        for gone in [2, 3, 1] {
            assert!(connections.shed());
            left.retain(|id| *id != gone);
            let mut ids: Vec<u64> = connections.lock().keys().copied().collect();
            ids.sort_unstable();
            assert_eq!(ids, left);
        }
        // A transfer that moved a moment ago stays.
        open[0].activity.touch();
        assert!(!connections.shed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_given_up() {
        use tokio::io::AsyncWriteExt as _;
        let connections = Arc::new(Connections::default());
        let connection = connections.open(1);
        let (ours, _theirs) = tokio::io::duplex(16);
        let mut watched = Watched::new(ours, Arc::clone(&connection.activity));
        let started = tokio::time::Instant::now();
        let error = watched.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed().as_secs(), STALL_MAX.as_secs());
    }
}
