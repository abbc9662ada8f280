//! The length of the chunks of an upload, ranges, and the limits found for each registry.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};

use hod_oci::{Registry, RepositoryName};

/// The smallest chunk that is tried after a 413: proxies that take less are set up for web forms,
/// and the requests become too many.
const TOO_LARGE_FLOOR: u64 = 256 * 1024;
/// The smallest chunk that is tried after a timeout of a proxy: a smaller one would not be faster.
const TOO_SLOW_FLOOR: u64 = 4 * 1024 * 1024;

/// Why a part must be smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    TooLarge,
    TooSlow,
}

/// The length of the chunks to try after one of `len` was refused; `None` when it is small enough.
///
/// Half of it or more, but noticeably less, and a power of two: limits are mostly such, and nginx's
/// is one MiB by default.
pub(super) fn smaller(len: u64, why: Why) -> Option<u64> {
    let floor = match why {
        Why::TooLarge => TOO_LARGE_FLOOR,
        Why::TooSlow => TOO_SLOW_FLOOR,
    };
    let below = len - len / 16;
    let next = 1 << below.checked_ilog2()?;
    (len > floor).then_some(if next < floor { floor } else { next })
}

/// The `Content-Range` of a chunk, which has at least one byte.
pub(super) fn content_range(offset: u64, len: u64) -> String {
    format!("{offset}-{}", offset + len - 1)
}

/// The number of bytes that a registry has according to its `Range`: `0-99`, or `bytes=0-99`.
///
/// `0-0` means none, or one: then `expected` decides, and a mistake is detected by the digest.
pub(super) fn received(range: &str, expected: u64) -> Option<u64> {
    let range = range.trim();
    let range = range.strip_prefix("bytes=").unwrap_or(range);
    let (start, end) = range.split_once('-')?;
    if start.trim() != "0" {
        return None;
    }
    match end.trim().parse::<u64>().ok()? {
        0 => Some(expected.min(1)),
        end => end.checked_add(1),
    }
}

/// The limits that registries were found to have.
#[derive(Debug, Default)]
pub(super) struct Limits {
    registries: Mutex<HashMap<Registry, Limit>>,
}

#[derive(Debug)]
struct Limit {
    body_len_max: u64,
    takes_chunks: bool,
    mounts: bool,
    /// From where nothing may be mounted.
    unreadable: HashSet<RepositoryName>,
}

impl Default for Limit {
    fn default() -> Self {
        Self {
            body_len_max: u64::MAX,
            takes_chunks: true,
            mounts: true,
            unreadable: HashSet::new(),
        }
    }
}

impl Limits {
    /// The longest body that was not refused yet.
    pub(super) fn of(&self, registry: &Registry) -> u64 {
        self.get(registry, |limit| limit.body_len_max, u64::MAX)
    }

    /// Notes that no longer bodies are to be tried; returns whether that is news.
    pub(super) fn limit(&self, registry: &Registry, len_max: u64) -> bool {
        self.change(registry, |limit| {
            let is_news = len_max < limit.body_len_max;
            limit.body_len_max = limit.body_len_max.min(len_max);
            is_news
        })
    }

    pub(super) fn takes_chunks(&self, registry: &Registry) -> bool {
        self.get(registry, |limit| limit.takes_chunks, true)
    }

    pub(super) fn stop_chunks(&self, registry: &Registry) {
        self.change(registry, |limit| limit.takes_chunks = false);
    }

    pub(super) fn may_mount(&self, registry: &Registry, from: &RepositoryName) -> bool {
        let may = |limit: &Limit| limit.mounts && !limit.unreadable.contains(from);
        self.get(registry, may, true)
    }

    pub(super) fn stop_mounting_from(&self, registry: &Registry, from: &RepositoryName) {
        self.change(registry, |limit| limit.unreadable.insert(from.clone()));
    }

    pub(super) fn stop_mounting(&self, registry: &Registry) {
        self.change(registry, |limit| limit.mounts = false);
    }

    fn get<T>(&self, registry: &Registry, read: impl Fn(&Limit) -> T, otherwise: T) -> T {
        self.lock().get(registry).map_or(otherwise, read)
    }

    fn change<T>(&self, registry: &Registry, change: impl FnOnce(&mut Limit) -> T) -> T {
        change(self.lock().entry(registry.clone()).or_default())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Registry, Limit>> {
        self.registries
            .lock()
            .expect("nothing panics while it holds the lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn parts_are_halved_down_to_a_floor() {
        #[track_caller]
        fn check(len: u64, why: Why, expect: Option<u64>) {
            assert_eq!(smaller(len, why), expect, "{len}");
        }
        check(64 * MIB, Why::TooLarge, Some(32 * MIB));
        check(30 * MIB, Why::TooLarge, Some(16 * MIB));
        check(17 * MIB + MIB / 8, Why::TooLarge, Some(16 * MIB));
        check(16 * MIB + 1, Why::TooLarge, Some(8 * MIB));
        check(2 * MIB, Why::TooLarge, Some(MIB));
        check(MIB / 2, Why::TooLarge, Some(MIB / 4));
        check(MIB / 4 + 1, Why::TooLarge, Some(MIB / 4));
        check(MIB / 4, Why::TooLarge, None);
        check(1, Why::TooLarge, None);
        check(0, Why::TooLarge, None);
        check(8 * MIB, Why::TooSlow, Some(4 * MIB));
        check(4 * MIB, Why::TooSlow, None);
        check(u64::MAX, Why::TooSlow, Some(1 << 63));
    }

    #[test]
    fn ranges_say_how_far_an_upload_is() {
        #[track_caller]
        fn check(range: &str, expected: u64, expect: Option<u64>) {
            assert_eq!(received(range, expected), expect, "{range}");
        }
        check("0-99", 100, Some(100));
        check("0-99", 7, Some(100));
        check(" bytes=0-99 ", 0, Some(100));
        check("0-0", 0, Some(0));
        check("0-0", 1, Some(1));
        check("0-0", 100, Some(1));
        check("5-99", 100, None);
        check("0-18446744073709551615", 0, None);
        check("0--1", 0, None);
        check("", 0, None);
        check("99", 0, None);
        assert_eq!(content_range(0, 1), "0-0");
        assert_eq!(content_range(64, 36), "64-99");
    }

    #[test]
    fn limits_are_of_one_registry_and_only_shrink() {
        let limits = Limits::default();
        let (a, b) = ("a.b".parse().unwrap(), "b.c".parse().unwrap());
        assert!(limits.limit(&a, 8));
        assert!(!limits.limit(&a, 16) && !limits.limit(&a, 8));
        assert_eq!((limits.of(&a), limits.of(&b)), (8, u64::MAX));
        let (x, y) = ("x".parse().unwrap(), "y".parse().unwrap());
        assert!(limits.takes_chunks(&a) && limits.may_mount(&a, &x));
        limits.stop_mounting_from(&a, &x);
        assert!(!limits.may_mount(&a, &x) && limits.may_mount(&a, &y));
        limits.stop_chunks(&a);
        limits.stop_mounting(&a);
        assert!(!limits.takes_chunks(&a) && !limits.may_mount(&a, &y));
        assert!(limits.takes_chunks(&b) && limits.may_mount(&b, &x));
    }
}
