//! One pass through the members of a tar that anyone wrote.

use std::io::{self, Read};
use std::path::Path;

use super::header::padded;
use super::input::{Input, Mode, Problem};
use super::raw_member::{MemberKind, RawMember};
use super::{ArchiveError, Compression, EntryPath, EntryPathError};
use hod_fsx::FileRange;

/// The most members that are read of one archive.
const MEMBERS_MAX: usize = 2_000_000;

/// A tar, plain or compressed, that is read once from front to back.
#[derive(Debug)]
pub struct Reader {
    input: Input<'static>,
    /// The remaining bytes of the current member's content, and its padding.
    left: u64,
    padding: u64,
    n_members: usize,
    is_over: bool,
}

/// One member of a tar. Directories are not among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub path: EntryPath,
    pub kind: MemberKind,
    /// The offset of its content in the decompressed tar.
    pub offset: u64,
    /// The length of its content in bytes; 0 for a link.
    pub len: u64,
}

impl Reader {
    /// Opens the file at `path` and looks how it is compressed, if it is.
    pub fn open(path: &Path) -> Result<Self, ArchiveError> {
        Ok(Self {
            input: Input::open(path, Mode::Tolerant)?,
            left: 0,
            padding: 0,
            n_members: 0,
            is_over: false,
        })
    }

    /// How the file is compressed.
    pub fn compression(&self) -> Compression {
        self.input.compression()
    }

    /// Skips the rest of the current member and returns the next one; `None` at the end.
    ///
    /// The end is an empty block, without which a tar is truncated. From there on the file is read to
    /// its own end, and has nothing else but zeros. A file without any member is not a tar.
    pub fn next_member(&mut self) -> Result<Option<Member>, ArchiveError> {
        while !self.is_over {
            self.input.skip(self.left + self.padding)?;
            (self.left, self.padding) = (0, 0);
            let start = self.input.at();
            let Some(raw) = self.input.next_header()? else {
                if start == 0 {
                    return Err(self.input.fault(Problem::Header(0)).into());
                }
                self.input.finish()?;
                self.is_over = true;
                break;
            };
            // A file or its padding cannot end behind all that can be counted.
            if raw.len > u64::MAX / 2 {
                return Err(self.input.fault(Problem::Header(start)).into());
            }
            (self.left, self.padding) = (raw.len, padded(raw.len) - raw.len);
            if let Some(member) = self.member(raw)? {
                return Ok(Some(member));
            }
        }
        Ok(None)
    }

    /// Reads some of the current member's content; 0 at its end.
    pub fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, ArchiveError> {
        let left = usize::try_from(self.left).unwrap_or(buffer.len());
        let want = left.min(buffer.len());
        let n = self.input.read_some(&mut buffer[..want])?;
        self.left -= n as u64;
        Ok(n)
    }

    /// Returns the next bytes of the current member's content, at most `len` of them, which are
    /// still to be read.
    pub fn peek(&mut self, len: usize) -> Result<Vec<u8>, ArchiveError> {
        let left = usize::try_from(self.left).unwrap_or(len);
        Ok(self.input.peek(left.min(len))?)
    }

    /// Reads the rest of the current member's content into memory; one with more than `len_max`
    /// bytes is an error.
    pub fn read_whole(&mut self, len_max: u64) -> Result<Vec<u8>, ArchiveError> {
        let len = self.left;
        if len > len_max {
            return Err(ArchiveError::TooLong {
                path: self.input.path().to_owned(),
                member: self.input.member().to_owned(),
                len,
                len_max,
            });
        }
        self.left = 0;
        Ok(self.input.read_vec(len)?)
    }

    /// The range of a plain tar's member in its file; `None` for a compressed tar.
    pub fn range(&self, offset: u64, len: u64) -> Option<FileRange> {
        self.input.range(offset, len)
    }

    /// The member that its headers describe; `None` for a directory.
    fn member(&mut self, raw: RawMember) -> Result<Option<Member>, ArchiveError> {
        let archive = || self.input.path().to_owned();
        self.n_members += 1;
        if self.n_members > MEMBERS_MAX {
            return Err(ArchiveError::TooMany {
                path: archive(),
                n_max: MEMBERS_MAX,
            });
        }
        let path = entry_path(&raw.path).map_err(|source| ArchiveError::UnsafePath {
            path: archive(),
            source,
        })?;
        let kind = match raw.kind {
            MemberKind::Dir => return Ok(None),
            // As old tars mark a directory.
            MemberKind::File if raw.path.ends_with('/') => return Ok(None),
            kind => kind,
        };
        let Some(path) = path else {
            return Ok(None);
        };
        if let MemberKind::Other(kind) = kind {
            return Err(ArchiveError::Kind {
                path: archive(),
                member: raw.path,
                kind,
            });
        }
        Ok(Some(Member {
            path,
            kind,
            offset: self.input.at(),
            len: raw.len,
        }))
    }
}

/// Reads the current member's content.
impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_some(buffer).map_err(io::Error::other)
    }
}

/// The path of a member, without the `./` that `tar -C` puts before it; `None` for the top itself.
fn entry_path(text: &str) -> Result<Option<EntryPath>, EntryPathError> {
    let mut bare = text.trim_end_matches('/');
    while let Some(rest) = bare.strip_prefix("./") {
        bare = rest;
    }
    if bare == "." || bare.is_empty() && text.starts_with("./") {
        return Ok(None);
    }
    // Shown as it stood.
    let path = bare.parse();
    path.map(Some)
        .map_err(|error: EntryPathError| EntryPathError {
            path: text.to_owned(),
            ..error
        })
}
