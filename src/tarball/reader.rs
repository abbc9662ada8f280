//! One pass through a tar.

use std::borrow::Cow;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tar::{EntryType, Header};

use super::extension::{Extension, Malformed};
use super::input::Input;
use super::{ArchiveError, Compression, EntryPath};
use crate::fsx::FileRange;

/// The unit of a tar.
const BLOCK_LEN: u64 = 512;
/// The most members that are read of one archive.
const MEMBERS_MAX: usize = 2_000_000;
/// The longest extension of a header, in bytes; long names and a few attributes.
const EXTENSION_LEN_MAX: u64 = 1024 * 1024;

/// A tar, plain or compressed, that is read once from front to back.
pub struct Reader {
    input: Input,
    path: PathBuf,
    /// The offset of the next header, in the decompressed tar.
    next: u64,
    /// The end of what the current member has, and how far it was read.
    end: u64,
    at: u64,
    last: String,
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

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberKind {
    File,
    /// The same file as that member.
    HardLink(String),
    /// A path from the member's directory; it may be anything.
    SymbolicLink(String),
}

impl Reader {
    /// Opens the file at `path` and looks how it is compressed, if it is.
    pub fn open(path: &Path) -> Result<Self, ArchiveError> {
        Ok(Self {
            input: Input::open(path)?,
            path: path.to_owned(),
            next: 0,
            end: 0,
            at: 0,
            last: String::new(),
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
    /// Bytes after the two empty blocks that end a tar are not read. A tar without them is
    /// truncated.
    pub fn next_member(&mut self) -> Result<Option<Member>, ArchiveError> {
        let mut extension = Extension::default();
        while !self.is_over {
            let start = self.next;
            let Some(header) = self.header()? else {
                self.is_over = true;
                break;
            };
            let kind = header.entry_type();
            let len = match extension.len {
                Some(len) if !Extension::is_one(kind) => len,
                _ => header.entry_size().map_err(|_| self.bad_header(start))?,
            };
            // In some tars, links have the length of their target, and never content.
            let len = if kind.is_hard_link() || kind.is_symlink() {
                0
            } else {
                len
            };
            self.enter(start, len)?;
            if Extension::is_one(kind) {
                let content = self.read_extension(len)?;
                extension
                    .add(kind, &content)
                    .map_err(|Malformed| self.bad_header(start))?;
                continue;
            }
            let extension = std::mem::take(&mut extension);
            if let Some(member) = self.member(&header, extension, len)? {
                return Ok(Some(member));
            }
        }
        Ok(None)
    }

    /// Reads some of the current member's content; 0 at its end.
    pub fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, ArchiveError> {
        let left = usize::try_from(self.end - self.at).unwrap_or(buffer.len());
        let want = left.min(buffer.len());
        if want == 0 {
            return Ok(0);
        }
        let n = self.input.read_some(&mut buffer[..want], &self.path)?;
        if n == 0 {
            return Err(self.truncated());
        }
        self.at += n as u64;
        Ok(n)
    }

    /// Reads the rest of the current member's content into memory; one with more than `len_max`
    /// bytes is an error.
    pub fn read_whole(&mut self, len_max: u64) -> Result<Vec<u8>, ArchiveError> {
        let len = self.end - self.at;
        if len > len_max {
            return Err(ArchiveError::TooLong {
                path: self.path.clone(),
                member: self.last.clone(),
                len,
                len_max,
            });
        }
        // Grows as the bytes arrive, since the length in the header is not trustworthy.
        let mut bytes = Vec::new();
        let mut chunk = vec![0; usize::try_from(len.min(64 * 1024)).unwrap_or_default()];
        loop {
            match self.read_some(&mut chunk)? {
                0 => return Ok(bytes),
                n => bytes.extend_from_slice(&chunk[..n]),
            }
        }
    }

    /// The range of a plain tar's member in its file; `None` for a compressed tar.
    pub fn range(&self, offset: u64, len: u64) -> Option<FileRange> {
        let Input::Plain { file, .. } = &self.input else {
            return None;
        };
        Some(FileRange {
            file: Arc::clone(file),
            path: self.path.clone(),
            offset,
            len,
        })
    }

    fn header(&mut self) -> Result<Option<Header>, ArchiveError> {
        let left = self.next - self.at;
        let start = self.next;
        if self.input.skip(left, &self.path)? < left {
            return Err(self.truncated());
        }
        self.at = start;
        let mut header = Header::new_old();
        let block = header.as_mut_bytes();
        let n = self.input.fill(block, &self.path)?;
        self.at += n as u64;
        if n as u64 == BLOCK_LEN && block.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        if (n as u64) < BLOCK_LEN && start > 0 {
            return Err(self.truncated());
        }
        if (n as u64) < BLOCK_LEN || !has_checksum(&header) {
            return Err(self.bad_header(start));
        }
        Ok(Some(header))
    }

    /// Takes `len` bytes behind the header at `start` for the content.
    fn enter(&mut self, start: u64, len: u64) -> Result<(), ArchiveError> {
        let end = self.at.checked_add(len);
        let next = end.and_then(|end| end.checked_next_multiple_of(BLOCK_LEN));
        let (Some(end), Some(next)) = (end, next) else {
            return Err(self.bad_header(start));
        };
        (self.end, self.next) = (end, next);
        Ok(())
    }

    fn read_extension(&mut self, len: u64) -> Result<Vec<u8>, ArchiveError> {
        if len > EXTENSION_LEN_MAX {
            "a long name".clone_into(&mut self.last);
        }
        self.read_whole(EXTENSION_LEN_MAX)
    }

    /// The member that a header and what stood before it describe; `None` for a directory.
    fn member(
        &mut self,
        header: &Header,
        extension: Extension,
        len: u64,
    ) -> Result<Option<Member>, ArchiveError> {
        self.n_members += 1;
        if self.n_members > MEMBERS_MAX {
            return Err(ArchiveError::TooMany {
                path: self.path.clone(),
                n_max: MEMBERS_MAX,
            });
        }
        let text = extension
            .path
            .unwrap_or_else(|| header.path_bytes().into_owned());
        let text = String::from_utf8_lossy(&text).into_owned();
        self.last.clone_from(&text);
        let kind = header.entry_type();
        let is_dir = kind.is_dir() || kind.is_file() && text.ends_with('/');
        let Some(path) = entry_path(&text).map_err(|source| ArchiveError::UnsafePath {
            path: self.path.clone(),
            source,
        })?
        else {
            return Ok(None);
        };
        if is_dir {
            return Ok(None);
        }
        if extension.is_sparse || kind.is_gnu_sparse() {
            return Err(self.unwanted("a sparse file"));
        }
        let target = || {
            let link = extension.link.clone();
            let link = link.or_else(|| header.link_name_bytes().map(Cow::into_owned));
            String::from_utf8_lossy(&link.unwrap_or_default()).into_owned()
        };
        let kind = match kind {
            EntryType::Link => MemberKind::HardLink(target()),
            EntryType::Symlink => MemberKind::SymbolicLink(target()),
            EntryType::Regular | EntryType::Continuous => MemberKind::File,
            EntryType::Char | EntryType::Block => return Err(self.unwanted("a device")),
            EntryType::Fifo => return Err(self.unwanted("a pipe")),
            _ => return Err(self.unwanted("of an unknown kind")),
        };
        Ok(Some(Member {
            path,
            kind,
            offset: self.at,
            len,
        }))
    }

    fn unwanted(&self, kind: &'static str) -> ArchiveError {
        ArchiveError::Kind {
            path: self.path.clone(),
            member: self.last.clone(),
            kind,
        }
    }

    fn bad_header(&self, offset: u64) -> ArchiveError {
        ArchiveError::BadHeader {
            path: self.path.clone(),
            offset,
        }
    }

    fn truncated(&self) -> ArchiveError {
        let len = match &self.input {
            Input::Plain { len, .. } => *len,
            Input::Packed { .. } => self.at,
        };
        ArchiveError::Truncated {
            path: self.path.clone(),
            len,
            last: self.last.clone(),
        }
    }
}

/// Reads the current member's content.
impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_some(buffer).map_err(io::Error::other)
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("path", &self.path)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// Whether the checksum in a header is its own.
fn has_checksum(header: &Header) -> bool {
    let bytes = header.as_bytes();
    // The field itself counts as blanks.
    let sum: u32 = bytes
        .iter()
        .enumerate()
        .map(|(at, &byte)| match at {
            148..156 => u32::from(b' '),
            _ => u32::from(byte),
        })
        .sum();
    header.cksum().is_ok_and(|own| own == sum)
}

/// The path of a member, without the `./` that `tar -C` puts before it; `None` for the top itself.
fn entry_path(text: &str) -> Result<Option<EntryPath>, super::EntryPathError> {
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
        .map_err(|error: super::EntryPathError| super::EntryPathError {
            path: text.to_owned(),
            ..error
        })
}
