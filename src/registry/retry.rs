//! How often and how soon something is tried again.

use std::error::Error;
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, SystemTime};

use super::Client;
use super::client::Patience;
use crate::report::Event;

/// The longest wait that a registry may ask for; beyond it the attempt is given up, since the
/// person is better served by the message than by a program that seems to hang.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(5);

/// How transient failures are tried again: after `base`, doubled each time, at most `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often at all, the first time included.
    pub attempts: u32,
    pub base: Duration,
    pub max: Duration,
}

impl Default for RetryPolicy {
    /// Six attempts within some 16 seconds: a restarting registry is waited for, a wrong host name
    /// is not waited for all day.
    fn default() -> Self {
        Self {
            attempts: 6,
            base: Duration::from_millis(500),
            max: Duration::from_secs(30),
        }
    }
}

impl RetryPolicy {
    /// How long to wait after the `attempt`th failure (from 1), which asked for `retry_after`.
    ///
    /// Without the chance that [`Client::retry`] adds, so that clients do not come back in step.
    pub fn delay(&self, attempt: u32, retry_after: Option<Duration>) -> Duration {
        let factor = 2_u32.saturating_pow(attempt.saturating_sub(1));
        let backoff = self.base.saturating_mul(factor).min(self.max);
        backoff.max(retry_after.unwrap_or_default())
    }
}

/// An error that knows whether trying again may help.
pub trait Transient: Error {
    /// Whether the same may succeed a moment later.
    fn is_transient(&self) -> bool;
    /// Whether nobody answered at all, so that another place had better be asked.
    fn is_unreachable(&self) -> bool {
        false
    }
    /// How long the other side asks to wait.
    fn retry_after(&self) -> Option<Duration>;
    /// The error to return after the last of `attempts` (more than one) failed with this one.
    #[must_use]
    fn gave_up(self, attempts: u32) -> Self;
}

impl Client {
    /// Runs `operation` until it succeeds, fails for good, or has failed too often.
    ///
    /// Waits in between as [`RetryPolicy`] says, a quarter more or less by chance, and no less than
    /// the other side asked for; every wait is reported as [`Event::Retry`] for `what`.
    // Not `AsyncFnMut`: its futures cannot be shown to be `Send` where this one is spawned.
    pub async fn retry<T, E, F>(&self, what: &str, mut operation: impl FnMut() -> F) -> Result<T, E>
    where
        E: Transient,
        F: Future<Output = Result<T, E>>,
    {
        let policy = self.retry_policy();
        let mut attempt = 1;
        loop {
            let error = match operation().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let retry_after = error.retry_after();
            let is_over = attempt >= policy.attempts
                || !error.is_transient()
                || (self.patience() == Patience::Mirror && error.is_unreachable())
                || retry_after.is_some_and(|wait| wait > RETRY_AFTER_MAX);
            if is_over {
                let has_retried = attempt > 1 && error.is_transient();
                return Err(if has_retried {
                    error.gave_up(attempt)
                } else {
                    error
                });
            }
            let delay = policy.delay(attempt, None);
            let delay = by_chance(delay).max(retry_after.unwrap_or_default());
            self.reporter().event(Event::Retry {
                what,
                attempt,
                delay,
                error: &chain(&error),
            });
            tokio::time::sleep(delay).await;
            attempt += 1;
        }
    }
}

/// `delay` and up to a quarter more or less. A hasher's random keys are chance enough.
fn by_chance(delay: Duration) -> Duration {
    let per_mille = RandomState::new().hash_one(()) % 501;
    let per_mille = u32::try_from(per_mille).expect("at most 500") + 750;
    delay.saturating_mul(per_mille) / 1000
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

/// Reads `Retry-After`: seconds, or an HTTP date, of which one in the past is no wait.
pub(super) fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
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

    #[test]
    fn delays_double_up_to_the_longest() {
        #[track_caller]
        fn check(attempt: u32, retry_after: Option<u64>, expect_ms: u64) {
            let policy = RetryPolicy {
                attempts: 9,
                base: Duration::from_millis(500),
                max: Duration::from_secs(30),
            };
            let retry_after = retry_after.map(Duration::from_secs);
            assert_eq!(
                policy.delay(attempt, retry_after),
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
}
