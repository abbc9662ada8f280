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

/// Where the bytes go.
pub(crate) enum Target {
    /// A file that appears when it is finished.
    File(OutputFile),
    /// A pipe or a device.
    Stream(Box<dyn Write + Send>),
}

/// Counts the bytes that are written.
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

/// A compressor at this level, clamped; its output does not depend on the number of jobs.
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

/// The only volume, in the making.
pub(crate) struct InOrder {
    tar: Tar,
    /// The position of the member that comes next.
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
    /// Begins the bundle, which is signed first if it is to be.
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

    /// Writes all that comes before the content of a blob whose turn it is, or before the end.
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

    /// Copies the blob whose turn it is, and hashes it in another thread unless it is known to be
    /// right.
    pub(crate) fn put(
        &mut self,
        options: &WriteOptions,
        digest: &Digest,
        range: &FileRange,
        context: &CopyContext<'_>,
    ) -> Result<(), BundleError> {
        let is_verified = context.cache.is_verified(digest, range);
        let algorithm = (!is_verified).then(|| digest.algorithm());
        let unread = copy::unread(options, digest, range.len);
        let actual = read_through(range, algorithm, unread, |bytes| {
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

    /// Writes the zeros behind `len` bytes of content.
    pub(crate) fn pad(&mut self, options: &WriteOptions, len: u64) -> Result<(), BundleError> {
        self.put_zeros(options, padded(len) - len)
    }

    fn put_zeros(&mut self, options: &WriteOptions, len: u64) -> Result<(), BundleError> {
        let len = usize::try_from(len).expect("less than two blocks and one byte");
        self.put_bytes(options, &vec![0; len])
    }

    /// Writes what is left; returns the path and the length of what was written.
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
