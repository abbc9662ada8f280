//! Decides whether and when a failed operation is tried again; the only place that does.
//!
//! An operation counts its failures in a [`Retries`], which decides by the [`RetryPolicy`], the kind
//! of [`Failure`], the progress made so far and the [`HostState`], and waits.

mod outage;

use std::error::Error;
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use hod_report::{Event, Reporter, chain};

pub use outage::{HostState, Outages};

/// The longest wait that a registry may ask for. A longer one fails the operation: an error message
/// helps more than a program that seems to hang.
pub const RETRY_AFTER_MAX: Duration = Duration::from_mins(5);
/// Progress of so many bytes since the last failure resets the count of failures.
const PROGRESS_LEN_MIN: u64 = 1024 * 1024;
/// After this time any progress resets it, so that a slow transfer that makes progress continues.
const PROGRESS_TIME_MIN: Duration = Duration::from_mins(1);
/// Number of attempts for a host that cannot be reached and never answered in this run: its name is
/// likelier to be wrong than the host to be down.
const UNREACHABLE_ATTEMPTS: u32 = 2;
/// Maximum time for the restart of a registry and its database.
const OUTAGE_MAX: Duration = Duration::from_mins(3);
/// Maximum delay between attempts for a host that is down.
const OUTAGE_DELAY_MAX: Duration = Duration::from_secs(10);

/// How transient failures are retried: after `base`, doubled each time, at most `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Number of attempts, including the first.
    pub attempts: u32,
    pub base: Duration,
    pub max: Duration,
    /// How long to wait for a host that answered earlier in the run and is down now, regardless of
    /// the number of attempts.
    pub outage: Duration,
}

impl Default for RetryPolicy {
    /// Six attempts within some 16 seconds, since a wrong host name stays wrong. A registry that
    /// answered before gets more time: it may be restarting.
    fn default() -> Self {
        Self {
            attempts: 6,
            base: Duration::from_millis(500),
            max: Duration::from_secs(30),
            outage: OUTAGE_MAX,
        }
    }
}

impl RetryPolicy {
    /// Returns the delay after failure number `n`, from 1, without jitter.
    pub fn delay(&self, n: u32) -> Duration {
        let factor = 2_u32.saturating_pow(n.saturating_sub(1));
        self.base.saturating_mul(factor).min(self.max)
    }
}

/// The kind of a failure, as far as retrying is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// A retry would fail as well: a refusal (400, 401, 403, 404, 412, 413), an unknown host.
    Lasting,
    /// A transient failure, such as a server that restarts or a lost connection. The server may
    /// have asked for a delay.
    Passing { retry_after: Option<Duration> },
    /// The host limits requests (429) and is paused for all of them.
    Limited { wait: Option<Duration> },
    /// The received bytes are not the requested ones.
    Garbled,
}

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    GiveUp,
    /// Try again after this time.
    After(Duration),
    /// Try again at once: the next request waits by itself until its host is no longer paused, for
    /// about this long.
    WhenHostAllows(Duration),
}

/// A failed attempt.
#[derive(Debug, Clone, Copy)]
pub struct Failed<'a> {
    /// What failed, for messages.
    pub what: &'a str,
    pub error: &'a (dyn Error + Send + Sync),
    pub failure: Failure,
    /// Number of bytes that the next attempt need not transfer again.
    pub progress: u64,
    pub host: HostState,
}

/// The failures of one operation.
#[derive(Debug)]
pub struct Retries {
    policy: RetryPolicy,
    /// Maximum number of attempts for a host that cannot be reached.
    unreachable_max: u32,
    /// Number of consecutive failures without progress; 0 if there was progress since the last.
    n_failures: u32,
    n_garbled: u32,
    /// Number of all failures, for messages.
    n_all: u32,
    progress: u64,
    failed_at: Instant,
    /// When the consecutive failures began.
    began_at: Option<Instant>,
}

impl Retries {
    /// Starts with no failure.
    pub fn new(policy: RetryPolicy) -> Self {
        Self {
            policy,
            unreachable_max: UNREACHABLE_ATTEMPTS,
            n_failures: 0,
            n_garbled: 0,
            n_all: 0,
            progress: 0,
            failed_at: Instant::now(),
            began_at: None,
        }
    }

    /// Makes at most `n` attempts while the host is [`HostState::Unreachable`].
    #[must_use]
    pub fn at_most_if_unreachable(self, n: u32) -> Self {
        Self {
            unreachable_max: n,
            ..self
        }
    }

    /// Forgets all failures, since a step of the operation succeeded.
    pub fn succeeded(&mut self) {
        *self = Self {
            unreachable_max: self.unreachable_max,
            ..Self::new(self.policy)
        };
    }

    /// Returns when the consecutive failures began, including one that happens now.
    pub fn began_at(&self) -> Instant {
        self.began_at.unwrap_or_else(Instant::now)
    }

    /// Notes that the wrong bytes of the next failure come from a place that sent none before.
    pub fn other_place(&mut self) {
        self.n_garbled = 0;
    }

    /// Returns the number of failures.
    pub fn n_all(&self) -> u32 {
        self.n_all
    }

    /// Counts a failure after which `progress` bytes are kept, and decides.
    pub fn failed(&mut self, failure: Failure, progress: u64, host: HostState) -> Decision {
        let gained = progress.saturating_sub(self.progress);
        let has_advanced = gained >= PROGRESS_LEN_MIN
            || gained > 0 && self.failed_at.elapsed() >= PROGRESS_TIME_MIN;
        self.progress = progress;
        self.failed_at = Instant::now();
        self.n_all += 1;
        self.n_garbled += u32::from(failure == Failure::Garbled);
        self.n_failures = if has_advanced { 0 } else { self.n_failures + 1 };
        if has_advanced || self.began_at.is_none() {
            self.began_at = Some(self.failed_at);
        }
        self.decide(failure, host, jitter())
    }

    /// Counts a failed attempt, reports it ([`Event::Retry`]) and waits for the next; returns false
    /// if there is to be none.
    pub async fn wait(&mut self, failed: &Failed<'_>, reporter: &dyn Reporter) -> bool {
        let decision = self.failed(failed.failure, failed.progress, failed.host);
        let (Decision::After(delay) | Decision::WhenHostAllows(delay)) = decision else {
            return false;
        };
        reporter.event(Event::Retry {
            what: failed.what,
            attempt: self.n_all,
            delay,
            error: &chain(failed.error),
        });
        if matches!(decision, Decision::After(_)) {
            tokio::time::sleep(delay).await;
        }
        true
    }

    /// Decides about the last failure, with a delay of `jitter` thousandths of the usual one.
    fn decide(&self, failure: Failure, host: HostState, jitter: u32) -> Decision {
        if host == HostState::Unreachable && self.n_all >= self.unreachable_max {
            return Decision::GiveUp;
        }
        let backoff = match self.n_failures {
            // The connection was lost after progress, which is kept: continue almost at once.
            0 => self.policy.base / 10,
            n => self.policy.delay(n),
        };
        let mut backoff = backoff.saturating_mul(jitter) / 1000;
        let is_outage = host == HostState::Down && matches!(failure, Failure::Passing { .. });
        if is_outage {
            backoff = backoff.min(OUTAGE_DELAY_MAX);
        } else if self.n_failures >= self.policy.attempts {
            return Decision::GiveUp;
        }
        match failure {
            Failure::Lasting => Decision::GiveUp,
            // Once may be the fault of a proxy or a disk; twice is what the registry has.
            Failure::Garbled if self.n_garbled > 1 => Decision::GiveUp,
            Failure::Garbled => Decision::After(backoff),
            Failure::Passing {
                retry_after: Some(wait),
            }
            | Failure::Limited { wait: Some(wait) }
                if wait > RETRY_AFTER_MAX =>
            {
                Decision::GiveUp
            }
            Failure::Passing { retry_after } => {
                Decision::After(backoff.max(retry_after.unwrap_or_default()))
            }
            Failure::Limited { wait } => Decision::WhenHostAllows(wait.unwrap_or(backoff)),
        }
    }
}

/// Returns `delay` with up to a quarter more or less, by chance, so that clients spread.
pub fn with_jitter(delay: Duration) -> Duration {
    delay.saturating_mul(jitter()) / 1000
}

/// Returns a random number from 750 to 1250, taken from the random keys of a hasher.
fn jitter() -> u32 {
    let per_mille = RandomState::new().hash_one(()) % 501;
    u32::try_from(per_mille).expect("at most 500") + 750
}

#[cfg(test)]
mod tests;
