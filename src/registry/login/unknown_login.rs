//! Logins that a registry accepted and no longer knows: a Harbor answers so to every login while its
//! database is down, and to a login that was revoked.
//!
//! The two cannot be told apart, and each further request with the login may count as a wrong
//! password where users are locked out. So only one request at a time is sent with the login, after
//! growing delays, and after a few of them the login is taken to be refused.

use std::time::{Duration, Instant};

/// Delay after the first time; each further delay is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(32);
/// Number of consecutive times that a login may be unknown; the pauses between them add up to two
/// minutes.
const N_MAX: u32 = 9;

/// Whether a login that is unknown now may be known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outlook {
    MayReturn,
    Lost,
}

/// Counts consecutive answers that a login is unknown.
#[derive(Debug, Default)]
pub(crate) struct UnknownLogin {
    n: u32,
    next_at: Option<Instant>,
    noted_at: Option<Instant>,
}

impl UnknownLogin {
    /// Whether the login may be sent at `now`; if so and it is unknown, no other request may send it
    /// until the delay is over.
    pub(crate) fn may_send(&mut self, now: Instant) -> bool {
        match self.next_at {
            Some(at) if at > now => false,
            Some(_) => {
                self.next_at = Some(now + self.wait());
                true
            }
            None => true,
        }
    }

    /// Notes at `now` that the registry did not know the login that was sent at `sent_at`. Several
    /// requests that were sent at the same time count once.
    pub(crate) fn note(&mut self, sent_at: Instant, now: Instant) -> Outlook {
        if self.noted_at.is_none_or(|noted_at| sent_at >= noted_at) {
            self.next_at = Some(now + self.wait());
            self.noted_at = Some(now);
            self.n += 1;
        }
        if self.n < N_MAX {
            Outlook::MayReturn
        } else {
            Outlook::Lost
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
    fn an_unknown_login_is_sent_after_growing_delays_and_not_for_ever() {
        let start = Instant::now();
        let mut unknown = UnknownLogin::default();
        let mut sent = Vec::new();
        for second in 0..600 {
            let now = start + Duration::from_secs(second);
            if !unknown.may_send(now) {
                continue;
            }
            // The turn is one's own.
            assert!(second == 0 || !unknown.may_send(now));
            sent.push(second);
            if unknown.note(now, now) == Outlook::Lost {
                break;
            }
        }
        assert_eq!(sent, [0, 1, 3, 7, 15, 31, 63, 95, 127]);
        unknown.over();
        assert!(unknown.may_send(start));
        assert_eq!(unknown.note(start, start), Outlook::MayReturn);
    }

    #[test]
    fn concurrent_requests_count_once() {
        let start = Instant::now();
        let mut unknown = UnknownLogin::default();
        for _ in 0..100 {
            assert!(unknown.may_send(start));
        }
        let later = start + Duration::from_millis(20);
        for _ in 0..100 {
            assert_eq!(unknown.note(start, later), Outlook::MayReturn);
        }
        assert!(!unknown.may_send(later));
        assert!(unknown.may_send(later + FIRST_WAIT));
    }
}
