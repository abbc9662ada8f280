//! The bytes of a tar, from front to back, in place or from a stream, compressed or not.

use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::decoder::{Compression, decoder_of};
use super::header::LEAD_LEN_MAX;
use hod_fsx::{File, FileRange};

/// Buffer size for decompressing and skipping.
const BUFFER_LEN: usize = 64 * 1024;

/// How far an archive may differ from those of hod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// No foreign compression: only zstd with a small window is accepted.
    Strict,
    /// As much as any tool makes it.
    Tolerant,
}

impl Mode {
    /// The logarithm of the largest window that is decompressed: 16 MiB, or 128 MiB, the default
    /// maximum of `zstd`.
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

    /// The compression by the first bytes; one that is not accepted counts as none.
    fn compression_of(self, start: &[u8]) -> Compression {
        match (self, Compression::of(start)) {
            (Self::Strict, Compression::Gzip | Compression::Xz | Compression::Bzip2) => {
                Compression::None
            }
            (_, compression) => compression,
        }
    }
}

/// A tar that cannot be read on.
#[derive(Debug)]
pub struct Fault {
    pub path: PathBuf,
    /// The member at the error, or the last one before it.
    pub member: String,
    pub problem: Problem,
}

/// Why a tar cannot be read on.
#[derive(Debug)]
pub enum Problem {
    /// The system refused.
    Read(hod_fsx::Error),
    /// The compressed stream is damaged.
    Decompress(io::Error),
    /// It ends too early, after this number of bytes.
    Truncated(u64),
    /// The block at this offset is not a header.
    Header(u64),
    /// An extension of a header has more bytes than are read.
    Extension(u64),
    /// Something follows the end, at this offset.
    Trailing(u64),
}

/// A tar that is read in order; in a plain file, skipped bytes are not read.
pub struct Input<'a> {
    source: Source<'a>,
    path: PathBuf,
    pub(super) mode: Mode,
    compression: Compression,
    /// For errors.
    member: String,
    /// For a stream: bytes that were examined but not consumed.
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
        let opened = || -> Result<_, hod_fsx::Error> {
            let file = hod_fsx::open(path)?;
            let len = hod_fsx::stat(path)?.len;
            let mut start = [0; Compression::MAGIC_LEN];
            let n = hod_fsx::read_at(&file, path, &mut start, 0)?;
            Ok((file, len, mode.compression_of(&start[..n])))
        };
        let (file, len, compression) = opened().map_err(|error| unread(path, error))?;
        if compression != Compression::None {
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
        let (file, end) = (range.file, range.offset.saturating_add(range.len));
        let mut input = Self::new(Source::File { file, end }, range.path, mode);
        input.at = range.offset;
        input
    }

    /// Reads a stream once, compressed or not; `path` is for messages.
    pub fn of_stream(
        mut input: impl Read + Send + 'a,
        path: &Path,
        mode: Mode,
    ) -> Result<Self, Fault> {
        let opened = || -> io::Result<_> {
            let mut start = Vec::new();
            let magic_len = Compression::MAGIC_LEN as u64;
            (&mut input).take(magic_len).read_to_end(&mut start)?;
            let compression = mode.compression_of(&start);
            let whole = BufReader::with_capacity(BUFFER_LEN, Cursor::new(start).chain(input));
            let stream = decoder_of(compression, whole, mode.window_log_max())?;
            Ok((compression, stream))
        };
        let opened =
            opened().map_err(|error| unread(path, hod_fsx::Error::new("read", path, error)));
        let (compression, stream) = opened?;
        let mut input = Self::new(Source::Stream(stream), path.to_owned(), mode);
        input.compression = compression;
        Ok(input)
    }

    fn new(source: Source<'a>, path: PathBuf, mode: Mode) -> Self {
        Self {
            source,
            path,
            mode,
            compression: Compression::None,
            member: String::new(),
            ahead: Vec::new(),
            at: 0,
        }
    }

    /// Names the member that is read from here on.
    pub fn enter(&mut self, member: &str) {
        member.clone_into(&mut self.member);
    }

    /// The member that was named last.
    pub fn member(&self) -> &str {
        &self.member
    }

    pub(super) fn fault(&self, problem: Problem) -> Fault {
        Fault {
            path: self.path.clone(),
            member: self.member.clone(),
            problem,
        }
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

    pub(super) fn truncated(&self) -> Fault {
        self.fault(Problem::Truncated(self.known_len()))
    }

    /// The length of a plain file, or how far a stream was read.
    fn known_len(&self) -> u64 {
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

    /// Reads some bytes, at least one, unless the buffer is empty.
    pub fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        if buffer.is_empty() {
            return Ok(0);
        }
        match self.read_any(buffer)? {
            0 => Err(self.truncated()),
            n => Ok(n),
        }
    }

    /// Reads some bytes; 0 only at the end.
    fn read_any(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        let read = match &mut self.source {
            Source::File { file, end } => {
                let left = usize::try_from(end.saturating_sub(self.at)).unwrap_or(buffer.len());
                let want = left.min(buffer.len());
                let read = hod_fsx::read_at(file, &self.path, &mut buffer[..want], self.at);
                read.map_err(Problem::Read)
            }
            Source::Stream(_) if !self.ahead.is_empty() => {
                let n = self.ahead.len().min(buffer.len());
                buffer[..n].copy_from_slice(&self.ahead[..n]);
                self.ahead.drain(..n);
                Ok(n)
            }
            Source::Stream(stream) => loop {
                match stream.read(buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    read => {
                        break read.map_err(|error| {
                            let is_packed = self.compression != Compression::None;
                            // Errors of the system have a number; those without one come from the decoder.
                            if is_packed && error.raw_os_error().is_none() {
                                Problem::Decompress(error)
                            } else {
                                Problem::Read(hod_fsx::Error::new("read", &self.path, error))
                            }
                        });
                    }
                }
            },
        };
        let n = read.map_err(|problem| self.fault(problem))?;
        self.at += n as u64;
        Ok(n)
    }

    /// Fills the buffer; returns the number of bytes, which is smaller only at the end.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        let mut n = 0;
        while n < buffer.len() {
            match self.read_any(&mut buffer[n..])? {
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
            if self.at < to {
                return Err(self.truncated());
            }
            return Ok(());
        }
        self.each(len, |_| ())
    }

    /// Reads exactly `len` bytes, and hands them over in pieces.
    fn each(&mut self, len: u64, mut take: impl FnMut(&[u8])) -> Result<(), Fault> {
        let mut buffer = vec![0; usize::try_from(len).map_or(BUFFER_LEN, |n| n.min(BUFFER_LEN))];
        let mut left = len;
        while left > 0 {
            let want = usize::try_from(left).map_or(buffer.len(), |n| n.min(buffer.len()));
            let n = self.read_some(&mut buffer[..want])?;
            take(&buffer[..n]);
            left -= n as u64;
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
            return Err(self.truncated());
        }
        self.unread(found);
        Ok(false)
    }

    /// Reads from the end of a tar to the end of its file, where a compressed stream has its
    /// checksum. Only zeros may follow, with which other tools fill up a tar.
    pub fn finish(&mut self) -> Result<(), Fault> {
        let filling = (self.mode == Mode::Tolerant).then_some(0);
        let mut buffer = vec![0; BUFFER_LEN];
        loop {
            let start = self.at;
            let n = self.read_any(&mut buffer)?;
            if n == 0 {
                return Ok(());
            }
            if let Some(at) = buffer[..n].iter().position(|&byte| Some(byte) != filling) {
                return Err(self.fault(Problem::Trailing(start + at as u64)));
            }
        }
    }

    fn unread(&mut self, mut bytes: Vec<u8>) {
        self.at -= bytes.len() as u64;
        if let Source::Stream(_) = self.source {
            bytes.append(&mut self.ahead);
            self.ahead = bytes;
        }
    }
}

fn unread(path: &Path, error: hod_fsx::Error) -> Fault {
    Fault {
        path: path.to_owned(),
        member: String::new(),
        problem: Problem::Read(error),
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
