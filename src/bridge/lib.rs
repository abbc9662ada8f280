//! Async ⇄ blocking: bytes and calls cross here, bounded, and nowhere else.
//!
//! A channel holds [`CHUNKS_MAX`] chunks, so that a slow side holds back a fast one and memory does
//! not grow with the size of a blob. **A closed channel is not the end of the data**: an
//! interrupted sender closes it too. A reader must know the expected length, and check it.

mod pool;

pub use pool::{refusal, wait_until_idle};

use std::io;
use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::mpsc;

use hod_fsx::{FileRange, read_chunks};

/// Number of chunks buffered between the two sides.
pub const CHUNKS_MAX: usize = 4;

/// Runs `work` on a thread that may block, and returns its result; a panic is passed on.
///
/// Never completes when the system makes no thread for it: [`refusal`] does then.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let context = tokio::runtime::Handle::try_current().ok();
    let job = move || {
        // The receiver is gone, so the work must not start.
        if sender.is_closed() {
            return;
        }
        let _context = context.as_ref().map(tokio::runtime::Handle::enter);
        let _ = sender.send(std::panic::catch_unwind(AssertUnwindSafe(work)));
    };
    pool::submit(Box::new(job)).await;
    match receiver.await {
        Ok(Ok(value)) => value,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        // A job always sends, unless it was not started because the receiver is gone.
        Err(_) => std::future::pending().await,
    }
}

/// Runs `work` on a separate thread, which is abandoned when the program ends: for work that may
/// block on a pipe indefinitely. It must not leave anything half done.
pub fn spawn_apart(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = std::thread::Builder::new().name("hod-pipe".to_owned());
    thread.spawn(work).map(|_| ())
}

/// Runs `work` as [`spawn_apart`] does, and returns its result.
pub async fn run_apart<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    spawn_apart(move || {
        // The result is not needed if the receiver is gone.
        let _ = sender.send(work());
    })?;
    let ended = |_| io::Error::other("the thread that did it has ended");
    receiver.await.map_err(ended)
}

/// Starts `work` on a thread of `scope`. Unlike the function of the standard library, it does not
/// panic if the system refuses a thread.
pub fn spawn_scoped<'scope, T: Send + 'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<std::thread::ScopedJoinHandle<'scope, T>> {
    std::thread::Builder::new().spawn_scoped(scope, work)
}

/// Fails if the system cannot start `n` threads at once: the runtime would panic.
pub fn require_threads(n: usize) -> io::Result<()> {
    let (end, until_end) = std::sync::mpsc::channel::<()>();
    let until_end = std::sync::Mutex::new(until_end);
    let wait = || {
        // Fails when the receiver is dropped.
        let _ = until_end.lock().map(|end| end.recv());
    };
    std::thread::scope(|scope| {
        let started = (0..n).try_for_each(|_| spawn_scoped(scope, wait).map(|_| ()));
        drop(end);
        started
    })
}

/// Asks the work on another thread to stop, because its result is no longer required.
///
/// Cheap to clone; see [`run_stoppable`].
#[derive(Debug, Clone, Default)]
pub struct Stop(std::sync::Arc<std::sync::atomic::AtomicBool>);

impl Stop {
    /// Whether the work should end, leaving nothing half done.
    pub fn is_set(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// The same for work that asks after every step.
    pub fn flow(&self) -> ControlFlow<()> {
        if self.is_set() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// Sets a [`Stop`] when it is dropped, which is when its future is.
struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

/// Runs `work` as [`run`] does, with a [`Stop`] that is set when the returned future is dropped:
/// for work that would otherwise continue for minutes after an interrupt.
pub async fn run_stoppable<T: Send + 'static>(work: impl FnOnce(Stop) -> T + Send + 'static) -> T {
    let guard = StopOnDrop(Stop::default());
    let stop = guard.0.clone();
    run(move || work(stop)).await
}

/// The blocking end of a stream: an iterator of its items, in order.
#[derive(Debug)]
pub struct Chunks<E> {
    receiver: mpsc::Receiver<Result<Bytes, E>>,
}

impl<E> Iterator for Chunks<E> {
    type Item = Result<Bytes, E>;

    fn next(&mut self) -> Option<Self::Item> {
        self.receiver.blocking_recv()
    }
}

/// Feeds `stream` to `work`, which runs on a thread that may block; returns what `work` returns.
///
/// Dropping the returned future ends the chunks early, without an error among them.
pub async fn pipe_to_blocking<S, E, T>(
    stream: S,
    work: impl FnOnce(Chunks<E>) -> T + Send + 'static,
) -> T
where
    S: Stream<Item = Result<Bytes, E>>,
    E: Send + 'static,
    T: Send + 'static,
{
    let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
    let value = run(move || work(Chunks { receiver }));
    let ((), value) = tokio::join!(feed(stream, sender), value);
    value
}

/// Feeds `stream` to `work` as [`pipe_to_blocking`] does, on a thread like [`run_apart`].
pub async fn pipe_to_apart<S, E, T>(
    stream: S,
    work: impl FnOnce(Chunks<E>) -> T + Send + 'static,
) -> io::Result<T>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: Send + 'static,
    T: Send + 'static,
{
    let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
    let value = run_apart(move || work(Chunks { receiver }));
    let ((), value) = tokio::join!(feed(stream, sender), value);
    value
}

async fn feed<E>(
    stream: impl Stream<Item = Result<Bytes, E>>,
    sender: mpsc::Sender<Result<Bytes, E>>,
) {
    let mut stream = std::pin::pin!(stream);
    while let Some(item) = stream.next().await {
        if sender.send(item).await.is_err() {
            break;
        }
    }
}

/// Streams a range of a file in chunks of [`hod_fsx::CHUNK_LEN`]; a file that ends early is an error.
pub fn stream_file(range: FileRange) -> impl Stream<Item = Result<Bytes, io::Error>> + Send {
    stream_file_seen(range, |_| Ok(()))
}

/// Streams a range of a file as [`stream_file`] does, and shows each chunk to `see` first, on the
/// thread that reads; a chunk that it refuses is not sent, and its error ends the stream.
pub fn stream_file_seen(
    range: FileRange,
    mut see: impl FnMut(&Bytes) -> io::Result<()> + Send + 'static,
) -> impl Stream<Item = Result<Bytes, io::Error>> + Send {
    stream_from_blocking(move |sink| {
        let mut refused = None;
        let _flow = read_chunks(&range, |chunk| {
            refused = see(&chunk).err();
            if refused.is_none() && sink.send(chunk) {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        refused.map_or(Ok(()), Err)
    })
}

/// Streams ranges of files, one after the other.
pub fn stream_files(ranges: Vec<FileRange>) -> impl Stream<Item = Result<Bytes, io::Error>> + Send {
    futures_util::stream::iter(ranges)
        .map(|range| Box::pin(stream_file(range)))
        .flatten()
}

/// The blocking side's handle for sending chunks.
#[derive(Debug)]
pub struct ChunkSink<E> {
    sender: mpsc::Sender<Result<Bytes, E>>,
}

impl<E> ChunkSink<E> {
    /// Sends a chunk, waiting for room; false when the receiver is gone.
    pub fn send(&self, chunk: Bytes) -> bool {
        self.sender.blocking_send(Ok(chunk)).is_ok()
    }
}

/// Streams what `work`, on a thread that may block, sends; its error is the stream's last item.
///
/// The work starts when the stream is first polled.
pub fn stream_from_blocking<E: Send + 'static>(
    work: impl FnOnce(&ChunkSink<E>) -> Result<(), E> + Send + 'static,
) -> impl Stream<Item = Result<Bytes, E>> + Send {
    let mut work = Some(work);
    let mut receiver = None;
    let mut running = None;
    futures_util::stream::poll_fn(move |context| {
        if let Some(work) = work.take() {
            let (sender, new_receiver) = mpsc::channel(CHUNKS_MAX);
            running = Some(Box::pin(run(move || {
                let sink = ChunkSink { sender };
                if let Err(error) = work(&sink) {
                    // The stream was dropped, so the error is not needed.
                    let _ = sink.sender.blocking_send(Err(error));
                }
            })));
            receiver = Some(new_receiver);
        }
        if let Some(work) = &mut running
            && work.as_mut().poll(context).is_ready()
        {
            running = None;
        }
        match &mut receiver {
            Some(receiver) => receiver.poll_recv(context),
            None => std::task::Poll::Ready(None),
        }
    })
}
