//! Suppresses lines that repeat the same cause for one request after another.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hod_report::without_ids;

/// How long a cause is not repeated.
const QUIET_PERIOD: Duration = Duration::from_secs(10);
/// Maximum number of failing images named per cause; the summary names all of them.
const FAILURES_SHOWN_MAX: usize = 3;
/// The most characters of a cause that a retry shows; the error at the end has all of it.
const CAUSE_LEN_MAX: usize = 80;
/// Maximum number of causes remembered.
const CAUSES_MAX: usize = 1000;

const METHODS: [&str; 6] = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"];

/// Messages already shown for each cause.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    retries: HashMap<String, Retried>,
    failures: HashMap<String, usize>,
}

#[derive(Debug)]
struct Retried {
    said_at: Instant,
    n_hidden: usize,
}

impl Repeats {
    /// Whether a retry for `cause` is worth a line, and how many were left out since the last.
    pub(super) fn retry(&mut self, cause: &str, now: Instant) -> Option<usize> {
        if let Some(retried) = self.retries.get_mut(cause) {
            if now.saturating_duration_since(retried.said_at) < QUIET_PERIOD {
                retried.n_hidden += 1;
                return None;
            }
            retried.said_at = now;
            return Some(std::mem::take(&mut retried.n_hidden));
        }
        if self.retries.len() < CAUSES_MAX {
            let retried = Retried {
                said_at: now,
                n_hidden: 0,
            };
            self.retries.insert(cause.to_owned(), retried);
        }
        Some(0)
    }

    /// Whether an image that fails for `cause` is worth a line.
    pub(super) fn failure(&mut self, cause: &str) -> bool {
        if self.failures.len() >= CAUSES_MAX {
            return true;
        }
        let n = self.failures.entry(cause.to_owned()).or_default();
        *n += 1;
        *n <= FAILURES_SHOWN_MAX
    }
}

/// The text of an error from its host on, without the request: failures with the same cause have it
/// in common.
pub(super) fn cause(text: &str) -> &str {
    let start = METHODS
        .iter()
        .filter_map(|method| text.find(&format!("{method} /")))
        .min();
    let rest = start.and_then(|start| text[start..].split_once(" on "));
    rest.map_or(text, |(_, rest)| rest)
}

/// The cause as one short text, without the host if `what` contains it.
pub(super) fn brief(cause: &str, what: &str) -> String {
    let rest = match cause.split_once(": ") {
        Some((host, rest)) if what.contains(host) => rest,
        _ => cause,
    };
    let mut shown: String = rest.chars().take(CAUSE_LEN_MAX).collect();
    if shown.len() < rest.len() {
        shown.push('…');
    }
    shown
}

/// The text of a cause without the parts that differ between requests. The host stays, because it
/// distinguishes causes.
pub(super) fn common(cause: &str) -> String {
    match cause.split_once(": ") {
        Some((host, said)) => format!("{host}: {}", without_ids(said)),
        None => cause.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_now_and_then() {
        let mut repeats = Repeats::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(repeats.retry("a", at(0)), Some(0));
        assert_eq!(repeats.retry("b", at(1)), Some(0));
        assert_eq!(repeats.retry("a", at(2)), None);
        assert_eq!(repeats.retry("a", at(9)), None);
        assert_eq!(repeats.retry("a", at(10)), Some(2));
        assert_eq!(repeats.retry("a", at(21)), Some(0));
        let told: Vec<bool> = (0..5).map(|_| repeats.failure("a")).collect();
        assert_eq!(told, [true, true, true, false, false]);
        assert!(repeats.failure("b"));
    }

    #[test]
    fn a_cause_has_no_path() {
        #[track_caller]
        fn check(text: &str, expect: &str) {
            assert_eq!(cause(text), expect);
        }
        check(
            "GET /v2/a/manifests/1 on h: 502 Bad Gateway",
            "h: 502 Bad Gateway",
        );
        check(
            "gave up after 6 attempts: PATCH /v2/a/blobs/uploads/1 on h:5000: 503",
            "h:5000: 503",
        );
        assert_eq!(
            brief("h: 502 Bad Gateway", "blob a of h"),
            "502 Bad Gateway"
        );
        assert_eq!(brief("h: 502 Bad Gateway", "x"), "h: 502 Bad Gateway");
        assert_eq!(brief(&"é".repeat(99), "x"), format!("{}…", "é".repeat(80)));
        check("image not found on `h`", "image not found on `h`");
        let said = |id| format!("h:5000: 502 (request {id}): x");
        assert_eq!(common(&said("1c26")), common(&said("9f00")));
        assert_ne!(common("127.0.0.1:5000: 502"), common("127.0.0.1:5001: 502"));
    }
}
