//! Writes samples of a bundle to measure how long packing takes.

use std::io::{self, Write as _};
use std::sync::Mutex;

use super::cache::{CopyContext, NoCache};
use super::copy::{Copier, Cursor, Place, Slot, read_failure};
use super::in_order;
use super::options::{Compression, WriteOptions};
use super::planned::Planned;
use crate::error::BundleError;
use crate::hashing::read_through;
use hod_fsx::{FileRange, OutputFile};
use hod_oci::Digest;
use hod_tarball::ALIGNMENT;

/// A temporary file next to the output, to which samples are written in the same way as a bundle.
/// All methods block.
pub struct Sampler {
    options: WriteOptions,
    output: OutputFile,
    /// The length of the output so far.
    end: Mutex<u64>,
    /// One compressor for all samples, since it takes some 30 MiB. Its output is discarded: writing
    /// takes less time than compressing.
    encoder: Option<Mutex<zstd::Encoder<'static, io::Sink>>>,
}

impl std::fmt::Debug for Sampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sampler")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Sampler {
    /// Creates the file, which is removed on drop.
    pub fn create(options: WriteOptions) -> Result<Self, BundleError> {
        let output = OutputFile::create(&options.output);
        let output = output.map_err(|source| options.write_error(source))?;
        let encoder = match options.compression {
            Compression::Raw => None,
            Compression::Zstd { level } => {
                let encoder = in_order::encoder(io::sink(), level, options.jobs);
                let failed = |source| in_order::io_error(&options, source);
                Some(Mutex::new(encoder.map_err(failed)?))
            }
        };
        Ok(Self {
            options,
            output,
            end: Mutex::new(0),
            encoder,
        })
    }

    /// Reserves space for samples of these lengths; returns the offset of each.
    pub fn reserve(&self, lens: impl IntoIterator<Item = u64>) -> Result<Vec<u64>, BundleError> {
        let mut end = self.end.lock().expect("no thread panics with the lock");
        let mut offsets = Vec::new();
        for len in lens {
            offsets.push(*end);
            *end += len.next_multiple_of(ALIGNMENT);
        }
        let allocated = self.output.shared().allocate(*end);
        allocated.map_err(|source| self.options.write_error(source))?;
        Ok(offsets)
    }

    /// Copies the start of a blob.
    pub fn put(
        &self,
        digest: &Digest,
        range: &FileRange,
        offset: u64,
        context: &CopyContext<'_>,
    ) -> Result<(), BundleError> {
        let parts = Mutex::default();
        let copier = Copier {
            outputs: vec![self.output.shared()],
            options: &self.options,
            parts: &parts,
        };
        let is_verified = context.cache.is_verified(digest, range);
        if is_verified && self.encoder.is_none() {
            return copier.copy_verified(digest, 0, offset, range, context);
        }
        let (place, mut cursor) = (place(range.len, offset), Cursor::new());
        let algorithm = (!is_verified).then(|| digest.algorithm());
        let read_failure = read_failure(&self.options, digest, range.len);
        read_through(range, algorithm, read_failure, |bytes| {
            self.write(&copier, &place, &mut cursor, bytes)?;
            context.report(bytes.len() as u64)
        })
        .map(|_| ())
    }

    /// Copies the first `len` bytes of a file that goes with the images.
    pub fn put_file(
        &self,
        planned: &Planned,
        file: usize,
        len: u64,
        offset: u64,
    ) -> Result<(), BundleError> {
        let Some(mut range) = planned.files[file].open()? else {
            return Ok(());
        };
        range.len = range.len.min(len);
        let nothing = CopyContext {
            cache: &NoCache,
            on_bytes: &|_| std::ops::ControlFlow::Continue(()),
        };
        let digest = planned.files[file].digest();
        self.put(&digest, &range, offset, &nothing)
    }

    /// Syncs the file.
    pub fn sync(&self) -> Result<(), BundleError> {
        if let Some(encoder) = &self.encoder {
            let mut encoder = encoder.lock().expect("no thread panics with the lock");
            let flushed = encoder.flush();
            return flushed.map_err(|source| in_order::io_error(&self.options, source));
        }
        let synced = self.output.shared().sync();
        synced.map_err(|source| self.options.write_error(source))
    }

    fn write(
        &self,
        copier: &Copier<'_>,
        place: &Place,
        cursor: &mut Cursor,
        bytes: &[u8],
    ) -> Result<(), BundleError> {
        let Some(encoder) = &self.encoder else {
            return copier.write(place, cursor, bytes);
        };
        let mut encoder = encoder.lock().expect("no thread panics with the lock");
        let written = encoder.write_all(bytes);
        written.map_err(|source| in_order::io_error(&self.options, source))
    }
}

fn place(len: u64, offset: u64) -> Place {
    Place {
        len,
        slots: vec![Slot {
            len,
            to: Some((0, offset)),
            part: None,
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::sample::{Builder, READ_ALL, noise};
    use hod_fsx::read_dir_names;

    #[test]
    fn some_is_copied_and_nothing_is_left() {
        let mut builder = Builder::new();
        builder.image("a/one:1", b"{}", &[&noise(1, 9 << 20), b"", &noise(2, 900)]);
        let sample = builder.finish();
        for compression in [Compression::Raw, Compression::Zstd { level: 3 }] {
            let sampler = Sampler::create(sample.options("b.tar", (compression, 2))).unwrap();
            let ranges = sample.blobs.iter().map(|(_, range)| range.len.min(1 << 20));
            let offsets = sampler.reserve(ranges).unwrap();
            for ((digest, range), offset) in sample.blobs.iter().zip(offsets) {
                let mut range = range.clone();
                range.len = range.len.min(1 << 20);
                sampler.put(digest, &range, offset, &READ_ALL).unwrap();
            }
            sampler.sync().unwrap();
            drop(sampler);
            assert_eq!(read_dir_names(sample.dir.path()).unwrap(), ["blobs"]);
        }
    }
}
