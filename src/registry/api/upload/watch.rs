//! The progress and the deadline of one request of an upload.

use std::io;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::time::Instant;

use super::UploadStream;
use super::data::Part;
use crate::wire::throttle::Throttle;
use crate::wire::transport::COMMIT_TIMEOUT;
use hod_bridge::stream_file_seen;
use hod_fsx::CHUNK_LEN;
use hod_report::{Event, Reporter};

/// Tracks the progress of a request and its deadline.
pub(super) struct Watch {
    len: u64,
    stall_timeout: Duration,
    reporter: Arc<dyn Reporter>,
    state: Mutex<WatchState>,
}

struct WatchState {
    handed: u64,
    error: Option<io::Error>,
    /// `None` while waiting for the data's source, which has its own deadline.
    deadline: Option<Deadline>,
}

#[derive(Clone, Copy)]
struct Deadline {
    since: Instant,
    after: Duration,
}

impl Watch {
    pub(super) fn new(len: u64, stall_timeout: Duration, reporter: Arc<dyn Reporter>) -> Self {
        Self {
            len,
            stall_timeout,
            reporter,
            state: Mutex::new(WatchState {
                handed: 0,
                error: None,
                // Connecting is part of the first step and also has its own deadline.
                deadline: Some(deadline(0, len, stall_timeout)),
            }),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, WatchState> {
        self.state
            .lock()
            .expect("nothing panics while it holds the lock")
    }

    /// Counts a chunk of the source and passes it on to the network.
    fn note(&self, item: Option<Result<Bytes, io::Error>>) -> Option<Result<Bytes, io::Error>> {
        let mut state = self.state();
        let error = match item {
            Some(Ok(chunk)) if state.handed + chunk.len() as u64 <= self.len => {
                let len = chunk.len() as u64;
                state.handed += len;
                state.deadline = Some(deadline(state.handed, self.len, self.stall_timeout));
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

    pub(super) fn take_error(&self) -> Option<io::Error> {
        self.state().error.take()
    }

    /// Reports the bytes of this request as lost.
    pub(super) fn take_back(&self) {
        let len = std::mem::take(&mut self.state().handed);
        if len > 0 {
            self.reporter.event(Event::BytesLost { len });
        }
    }

    /// Returns when the network took nothing for too long, and how long that was.
    pub(super) async fn stalled(&self) -> Duration {
        loop {
            let deadline = self.state().deadline;
            match deadline {
                Some(Deadline { since, after }) if since.elapsed() >= after => return after,
                Some(Deadline { since, after }) => tokio::time::sleep_until(since + after).await,
                None => tokio::time::sleep(self.stall_timeout).await,
            }
        }
    }
}

/// From now: for the next chunk, or for the answer when all `len` bytes are handed over.
fn deadline(handed: u64, len: u64, stall_timeout: Duration) -> Deadline {
    Deadline {
        since: Instant::now(),
        after: if handed == len {
            COMMIT_TIMEOUT
        } else {
            stall_timeout
        },
    }
}

/// The chunks of `part`, each noted by `watch` when the network takes it.
pub(super) fn watched(
    part: Part,
    throttle: Arc<Throttle>,
    watch: Arc<Watch>,
) -> impl Stream<Item = Result<Bytes, io::Error>> + Send {
    let chunks: UploadStream = match part {
        Part::File(range, mut verifier) => {
            Box::pin(stream_file_seen(range, move |chunk| verifier.see(chunk)))
        }
        Part::Held(bytes) => Box::pin(futures_util::stream::iter(pieces(bytes).map(Ok))),
        Part::Stream(stream) => stream,
    };
    let mut chunks = Box::pin(throttle.pace(chunks));
    futures_util::stream::poll_fn(move |context| match chunks.poll_next_unpin(context) {
        Poll::Pending => {
            watch.wait_for_source();
            Poll::Pending
        }
        Poll::Ready(item) => Poll::Ready(watch.note(item)),
    })
}

/// The bytes in pieces, so that how far they are is known.
fn pieces(mut bytes: Bytes) -> impl Iterator<Item = Bytes> {
    let n = bytes.len().div_ceil(CHUNK_LEN);
    (0..n).map(move |_| bytes.split_to(CHUNK_LEN.min(bytes.len())))
}
