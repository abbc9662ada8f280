//! Writing a bundle from start to end: into a pipe, or compressed.

use std::io::{self, Write};
use std::path::PathBuf;

use super::cache::CopyContext;
use super::copy;
use super::options::{Compression, WriteOptions};
use super::planned::Planned;
use crate::error::BundleError;
use crate::format::volume::Content;
use crate::hashing::read_through;
use hod_fsx::{FileRange, OutputFile};
use hod_oci::Digest;
use hod_tarball::{END_LEN, padded};

/// The highest level: higher ones require too much memory.
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

/// The destination of the bytes.
pub(crate) enum Target {
    /// A file that appears at its path when it is complete.
    File(OutputFile),
    /// A pipe or a device.
    Stream(Box<dyn Write + Send>),
}

/// A writer that counts the bytes.
struct Counted {
    target: Target,
    len: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = match &mut self.target {
            Target::File(file) => file.write(bytes),
            Target::Stream(stream) => stream.write(bytes),
        }?;
        self.len += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.target {
            Target::File(file) => file.flush(),
            Target::Stream(stream) => stream.flush(),
        }
    }
}

/// The tar, compressed or not.
enum Tar {
    Raw(Counted),
    Zstd(Box<zstd::Encoder<'static, Counted>>),
}

/// Returns a compressor with this level, clamped; its output does not depend on the number of jobs.
pub(crate) fn encoder<W: Write>(
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

/// A bundle of one volume that is being written from start to end.
pub(crate) struct InOrder {
    tar: Tar,
    /// The index of the next member.
    at: usize,
    volume_json: Digest,
}

impl std::fmt::Debug for InOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InOrder")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl InOrder {
    /// Begins the bundle; signs it first if there is a signer.
    pub(crate) fn begin(
        planned: &mut Planned,
        options: &WriteOptions,
        target: Option<Box<dyn Write + Send>>,
    ) -> Result<Self, BundleError> {
        planned.require_one_stream()?;
        planned.sign()?;
        let target = if let Some(stream) = target {
            Target::Stream(stream)
        } else {
            let file = OutputFile::create(&options.output);
            Target::File(file.map_err(|source| options.write_error(source))?)
        };
        let counted = Counted { target, len: 0 };
        let tar = match options.compression {
            Compression::Raw => Tar::Raw(counted),
            Compression::Zstd { level } => {
                let wrap = |source| io_error(options, source);
                let mut encoder = encoder(counted, level, options.jobs).map_err(wrap)?;
                let len = planned.volumes[0].len();
                encoder.set_pledged_src_size(Some(len)).map_err(wrap)?;
                Tar::Zstd(Box::new(encoder))
            }
        };
        Ok(Self {
            tar,
            at: 0,
            volume_json: Digest::of(&planned.volume_jsons[0]),
        })
    }

    /// Writes everything before the content of `digest`, which must be the next blob, or before the
    /// end.
    pub(crate) fn advance_to(
        &mut self,
        planned: &Planned,
        options: &WriteOptions,
        digest: Option<&Digest>,
        context: &CopyContext<'_>,
    ) -> Result<(), BundleError> {
        let volume = &planned.volumes[0];
        while let Some(member) = volume.members().get(self.at) {
            self.put_bytes(options, &volume.lead(member, &self.volume_json))?;
            self.at += 1;
            if let Content::Blob(blob) = member.content
                && !planned.manifest.blobs[blob].is_manifest
            {
                let blob = &planned.manifest.blobs[blob].digest;
                // Or one before it has failed.
                return if digest == Some(blob) {
                    Ok(())
                } else {
                    Err(BundleError::Stopped)
                };
            }
            if let Some(file) = planned.file_to_read(member) {
                file.read(options, |bytes| {
                    self.put_bytes(options, bytes)?;
                    context.report(bytes.len() as u64)
                })?;
            } else {
                self.put_bytes(options, planned.content(0, member))?;
            }
            self.pad(options, member.len)?;
        }
        digest.map_or(Ok(()), |_| Err(BundleError::Stopped))
    }

    /// Copies the next blob, and hashes it in another thread unless it was verified before.
    pub(crate) fn put(
        &mut self,
        options: &WriteOptions,
        digest: &Digest,
        range: &FileRange,
        context: &CopyContext<'_>,
    ) -> Result<(), BundleError> {
        let is_verified = context.cache.is_verified(digest, range);
        let algorithm = (!is_verified).then(|| digest.algorithm());
        let read_failure = copy::read_failure(options, digest, range.len);
        let actual = read_through(range, algorithm, read_failure, |bytes| {
            self.put_bytes(options, bytes)?;
            context.report(bytes.len() as u64)
        })?;
        self.pad(options, range.len)?;
        actual.map_or(Ok(()), |actual| {
            copy::conclude(context.cache, digest, range, actual)
        })
    }

    pub(crate) fn put_bytes(
        &mut self,
        options: &WriteOptions,
        bytes: &[u8],
    ) -> Result<(), BundleError> {
        let written = match &mut self.tar {
            Tar::Raw(output) => output.write_all(bytes),
            Tar::Zstd(encoder) => encoder.write_all(bytes),
        };
        written.map_err(|source| io_error(options, source))
    }

    /// Writes the padding after `len` bytes of content.
    pub(crate) fn pad(&mut self, options: &WriteOptions, len: u64) -> Result<(), BundleError> {
        self.put_zeros(options, padded(len) - len)
    }

    fn put_zeros(&mut self, options: &WriteOptions, len: u64) -> Result<(), BundleError> {
        let len = usize::try_from(len).expect("less than two blocks and one byte");
        self.put_bytes(options, &vec![0; len])
    }

    /// Writes the rest; returns the path and the length of the bundle.
    pub(crate) fn finish(
        mut self,
        planned: &Planned,
        options: &WriteOptions,
        context: &CopyContext<'_>,
    ) -> Result<(PathBuf, u64), BundleError> {
        self.advance_to(planned, options, None, context)?;
        self.put_zeros(options, END_LEN)?;
        let output = match self.tar {
            Tar::Raw(output) => output,
            Tar::Zstd(encoder) => {
                let finished = encoder.finish();
                finished.map_err(|source| io_error(options, source))?
            }
        };
        context.report(planned.manifests_len())?;
        if let Target::File(file) = output.target {
            let committed = file.commit_with(options.durability);
            committed.map_err(|source| options.write_error(source))?;
        }
        Ok((options.output.clone(), output.len))
    }
}

pub(crate) fn io_error(options: &WriteOptions, source: io::Error) -> BundleError {
    let source = hod_fsx::Error::new("write", &options.output, source);
    options.write_error(source)
}
