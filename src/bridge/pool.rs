//! The threads that may block.
//!
//! The threads of tokio panic, or leave work waiting forever, if the system refuses a thread.

use std::collections::VecDeque;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

pub(super) type Job = Box<dyn FnOnce() + Send>;

/// How long an idle thread waits for more work.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Maximum number of threads; further work waits for them.
const THREADS_MAX: usize = 512;
/// Interval for trying again to start a thread that the system refused.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// How long it may refuse while no other work ends either.
const REFUSED_MAX: Duration = Duration::from_secs(2);

static POOL: Pool = Pool {
    state: Mutex::new(PoolState {
        jobs: VecDeque::new(),
        n_threads: 0,
        n_waiting: 0,
        n_ended: 0,
    }),
    more: Condvar::new(),
    ended: Condvar::new(),
};
static REFUSAL: Mutex<Option<io::Error>> = Mutex::new(None);
static REFUSED: Notify = Notify::const_new();

struct Pool {
    state: Mutex<PoolState>,
    /// A job is queued.
    more: Condvar,
    /// A job has ended.
    ended: Condvar,
}

struct PoolState {
    jobs: VecDeque<Job>,
    n_threads: usize,
    /// The number of idle threads.
    n_waiting: usize,
    n_ended: u64,
}

fn state() -> MutexGuard<'static, PoolState> {
    POOL.state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands `job` to a thread. Completes when a thread has accepted the job; never if the system
/// refuses a thread for too long, which [`refusal`] reports.
pub(super) async fn submit(job: Job) {
    let n_ended = {
        let mut state = state();
        state.jobs.push_back(job);
        state.n_ended
    };
    let mut seen = (n_ended, Instant::now());
    while let Err(error) = call_thread() {
        tokio::time::sleep(ASK_AGAIN).await;
        let n_ended = state().n_ended;
        if n_ended != seen.0 {
            seen = (n_ended, Instant::now());
        } else if seen.1.elapsed() > REFUSED_MAX {
            *REFUSAL.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            REFUSED.notify_waiters();
            return std::future::pending().await;
        }
    }
}

/// Completes when the system has refused a thread for too long; reports each refusal once.
pub async fn refusal() -> io::Error {
    loop {
        let refused = REFUSED.notified();
        let error = REFUSAL
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match error {
            Some(error) => return error,
            None => refused.await,
        }
    }
}

/// Waits until all threads are idle, for at most `max`.
pub fn wait_until_idle(max: Duration) {
    let is_busy = |state: &mut PoolState| state.n_waiting < state.n_threads;
    // The result is the same whether the wait timed out or not.
    let _ = POOL.ended.wait_timeout_while(state(), max, is_busy);
}

/// Starts a thread for each queued job.
fn call_thread() -> io::Result<()> {
    let mut state = state();
    if state.jobs.len() <= state.n_waiting || state.n_threads >= THREADS_MAX {
        POOL.more.notify_one();
        return Ok(());
    }
    let thread = std::thread::Builder::new().name("hod-work".to_owned());
    thread.spawn(work)?;
    state.n_threads += 1;
    Ok(())
}

fn work() {
    let mut state = state();
    loop {
        if let Some(job) = state.jobs.pop_front() {
            drop(state);
            job();
            state = self::state();
            state.n_ended += 1;
            continue;
        }
        state.n_waiting += 1;
        POOL.ended.notify_all();
        let waited = POOL.more.wait_timeout(state, KEEP_ALIVE);
        let (next, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        state = next;
        state.n_waiting -= 1;
        if timeout.timed_out() && state.jobs.is_empty() {
            state.n_threads -= 1;
            return;
        }
    }
}
