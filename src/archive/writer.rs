//! Writing a plain tar: the same bytes for the same members.

use std::path::Path;

use tar::{EntryType, Header};

use super::EntryPath;
use crate::fsx::{self, Durability, OutputFile};

/// The unit of a tar.
const BLOCK_LEN: u64 = 512;
const LONG_NAME_PATH: &str = "././@LongLink";

/// The length of `len` bytes with what fills up their last block.
pub(super) fn padded(len: u64) -> u64 {
    len.next_multiple_of(BLOCK_LEN)
}

/// The header of a file: mode 0644, owner 0, no names.
///
/// A path that does not fit a plain header gets a GNU long name, which every tar reads.
pub(super) fn tar_header(path: &EntryPath, len: u64, mtime: u64) -> Vec<u8> {
    let mut header = new_header(EntryType::Regular, len, mtime);
    let mut bytes = Vec::new();
    if header.set_path(path.as_str()).is_err() {
        let mut name = path.as_str().as_bytes().to_vec();
        name.push(0);
        let mut long = new_header(EntryType::GNULongName, name.len() as u64, 0);
        long.set_path(LONG_NAME_PATH)
            .expect("a short path fits into a header");
        long.set_cksum();
        bytes.extend_from_slice(long.as_bytes());
        name.resize(padded_usize(name.len()), 0);
        bytes.extend_from_slice(&name);
        header
            .set_path("long-name")
            .expect("a short path fits into a header");
    }
    header.set_cksum();
    bytes.extend_from_slice(header.as_bytes());
    bytes
}

/// The two empty blocks at the end of a tar.
pub(super) fn tar_trailer() -> [u8; 1024] {
    [0; 1024]
}

fn new_header(kind: EntryType, len: u64, mtime: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(mtime);
    header.set_size(len);
    header
}

fn padded_usize(len: usize) -> usize {
    len.next_multiple_of(usize::try_from(BLOCK_LEN).expect("a block is short"))
}

/// A tar that appears at its destination when it is finished, and grows a member at a time.
///
/// The length of a member need not be known before its bytes are.
#[derive(Debug)]
pub struct TarWriter {
    output: OutputFile,
    mtime: u64,
    /// The current length of the tar.
    at: u64,
    /// The header of the member that is being written, and where its content starts.
    open: Option<(EntryPath, u64, u64)>,
}

impl TarWriter {
    /// Starts a tar that is to become `destination`, whose directory must exist; `mtime` is the
    /// time of all members, in seconds since 1970.
    pub fn create(destination: &Path, mtime: u64) -> Result<Self, fsx::Error> {
        Ok(Self {
            output: OutputFile::create(destination)?,
            mtime,
            at: 0,
            open: None,
        })
    }

    /// Begins a member.
    pub fn begin(&mut self, path: &EntryPath) -> Result<(), fsx::Error> {
        self.end()?;
        let start = self.at;
        // The length is filled in at the end; the size of the header does not depend on it.
        let header = tar_header(path, 0, self.mtime);
        self.append(&header)?;
        self.open = Some((path.clone(), start, self.at));
        Ok(())
    }

    /// Appends to the member that was begun last.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), fsx::Error> {
        self.append(bytes)
    }

    /// Adds a whole member.
    pub fn add(&mut self, path: &EntryPath, bytes: &[u8]) -> Result<(), fsx::Error> {
        self.begin(path)?;
        self.write(bytes)
    }

    /// Ends the member that was begun last, and returns the length of the tar with it.
    pub fn mark(&mut self) -> Result<u64, fsx::Error> {
        self.end()?;
        Ok(self.at)
    }

    /// Takes out all that was written since [`TarWriter::mark`] returned `mark`.
    pub fn truncate(&mut self, mark: u64) -> Result<(), fsx::Error> {
        self.open = None;
        self.at = mark;
        self.output.shared().truncate(mark)
    }

    /// Publishes the tar; returns its length in bytes.
    pub fn commit(mut self, durability: Durability) -> Result<u64, fsx::Error> {
        self.end()?;
        self.append(&tar_trailer())?;
        self.output.commit_with(durability)?;
        Ok(self.at)
    }

    /// Ends the member that is being written.
    fn end(&mut self) -> Result<(), fsx::Error> {
        let Some((path, start, content)) = self.open.take() else {
            return Ok(());
        };
        let len = self.at - content;
        let file = self.output.shared();
        file.write_all_at(&tar_header(&path, len, self.mtime), start)?;
        let zeros = [0; 512];
        let n = usize::try_from(padded(len) - len).expect("padding is short");
        self.append(&zeros[..n])
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), fsx::Error> {
        self.output.shared().write_all_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}
