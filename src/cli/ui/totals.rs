//! The totals of a run, and its summary line.

use std::time::Duration;

use hod_report::BlobRoute;

use hod_report::amount::{format_count, format_duration, format_len, format_rate};

/// The sums of a run's events: lengths in bytes, each unique blob once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Bytes of blobs that were moved; bytes that a retry moved again count once.
    pub moved_len: u64,
    pub moved_blobs: usize,
    /// Bytes of `moved_len` that an earlier run had moved already.
    pub kept_len: u64,
    /// Of blobs that became a hardlink or a reflink.
    pub linked_len: u64,
    pub linked_blobs: usize,
    /// Of blobs that the registry took over from another of its repositories.
    pub mounted_len: u64,
    pub mounted_blobs: usize,
    /// Bytes of blobs that were already present.
    pub present_len: u64,
    pub present_blobs: usize,
    /// Of `moved_blobs`, those that took the place of a damaged file.
    pub replaced_blobs: usize,
    /// Images that are complete.
    pub n_images: usize,
    /// Images that were given up.
    pub n_failed: usize,
    pub n_retries: usize,
    pub n_warnings: usize,
    pub elapsed: Duration,
}

impl Totals {
    pub(super) fn add_blob(&mut self, len: u64, route: BlobRoute) {
        self.replaced_blobs += usize::from(route == BlobRoute::Replaced);
        let (sum, n) = match route {
            BlobRoute::Moved | BlobRoute::Replaced => (&mut self.moved_len, &mut self.moved_blobs),
            BlobRoute::Linked => (&mut self.linked_len, &mut self.linked_blobs),
            BlobRoute::Mounted => (&mut self.mounted_len, &mut self.mounted_blobs),
            BlobRoute::Present => (&mut self.present_len, &mut self.present_blobs),
        };
        *sum = sum.saturating_add(len);
        *n += 1;
    }

    /// The summary line of a run: `transferred 2.9 GiB in 92 blobs (31 MiB/s), 1.4 GiB saved by
    /// sharing, 12.3 s`.
    ///
    /// `shared_len` is what the images of the run share with each other, which only the plan knows;
    /// mounted bytes are added to it. `verb` is `transferred` or `written`.
    pub fn summary(&self, verb: &str, shared_len: u64) -> String {
        let mut parts = Vec::new();
        if self.moved_blobs > 0 {
            let moved = in_blobs(self.fresh_len(), self.moved_blobs);
            parts.push(match self.rate() {
                Some(rate) => format!("{verb} {moved} ({})", format_rate(rate)),
                None => format!("{verb} {moved}"),
            });
            if self.kept_len > 0 {
                let kept = format_len(self.kept_len);
                parts.push(format!("{kept} resumed"));
            }
        }
        if self.replaced_blobs > 0 {
            let replaced = format_count(self.replaced_blobs, "damaged blob");
            parts.push(format!("replaced {replaced}"));
        }
        if self.linked_blobs > 0 {
            parts.push(format!(
                "linked {}",
                in_blobs(self.linked_len, self.linked_blobs)
            ));
        }
        if self.present_blobs > 0 {
            let present = in_blobs(self.present_len, self.present_blobs);
            let nothing = if self.moved_blobs + self.linked_blobs + self.mounted_blobs == 0 {
                "nothing to transfer, "
            } else {
                ""
            };
            parts.push(format!("{nothing}{present} already there"));
        }
        let saved = shared_len.saturating_add(self.mounted_len);
        if saved > 0 {
            parts.push(format!("{} saved by sharing", format_len(saved)));
        }
        if parts.is_empty() {
            parts.push("nothing to transfer".to_owned());
        }
        parts.push(format_duration(self.elapsed));
        parts.join(", ")
    }

    /// Bytes that were moved in this run.
    pub fn fresh_len(&self) -> u64 {
        self.moved_len.saturating_sub(self.kept_len)
    }

    /// Moved bytes per second over the whole run; `None` if it was too short.
    fn rate(&self) -> Option<u64> {
        let millis = self.elapsed.as_millis();
        if millis < 10 {
            return None;
        }
        u64::try_from(u128::from(self.fresh_len()) * 1000 / millis).ok()
    }
}

fn in_blobs(len: u64, n: usize) -> String {
    format!("{} in {}", format_len(len), format_count(n, "blob"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn summary(blobs: &[(u64, BlobRoute)], shared_len: u64) -> String {
        let mut totals = Totals {
            elapsed: Duration::from_millis(12_345),
            ..Totals::default()
        };
        for (len, route) in blobs {
            totals.add_blob(*len, *route);
        }
        totals.summary("transferred", shared_len)
    }

    #[test]
    fn summaries() {
        use BlobRoute::{Linked, Mounted, Moved, Present, Replaced};
        type Case = (&'static [(u64, BlobRoute)], u64, &'static str);
        let table: &[Case] = &[
            (&[], 0, "nothing to transfer, 12.3 s"),
            (
                &[(369 * MIB, Moved), (MIB, Moved)],
                1434 * MIB,
                "transferred 370.0 MiB in 2 blobs (30 MiB/s), 1.4 GiB saved by sharing, 12.3 s",
            ),
            (
                &[(5 * MIB, Linked), (MIB, Present)],
                0,
                "linked 5.0 MiB in 1 blob, 1.0 MiB in 1 blob already there, 12.3 s",
            ),
            (
                &[(3 * MIB, Present), (MIB, Present)],
                0,
                "nothing to transfer, 4.0 MiB in 2 blobs already there, 12.3 s",
            ),
            (
                &[(3 * MIB, Replaced), (MIB, Present)],
                0,
                "transferred 3.0 MiB in 1 blob (249 KiB/s), replaced 1 damaged blob, 1.0 MiB in 1 \
                 blob already there, 12.3 s",
            ),
            (
                &[(7 * MIB, Mounted)],
                MIB,
                "8.0 MiB saved by sharing, 12.3 s",
            ),
        ];
        for (blobs, shared_len, expect) in table {
            assert_eq!(summary(blobs, *shared_len), *expect);
        }
    }

    #[test]
    fn what_an_earlier_run_moved_is_not_moved_again() {
        let totals = Totals {
            moved_len: 300 * MIB,
            moved_blobs: 2,
            kept_len: 100 * MIB,
            elapsed: Duration::from_secs(10),
            ..Totals::default()
        };
        assert_eq!(
            totals.summary("written", 0),
            "written 200.0 MiB in 2 blobs (20 MiB/s), 100.0 MiB resumed, 10.0 s"
        );
    }

    #[test]
    fn an_instant_run_has_no_rate() {
        let totals = Totals {
            moved_len: MIB,
            moved_blobs: 1,
            ..Totals::default()
        };
        assert_eq!(
            totals.summary("written", 0),
            "written 1.0 MiB in 1 blob, 0 ms"
        );
    }
}
