//! The bytes of an archive, from front to back.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::{ArchiveError, Compression, decoder_of};
use crate::fsx::{self, File};

/// Buffer size for skipping content.
const SKIP_LEN: usize = 64 * 1024;

/// An archive that is read in order; a plain one jumps over what is skipped.
pub(super) enum Input {
    Plain {
        file: Arc<File>,
        at: u64,
        len: u64,
    },
    Packed {
        content: Box<dyn Read + Send>,
        compression: Compression,
    },
}

impl Input {
    pub(super) fn open(path: &Path) -> Result<Self, ArchiveError> {
        let file = fsx::open(path)?;
        let len = fsx::stat(path)?.len;
        let mut start = [0; Compression::MAGIC_LEN];
        let n = fsx::read_at(&file, path, &mut start, 0)?;
        let compression = Compression::of(&start[..n]);
        if compression == Compression::None {
            let file = Arc::new(file);
            return Ok(Self::Plain { file, at: 0, len });
        }
        let buffered = io::BufReader::with_capacity(SKIP_LEN, file);
        let content = decoder_of(compression, buffered).map_err(|source| wrap(path, source))?;
        Ok(Self::Packed {
            content,
            compression,
        })
    }

    pub(super) fn compression(&self) -> Compression {
        match self {
            Self::Plain { .. } => Compression::None,
            Self::Packed { compression, .. } => *compression,
        }
    }

    /// Reads some bytes; 0 only at the end.
    pub(super) fn read_some(
        &mut self,
        buffer: &mut [u8],
        path: &Path,
    ) -> Result<usize, ArchiveError> {
        match self {
            Self::Plain { file, at, .. } => {
                let n = fsx::read_at(file, path, buffer, *at)?;
                *at += n as u64;
                Ok(n)
            }
            Self::Packed { content, .. } => loop {
                match content.read(buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    result => return result.map_err(|source| wrap(path, source)),
                }
            },
        }
    }

    /// Fills the buffer as far as there is anything; returns how far.
    pub(super) fn fill(&mut self, buffer: &mut [u8], path: &Path) -> Result<usize, ArchiveError> {
        let mut n = 0;
        while n < buffer.len() {
            match self.read_some(&mut buffer[n..], path)? {
                0 => break,
                more => n += more,
            }
        }
        Ok(n)
    }

    /// Passes over `len` bytes; returns over how many, which is less only at the end.
    pub(super) fn skip(&mut self, len: u64, path: &Path) -> Result<u64, ArchiveError> {
        if let Self::Plain { at, len: end, .. } = self {
            let passed = len.min(end.saturating_sub(*at));
            *at += passed;
            return Ok(passed);
        }
        let mut buffer = vec![0; SKIP_LEN.min(usize::try_from(len).unwrap_or(SKIP_LEN))];
        let mut passed = 0;
        while passed < len {
            let left = usize::try_from(len - passed).unwrap_or(buffer.len());
            let want = left.min(buffer.len());
            match self.read_some(&mut buffer[..want], path)? {
                0 => break,
                n => passed += n as u64,
            }
        }
        Ok(passed)
    }
}

/// Errors of the system have a number; those without one come from the decoder.
fn wrap(path: &Path, source: io::Error) -> ArchiveError {
    if source.raw_os_error().is_some() {
        return fsx::Error::new("read", path, source).into();
    }
    ArchiveError::Decompress {
        path: path.to_owned(),
        source,
    }
}
