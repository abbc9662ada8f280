//! Writing plain tars: the same bytes for the same members.

use std::collections::BTreeMap;
use std::path::Path;

use super::EntryPath;
use super::header::{Comment, END_LEN, Entry, EntryKind, padded};
use hod_fsx::{Durability, OutputFile};

/// A tar that appears at its destination when it is finished, and grows a member at a time.
///
/// The length of a member need not be known before its bytes are.
#[derive(Debug)]
pub struct TarWriter {
    output: OutputFile,
    mtime: u64,
    /// The current length of the tar.
    at: u64,
    /// The header of the current member, and the offset of its content.
    open: Option<(EntryPath, u64, u64)>,
}

impl TarWriter {
    /// Starts a tar that is to become `destination`, whose directory must exist; `mtime` is the
    /// time of all members, in seconds since 1970.
    pub fn create(destination: &Path, mtime: u64) -> Result<Self, hod_fsx::Error> {
        Ok(Self {
            output: OutputFile::create(destination)?,
            mtime,
            at: 0,
            open: None,
        })
    }

    /// Makes room for a member of `len` bytes; returns the offset of its content.
    fn reserve(&mut self, path: &EntryPath, len: u64) -> Result<u64, hod_fsx::Error> {
        self.append(&file(path, len, self.mtime).lead(self.at))?;
        let content = self.at;
        self.at += padded(len);
        Ok(content)
    }

    /// Begins a member.
    pub fn begin(&mut self, path: &EntryPath) -> Result<(), hod_fsx::Error> {
        self.end()?;
        let start = self.at;
        // The length is filled in at the end; the length of the headers does not depend on it.
        let content = self.reserve(path, 0)?;
        self.open = Some((path.clone(), start, content));
        Ok(())
    }

    /// Appends to the member that was begun last.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), hod_fsx::Error> {
        self.append(bytes)
    }

    /// Adds a whole member.
    pub fn add(&mut self, path: &EntryPath, bytes: &[u8]) -> Result<(), hod_fsx::Error> {
        self.begin(path)?;
        self.write(bytes)
    }

    /// Ends the member that was begun last, and returns the length of the tar with it.
    pub fn mark(&mut self) -> Result<u64, hod_fsx::Error> {
        self.end()?;
        Ok(self.at)
    }

    /// Takes out all that was written since [`TarWriter::mark`] returned `mark`.
    pub fn truncate(&mut self, mark: u64) -> Result<(), hod_fsx::Error> {
        self.open = None;
        self.at = mark;
        self.output.shared().truncate(mark)
    }

    /// Publishes the tar; returns its length in bytes.
    pub fn commit(mut self, durability: Durability) -> Result<u64, hod_fsx::Error> {
        self.end()?;
        self.pad(END_LEN)?;
        self.output.commit_with(durability)?;
        Ok(self.at)
    }

    /// Ends the member that is being written.
    fn end(&mut self) -> Result<(), hod_fsx::Error> {
        let Some((path, start, content)) = self.open.take() else {
            return Ok(());
        };
        let len = self.at - content;
        let lead = file(&path, len, self.mtime).lead(start);
        self.output.shared().write_all_at(&lead, start)?;
        self.pad(padded(len) - len)
    }

    fn pad(&mut self, len: u64) -> Result<(), hod_fsx::Error> {
        let n = usize::try_from(len).expect("at most two blocks");
        self.append(&vec![0; n])
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), hod_fsx::Error> {
        self.output.shared().write_all_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}

/// A tar whose members have known lengths: its headers are written first, its members are filled in,
/// possibly by several threads; then it appears at its destination. Members are sorted by path.
#[derive(Debug)]
pub struct PlannedTar {
    tar: TarWriter,
    /// The distance from a member to its content.
    members: BTreeMap<EntryPath, u64>,
}

impl PlannedTar {
    /// The length of the tar of these members; saturates.
    pub fn len_of(members: &BTreeMap<EntryPath, u64>) -> u64 {
        let mut members = members.iter();
        let end = members.try_fold(0, |at, (path, len)| Some(file(path, *len, 0).place(at)?.1));
        end.map_or(u64::MAX, |end| end + END_LEN)
    }

    /// Starts a tar of members with these lengths that is to become `destination`, whose directory
    /// must exist; `mtime` is the time of all members, in seconds since 1970.
    pub fn create(
        destination: &Path,
        members: &BTreeMap<EntryPath, u64>,
        mtime: u64,
    ) -> Result<Self, hod_fsx::Error> {
        let mut tar = TarWriter::create(destination, mtime)?;
        // Whatever is not written is zero: the padding.
        tar.output.shared().allocate(Self::len_of(members))?;
        let places = members.iter();
        let places = places.map(|(path, len)| Ok((path.clone(), tar.reserve(path, *len)?)));
        Ok(Self {
            members: places.collect::<Result<_, hod_fsx::Error>>()?,
            tar,
        })
    }

    /// Writes some of a planned member, which must stay within its length, `from` bytes behind
    /// its start.
    pub fn write_at(
        &self,
        path: &EntryPath,
        bytes: &[u8],
        from: u64,
    ) -> Result<(), hod_fsx::Error> {
        let start = self.members.get(path);
        let start = start.expect("only planned members are written");
        let output = self.tar.output.shared();
        output.write_all_at(bytes, start + from)
    }

    /// Publishes the tar; returns its length in bytes.
    pub fn commit(self, durability: Durability) -> Result<u64, hod_fsx::Error> {
        self.tar.commit(durability)
    }
}

/// A plain file, without a comment.
fn file(path: &EntryPath, len: u64, mtime: u64) -> Entry<'_> {
    Entry {
        path: path.as_str(),
        kind: EntryKind::File,
        len,
        mtime,
        comment: Comment::None,
    }
}
