//! A tar whose members' lengths are all known, so that they can be written in any order.

use std::collections::BTreeMap;
use std::path::Path;

use super::EntryPath;
use super::header::{END_LEN, padded};
use super::writer::file;
use crate::fsx::{self, Durability, OutputFile};

/// A tar that is being built: its headers are written first, its members are filled in, possibly by
/// several threads; then it appears at its destination. Members are sorted by path.
#[derive(Debug)]
pub struct PlannedTar {
    output: OutputFile,
    /// From a member to where its content starts.
    members: BTreeMap<EntryPath, u64>,
    len: u64,
}

impl PlannedTar {
    /// The length of the tar of these members; that of one which no disk can hold is the highest
    /// number.
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
    ) -> Result<Self, fsx::Error> {
        let output = OutputFile::create(destination)?;
        let shared = output.shared();
        let len = Self::len_of(members);
        // Whatever is not written is zero: the padding, and the end.
        shared.allocate(len)?;
        let mut places = BTreeMap::new();
        let mut at = 0;
        for (path, len) in members {
            let lead = file(path, *len, mtime).lead(at);
            shared.write_all_at(&lead, at)?;
            at += lead.len() as u64;
            places.insert(path.clone(), at);
            at += padded(*len);
        }
        Ok(Self {
            output,
            members: places,
            len,
        })
    }

    /// Writes some of a planned member, which must stay within its length, `from` bytes behind
    /// its start.
    pub fn write_at(&self, path: &EntryPath, bytes: &[u8], from: u64) -> Result<(), fsx::Error> {
        let start = self
            .members
            .get(path)
            .expect("only planned members are written");
        self.output.shared().write_all_at(bytes, start + from)
    }

    /// Publishes the tar; returns its length in bytes.
    pub fn commit(self, durability: Durability) -> Result<u64, fsx::Error> {
        self.output.commit_with(durability)?;
        Ok(self.len)
    }
}
