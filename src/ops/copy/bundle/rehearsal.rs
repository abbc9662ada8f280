//! Estimates the time to write a bundle from a measured sample.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fill::Looked;
use crate::OpsError;
use hod_bundle::{CopyItem, Planned, Sampler};
use hod_oci::{Digest, sum_len};
use hod_transfer::{PlannedBlob, Sample, SampleSink, Source};

/// Size of the first sample of a large blob; it doubles up to a maximum, so that a slow disk is
/// recognised soon and a fast one gets more than its cache absorbs in an instant.
const SAMPLE_LEN_MIN: u64 = 1024 * 1024;
const SAMPLE_LEN_MAX: u64 = 16 * 1024 * 1024;
/// Number of large blobs to sample, and of small ones.
const N_LARGE: usize = 32;
const N_SMALL: usize = 64;
/// Length up to which a blob is small: the time for these follows from their number.
const SMALL_LEN_MAX: u64 = 256 * 1024;
/// Time after which no further ones are started.
const ENOUGH: Duration = Duration::from_millis(700);

type Item = (CopyItem, u64);

impl Looked<'_> {
    /// Estimates the time until everything is on the disk, by copying samples in the same way into
    /// a temporary file beside the output. Takes a second or two.
    pub(super) async fn rehearse(
        &self,
        source: &Arc<dyn Source>,
        planned: &Arc<Planned>,
    ) -> Result<Duration, OpsError> {
        let items = planned.to_copy(self.target.only_volume).into_iter();
        let (small, large): (Vec<Item>, Vec<Item>) =
            items.partition(|(_, len)| *len <= SMALL_LEN_MAX);
        let options = self.write_options();
        let sampler = hod_bridge::run(move || Sampler::create(options)).await?;
        let rehearsal = Rehearsal {
            looked: self,
            source,
            planned,
            sampler: Arc::new(sampler),
        };
        let (time, n_done, _) = rehearsal.run(&spread(&small, N_SMALL)).await?;
        let mut estimate = scale(time, small.len() as u64, n_done);
        let (time, _, len_done) = rehearsal.run(&spread(&large, N_LARGE)).await?;
        estimate += scale(time, sum_len(large.iter().map(|(_, len)| *len)), len_done);
        Ok(estimate)
    }
}

/// Some of the items, evenly from the largest to the smallest.
fn spread(items: &[Item], n_max: usize) -> Vec<Item> {
    let mut sorted = items.to_vec();
    sorted.sort_by_key(|(_, len)| std::cmp::Reverse(*len));
    let step = sorted.len().div_ceil(n_max).max(1);
    sorted.into_iter().step_by(step).collect()
}

fn scale(time: Duration, all: u64, done: u64) -> Duration {
    if done == 0 {
        return Duration::ZERO;
    }
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    time.mul_f64(all as f64 / done as f64)
}

struct Rehearsal<'a> {
    looked: &'a Looked<'a>,
    source: &'a Arc<dyn Source>,
    planned: &'a Arc<Planned>,
    sampler: Arc<Sampler>,
}

impl Rehearsal<'_> {
    /// Copies the first bytes of the items, a few at a time, until the sample is long enough;
    /// returns the time, the number of items and the number of bytes.
    async fn run(&self, items: &[Item]) -> Result<(Duration, u64, u64), OpsError> {
        let start = Instant::now();
        let (mut n_done, mut len_done) = (0, 0);
        let mut len_max = SAMPLE_LEN_MIN;
        // As many as would be copied at the same time.
        for items in items.chunks(self.looked.cx.jobs.clamp(1, N_LARGE)) {
            if start.elapsed() > ENOUGH {
                break;
            }
            let lens: Vec<u64> = items.iter().map(|(_, len)| (*len).min(len_max)).collect();
            len_done += sum_len(lens.iter().copied());
            n_done += items.len() as u64;
            self.copy(items, lens).await?;
            len_max = SAMPLE_LEN_MAX.min(2 * len_max);
        }
        Ok((start.elapsed(), n_done, len_done))
    }

    /// Copies the first bytes of some items: blobs as the engine moves them.
    async fn copy(&self, items: &[Item], lens: Vec<u64>) -> Result<(), OpsError> {
        let (to, reserved) = (Arc::clone(&self.sampler), lens.clone());
        let offsets = hod_bridge::run(move || to.reserve(reserved)).await?;
        let (mut samples, mut files) = (HashMap::new(), Vec::new());
        for ((item, _), (len, offset)) in items.iter().zip(lens.into_iter().zip(offsets)) {
            match item {
                CopyItem::Blob(digest) => {
                    samples.insert(digest.clone(), Sample { len, offset });
                }
                CopyItem::File(at) => files.push((*at, (len, offset))),
            }
        }
        let blobs = self.blobs(&samples);
        let sink = SampleSink {
            sampler: Arc::clone(&self.sampler),
            samples,
            cache: Arc::clone(&self.looked.cache),
        };
        let ends = (Arc::clone(self.source), Arc::new(sink) as _);
        let moved = self.looked.batch.move_blobs(self.looked.cx, ends, blobs);
        moved.await?;
        let (to, planned) = (Arc::clone(&self.sampler), Arc::clone(self.planned));
        let rest = move || {
            for (at, (len, offset)) in files {
                to.put_file(&planned, at, len, offset)?;
            }
            to.sync()
        };
        Ok(hod_bridge::run(rest).await?)
    }

    fn blobs(&self, samples: &HashMap<Digest, Sample>) -> Vec<PlannedBlob> {
        let blobs = self.looked.batch.plan.blobs.iter();
        let chosen = blobs.filter(|blob| samples.contains_key(&blob.descriptor.digest));
        let alone = |blob: &PlannedBlob| PlannedBlob {
            images: Vec::new(),
            ..blob.clone()
        };
        chosen.map(alone).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_spread_from_the_largest_to_the_smallest() {
        let lens = |n: u64, n_max| {
            let items: Vec<Item> = (1..=n).map(|len| (CopyItem::File(0), len)).collect();
            let chosen = spread(&items, n_max);
            chosen.iter().map(|(_, len)| *len).collect::<Vec<_>>()
        };
        assert_eq!(lens(0, 4), [0; 0]);
        assert_eq!(lens(3, 4), [3, 2, 1]);
        assert_eq!(lens(8, 4), [8, 6, 4, 2]);
        assert_eq!(lens(9, 4), [9, 6, 3]);
    }

    #[test]
    fn what_was_measured_is_scaled() {
        let second = Duration::from_secs(1);
        assert_eq!(scale(second, 10, 4), Duration::from_millis(2500));
        assert_eq!(scale(second, 10, 0), Duration::ZERO);
    }
}
