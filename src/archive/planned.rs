//! A tar whose members' lengths are all known, so that they can be written in any order.

use std::collections::BTreeMap;
use std::path::Path;

use super::EntryPath;
use super::writer::{padded, tar_header, tar_trailer};
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
    /// The length of the tar of these members.
    pub fn len_of(members: &BTreeMap<EntryPath, u64>) -> u64 {
        let trailer_len = tar_trailer().len() as u64;
        members.iter().fold(trailer_len, |sum, (path, len)| {
            let header_len = tar_header(path, *len, 0).len() as u64;
            sum.saturating_add(header_len).saturating_add(padded(*len))
        })
    }

    /// Starts a tar of members with these lengths that is to become `destination`, whose directory
    /// must exist; `mtime` is the time of all members, in seconds since 1970.
    pub fn create(
        destination: &Path,
        members: &BTreeMap<EntryPath, u64>,
        mtime: u64,
    ) -> Result<Self, fsx::Error> {
        let output = OutputFile::create(destination)?;
        let file = output.shared();
        let len = Self::len_of(members);
        // Whatever is not written is zero: the padding, and the end.
        file.allocate(len)?;
        let mut places = BTreeMap::new();
        let mut at = 0;
        for (path, len) in members {
            let header = tar_header(path, *len, mtime);
            file.write_all_at(&header, at)?;
            let content = at + header.len() as u64;
            places.insert(path.clone(), content);
            at = content + padded(*len);
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
