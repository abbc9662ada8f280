//! Reads and writes the bytes of blobs: a bounded number at once, chunk by chunk.
//!
//! A transfer whose client does not read or send uses no thread, and all transfers together leave
//! threads for requests for manifests and tags.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::Semaphore;

use super::error::ApiError;
use super::reply::chunks;

/// Maximum number of chunks read or written at once; tokio has 512 threads for blocking work.
const TRANSFERS_MAX: usize = 64;
/// Maximum number of bytes of an upload that wait for the disk.
const QUEUE_LEN_MAX: usize = 1024 * 1024;

/// Runs the work of transfers. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Lane(Arc<Semaphore>);

impl Default for Lane {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(TRANSFERS_MAX)))
    }
}

impl Lane {
    /// Runs `work`, which must not wait for a client, on a thread that may block.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let permit = Arc::clone(&self.0).acquire_owned().await;
        hod_bridge::run(move || {
            let value = work();
            drop(permit);
            value
        })
        .await
    }

    /// Receives a request's body: `write` appends each chunk to `state`, which is returned.
    ///
    /// The next chunks are received while one is written. If the body breaks off, the bytes
    /// received so far are written; if the request itself is dropped, that continues in the
    /// background, and `state` is dropped after it.
    pub(super) async fn receive<S: Send + 'static>(
        &self,
        body: Body,
        state: S,
        write: impl Fn(&mut S, &[u8]) -> Result<(), ApiError> + Copy + Send + 'static,
    ) -> (S, Result<(), ApiError>) {
        let queue = Arc::new(Queue::default());
        let mut chunks = std::pin::pin!(chunks(body));
        let mut waiting = Some(state);
        let mut job: Option<Job<'_, S>> = None;
        let mut ended = None;
        loop {
            if !queue.is_empty()
                && let Some(mut state) = waiting.take()
            {
                let queue = Arc::clone(&queue);
                job = Some(Box::pin(self.run(move || {
                    while let Some(chunk) = queue.pop() {
                        if let Err(error) = write(&mut state, &chunk) {
                            return (state, Err(error));
                        }
                    }
                    (state, Ok(()))
                })));
            }
            if let (Some(_), Some(_)) = (&waiting, &ended)
                && let (Some(state), Some(result)) = (waiting.take(), ended.take())
            {
                return (state, result);
            }
            tokio::select! {
                Some((state, written)) = finished(&mut job) => {
                    job = None;
                    if written.is_err() {
                        return (state, written);
                    }
                    waiting = Some(state);
                }
                chunk = chunks.next(), if ended.is_none() && queue.has_room() => match chunk {
                    Some(Ok(chunk)) => queue.push(chunk),
                    Some(Err(error)) => ended = Some(Err(error)),
                    None => ended = Some(Ok(())),
                },
            }
        }
    }
}

/// Chunks being written, which ends with the state that they went to.
type Job<'a, S> = Pin<Box<dyn Future<Output = (S, Result<(), ApiError>)> + Send + 'a>>;

async fn finished<S>(job: &mut Option<Job<'_, S>>) -> Option<(S, Result<(), ApiError>)> {
    match job {
        Some(job) => Some(job.await),
        None => None,
    }
}

/// The chunks that have arrived and are not written yet.
#[derive(Debug, Default)]
struct Queue(Mutex<(VecDeque<Bytes>, usize)>);

impl Queue {
    fn push(&self, chunk: Bytes) {
        let (chunks, len) = &mut *self.lock();
        *len += chunk.len();
        chunks.push_back(chunk);
    }

    fn pop(&self) -> Option<Bytes> {
        let (chunks, len) = &mut *self.lock();
        let chunk = chunks.pop_front()?;
        *len -= chunk.len();
        Some(chunk)
    }

    fn is_empty(&self) -> bool {
        self.lock().0.is_empty()
    }

    fn has_room(&self) -> bool {
        self.lock().1 < QUEUE_LEN_MAX
    }

    fn lock(&self) -> MutexGuard<'_, (VecDeque<Bytes>, usize)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
