//! The bytes of a tar, from a file or a pipe, compressed or not, in one pass.

use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use super::error::{BundleError, MemberProblem};
use super::intruder;
use super::volume::{Member, Volume};
use crate::fsx;
use crate::oci::Digest;
use crate::tarball::{END_LEN, LEAD_LEN_MAX};

/// The first bytes of a zstd frame.
pub(super) const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The largest window that is decompressed: 16 MiB, for archives that others have compressed anew.
const WINDOW_LOG_MAX: u32 = 24;

/// A tar that is read from start to end. Every error names the file, or the member.
pub(super) struct Input<'a> {
    inner: Box<dyn Read + 'a>,
    path: PathBuf,
    is_compressed: bool,
}

impl<'a> Input<'a> {
    /// Looks at the first bytes to see whether it is compressed. `path` is for messages.
    pub(super) fn new(mut input: impl Read + 'a, path: &Path) -> Result<Self, BundleError> {
        let mut start = Vec::new();
        let n_magic = ZSTD_MAGIC.len() as u64;
        let read = (&mut input).take(n_magic).read_to_end(&mut start);
        read.map_err(|source| read_error(path, source))?;
        let is_compressed = start == ZSTD_MAGIC;
        let whole = Cursor::new(start).chain(input);
        let inner: Box<dyn Read + 'a> = if is_compressed {
            Box::new(decoder(whole).map_err(|source| read_error(path, source))?)
        } else {
            Box::new(whole)
        };
        Ok(Self {
            inner,
            path: path.to_owned(),
            is_compressed,
        })
    }

    /// The file, for messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads some bytes of `member`; 0 only at the end of the archive.
    pub(super) fn read_some(
        &mut self,
        buffer: &mut [u8],
        member: &str,
    ) -> Result<usize, BundleError> {
        loop {
            match self.inner.read(buffer) {
                Ok(n) => return Ok(n),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Errors of the system have a number; those without one come from the decoder.
                Err(source) if self.is_compressed && source.raw_os_error().is_none() => {
                    return Err(BundleError::Decompress {
                        path: self.path.clone(),
                        member: member.to_owned(),
                        source,
                    });
                }
                Err(source) => return Err(read_error(&self.path, source)),
            }
        }
    }

    /// Fills the buffer as far as the archive goes; returns how far.
    pub(super) fn fill(&mut self, buffer: &mut [u8], member: &str) -> Result<usize, BundleError> {
        let mut n = 0;
        while n < buffer.len() {
            match self.read_some(&mut buffer[n..], member)? {
                0 => break,
                more => n += more,
            }
        }
        Ok(n)
    }

    /// Reads exactly `len` bytes of `member` into memory, which grows only as they arrive.
    pub(super) fn read_vec(&mut self, len: u64, member: &str) -> Result<Vec<u8>, BundleError> {
        let mut bytes = Vec::new();
        let mut chunk = vec![0; 64 * 1024];
        while (bytes.len() as u64) < len {
            let left = len - bytes.len() as u64;
            let want = usize::try_from(left).map_or(chunk.len(), |n| n.min(chunk.len()));
            match self.read_some(&mut chunk[..want], member)? {
                0 => return Err(BundleError::member(member, MemberProblem::Truncated)),
                n => bytes.extend_from_slice(&chunk[..n]),
            }
        }
        Ok(bytes)
    }

    /// Reads the headers of the member at position `at`, which must be those that are implied.
    pub(super) fn expect_lead(
        &mut self,
        (volume, volume_json): (&Volume, &Digest),
        at: usize,
    ) -> Result<(), BundleError> {
        let member = &volume.members()[at];
        let expected = volume.lead(member, volume_json);
        let mut found = vec![0; expected.len()];
        let n = self.fill(&mut found, &member.path)?;
        if n == found.len() && found == expected {
            return Ok(());
        }
        found.truncate(n);
        self.extend(&mut found, &member.path)?;
        Err(intruder::examine(volume.members(), at, &found))
    }

    /// Reads the padding behind a member, which must be empty.
    pub(super) fn expect_padding(&mut self, member: &Member) -> Result<(), BundleError> {
        let len = member.end() - member.offset - member.len;
        let bytes = self.read_vec(len, &member.path)?;
        if bytes.iter().any(|&byte| byte != 0) {
            return Err(BundleError::member(&member.path, MemberProblem::Padding));
        }
        Ok(())
    }

    /// Reads the end of a volume, after which the next may come.
    pub(super) fn expect_volume_end(&mut self, volume: &Volume) -> Result<(), BundleError> {
        let last = volume.members().last().map_or("", |last| &last.path);
        let found = self.read_vec(END_LEN, last)?;
        intruder::examine_end(volume.members(), &found)
    }

    /// Reads the end of the archive, after which nothing may come.
    pub(super) fn expect_end(&mut self, volume: &Volume) -> Result<(), BundleError> {
        let last = volume.members().last().map_or("", |last| &last.path);
        let mut found = Vec::new();
        // Reads to the end of a compressed stream too, where its checksum is.
        self.extend(&mut found, last)?;
        intruder::examine_end(volume.members(), &found)
    }

    /// Reads on until `found` is as long as any headers may be.
    fn extend(&mut self, found: &mut Vec<u8>, member: &str) -> Result<(), BundleError> {
        let start = found.len();
        let len_max = usize::try_from(LEAD_LEN_MAX).expect("a lead is short");
        found.resize(len_max.max(start), 0);
        let n = self.fill(&mut found[start..], member)?;
        found.truncate(start + n);
        Ok(())
    }
}

/// A decoder with limited memory.
pub(super) fn decoder<'a, R: Read + 'a>(input: R) -> io::Result<impl Read + 'a> {
    let mut decoder = zstd::Decoder::new(input)?;
    decoder.window_log_max(WINDOW_LOG_MAX)?;
    Ok(decoder)
}

pub(super) fn read_error(path: &Path, source: io::Error) -> BundleError {
    BundleError::Read {
        path: path.to_owned(),
        source: fsx::Error::new("read", path, source),
    }
}
