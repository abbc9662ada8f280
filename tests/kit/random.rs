//! Chance that can be repeated: a failing test says its seed.

use std::time::{Duration, SystemTime};

/// The variable that repeats a run.
const VARIABLE: &str = "HOD_TEST_SEED";

/// A generator of numbers that says its seed when the test that has it fails.
#[derive(Debug)]
pub struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    /// Starts with the seed in `HOD_TEST_SEED`, or another one each time.
    #[expect(
        clippy::disallowed_methods,
        reason = "the tests' one reader of the seed"
    )]
    pub fn new() -> Self {
        let given = std::env::var(VARIABLE).ok();
        let seed = given.map_or_else(
            || {
                let now = SystemTime::UNIX_EPOCH.elapsed().unwrap();
                u64::from(now.subsec_nanos()) ^ now.as_secs() << 20
            },
            |text| text.parse().unwrap(),
        );
        Self { seed, state: seed }
    }

    /// A number below `end`, which is not 0 (splitmix64).
    pub fn below(&mut self, end: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        usize::try_from(z % end as u64).unwrap()
    }

    /// A time below `end`.
    pub fn time(&mut self, end: Duration) -> Duration {
        let micros = usize::try_from(end.as_micros()).unwrap();
        Duration::from_micros(self.below(micros.max(1)) as u64)
    }

    /// Brings `items` into any order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

impl Drop for Random {
    #[expect(clippy::print_stderr, reason = "a failing test says its seed")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to repeat: {VARIABLE}={}", self.seed);
        }
    }
}
