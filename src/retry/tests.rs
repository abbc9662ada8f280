use super::*;

const POLICY: RetryPolicy = RetryPolicy {
    attempts: 4,
    base: Duration::from_millis(500),
    max: Duration::from_secs(30),
    outage: Duration::from_mins(3),
};

/// An operation that failed `n` times without progress.
fn failed_times(n: u32, policy: RetryPolicy) -> Retries {
    Retries {
        n_failures: n,
        n_all: n,
        ..Retries::new(policy)
    }
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn delays_double_up_to_the_longest() {
    let delays = [0, 1, 2, 5, 7, u32::MAX].map(|n| POLICY.delay(n).as_millis());
    assert_eq!(delays, [500, 500, 1000, 8000, 30_000, 30_000]);
}

#[test]
fn the_decision_depends_on_the_failure() {
    use Decision::{After, GiveUp, WhenHostAllows};
    use Failure::{Garbled, Lasting, Limited, Passing};
    #[track_caller]
    fn check(failure: Failure, (n_failures, n_garbled): (u32, u32), expect: Decision) {
        let retries = Retries {
            n_garbled,
            ..failed_times(n_failures, POLICY)
        };
        let decision = retries.decide(failure, HostState::Usual, 1000);
        assert_eq!(decision, expect, "{failure:?}");
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
    let decision = failed_times(2, POLICY).decide(passing(None), HostState::Usual, 750);
    assert_eq!(decision, After(Duration::from_millis(750)));
}

/// With a simulated clock, so that no time passes.
#[test]
fn an_outage_of_90_seconds_is_survived_and_one_without_end_is_not() {
    let passing = Failure::Passing { retry_after: None };
    for policy in [POLICY, RetryPolicy::default()] {
        let outages = Outages::default();
        outages.answered("h");
        let start = Instant::now();
        let mut waited = Duration::ZERO;
        let mut longest = Duration::ZERO;
        for n_failures in 1.. {
            let now = start + waited;
            outages.failed("h", now);
            let host = outages.state("h", start, now, policy.outage);
            let retries = failed_times(n_failures, policy);
            let Decision::After(delay) = retries.decide(passing, host, 1250) else {
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
            outages.state("h", now, now, policy.outage),
            HostState::Usual
        );
    }
    let decision = failed_times(1, POLICY).decide(Failure::Lasting, HostState::Down, 1000);
    assert_eq!(decision, Decision::GiveUp);
}

#[test]
fn an_unreachable_host_gets_fewer_attempts() {
    let passing = Failure::Passing { retry_after: None };
    let decisions = |retries: Retries, host: HostState| {
        let mut retries = retries;
        let mut n = 1;
        while retries.failed(passing, 0, host) != Decision::GiveUp {
            n += 1;
        }
        n
    };
    let retries = || Retries::new(POLICY);
    assert_eq!(decisions(retries(), HostState::Usual), POLICY.attempts);
    assert_eq!(decisions(retries(), HostState::Unreachable), 2);
    let mirror = retries().at_most_if_unreachable(1);
    assert_eq!(decisions(mirror, HostState::Unreachable), 1);
}

#[test]
fn a_success_resets_the_count() {
    let passing = Failure::Passing { retry_after: None };
    let mut retries = Retries::new(POLICY);
    for _ in 0..20 {
        for _ in 1..POLICY.attempts {
            assert_ne!(
                retries.failed(passing, 0, HostState::Usual),
                Decision::GiveUp
            );
        }
        retries.succeeded();
    }
    assert_eq!(retries.n_all(), 0);
}

#[test]
fn a_transfer_that_makes_progress_is_never_abandoned() {
    let passing = Failure::Passing { retry_after: None };
    let mut retries = Retries::new(POLICY);
    for n in 1..200 {
        let decision = retries.failed(passing, n * 5 * PROGRESS_LEN_MIN, HostState::Usual);
        assert!(matches!(decision, Decision::After(delay) if delay < seconds(1)));
    }
    // Less than a MiB does not count as progress.
    let decisions =
        [0, 1, 2, 3].map(|n| retries.failed(passing, 995 * PROGRESS_LEN_MIN + n, HostState::Usual));
    assert_eq!(decisions[3], Decision::GiveUp);
    assert!(!decisions[..3].contains(&Decision::GiveUp), "{decisions:?}");
    assert_eq!(retries.n_all(), 203);
}

#[test]
fn after_a_minute_any_progress_counts() {
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
fn jitter_stays_within_a_quarter() {
    for _ in 0..1000 {
        let delay = with_jitter(Duration::from_secs(1)).as_millis();
        assert!((750..=1250).contains(&delay), "{delay}");
    }
}
