//! Limits the rate of all blob bytes that a run sends and receives.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use tokio::time::{Instant, sleep_until};

/// Maximum idle time that is caught up on: a stream that had to wait is not slower for it, and a
/// long wait is not followed by a burst.
const CATCH_UP_MAX: Duration = Duration::from_millis(200);
/// Number of pieces sent per second.
const PIECES_PER_SECOND: u64 = 20;
const PIECE_LEN_MIN: usize = 1024;

/// Delays bytes to keep a rate.
#[derive(Debug)]
pub(crate) struct Throttle {
    /// In bytes a second; `None` for no limit.
    rate: Option<u64>,
    /// When the bytes that were let through so far are through.
    through_at: Mutex<Option<Instant>>,
}

impl Throttle {
    pub(crate) fn new(rate: Option<u64>) -> Self {
        Self {
            rate: rate.map(|rate| rate.max(1)),
            through_at: Mutex::new(None),
        }
    }

    /// Returns when `len` bytes more may have passed.
    pub(crate) async fn pass(&self, len: usize) {
        if let Some(turn) = self.turn(len, Instant::now()) {
            sleep_until(turn).await;
        }
    }

    /// `stream`, in pieces that come as fast as they may.
    pub(crate) fn pace<E: Send + 'static>(
        self: Arc<Self>,
        stream: impl Stream<Item = Result<Bytes, E>> + Send + Unpin + 'static,
    ) -> impl Stream<Item = Result<Bytes, E>> + Send {
        stream::unfold(
            (self, stream, Bytes::new()),
            async |(this, mut stream, mut rest)| {
                if rest.is_empty() {
                    match stream.next().await? {
                        Ok(chunk) => rest = chunk,
                        Err(error) => return Some((Err(error), (this, stream, rest))),
                    }
                }
                let piece = rest.split_to(this.piece_len().min(rest.len()));
                this.pass(piece.len()).await;
                Some((Ok(piece), (this, stream, rest)))
            },
        )
    }

    fn piece_len(&self) -> usize {
        let Some(rate) = self.rate else {
            return usize::MAX;
        };
        usize::try_from(rate / PIECES_PER_SECOND).map_or(usize::MAX, |len| len.max(PIECE_LEN_MIN))
    }

    fn turn(&self, len: usize, now: Instant) -> Option<Instant> {
        let rate = self.rate?;
        let nanos = u128::from(len as u64) * 1_000_000_000 / u128::from(rate);
        let takes = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut through_at = self
            .through_at
            .lock()
            .expect("nothing panics while it holds the lock");
        let earliest = now.checked_sub(CATCH_UP_MAX).unwrap_or(now);
        let begin = through_at.map_or(now, |at| at.max(earliest));
        // A rate of a byte a second and a huge chunk are further away than any clock goes.
        let turn = begin.checked_add(takes).unwrap_or(begin);
        *through_at = Some(turn);
        Some(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_come_at_the_rate_and_idle_time_is_not_saved_up() {
        let throttle = Throttle::new(Some(1000));
        let start = Instant::now();
        let turn = |len: usize, at_ms: u64| {
            let now = start + Duration::from_millis(at_ms);
            (throttle.turn(len, now).unwrap() - start).as_millis()
        };
        assert_eq!(turn(500, 0), 500);
        assert_eq!(turn(500, 0), 1000, "those at once share the rate");
        assert_eq!(turn(100, 1050), 1100, "a little is caught up on");
        assert_eq!(turn(1000, 10_000), 10_800, "and no more than that");
        assert_eq!(Throttle::new(None).turn(1, start), None);
    }

    #[tokio::test(start_paused = true)]
    #[expect(
        clippy::disallowed_methods,
        reason = "`tokio::test` gives each test a runtime of its own"
    )]
    async fn a_stream_comes_whole_and_no_faster_than_it_may() {
        let throttle = Arc::new(Throttle::new(Some(100_000)));
        let bytes = Bytes::from(vec![7; 300_000]);
        let chunks = stream::iter([Ok(bytes.slice(..250_000)), Ok(bytes.slice(250_000..))]);
        let start = Instant::now();
        let pieces: Vec<Result<Bytes, ()>> = throttle.pace(chunks).collect().await;
        let took = start.elapsed().as_millis();
        assert!((2990..3010).contains(&took), "{took} ms");
        let longest = pieces.iter().flatten().map(Bytes::len).max();
        assert_eq!(longest, Some(5000), "and evenly");
        let whole: Vec<u8> = pieces.into_iter().flatten().flatten().collect();
        assert_eq!(whole, bytes);
    }
}
