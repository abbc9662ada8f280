//! How far a run is: events in, one line of text out. Pure; time is passed in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hod_report::{BlobRoute, Event};

use super::text::visible_line;
use super::totals::Totals;
use hod_report::amount::{format_eta, format_len, format_part, format_rate};

/// The longest time left that is shown.
const ETA_MAX: Duration = Duration::from_hours(24);

/// Over how long the shown speed is averaged.
const RATE_WINDOW: Duration = Duration::from_secs(10);
/// Minimum time for a meaningful speed.
const RATE_SPAN_MIN: Duration = Duration::from_millis(200);

/// The planned amounts.
#[derive(Debug, Clone, Copy)]
struct Planned {
    n_images: usize,
    n_blobs: usize,
    len: u64,
}

/// The sums of all events so far.
#[derive(Debug, Default)]
pub(super) struct Counters {
    stage: Option<String>,
    planned: Option<Planned>,
    n_resolved: usize,
    n_blobs: usize,
    /// Moved bytes, also of blobs that are not done.
    moved_len: u64,
    /// Bytes of done blobs that did not move.
    reused_len: u64,
    totals: Totals,
}

impl Counters {
    pub(super) fn apply(&mut self, event: Event<'_>) {
        match event {
            Event::Stage { text } => self.stage = Some(visible_line(text).into_owned()),
            Event::ImageResolved { .. } => self.n_resolved += 1,
            Event::Planned {
                n_images,
                n_blobs,
                len,
            } => {
                self.stage = None;
                // One for each target.
                let before = self.planned;
                self.planned = Some(Planned {
                    n_images: before.map_or(0, |before| before.n_images) + n_images,
                    n_blobs: before.map_or(0, |before| before.n_blobs) + n_blobs,
                    len: before.map_or(0, |before| before.len).saturating_add(len),
                });
            }
            Event::BytesMoved { len } => self.moved_len = self.moved_len.saturating_add(len),
            Event::BytesLost { len } => self.moved_len = self.moved_len.saturating_sub(len),
            Event::BytesKept { len } => {
                self.reused_len = self.reused_len.saturating_add(len);
                self.totals.kept_len = self.totals.kept_len.saturating_add(len);
            }
            Event::KeptLost { len } => {
                self.reused_len = self.reused_len.saturating_sub(len);
                self.totals.kept_len = self.totals.kept_len.saturating_sub(len);
            }
            Event::BlobDone { len, route, .. } => {
                self.n_blobs += 1;
                if route != BlobRoute::Moved {
                    self.reused_len = self.reused_len.saturating_add(len);
                }
                self.totals.add_blob(len, route);
            }
            Event::ImageDone { .. } => self.totals.n_images += 1,
            Event::ImageFailed { .. } => self.totals.n_failed += 1,
            Event::Retry { .. } => self.totals.n_retries += 1,
            Event::Warning { .. } => self.totals.n_warnings += 1,
            Event::Note { .. } => {}
        }
    }

    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    pub(super) fn moved_len(&self) -> u64 {
        self.moved_len
    }

    /// Position and length of a bar, once there is a plan: in bytes, or in images if no bytes are
    /// planned.
    pub(super) fn position(&self) -> Option<(u64, u64)> {
        let planned = self.planned?;
        if planned.len > 0 {
            return Some((self.done_len(planned.len), planned.len));
        }
        Some((self.n_ended() as u64, planned.n_images as u64))
    }

    /// The progress line, if anything is known: `images 12/143, 1.2/9.6 GiB, 85 MiB/s, eta 1m40s`.
    pub(super) fn line(&self, rate: Option<u64>) -> Option<String> {
        let mut parts: Vec<String> = self.stage.iter().cloned().collect();
        match self.planned {
            Some(planned) => self.add_planned(planned, rate, &mut parts),
            None if self.moved_len > 0 => {
                parts.push(format_len(self.moved_len));
                parts.extend(rate.map(format_rate));
            }
            None if self.n_resolved > 0 => parts.push(format!("{} done", self.n_resolved)),
            None => {}
        }
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    fn add_planned(&self, planned: Planned, rate: Option<u64>, parts: &mut Vec<String>) {
        if planned.n_images > 0 {
            parts.push(format!("images {}/{}", self.n_ended(), planned.n_images));
        } else {
            parts.push(format!("blobs {}/{}", self.n_blobs, planned.n_blobs));
        }
        if self.totals.n_failed > 0 {
            parts.push(format!("{} failed", self.totals.n_failed));
        }
        if planned.len == 0 {
            return;
        }
        let done = self.done_len(planned.len);
        parts.push(format_part(done, planned.len));
        let left = planned.len - done;
        if left == 0 {
            return;
        }
        if let Some(rate) = rate {
            parts.push(format_rate(rate));
            if let Some(millis) = left.saturating_mul(1000).checked_div(rate) {
                let left = Duration::from_millis(millis);
                // A longer estimate was measured while nothing moved.
                if left <= ETA_MAX {
                    parts.push(format!("eta {}", format_eta(left)));
                }
            }
        }
    }

    fn n_ended(&self) -> usize {
        self.totals.n_images + self.totals.n_failed
    }

    fn done_len(&self, len: u64) -> u64 {
        self.moved_len.saturating_add(self.reused_len).min(len)
    }
}

/// Speed over the last [`RATE_WINDOW`].
#[derive(Debug, Default)]
pub(super) struct Meter {
    samples: VecDeque<(Instant, u64)>,
}

impl Meter {
    /// Takes how much was moved until `now`; returns bytes per second once that can be told. Its
    /// clock starts with the last call before the first byte.
    pub(super) fn rate(&mut self, now: Instant, moved_len: u64) -> Option<u64> {
        if moved_len == 0 {
            // The time before the first byte would only slow the shown speed down.
            self.samples.clear();
        }
        self.samples.push_back((now, moved_len));
        while let Some((second, _)) = self.samples.get(1)
            && now.duration_since(*second) >= RATE_WINDOW
        {
            self.samples.pop_front();
        }
        let (start, moved_before) = *self.samples.front()?;
        let span = now.duration_since(start);
        if span < RATE_SPAN_MIN {
            return None;
        }
        let moved = u128::from(moved_len.saturating_sub(moved_before));
        u64::try_from(moved * 1000 / span.as_millis()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hod_oci::Digest;

    const GIB: u64 = 1 << 30;

    fn line(events: &[Event<'_>], rate: Option<u64>) -> String {
        let mut counters = Counters::default();
        for event in events {
            counters.apply(*event);
        }
        counters.line(rate).unwrap_or_default()
    }

    #[test]
    fn lines() {
        let digest = Digest::of(b"");
        let planned = Event::Planned {
            n_images: 143,
            n_blobs: 900,
            len: 10 * GIB,
        };
        let done = Event::ImageDone { image: "a" };
        let moved = Event::BytesMoved { len: GIB };
        let rate = Some(85 << 20);
        let failed = Event::ImageFailed {
            image: "b",
            error: "e",
        };
        let present = Event::BlobDone {
            digest: &digest,
            len: 2 * GIB,
            route: BlobRoute::Present,
        };
        let finished = Event::BlobDone {
            digest: &digest,
            len: GIB,
            route: BlobRoute::Moved,
        };
        let stage = Event::Stage {
            text: "resolving 143 images",
        };
        let blobs_only = Event::Planned {
            n_images: 0,
            n_blobs: 4,
            len: 4 * GIB,
        };
        let empty = Event::Planned {
            n_images: 2,
            n_blobs: 0,
            len: 0,
        };
        let resolved = Event::ImageResolved { image: "a" };
        let table: &[(&[Event<'_>], Option<u64>, &str)] = &[
            (&[], None, ""),
            (&[stage], None, "resolving 143 images"),
            (
                &[stage, resolved, resolved],
                None,
                "resolving 143 images, 2 done",
            ),
            (
                &[stage, moved],
                rate,
                "resolving 143 images, 1.0 GiB, 85 MiB/s",
            ),
            (&[stage, planned], None, "images 0/143, 0.0/10.0 GiB"),
            (
                &[planned, moved, done],
                rate,
                "images 1/143, 1.0/10.0 GiB, 85 MiB/s, eta 1m49s",
            ),
            // An estimate of days is not shown.
            (
                &[planned, moved],
                Some(10 << 10),
                "images 0/143, 1.0/10.0 GiB, 10 KiB/s",
            ),
            (
                &[planned, moved],
                Some(0),
                "images 0/143, 1.0/10.0 GiB, 0 B/s",
            ),
            (
                &[planned, moved, finished, present, done, failed],
                None,
                "images 2/143, 1 failed, 3.0/10.0 GiB",
            ),
            (
                &[planned, moved, Event::BytesLost { len: GIB / 2 }],
                None,
                "images 0/143, 0.5/10.0 GiB",
            ),
            (
                &[blobs_only, moved, finished],
                None,
                "blobs 1/4, 1.0/4.0 GiB",
            ),
            (
                &[blobs_only, moved, moved, moved, moved, moved],
                rate,
                "blobs 0/4, 4.0/4.0 GiB",
            ),
            (&[empty, done], rate, "images 1/2"),
            (
                &[planned, stage],
                None,
                "resolving 143 images, images 0/143, 0.0/10.0 GiB",
            ),
        ];
        for (events, rate, expect) in table {
            assert_eq!(line(events, *rate), *expect);
        }
    }

    #[test]
    fn what_was_kept_counts_until_it_is_found_to_be_wrong() {
        let planned = Event::Planned {
            n_images: 1,
            n_blobs: 2,
            len: 10 * GIB,
        };
        let kept = Event::BytesKept { len: 2 * GIB };
        let moved = Event::BytesMoved { len: GIB };
        let expect = "images 0/1, 3.0/10.0 GiB";
        assert_eq!(line(&[planned, kept, moved], None), expect);
        let lost = [
            planned,
            kept,
            moved,
            Event::BytesLost { len: GIB },
            Event::KeptLost { len: 2 * GIB },
        ];
        assert_eq!(line(&lost, None), "images 0/1, 0.0/10.0 GiB");
    }

    #[test]
    fn speed_is_that_of_the_last_seconds() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut meter = Meter::default();
        assert_eq!(meter.rate(at(0), 0), None);
        assert_eq!(meter.rate(at(100), 0), None, "waiting is not slowness");
        assert_eq!(meter.rate(at(105), 500), Some(100));
        assert_eq!(meter.rate(at(110), 500), Some(50));
        assert_eq!(meter.rate(at(115), 500), Some(0), "it stalls");
        assert_eq!(meter.rate(at(120), 100), Some(0), "some was lost");
    }

    #[test]
    fn bars_count_bytes_or_else_images() {
        let mut counters = Counters::default();
        assert_eq!(counters.position(), None);
        counters.apply(Event::Planned {
            n_images: 3,
            n_blobs: 0,
            len: 0,
        });
        counters.apply(Event::ImageDone { image: "a" });
        assert_eq!(counters.position(), Some((1, 3)));
        counters.apply(Event::Planned {
            n_images: 3,
            n_blobs: 1,
            len: 10,
        });
        counters.apply(Event::BytesMoved { len: 4 });
        assert_eq!(counters.position(), Some((4, 10)));
    }
}
