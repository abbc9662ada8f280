//! How often and how soon something is tried again: one function says so ([`decide`]).

use std::error::Error;
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use crate::Client;
use crate::client::Patience;
use crate::{HostState, RegistryError};
use hod_report::Event;

/// The longest wait that a registry may ask for; beyond it the attempt is given up, since the
/// person is better served by the message than by a program that seems to hang.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_mins(5);
/// As much more of a blob than at the last failure makes a failure the first one again.
const PROGRESS_LEN_MIN: u64 = 1024 * 1024;
/// After this time any progress suffices, so that a slow transfer which makes progress continues.
const PROGRESS_TIME_MIN: Duration = Duration::from_mins(1);
/// Number of attempts for a host that has not been reached yet.
const BRIEF_ATTEMPTS: u32 = 2;

/// How transient failures are tried again: after `base`, doubled each time, at most `max`.
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

/// Maximum time for the restart of a registry and its database.
const OUTAGE_MAX: Duration = Duration::from_mins(3);
/// Maximum delay between attempts for a host that is down.
const OUTAGE_DELAY_MAX: Duration = Duration::from_secs(10);

impl Default for RetryPolicy {
    /// Six attempts within some 16 seconds, since a wrong host name stays wrong; a registry that
    /// answered before is waited for until it is back.
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
    /// The delay after the `attempt`th failure (from 1), which requested `retry_after`.
    ///
    /// Without the random part that [`Attempts`] adds to spread clients.
    pub fn delay(&self, attempt: u32, retry_after: Option<Duration>) -> Duration {
        let factor = 2_u32.saturating_pow(attempt.saturating_sub(1));
        let backoff = self.base.saturating_mul(factor).min(self.max);
        backoff.max(retry_after.unwrap_or_default())
    }
}

/// What kind of failure it is, as far as trying again goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The same would fail again: a refusal (400, 401, 403, 404, 412, 413), a name that is wrong.
    Lasting,
    /// Weather: a server that is restarted, a line that was cut. It may ask for a wait.
    Passing { retry_after: Option<Duration> },
    /// The host has had enough (429), which holds up every request to it for so long.
    Limited { wait: Option<Duration> },
    /// Other bytes came than were asked for.
    Garbled,
}

/// The reaction to a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    GiveUp,
    /// Try again after this time.
    After(Duration),
    /// Try again: the next request itself waits until its host is no longer paused, which takes
    /// about this long.
    WhenHostAllows(Duration),
}

/// The failures so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempts {
    /// Failures in a row, without progress in between, this one included; 0 when there was
    /// progress since the last.
    pub n_failures: u32,
    /// Number of times that wrong bytes were received, including this one.
    pub n_garbled: u32,
    /// By chance from 750 to 1250: the delay in thousandths of the usual one.
    pub chance: u32,
    pub host: HostState,
}

/// Decides what is done about a failure; the one place that does.
pub fn decide(policy: &RetryPolicy, failure: Failure, attempts: &Attempts) -> Decision {
    let backoff = match attempts.n_failures {
        // The connection was cut after progress, which is kept: continue at once.
        0 => policy.base / 10,
        n => policy.delay(n, None),
    };
    let mut backoff = backoff.saturating_mul(attempts.chance) / 1000;
    let is_outage = attempts.host == HostState::Down && matches!(failure, Failure::Passing { .. });
    if is_outage {
        backoff = backoff.min(OUTAGE_DELAY_MAX);
    } else if attempts.n_failures >= policy.attempts {
        return Decision::GiveUp;
    }
    match failure {
        Failure::Lasting => Decision::GiveUp,
        // Once may be a proxy's or a disk's mistake; twice is what the registry has.
        Failure::Garbled if attempts.n_garbled > 1 => Decision::GiveUp,
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

/// An error that knows whether trying again may help.
pub trait Transient: Error {
    /// What kind of failure it is.
    fn failure(&self) -> Failure;
    /// Whether the host did not answer at all, so that another place should be tried.
    fn is_unreachable(&self) -> bool {
        false
    }
    /// The registry's own error, where it is one.
    fn registry_error(&self) -> Option<&RegistryError>;
    /// The error to return after the last of `attempts` (more than one) failed with this one.
    #[must_use]
    fn gave_up(self, attempts: u32) -> Self;
}

/// The failures of one operation, counted.
#[derive(Debug)]
pub struct Retries {
    policy: RetryPolicy,
    n_failures: u32,
    n_garbled: u32,
    /// The total number, for messages.
    n_all: u32,
    progress: u64,
    failed_at: Instant,
    /// When the failures in a row began.
    began_at: Option<Instant>,
}

impl Retries {
    /// Starts with no failure.
    pub fn new(policy: RetryPolicy) -> Self {
        Self {
            policy,
            n_failures: 0,
            n_garbled: 0,
            n_all: 0,
            progress: 0,
            failed_at: Instant::now(),
            began_at: None,
        }
    }

    /// When the failures in a row began, the one of this moment included.
    pub fn began_at(&self) -> Instant {
        self.began_at.unwrap_or_else(Instant::now)
    }

    /// Notes that the wrong bytes of the next failure come from another place than any before.
    pub fn other_place(&mut self) {
        self.n_garbled = 0;
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
        let attempts = Attempts {
            n_failures: self.n_failures,
            n_garbled: self.n_garbled,
            chance: chance(),
            host,
        };
        decide(&self.policy, failure, &attempts)
    }

    /// The number of failures.
    pub fn n_all(&self) -> u32 {
        self.n_all
    }
}

impl Client {
    /// Runs `operation` until it succeeds, fails permanently, or has failed too often.
    ///
    /// Waits in between as [`decide`] says; every wait is reported as [`Event::Retry`] for `what`.
    // Not `AsyncFnMut`: its futures cannot be shown to be `Send` where this one is spawned.
    pub async fn retry<T, E, F>(&self, what: &str, mut operation: impl FnMut() -> F) -> Result<T, E>
    where
        E: Transient,
        F: Future<Output = Result<T, E>>,
    {
        let mut retries = Retries::new(self.retry_policy());
        loop {
            let error = match operation().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let failure = error.failure();
            let host = match error.registry_error() {
                Some(error) => self.host_state(error, retries.began_at()),
                None => HostState::Usual,
            };
            let decision = retries.failed(failure, 0, host);
            let is_enough = error.is_unreachable()
                && match self.patience() {
                    Patience::Full => false,
                    Patience::Brief => retries.n_all() >= BRIEF_ATTEMPTS,
                    Patience::Mirror => true,
                };
            let delay = match decision {
                Decision::After(delay) | Decision::WhenHostAllows(delay) if !is_enough => delay,
                _ => {
                    let attempts = retries.n_all();
                    let is_weather = !matches!(failure, Failure::Lasting | Failure::Garbled);
                    let has_retried = attempts > 1 && is_weather;
                    return Err(if has_retried {
                        error.gave_up(attempts)
                    } else {
                        error
                    });
                }
            };
            self.reporter().event(Event::Retry {
                what,
                attempt: retries.n_all(),
                delay,
                error: &chain(&error),
            });
            if !matches!(failure, Failure::Limited { .. }) {
                tokio::time::sleep(delay).await;
            }
        }
    }

    /// Notes a failure, and returns the state of its host for an operation that has failed since
    /// `began`.
    pub fn host_state(&self, error: &RegistryError, began: Instant) -> HostState {
        let Some(host) = error.host() else {
            return HostState::Usual;
        };
        let outages = self.transport().outages();
        let now = Instant::now();
        if error.is_outage() {
            outages.failed(host, now);
        }
        outages.state(host, (began, now), self.retry_policy().outage)
    }
}

/// `delay` and up to a quarter more or less.
pub(crate) fn by_chance(delay: Duration) -> Duration {
    delay.saturating_mul(chance()) / 1000
}

/// From 750 to 1250. A hasher's random keys are chance enough.
fn chance() -> u32 {
    let per_mille = RandomState::new().hash_one(()) % 501;
    u32::try_from(per_mille).expect("at most 500") + 750
}

/// An error and its causes on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// The delay that the headers of an answer request.
///
/// A date is compared with the clock of the server that sent it, since its clock or ours may be
/// wrong.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let date = text(DATE.as_str()).and_then(|date| httpdate::parse_http_date(date.trim()).ok());
    let now = date.unwrap_or_else(SystemTime::now);
    if let Some(value) = text(RETRY_AFTER.as_str()) {
        return parse_retry_after(value, now);
    }
    // Docker Hub's, in seconds since 1970.
    let seconds = text("x-retry-after")?.trim().parse().ok()?;
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    Some(at.duration_since(now).unwrap_or_default())
}

/// Parses `Retry-After`: seconds, or an HTTP date; one in the past means no delay.
fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy = RetryPolicy {
        attempts: 4,
        base: Duration::from_millis(500),
        max: Duration::from_secs(30),
        outage: Duration::from_mins(3),
    };

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn delays_double_up_to_the_longest() {
        #[track_caller]
        fn check(attempt: u32, retry_after: Option<u64>, expect_ms: u64) {
            let retry_after = retry_after.map(Duration::from_secs);
            assert_eq!(
                POLICY.delay(attempt, retry_after),
                Duration::from_millis(expect_ms)
            );
        }
        check(1, None, 500);
        check(2, None, 1000);
        check(5, None, 8000);
        check(7, None, 30_000);
        check(u32::MAX, None, 30_000);
        check(0, None, 500);
        check(1, Some(7), 7000);
        check(4, Some(1), 4000);
        check(1, Some(120), 120_000);
    }

    #[test]
    fn what_is_done_depends_on_the_failure() {
        use Decision::{After, GiveUp, WhenHostAllows};
        use Failure::{Garbled, Lasting, Limited, Passing};
        #[track_caller]
        fn check(failure: Failure, (n_failures, n_garbled): (u32, u32), expect: Decision) {
            let attempts = Attempts {
                n_failures,
                n_garbled,
                chance: 1000,
                host: HostState::Usual,
            };
            assert_eq!(decide(&POLICY, failure, &attempts), expect, "{failure:?}");
        }
        let passing = |wait: Option<u64>| Passing {
            retry_after: wait.map(seconds),
        };
        let limited = |wait: Option<u64>| Limited {
            wait: wait.map(seconds),
        };
        check(Lasting, (1, 0), GiveUp);
        check(Lasting, (0, 0), GiveUp);
        check(passing(None), (1, 0), After(Duration::from_millis(500)));
        check(passing(None), (3, 0), After(seconds(2)));
        check(passing(None), (4, 0), GiveUp);
        check(passing(None), (0, 0), After(Duration::from_millis(50)));
        check(passing(Some(9)), (1, 0), After(seconds(9)));
        check(passing(Some(300)), (1, 0), After(seconds(300)));
        check(passing(Some(301)), (1, 0), GiveUp);
        check(limited(Some(9)), (1, 0), WhenHostAllows(seconds(9)));
        check(limited(None), (2, 0), WhenHostAllows(seconds(1)));
        check(limited(Some(21_600)), (1, 0), GiveUp);
        check(limited(Some(9)), (4, 0), GiveUp);
        check(Garbled, (1, 1), After(Duration::from_millis(500)));
        check(Garbled, (1, 2), GiveUp);
        check(Garbled, (0, 2), GiveUp);
        let early = Attempts {
            n_failures: 2,
            n_garbled: 0,
            chance: 750,
            host: HostState::Usual,
        };
        let decision = decide(&POLICY, passing(None), &early);
        assert_eq!(decision, After(Duration::from_millis(750)));
    }

    /// With a simulated clock, so that no time passes.
    #[test]
    fn an_outage_of_90_seconds_is_survived_and_one_without_end_is_not() {
        let passing = Failure::Passing { retry_after: None };
        for policy in [POLICY, RetryPolicy::default()] {
            let outages = crate::wire::outage::Outages::default();
            outages.answered("h");
            let start = Instant::now();
            let mut waited = Duration::ZERO;
            let mut longest = Duration::ZERO;
            for n_failures in 1.. {
                let now = start + waited;
                outages.failed("h", now);
                let attempts = Attempts {
                    n_failures,
                    n_garbled: 0,
                    chance: 1250,
                    host: outages.state("h", (start, now), policy.outage),
                };
                let Decision::After(delay) = decide(&policy, passing, &attempts) else {
                    break;
                };
                longest = longest.max(delay);
                waited += delay;
            }
            assert!(waited >= seconds(90) && waited < seconds(200), "{waited:?}");
            assert!(longest <= OUTAGE_DELAY_MAX, "{longest:?}");
            // Requests that start to fail after that are given up as usual.
            let now = start + waited;
            assert_eq!(
                outages.state("h", (now, now), policy.outage),
                HostState::Usual
            );
        }
        let refused = Attempts {
            n_failures: 1,
            n_garbled: 0,
            chance: 1000,
            host: HostState::Down,
        };
        assert_eq!(
            decide(&POLICY, Failure::Lasting, &refused),
            Decision::GiveUp
        );
    }

    #[test]
    fn who_gets_on_is_not_given_up() {
        let passing = Failure::Passing { retry_after: None };
        let mut retries = Retries::new(POLICY);
        for n in 1..200 {
            let decision = retries.failed(passing, n * 5 * PROGRESS_LEN_MIN, HostState::Usual);
            assert!(matches!(decision, Decision::After(delay) if delay < seconds(1)));
        }
        // Less than a MiB does not count as progress.
        let decisions = [0, 1, 2, 3]
            .map(|n| retries.failed(passing, 995 * PROGRESS_LEN_MIN + n, HostState::Usual));
        assert_eq!(decisions[3], Decision::GiveUp);
        assert!(!decisions[..3].contains(&Decision::GiveUp), "{decisions:?}");
        assert_eq!(retries.n_all(), 203);
    }

    #[test]
    fn on_a_slow_line_any_progress_is_some() {
        let passing = Failure::Passing { retry_after: None };
        let mut retries = Retries::new(POLICY);
        for n in 1..20 {
            let Some(long_ago) = Instant::now().checked_sub(PROGRESS_TIME_MIN) else {
                return;
            };
            retries.failed_at = long_ago;
            assert_ne!(
                retries.failed(passing, n, HostState::Usual),
                Decision::GiveUp
            );
        }
        for _ in 0..4 {
            retries.failed(passing, 19, HostState::Usual);
        }
        assert_eq!(
            retries.failed(passing, 19, HostState::Usual),
            Decision::GiveUp
        );
    }

    #[test]
    fn chance_stays_within_a_quarter() {
        for _ in 0..1000 {
            let delay = by_chance(Duration::from_secs(1)).as_millis();
            assert!((750..=1250).contains(&delay), "{delay}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        #[track_caller]
        fn check(value: &str, expect: Option<u64>) {
            let now = httpdate::parse_http_date("Tue, 24 Nov 2026 12:00:00 GMT").unwrap();
            let actual = parse_retry_after(value, now);
            assert_eq!(actual, expect.map(Duration::from_secs), "{value}");
        }
        check("17", Some(17));
        check(" 0 ", Some(0));
        check("Tue, 24 Nov 2026 12:01:30 GMT", Some(90));
        check("Tue, 24 Nov 2026 11:00:00 GMT", Some(0));
        check("-1", None);
        check("soon", None);
        check("99999999999999999999999", None);
    }

    #[test]
    fn dates_are_taken_by_the_clock_that_wrote_them() {
        #[track_caller]
        fn check(headers: &[(&'static str, &str)], expect: Option<u64>) {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, value.parse().unwrap());
            }
            let actual = retry_after(&map);
            assert_eq!(actual, expect.map(Duration::from_secs), "{headers:?}");
        }
        let (date, later) = (
            "Fri, 24 Nov 2000 12:00:00 GMT",
            "Fri, 24 Nov 2000 12:00:30 GMT",
        );
        check(&[("date", date), ("retry-after", later)], Some(30));
        check(&[("retry-after", later)], Some(0));
        check(&[("date", date), ("retry-after", "7")], Some(7));
        check(&[("date", date), ("x-retry-after", "975067210")], Some(10));
        check(&[("x-retry-after", "soon")], None);
        check(&[], None);
    }
}
