//! Limits the number of concurrent requests to a host, and pauses them.
//!
//! Each host has two lanes, for reads and writes, so that a transfer from a host to itself cannot
//! deadlock. A lane starts narrow, widens while requests wait for it and the host answers about as
//! fast as before, and is halved when the host is overloaded (429, 503) or stops answering. A 429,
//! or a `Retry-After`, pauses the whole host: no request is sent before the pause is over, and then
//! not all at the same instant. A pause of hours is not waited for: requests that it affects fail
//! at once.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;
use reqwest::{Method, Url};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::error::meaning::Meaning;
use crate::wire::budget::Budget;
use crate::wire::retry_after::retry_after;
use crate::wire::throttle::Throttle;
use hod_report::amount::format_eta;
use hod_report::presentable;
use hod_report::{Event, Reporter};
use hod_retry::{RETRY_AFTER_MAX, RetryPolicy, with_jitter};

/// Initial number of requests in a lane: a few more than the large blobs that fill it for minutes,
/// so that the answers to small requests can widen it.
const AT_FIRST: usize = 8;
/// How much slower than its fastest answer a host may become before more concurrency is taken not
/// to help: a factor, and a minimum.
const SLOWER_MAX: u32 = 4;
const SLOWER_SLACK: Duration = Duration::from_millis(250);
/// Maximum time over which requests that waited for a pause are spread.
const SPREAD_MAX: Duration = Duration::from_secs(1);
/// Maximum number of distinct warnings of one host that are reported.
const WARNINGS_MAX: usize = 16;

/// Limits for requests to registries, and how long these may be silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitOptions {
    /// Maximum number of concurrent reads, and of concurrent writes, to one host.
    pub at_once: usize,
    /// Maximum number of bytes of blobs per second, of both directions together.
    pub rate_max: Option<u64>,
    /// Maximum time without progress while data is expected.
    pub stall_timeout: Duration,
}

impl Default for LimitOptions {
    fn default() -> Self {
        Self {
            at_once: 18,
            rate_max: None,
            stall_timeout: Duration::from_mins(1),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Read,
    Write,
}

impl Lane {
    fn of(method: &Method) -> Self {
        if matches!(*method, Method::GET | Method::HEAD) {
            Self::Read
        } else {
            Self::Write
        }
    }
}

/// The limits of a whole run.
pub(crate) struct Limiter {
    options: LimitOptions,
    retry: RetryPolicy,
    reporter: Arc<dyn Reporter>,
    throttle: Arc<Throttle>,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
}

struct Host {
    name: String,
    read: Gate,
    write: Gate,
    state: Mutex<HostState>,
}

/// The state of one host.
#[derive(Default)]
struct HostState {
    pause: Option<Pause>,
    /// The pause of pulls only: a registry that counts them may refuse them for hours while it
    /// answers everything else.
    pull_pause: Option<Pause>,
    budget: Option<Budget>,
    /// The number of pulls still to be sent, as far as is known.
    n_needed: usize,
    is_warned: bool,
    warnings: HashSet<String>,
}

/// When requests to a host may continue.
#[derive(Debug, Clone, Copy)]
struct Pause {
    since: Instant,
    until: Instant,
    /// The same for people.
    until_time: SystemTime,
    /// Number of consecutive pauses without a successful response.
    n: u32,
}

/// A host whose pause is longer than hod waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) host: String,
    pub(crate) wait: Duration,
    pub(crate) until: SystemTime,
}

/// One lane: a semaphore whose width changes.
struct Gate {
    lane: Lane,
    semaphore: Arc<Semaphore>,
    width: Mutex<Width>,
}

#[derive(Debug)]
struct Width {
    now: usize,
    max: usize,
    /// Permits to take out of circulation as they come back.
    n_owed: usize,
    /// Answers since the last widening, once the lane was halved.
    n_answers: usize,
    lowered_at: Option<Instant>,
    fastest: Option<Duration>,
    /// A moving average.
    usual: Duration,
}

/// The right to have one request under way.
#[derive(Debug)]
pub(crate) struct Permit {
    host: Arc<Host>,
    lane: Lane,
    is_pull: bool,
    admitted_at: Instant,
    semaphore: Option<OwnedSemaphorePermit>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Limiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limiter")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .expect("nothing panics while it holds the lock")
}

impl Limiter {
    pub(crate) fn new(
        options: LimitOptions,
        retry: RetryPolicy,
        reporter: Arc<dyn Reporter>,
    ) -> Self {
        Self {
            options,
            retry,
            reporter,
            throttle: Arc::new(Throttle::new(options.rate_max)),
            hosts: Mutex::default(),
        }
    }

    pub(crate) fn stall_timeout(&self) -> Duration {
        self.options.stall_timeout
    }

    pub(crate) fn throttle(&self) -> &Arc<Throttle> {
        &self.throttle
    }

    /// Waits until a request may be sent; fails for a host whose pause is too long.
    pub(crate) async fn admit(&self, method: &Method, url: &Url) -> Result<Permit, Closed> {
        let host = self.host(url);
        let (lane, is_pull) = (Lane::of(method), is_pull(method, url));
        loop {
            host.wait_for_pause(is_pull).await?;
            let semaphore = Arc::clone(&host.gate(lane).semaphore);
            let permit = semaphore
                .acquire_owned()
                .await
                .expect("the lanes are never closed");
            let mut permit = Permit {
                host: Arc::clone(&host),
                lane,
                is_pull,
                admitted_at: Instant::now(),
                semaphore: Some(permit),
            };
            let mut state = lock(&host.state);
            if state.is_paused(permit.admitted_at) {
                drop(state);
                permit.release();
                continue;
            }
            if is_pull {
                state.n_needed = state.n_needed.saturating_sub(1);
            }
            drop(state);
            return Ok(permit);
        }
    }

    /// Learns from the head of an answer.
    pub(crate) fn heard(&self, permit: &Permit, meaning: Meaning, headers: &HeaderMap) {
        self.pass_on_warnings(&permit.host, headers);
        self.note_budget(&permit.host, headers);
        let wait = retry_after(headers);
        if meaning == Meaning::RateLimit || meaning.is_overload() && wait.is_some() {
            self.pause(permit, wait);
        }
        if meaning.is_overload() {
            permit.halve();
        } else {
            permit.widen();
        }
    }

    /// Limits the number of concurrent writing requests to a host to `n`.
    pub(crate) fn cap_writes(&self, url: &Url, n: usize) {
        self.host(url).write.cap(n);
    }

    /// Notes how many manifests will be fetched from a host, so that its first answer tells whether it
    /// allows so many.
    pub(crate) fn expect_pulls(&self, url: &Url, n: usize) {
        lock(&self.host(url).state).n_needed += n;
    }

    /// The number of pulls that each host still allows, for those that say so.
    pub(crate) fn budgets(&self) -> Vec<(String, Budget)> {
        let hosts = lock(&self.hosts);
        let mut budgets: Vec<(String, Budget)> = hosts
            .values()
            .filter_map(|host| Some((host.name.clone(), lock(&host.state).budget?)))
            .collect();
        budgets.sort_by(|a, b| a.0.cmp(&b.0));
        budgets
    }

    /// The pause of such requests, if it is longer than hod waits.
    pub(crate) fn closed(&self, method: &Method, url: &Url) -> Option<Closed> {
        let is_pull = is_pull(method, url);
        self.host(url).closed(is_pull, Instant::now())
    }

    fn host(&self, url: &Url) -> Arc<Host> {
        let mut hosts = lock(&self.hosts);
        let origin = url.origin().ascii_serialization();
        let host = hosts.entry(origin).or_insert_with(|| {
            let name = match (url.host_str(), url.port()) {
                (Some(host), Some(port)) => format!("{host}:{port}"),
                (host, _) => host.unwrap_or_default().to_owned(),
            };
            Arc::new(Host {
                name,
                read: Gate::new(Lane::Read, self.options.at_once),
                write: Gate::new(Lane::Write, self.options.at_once),
                state: Mutex::default(),
            })
        });
        Arc::clone(host)
    }

    fn pause(&self, permit: &Permit, wait: Option<Duration>) {
        let now = Instant::now();
        let mut state = lock(&permit.host.state);
        let n = match state.pause {
            // Of the same volley as the one that began the pause.
            Some(pause) if permit.admitted_at <= pause.since => pause.n,
            Some(pause) => pause.n + 1,
            None => 1,
        };
        let is_spent = |budget: &Budget| permit.is_pull && budget.remaining == 0;
        let spent = state.budget.filter(is_spent);
        let wait = wait
            .or_else(|| spent.and_then(|budget| budget.window))
            .unwrap_or_else(|| with_jitter(self.retry.delay(n)));
        let slot = if permit.is_pull && wait > RETRY_AFTER_MAX {
            &mut state.pull_pause
        } else {
            &mut state.pause
        };
        let until = now + wait;
        // Repeating the same warning would only change the time in it.
        let is_news = slot
            .is_none_or(|pause| until > pause.until + Duration::from_secs(2) || pause.until < now);
        if is_news {
            *slot = Some(Pause {
                since: now,
                until,
                until_time: SystemTime::now() + wait,
                n,
            });
        }
    }

    fn note_budget(&self, host: &Host, headers: &HeaderMap) {
        let Some(budget) = Budget::parse(headers) else {
            return;
        };
        let text = {
            let mut state = lock(&host.state);
            state.budget = Some(budget);
            let n_needed = state.n_needed;
            if state.is_warned || budget.remaining >= n_needed as u64 {
                return;
            }
            state.is_warned = true;
            let Budget {
                remaining, window, ..
            } = budget;
            let within = window.map_or_else(String::new, |window| {
                format!(
                    " in a window of {window}; the rest can be pulled when it has passed",
                    window = format_eta(window)
                )
            });
            format!(
                "`{}` is to be asked for at least {n_needed} more manifests, and allows {remaining} \
                 more{within}. A login may allow more; what was pulled is kept",
                host.name
            )
        };
        self.reporter.event(Event::Warning { text: &text });
    }

    /// Reports the warnings of a host (RFC 9111, 5.5: `299 - "text"`), each text once.
    fn pass_on_warnings(&self, host: &Host, headers: &HeaderMap) {
        for value in headers.get_all(reqwest::header::WARNING) {
            let Some(text) = value.to_str().ok().and_then(warning_text) else {
                continue;
            };
            let is_new = {
                let mut state = lock(&host.state);
                state.warnings.len() < WARNINGS_MAX && state.warnings.insert(text.clone())
            };
            if is_new {
                let text = format!("`{}` says: {text}", host.name);
                self.reporter.event(Event::Warning { text: &text });
            }
        }
    }
}

/// The text of a `Warning` header with the code 299.
fn warning_text(value: &str) -> Option<String> {
    let rest = value.trim().strip_prefix("299 ")?;
    let quoted = rest.split_once('"')?.1;
    let mut text = String::new();
    let mut chars = quoted.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => break,
            '\\' => text.extend(chars.next()),
            char => text.push(char),
        }
    }
    presentable(&text)
}

/// Whether a registry that counts pulls counts this.
fn is_pull(method: &Method, url: &Url) -> bool {
    *method == Method::GET && url.path().contains("/manifests/")
}

impl HostState {
    fn is_paused(&self, now: Instant) -> bool {
        self.pause.is_some_and(|pause| pause.until > now)
    }
}

impl Host {
    fn gate(&self, lane: Lane) -> &Gate {
        match lane {
            Lane::Read => &self.read,
            Lane::Write => &self.write,
        }
    }

    fn closed(&self, is_pull: bool, now: Instant) -> Option<Closed> {
        let state = lock(&self.state);
        let pauses = [state.pause, state.pull_pause.filter(|_| is_pull)];
        let pause = pauses
            .into_iter()
            .flatten()
            .max_by_key(|pause| pause.until)?;
        let wait = pause.until.saturating_duration_since(now);
        (wait > RETRY_AFTER_MAX).then(|| Closed {
            host: self.name.clone(),
            wait,
            until: pause.until_time,
        })
    }

    async fn wait_for_pause(&self, is_pull: bool) -> Result<(), Closed> {
        loop {
            let now = Instant::now();
            if let Some(closed) = self.closed(is_pull, now) {
                return Err(closed);
            }
            let pause = lock(&self.state).pause.filter(|pause| pause.until > now);
            let Some(pause) = pause else { return Ok(()) };
            let spread = (pause.until - now).min(SPREAD_MAX) / 4;
            tokio::time::sleep_until(pause.until + with_jitter(spread)).await;
        }
    }
}

impl Permit {
    /// Releases the right before the permit is dropped; results reported later still count.
    pub(crate) fn release(&mut self) {
        if let Some(permit) = self.semaphore.take() {
            self.host.gate(self.lane).take_back(permit);
        }
    }

    /// Learns that the host fell silent.
    pub(crate) fn timed_out(&self) {
        self.halve();
    }

    fn halve(&self) {
        self.host.gate(self.lane).halve(self.admitted_at);
    }

    fn widen(&self) {
        let gate = self.host.gate(self.lane);
        gate.widen(self.admitted_at.elapsed());
        let mut state = lock(&self.host.state);
        // The pause did its work. It stays for those of the same volley.
        if let Some(pause) = &mut state.pause
            && self.admitted_at > pause.until
        {
            pause.n = 0;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.release();
    }
}

impl Gate {
    fn new(lane: Lane, max: usize) -> Self {
        let max = max.max(1);
        let now = AT_FIRST.min(max);
        Self {
            lane,
            semaphore: Arc::new(Semaphore::new(now)),
            width: Mutex::new(Width {
                now,
                max,
                n_owed: 0,
                n_answers: 0,
                lowered_at: None,
                fastest: None,
                usual: Duration::ZERO,
            }),
        }
    }

    fn take_back(&self, permit: OwnedSemaphorePermit) {
        let mut width = lock(&self.width);
        if width.n_owed > 0 {
            width.n_owed -= 1;
            permit.forget();
        }
    }

    /// Learns of an answer that took `took`.
    fn widen(&self, took: Duration) {
        let mut width = lock(&self.width);
        let fastest = width.fastest.map_or(took, |fastest| fastest.min(took));
        width.usual = match width.fastest {
            None => took,
            Some(_) => (width.usual * 7 + took) / 8,
        };
        width.fastest = Some(fastest);
        width.n_answers += 1;
        let is_waited_for = self.semaphore.available_permits() == 0;
        // The answer to a write comes after its body, whose length says nothing of the host.
        let is_as_fast =
            self.lane == Lane::Write || width.usual <= fastest * SLOWER_MAX + SLOWER_SLACK;
        // By one with each answer at first; once it was too much, by one with each round of them.
        let is_due = width.lowered_at.is_none() || width.n_answers >= width.now;
        if width.now < width.max && is_waited_for && is_as_fast && is_due {
            width.n_answers = 0;
            width.now += 1;
            if width.n_owed > 0 {
                width.n_owed -= 1;
            } else {
                self.semaphore.add_permits(1);
            }
        }
    }

    /// Halves the width, once for all that was under way when it was halved.
    fn halve(&self, admitted_at: Instant) {
        let mut width = lock(&self.width);
        if width
            .lowered_at
            .is_some_and(|lowered_at| admitted_at <= lowered_at)
        {
            return;
        }
        width.lowered_at = Some(Instant::now());
        width.n_answers = 0;
        let target = (width.now / 2).max(1);
        self.lower(&mut width, target);
    }

    fn cap(&self, max: usize) {
        let mut width = lock(&self.width);
        width.max = width.max.min(max.max(1));
        let target = width.now.min(width.max);
        self.lower(&mut width, target);
    }

    fn lower(&self, width: &mut Width, target: usize) {
        let surplus = width.now - target;
        let n_forgotten = self.semaphore.forget_permits(surplus);
        width.n_owed += surplus - n_forgotten;
        width.now = target;
    }
}

#[cfg(test)]
mod tests;
