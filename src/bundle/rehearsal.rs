//! How long writing will take: a little of it is done, and measured.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use super::copy::{self, Part, Place, Work};
use super::error::BundleError;
use super::hashing::BUFFER_LEN;
use super::plan::Planned;
use super::sequential;
use super::volume::{Content, Volume};
use super::writer::{Compression, OpenBlob, WriteOptions};
use crate::fsx::OutputFile;
use crate::oci::sum_len;

/// Size of the first sample of a large blob; it doubles up to a maximum, so that a slow disk is
/// recognised soon and a fast one gets more than its cache absorbs in an instant.
const SAMPLE_LEN_MIN: u64 = 1024 * 1024;
const SAMPLE_LEN_MAX: u64 = 16 * 1024 * 1024;
/// Number of large blobs to sample, and of small ones.
const N_LARGE: usize = 32;
const N_SMALL: usize = 64;
/// Time after which no further ones are started.
const ENOUGH: Duration = Duration::from_millis(700);

/// Something that is to be copied or read.
#[derive(Debug, Clone, Copy)]
struct Item<'a> {
    place: Place<'a>,
    doing: Doing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Copy,
    /// The part of a blob, which is hashed in any case.
    CopyPart,
    /// A blob in parts, to see that the whole is right.
    Read,
}

/// Estimates how long [`super::write`] takes until all is on the disk, by copying samples in the
/// same way into a temporary file next to the output. Takes a second or two.
///
/// The time for blobs of up to 256 KiB is estimated by their number, that for larger ones by their
/// size.
pub fn rehearse<E: From<BundleError> + Send>(
    planned: &Planned,
    open: &OpenBlob<'_, E>,
    options: &WriteOptions<'_>,
) -> Result<Duration, E> {
    let (small, large): (Vec<Item<'_>>, Vec<Item<'_>>) = items(planned, options)
        .into_iter()
        .partition(|item| item.place.len <= BUFFER_LEN as u64);
    let mut rehearsal = Rehearsal {
        open,
        options,
        output: OutputFile::create(options.output).map_err(|e| options.write_error(e))?,
        end: 0,
        encoder: None,
    };
    let n_small = small.len() as u64;
    let (time, n_done, _) = rehearsal.run(&spread(&small, N_SMALL))?;
    let mut estimate = scale(time, n_small, n_done);
    let large_len = sum_len(large.iter().map(|item| item.place.len));
    let (time, _, len_done) = rehearsal.run(&spread(&large, N_LARGE))?;
    estimate += scale(time, large_len, len_done);
    Ok(estimate)
}

/// All blobs and files of the volumes that are to be written; a blob in parts is read once more.
fn items<'a>(planned: &'a Planned, options: &WriteOptions<'_>) -> Vec<Item<'a>> {
    let is_wanted = |volume: &&Volume| options.only_volume.is_none_or(|i| i == volume.index());
    let mut items = Vec::new();
    for volume in planned.volumes.iter().filter(is_wanted) {
        for member in volume.members() {
            items.extend(planned.place(member).map(|place| Item {
                place,
                doing: Doing::Copy,
            }));
            if let Content::Part(at, number) = member.content {
                let blob = &planned.manifest.blobs[at];
                let item = |len, doing| Item {
                    place: Place {
                        digest: &blob.digest,
                        len,
                        offset: 0,
                        content: None,
                    },
                    doing,
                };
                items.push(item(member.len, Doing::CopyPart));
                items.extend((number == 0).then(|| item(blob.size, Doing::Read)));
            }
        }
    }
    items
}

/// Some of the items, evenly from the largest to the smallest.
fn spread<'a>(items: &[Item<'a>], n_max: usize) -> Vec<Item<'a>> {
    let mut sorted = items.to_vec();
    sorted.sort_by_key(|item| std::cmp::Reverse(item.place.len));
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

struct Rehearsal<'a, E> {
    open: &'a OpenBlob<'a, E>,
    options: &'a WriteOptions<'a>,
    output: OutputFile,
    /// The current length of the output.
    end: u64,
    encoder: Option<zstd::Encoder<'static, io::Sink>>,
}

impl<E: From<BundleError> + Send> Rehearsal<'_, E> {
    /// Copies the first bytes of the items, a few at a time, until it has taken long enough;
    /// returns how long that was, of how many items, and of how many bytes.
    fn run(&mut self, items: &[Item<'_>]) -> Result<(Duration, u64, u64), E> {
        let start = Instant::now();
        let (mut n_done, mut len_done) = (0, 0);
        let mut len_max = SAMPLE_LEN_MIN;
        // As many as would be copied at the same time.
        for items in items.chunks(self.options.jobs.clamp(1, N_LARGE)) {
            if start.elapsed() > ENOUGH {
                break;
            }
            let mut samples = items.to_vec();
            for Item { place, .. } in &mut samples {
                place.len = place.len.min(len_max);
                place.offset = self.end;
                self.end += place.len.next_multiple_of(super::header::ALIGNMENT);
            }
            match self.options.compression {
                Compression::Raw => self.copy(&samples)?,
                Compression::Zstd { level } => self.compress(&samples, level)?,
            }
            n_done += samples.len() as u64;
            len_done += sum_len(samples.iter().map(|item| item.place.len));
            len_max = SAMPLE_LEN_MAX.min(2 * len_max);
        }
        Ok((start.elapsed(), n_done, len_done))
    }

    fn copy<'a>(&'a self, items: &'a [Item<'a>]) -> Result<(), E> {
        let output = self.output.shared();
        let wrap = |source| E::from(self.options.write_error(source));
        let work = |(number, item): (usize, &Item<'a>)| Work {
            place: item.place,
            output: (item.doing != Doing::Read).then_some(output),
            part: (item.doing == Doing::CopyPart).then_some(Part {
                id: (number, 0),
                start: 0,
                len: item.place.len,
            }),
            is_sample: true,
        };
        output.allocate(self.end).map_err(wrap)?;
        let works = items.iter().enumerate().map(work).collect();
        copy::copy_blobs(works, self.open, self.options)?;
        output.sync().map_err(wrap)
    }

    /// Compressing takes longer than writing what comes out of it, which goes nowhere.
    fn compress(&mut self, items: &[Item<'_>], level: i32) -> Result<(), E> {
        let options = self.options;
        let failed = |source| {
            let source = crate::fsx::Error::new("compress for", options.output, source);
            E::from(options.write_error(source))
        };
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            // One for all: each has some 30 MiB.
            none => {
                none.insert(sequential::encoder(io::sink(), level, options.jobs).map_err(failed)?)
            }
        };
        let samples = items.iter().map(|item| item.place);
        sequential::write_samples(samples, self.open, encoder, options)?;
        encoder.flush().map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::path::Path;

    use super::super::NoKnowledge;
    use super::super::sample::{Builder, Sample, noise};
    use super::*;
    use crate::fsx::{Durability, read_dir_names};
    use crate::oci::Digest;

    fn rehearse_into(sample: &Sample, output: &Path, compression: Compression) -> Duration {
        let options = WriteOptions {
            output,
            compression,
            jobs: 2,
            durability: Durability::Deferred,
            only_volume: None,
            knowledge: &NoKnowledge,
            on_bytes: &|_| ControlFlow::Continue(()),
        };
        let open = |digest: &Digest| Ok::<_, BundleError>(sample.open(digest).into());
        rehearse(&sample.plan.lay_out().unwrap(), &open, &options).unwrap()
    }

    #[test]
    fn some_is_copied_and_nothing_is_left() {
        let mut builder = Builder::new();
        builder.image("a/one:1", b"{}", &[&noise(1, 9 << 20), b"", &noise(2, 900)]);
        let mut sample = builder.finish();
        for (volume_size, compression) in [
            (None, Compression::Raw),
            (None, Compression::Zstd { level: 3 }),
            (Some(1 << 20), Compression::Raw),
        ] {
            sample.plan.volume_size = volume_size;
            let time = rehearse_into(&sample, &sample.path("b.tar"), compression);
            assert!(time > Duration::ZERO);
            assert_eq!(read_dir_names(sample.dir.path()).unwrap(), ["blobs"]);
        }
    }

    #[test]
    fn samples_are_spread_from_the_largest_to_the_smallest() {
        let digest = Digest::of(b"");
        let lens = |n: u64, n_max| {
            let item = |len| Item {
                place: Place {
                    digest: &digest,
                    len,
                    offset: 0,
                    content: None,
                },
                doing: Doing::Copy,
            };
            let items: Vec<Item<'_>> = (1..=n).map(item).collect();
            let chosen = spread(&items, n_max);
            chosen.iter().map(|item| item.place.len).collect::<Vec<_>>()
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
