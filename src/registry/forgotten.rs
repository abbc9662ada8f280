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
/// How often in a row a login may be unknown; the waits in between are two minutes together.
const N_MAX: u32 = 9;

/// What is to be made of a login that is not known any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    MayReturn,
    Lost,
}

/// How often in a row a login was not known.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    n: u32,
    ask_at: Option<Instant>,
}

impl Forgotten {
    /// Whether the login may be shown at `now`.
    pub(super) fn may_ask(&self, now: Instant) -> bool {
        self.ask_at.is_none_or(|at| at <= now)
    }

    /// Notes that the login was shown at `now` and is not known.
    pub(super) fn again(&mut self, now: Instant) -> Memory {
        let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(self.n));
        self.ask_at = Some(now + wait.min(WAIT_MAX));
        self.n += 1;
        if self.n < N_MAX {
            Memory::MayReturn
        } else {
            Memory::Lost
        }
    }

    /// Notes that the login is known again.
    pub(super) fn over(&mut self) {
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
            if !forgotten.may_ask(now) {
                continue;
            }
            asked_at.push(second);
            if forgotten.again(now) == Memory::Lost {
                break;
            }
        }
        assert_eq!(asked_at, [0, 1, 3, 7, 15, 31, 63, 95, 127]);
        forgotten.over();
        assert!(forgotten.may_ask(start));
        assert_eq!(forgotten.again(start), Memory::MayReturn);
    }
}
