//! Writing a bundle from start to end: into a pipe, or compressed.

use std::io::{self, Write};
use std::path::PathBuf;
use std::thread::Scope;

use super::copy::{self, Place};
use super::error::BundleError;
use super::hashing::HashThread;
use super::pieces::Pieces;
use super::plan::Planned;
use super::volume::END_LEN;
use super::writer::{Compression, OpenBlob, WriteOptions};
use crate::fsx::{self, OutputFile};
use crate::oci::Digest;

/// The highest level; those above need more memory than we have.
const LEVEL_MAX: i32 = 19;
/// The window of the compressor, which the decompressor needs as well: 1 MiB.
const WINDOW_LOG: u32 = 20;
/// Number of bytes that one worker compresses at a time. Fixed, since the output depends on it.
const PART_LEN: u32 = 1024 * 1024;

/// Number of workers for compression: as many as requested, within 64 MiB of memory.
///
/// Measured: one takes 3 MiB up to level 4, 8 MiB at level 6, 12 MiB at 9 and 18 MiB at 19.
fn n_workers(level: i32, jobs: usize) -> u32 {
    let max = match level {
        ..5 => 12,
        5..=9 => 3,
        _ => 2,
    };
    u32::try_from(jobs).map_or(max, |jobs| jobs.clamp(1, max))
}

/// Writes the only volume as a file; returns its path and length.
pub(super) fn write_file<E: From<BundleError> + Send>(
    planned: &Planned,
    open: &OpenBlob<'_, E>,
    options: &WriteOptions<'_>,
) -> Result<(PathBuf, u64), E> {
    let failed = |source| E::from(options.write_error(source));
    let mut output = OutputFile::create(options.output).map_err(failed)?;
    let len = write(planned, open, &mut output, options)?;
    output.commit_with(options.durability).map_err(failed)?;
    Ok((options.output.to_owned(), len))
}

/// Writes the only volume to `output`, compressed if that is wanted; returns the length of what
/// was written.
pub(super) fn write<E: From<BundleError> + Send>(
    planned: &Planned,
    open: &OpenBlob<'_, E>,
    output: &mut dyn Write,
    options: &WriteOptions<'_>,
) -> Result<u64, E> {
    let wrap = |source| {
        let source = fsx::Error::new("write", options.output, source);
        E::from(options.write_error(source))
    };
    let mut output = Counted { output, len: 0 };
    match options.compression {
        Compression::Raw => write_tar(planned, open, &mut output, options)?,
        Compression::Zstd { level } => {
            let mut encoder = encoder(&mut output, level, options.jobs).map_err(wrap)?;
            encoder
                .set_pledged_src_size(Some(planned.volumes[0].len()))
                .map_err(wrap)?;
            write_tar(planned, open, &mut encoder, options)?;
            encoder.finish().map_err(wrap)?;
        }
    }
    Ok(output.len)
}

/// Counts the bytes that are written.
struct Counted<'a> {
    output: &'a mut dyn Write,
    len: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.output.write(bytes)?;
        self.len += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// A compressor at this level, clamped; its output does not depend on the number of jobs.
pub(super) fn encoder<W: Write>(
    output: W,
    level: i32,
    jobs: usize,
) -> io::Result<zstd::Encoder<'static, W>> {
    use zstd::zstd_safe::CParameter;
    let level = level.clamp(1, LEVEL_MAX);
    let mut encoder = zstd::Encoder::new(output, level)?;
    for parameter in [
        CParameter::WindowLog(WINDOW_LOG),
        CParameter::ChecksumFlag(true),
        // Never 0, which would make other bytes than any other number.
        CParameter::NbWorkers(n_workers(level, jobs)),
        CParameter::JobSize(PART_LEN),
    ] {
        encoder.set_parameter(parameter)?;
    }
    Ok(encoder)
}

/// Writes the only volume to `output`, which is not flushed.
fn write_tar<E: From<BundleError> + Send>(
    planned: &Planned,
    open: &OpenBlob<'_, E>,
    output: &mut dyn Write,
    options: &WriteOptions<'_>,
) -> Result<(), E> {
    let volume = &planned.volumes[0];
    let volume_json = Digest::of(&planned.volume_jsons[0]);
    std::thread::scope(|scope| {
        let mut tar = TarStream::new(scope, output, options)?;
        for member in volume.members() {
            tar.put(&volume.lead(member, &volume_json))?;
            if let Some(place) = planned.place(member) {
                tar.put_blob(place, &place.open(open)?)?;
            } else {
                tar.put(planned.content(0, member))?;
            }
            tar.put_zeros(member.end() - member.offset - member.len)?;
        }
        tar.put_zeros(END_LEN)?;
        Ok(())
    })
}

/// Writes the first bytes of blobs to `output`, as [`write_tar`] would; nothing is verified.
pub(super) fn write_samples<'a, E: From<BundleError> + Send>(
    places: impl Iterator<Item = Place<'a>>,
    open: &OpenBlob<'_, E>,
    output: &mut dyn Write,
    options: &WriteOptions<'_>,
) -> Result<(), E> {
    std::thread::scope(|scope| {
        let mut tar = TarStream::new(scope, output, options)?;
        for place in places {
            tar.copy(place, &place.open(open)?)?;
        }
        Ok(())
    })
}

/// Writes the bytes of a tar in order.
struct TarStream<'a> {
    hashing: HashThread,
    output: &'a mut dyn Write,
    options: &'a WriteOptions<'a>,
}

impl<'a> TarStream<'a> {
    fn new<'scope>(
        scope: &'scope Scope<'scope, '_>,
        output: &'a mut dyn Write,
        options: &'a WriteOptions<'a>,
    ) -> Result<Self, BundleError> {
        Ok(Self {
            hashing: HashThread::start(scope).map_err(|error| options.thread_error(error))?,
            output,
            options,
        })
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), BundleError> {
        self.output.write_all(bytes).map_err(|source| {
            let source = fsx::Error::new("write", self.options.output, source);
            self.options.write_error(source)
        })
    }

    fn put_zeros(&mut self, len: u64) -> Result<(), BundleError> {
        let len = usize::try_from(len).expect("less than two blocks and one byte");
        self.put(&vec![0; len])
    }

    /// Copies a blob, and hashes it in another thread unless it is known to be right.
    fn put_blob(&mut self, place: Place<'_>, pieces: &Pieces) -> Result<(), BundleError> {
        copy::check_len(place, pieces)?;
        match self.copy(place, pieces)? {
            Some(actual) => copy::conclude(self.options.knowledge, (place, pieces), actual),
            None => Ok(()),
        }
    }

    /// Copies as much of a blob as is in its place; returns the digest of that, unless the blob is
    /// known to be right.
    fn copy(&mut self, place: Place<'_>, pieces: &Pieces) -> Result<Option<Digest>, BundleError> {
        let is_verified = copy::is_verified(self.options.knowledge, (place, pieces));
        self.hashing.begin(place.digest.algorithm());
        let mut done = 0;
        while done < place.len {
            let mut buffer = self.hashing.buffer();
            let bytes = copy::own(&mut buffer);
            let n = copy::read_chunk(place, pieces, (bytes, done))?;
            if !is_verified {
                self.hashing.hash(&buffer, n);
            }
            self.put(&buffer[..n])?;
            if is_verified {
                self.hashing.give_back(buffer);
            }
            self.options.told(n as u64)?;
            done += n as u64;
        }
        let actual = self.hashing.finish();
        Ok((!is_verified).then_some(actual))
    }
}
