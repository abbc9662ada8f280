//! Logins that were accepted and are not known any more: a Harbor whose database is down says so of
//! every login, and so does one where the login was revoked.
//!
//! The two cannot be told apart, and each further request with the login may count as a wrong
//! password where users are locked out. So all that need the login wait for one who asks, ever more
//! rarely, and after a few times it is taken for refused.

use std::time::{Duration, Instant};

/// After the first time it is asked again so soon; each further wait is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(32);
/// Number of consecutive times that a login may be unknown; the pauses between them add up to two
/// minutes.
const N_MAX: u32 = 9;

/// How to react to a login that is no longer known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Memory {
    MayReturn,
    Lost,
}

/// Counts consecutive answers that a login is unknown.
#[derive(Debug, Default)]
pub(crate) struct Forgotten {
    n: u32,
    ask_at: Option<Instant>,
    noted_at: Option<Instant>,
}

impl Forgotten {
    /// Takes the turn to show the login at `now`; without one, somebody else has it or it is too
    /// early. A login that was not forgotten may be shown by all.
    pub(crate) fn take_turn(&mut self, now: Instant) -> bool {
        match self.ask_at {
            Some(at) if at > now => false,
            Some(_) => {
                self.ask_at = Some(now + self.wait());
                true
            }
            None => true,
        }
    }

    /// Notes at `now` that the login was shown at `shown_at` and is not known. What several find
    /// that had shown it at the same time counts once.
    pub(crate) fn note(&mut self, shown_at: Instant, now: Instant) -> Memory {
        if self.noted_at.is_none_or(|noted_at| shown_at >= noted_at) {
            self.ask_at = Some(now + self.wait());
            self.noted_at = Some(now);
            self.n += 1;
        }
        if self.n < N_MAX {
            Memory::MayReturn
        } else {
            Memory::Lost
        }
    }

    fn wait(&self) -> Duration {
        let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(self.n));
        wait.min(WAIT_MAX)
    }

    /// Notes that the login is known again.
    pub(crate) fn over(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_login_is_shown_ever_more_rarely_and_not_for_ever() {
        let start = Instant::now();
        let mut forgotten = Forgotten::default();
        let mut asked_at = Vec::new();
        for second in 0..600 {
            let now = start + Duration::from_secs(second);
            if !forgotten.take_turn(now) {
                continue;
            }
            // The turn is one's own.
            assert!(second == 0 || !forgotten.take_turn(now));
            asked_at.push(second);
            if forgotten.note(now, now) == Memory::Lost {
                break;
            }
        }
        assert_eq!(asked_at, [0, 1, 3, 7, 15, 31, 63, 95, 127]);
        forgotten.over();
        assert!(forgotten.take_turn(start));
        assert_eq!(forgotten.note(start, start), Memory::MayReturn);
    }

    #[test]
    fn what_many_find_at_once_counts_once() {
        let start = Instant::now();
        let mut forgotten = Forgotten::default();
        for _ in 0..100 {
            assert!(forgotten.take_turn(start));
        }
        let later = start + Duration::from_millis(20);
        for _ in 0..100 {
            assert_eq!(forgotten.note(start, later), Memory::MayReturn);
        }
        assert!(!forgotten.take_turn(later));
        assert!(forgotten.take_turn(later + FIRST_WAIT));
    }
}
