//! Tracks hosts that are down: they answered earlier in this run, and no request gets an answer
//! now.
//!
//! A registry that restarts is worth waiting for; one request that fails while others succeed is
//! not an outage. The state is kept by host, so that the run as a whole waits once, and not anew
//! for each blob and image.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Whether the host of a failed request is down as a whole, and still waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostState {
    /// It answers others, or has been down for too long.
    Usual,
    /// It answered earlier in this run, and has not answered any request for a while.
    Down,
    /// It cannot be reached, and never answered in this run; or there is another place to ask.
    Unreachable,
}

/// What is known of each host that was reached in this run.
#[derive(Debug, Default)]
pub struct Outages(Mutex<HashMap<String, Health>>);

#[derive(Debug, Clone, Copy)]
enum Health {
    /// It answered, but did nothing useful yet.
    Reached,
    Up,
    DownSince(Instant),
}

impl Outages {
    /// Notes that a host can be reached.
    pub fn reached(&self, host: &str) {
        self.lock()
            .entry(host.to_owned())
            .or_insert(Health::Reached);
    }

    /// Whether a host was reached before.
    pub fn was_reached(&self, host: &str) -> bool {
        self.lock().contains_key(host)
    }

    /// Notes that a host did something useful.
    pub fn answered(&self, host: &str) {
        self.lock().insert(host.to_owned(), Health::Up);
    }

    /// Notes a failure at `now` that looks as if the host were down.
    pub fn failed(&self, host: &str, now: Instant) {
        if let Some(health @ Health::Up) = self.lock().get_mut(host) {
            *health = Health::DownSince(now);
        }
    }

    /// The state of a host for an operation that has failed since `began`; an outage longer than
    /// `longest` is not waited for.
    pub fn state(&self, host: &str, began: Instant, now: Instant, longest: Duration) -> HostState {
        let Some(Health::DownSince(down_since)) = self.lock().get(host).copied() else {
            return HostState::Usual;
        };
        let silent = now.saturating_duration_since(down_since);
        // Otherwise others were answered meanwhile, and it is this operation that fails.
        let is_silent_for_all = silent * 2 >= now.saturating_duration_since(began);
        if silent < longest && is_silent_for_all {
            HostState::Down
        } else {
            HostState::Usual
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Health>> {
        self.0
            .lock()
            .expect("nothing panics while it holds the lock")
    }
}

#[cfg(test)]
mod tests {
    use super::HostState::{Down, Usual};
    use super::*;

    #[test]
    fn a_host_is_down_when_it_answers_nobody_any_more() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let longest = Duration::from_mins(3);
        let outages = Outages::default();
        let state = |began, now| outages.state("h", at(began), at(now), longest);
        // It never answered: the name may be wrong.
        outages.failed("h", at(0));
        assert_eq!(state(0, 1), Usual);
        assert!(!outages.was_reached("h"));
        outages.reached("h");
        outages.failed("h", at(0));
        assert_eq!(state(0, 1), Usual);
        outages.answered("h");
        assert_eq!(state(1, 2), Usual);
        outages.failed("h", at(10));
        outages.failed("h", at(50));
        assert_eq!(state(10, 100), Down);
        // An operation that begins to fail later waits no longer than the others.
        assert_eq!(state(180, 189), Down);
        assert_eq!(state(180, 190), Usual);
        // Others were answered until a moment ago.
        outages.answered("h");
        outages.failed("h", at(200));
        assert_eq!(state(185, 210), Usual);
        assert_eq!(state(195, 210), Down);
        assert_eq!(outages.state("i", at(195), at(210), longest), Usual);
    }
}
