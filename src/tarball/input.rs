//! The bytes of a tar, from front to back, in place or from a stream, compressed or not.

use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::decoder::{Compression, decoder_of};
use super::header::LEAD_LEN_MAX;
use crate::fsx::{self, File, FileRange};

/// Buffer size for decompressing and skipping.
const BUFFER_LEN: usize = 64 * 1024;

/// How much an archive may differ from what hod writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Not at all. Compressed with zstd only, in a small window, in case others did it anew.
    Strict,
    /// As much as any tool makes it.
    Tolerant,
}

impl Mode {
    /// The logarithm of the largest window that is decompressed: 16 MiB, or 128 MiB, which is what
    /// `zstd` itself takes without being told.
    fn window_log_max(self) -> u32 {
        match self {
            Self::Strict => 24,
            Self::Tolerant => 27,
        }
    }

    /// The longest extension of a header, in bytes: a long name, and a few attributes.
    pub(super) fn extension_len_max(self) -> u64 {
        match self {
            Self::Strict => LEAD_LEN_MAX,
            Self::Tolerant => 1024 * 1024,
        }
    }

    /// The compression that the first bytes tell; one that is not taken counts as none.
    fn compression_of(self, start: &[u8]) -> Compression {
        match (self, Compression::of(start)) {
            (Self::Strict, Compression::Gzip) => Compression::None,
            (_, compression) => compression,
        }
    }
}

/// Why a tar cannot be read on. The caller knows which member it is in.
#[derive(Debug)]
pub enum Fault {
    /// The system refused.
    Read(fsx::Error),
    /// The compressed stream is damaged.
    Decompress(io::Error),
    /// It ends too early.
    Truncated,
    /// What is at this offset is not a header.
    Header(u64),
    /// An extension of a header has more bytes than are read.
    Extension(u64),
}

/// A tar that is read in order; in a plain file, what is skipped is not read.
pub struct Input<'a> {
    source: Source<'a>,
    path: PathBuf,
    pub(super) mode: Mode,
    compression: Compression,
    /// Of a stream: what was looked at and is still to be read.
    ahead: Vec<u8>,
    /// The offset of the next byte in the decompressed tar.
    at: u64,
}

enum Source<'a> {
    File { file: Arc<File>, end: u64 },
    Stream(Box<dyn Read + Send + 'a>),
}

impl<'a> Input<'a> {
    /// Opens the file at `path` and looks how it is compressed, if it is.
    pub fn open(path: &Path, mode: Mode) -> Result<Self, Fault> {
        let file = fsx::open(path).map_err(Fault::Read)?;
        let len = fsx::stat(path).map_err(Fault::Read)?.len;
        let mut start = [0; Compression::MAGIC_LEN];
        let n = fsx::read_at(&file, path, &mut start, 0).map_err(Fault::Read)?;
        if mode.compression_of(&start[..n]) != Compression::None {
            return Self::of_stream(file, path, mode);
        }
        let range = FileRange {
            file: Arc::new(file),
            path: path.to_owned(),
            offset: 0,
            len,
        };
        Ok(Self::of_range(range, mode))
    }

    /// Reads a part of a plain file, or all of it.
    pub fn of_range(range: FileRange, mode: Mode) -> Self {
        Self {
            source: Source::File {
                file: range.file,
                end: range.offset.saturating_add(range.len),
            },
            path: range.path,
            mode,
            compression: Compression::None,
            ahead: Vec::new(),
            at: range.offset,
        }
    }

    /// Reads what comes once, and may be compressed; `path` is for messages.
    pub fn of_stream(
        mut input: impl Read + Send + 'a,
        path: &Path,
        mode: Mode,
    ) -> Result<Self, Fault> {
        let read_error = |source| Fault::Read(fsx::Error::new("read", path, source));
        let mut start = Vec::new();
        let magic_len = Compression::MAGIC_LEN as u64;
        let read = (&mut input).take(magic_len).read_to_end(&mut start);
        read.map_err(read_error)?;
        let compression = mode.compression_of(&start);
        let whole = BufReader::with_capacity(BUFFER_LEN, Cursor::new(start).chain(input));
        let stream = decoder_of(compression, whole, mode.window_log_max());
        Ok(Self {
            source: Source::Stream(stream.map_err(read_error)?),
            path: path.to_owned(),
            mode,
            compression,
            ahead: Vec::new(),
            at: 0,
        })
    }

    /// The file, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How it is compressed.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// The offset of the next byte, in the decompressed tar.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// The length of a plain file, or how far a stream was read.
    pub(super) fn known_len(&self) -> u64 {
        match &self.source {
            Source::File { end, .. } => *end,
            Source::Stream(_) => self.at,
        }
    }

    /// All of a plain file that is left to read; `None` of a stream.
    pub fn whole(&self) -> Option<FileRange> {
        self.range(self.at, self.known_len().saturating_sub(self.at))
    }

    /// A range of a plain file; `None` of a stream.
    pub fn range(&self, offset: u64, len: u64) -> Option<FileRange> {
        let Source::File { file, .. } = &self.source else {
            return None;
        };
        Some(FileRange {
            file: Arc::clone(file),
            path: self.path.clone(),
            offset,
            len,
        })
    }

    /// Reads some bytes; 0 only at the end.
    pub fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        let n = match &mut self.source {
            Source::File { file, end } => {
                let left = usize::try_from(end.saturating_sub(self.at)).unwrap_or(buffer.len());
                let want = left.min(buffer.len());
                let read = fsx::read_at(file, &self.path, &mut buffer[..want], self.at);
                read.map_err(Fault::Read)?
            }
            Source::Stream(_) if !self.ahead.is_empty() => {
                let n = self.ahead.len().min(buffer.len());
                buffer[..n].copy_from_slice(&self.ahead[..n]);
                self.ahead.drain(..n);
                n
            }
            Source::Stream(stream) => loop {
                match stream.read(buffer) {
                    Ok(n) => break n,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    // Errors of the system have a number; those without one come from the decoder.
                    Err(error)
                        if self.compression != Compression::None
                            && error.raw_os_error().is_none() =>
                    {
                        return Err(Fault::Decompress(error));
                    }
                    Err(error) => {
                        return Err(Fault::Read(fsx::Error::new("read", &self.path, error)));
                    }
                }
            },
        };
        self.at += n as u64;
        Ok(n)
    }

    /// Fills the buffer as far as there is anything; returns how far.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        let mut n = 0;
        while n < buffer.len() {
            match self.read_some(&mut buffer[n..])? {
                0 => break,
                more => n += more,
            }
        }
        Ok(n)
    }

    /// Reads exactly `len` bytes into memory, which grows only as they arrive.
    pub fn read_vec(&mut self, len: u64) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        self.each(len, |chunk| bytes.extend_from_slice(chunk))?;
        Ok(bytes)
    }

    /// Passes over `len` bytes.
    pub fn skip(&mut self, len: u64) -> Result<(), Fault> {
        if let Source::File { end, .. } = self.source {
            let to = self.at.saturating_add(len);
            self.at = to.min(end.max(self.at));
            return if self.at == to {
                Ok(())
            } else {
                Err(Fault::Truncated)
            };
        }
        self.each(len, |_| ())
    }

    /// Reads exactly `len` bytes, and hands them over in pieces.
    fn each(&mut self, len: u64, mut take: impl FnMut(&[u8])) -> Result<(), Fault> {
        let mut buffer = vec![0; usize::try_from(len).map_or(BUFFER_LEN, |n| n.min(BUFFER_LEN))];
        let mut left = len;
        while left > 0 {
            let want = usize::try_from(left).map_or(buffer.len(), |n| n.min(buffer.len()));
            match self.read_some(&mut buffer[..want])? {
                0 => return Err(Fault::Truncated),
                n => {
                    take(&buffer[..n]);
                    left -= n as u64;
                }
            }
        }
        Ok(())
    }

    /// Returns the next bytes, at most `len` of them, which are still to be read.
    pub fn peek(&mut self, len: usize) -> Result<Vec<u8>, Fault> {
        let mut bytes = vec![0; len];
        let n = self.fill(&mut bytes)?;
        bytes.truncate(n);
        self.unread(bytes.clone());
        Ok(bytes)
    }

    /// Passes over `expected`; false if other bytes come, which are then still to be read.
    pub fn expect(&mut self, expected: &[u8]) -> Result<bool, Fault> {
        let mut found = vec![0; expected.len()];
        let n = self.fill(&mut found)?;
        found.truncate(n);
        if found == expected {
            return Ok(true);
        }
        if expected.starts_with(&found) {
            return Err(Fault::Truncated);
        }
        self.unread(found);
        Ok(false)
    }

    fn unread(&mut self, mut bytes: Vec<u8>) {
        self.at -= bytes.len() as u64;
        if let Source::Stream(_) = self.source {
            bytes.append(&mut self.ahead);
            self.ahead = bytes;
        }
    }
}

impl std::fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input")
            .field("path", &self.path)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}
