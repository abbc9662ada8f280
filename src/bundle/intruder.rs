//! Describes an unexpected member of an archive.
//!
//! Only for messages: the archive is refused in any case.

use tar::{EntryType, Header, PaxExtensions};

use super::error::{BundleError, MemberProblem};
use super::volume::{Content, Member};
use crate::tarball::{BLOCK_LEN, END_LEN, EntryPath, padded};

/// Names the problem where `members[at]` should start; `found` is the content at that offset, long
/// enough for any headers or up to the end of the archive.
pub(super) fn examine(members: &[Member], at: usize, found: &[u8]) -> BundleError {
    let expected = &members[at];
    let wrong = |problem| BundleError::member(&expected.path, problem);
    let entry = match read_entry(found) {
        Ok(Some(entry)) => entry,
        Ok(None) => return wrong(MemberProblem::Missing),
        Err(problem) => return wrong(problem),
    };
    let intruder = |problem| BundleError::member(&entry.path, problem);
    let is_dir = expected.content == Content::Dir;
    match (entry.kind, entry_kind(entry.kind)) {
        (EntryType::Directory, _) if entry.path == expected.path && !is_dir => {
            return intruder(MemberProblem::Kind { kind: "directory" });
        }
        (EntryType::Directory | EntryType::Regular, _) => {}
        (_, kind) => return intruder(MemberProblem::Kind { kind }),
    }
    if let Err(error) = entry.path.trim_end_matches('/').parse::<EntryPath>() {
        let reason = error.reason;
        return intruder(MemberProblem::UnsafePath { reason });
    }
    if entry.path == expected.path {
        return match entry.len {
            Some(len) if len == expected.len => wrong(MemberProblem::Header),
            Some(actual) => wrong(MemberProblem::Length {
                expected: expected.len,
                actual,
            }),
            None => wrong(MemberProblem::HeaderDamaged),
        };
    }
    let is_at = |members: &[Member]| members.iter().any(|member| member.path == entry.path);
    if is_at(&members[..at]) {
        intruder(MemberProblem::Duplicate)
    } else if is_at(&members[at..]) {
        wrong(MemberProblem::Missing)
    } else {
        intruder(MemberProblem::Unlisted)
    }
}

/// Checks that `found`, which is what follows the last member, is the end of the archive.
pub(super) fn examine_end(members: &[Member], found: &[u8]) -> Result<(), BundleError> {
    let last = members.last().map_or("", |last| &last.path);
    let end = usize::try_from(END_LEN).expect("two blocks");
    let is_empty = found.iter().take(end).all(|&byte| byte == 0);
    if found.len() == end && is_empty {
        return Ok(());
    }
    if found.len() < end && is_empty {
        return Err(BundleError::member(last, MemberProblem::Truncated));
    }
    let problem = match read_entry(found) {
        Ok(Some(entry)) => {
            let is_known = members.iter().any(|member| member.path == entry.path);
            let problem = match (is_known, entry.kind) {
                (true, _) => MemberProblem::Duplicate,
                (false, EntryType::Regular | EntryType::Directory) => MemberProblem::Unlisted,
                (false, kind) => MemberProblem::Kind {
                    kind: entry_kind(kind),
                },
            };
            return Err(BundleError::member(&entry.path, problem));
        }
        Ok(None) | Err(_) => MemberProblem::Trailing,
    };
    Err(BundleError::member(last, problem))
}

/// Returns the path of the first member in `found`, for a message about a file that is not a
/// bundle.
pub(super) fn first_path(found: &[u8]) -> Option<String> {
    Some(read_entry(found).ok()??.path)
}

/// Whether a block is a header whose checksum is right.
pub(super) fn is_header(block: &[u8]) -> bool {
    if block.len() as u64 != BLOCK_LEN || block.iter().all(|&byte| byte == 0) {
        return false;
    }
    let header = Header::from_byte_slice(block);
    let sum = |bytes: &[u8]| bytes.iter().map(|&byte| u32::from(byte)).sum::<u32>();
    // The checksum's own field counts as spaces.
    let actual = sum(&block[..148]) + sum(&block[156..]) + 8 * u32::from(b' ');
    header.cksum().is_ok_and(|expected| expected == actual)
}

struct Found {
    path: String,
    kind: EntryType,
    /// `None` when it does not parse.
    len: Option<u64>,
}

/// Reads the headers of one entry as any tar would; `None` at the end of the archive.
fn read_entry(mut bytes: &[u8]) -> Result<Option<Found>, MemberProblem> {
    let block_len = usize::try_from(BLOCK_LEN).expect("a block is short");
    let mut long_path = None;
    loop {
        let Some((block, rest)) = bytes.split_at_checked(block_len) else {
            return Err(MemberProblem::Truncated);
        };
        if block.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        if !is_header(block) {
            return Err(MemberProblem::HeaderDamaged);
        }
        let header = Header::from_byte_slice(block);
        let kind = header.entry_type();
        let len = header.entry_size().ok();
        if !matches!(
            kind,
            EntryType::XHeader | EntryType::GNULongName | EntryType::GNULongLink
        ) {
            let path = long_path.unwrap_or_else(|| header.path_bytes().into_owned());
            return Ok(Some(Found {
                path: String::from_utf8_lossy(&path).into_owned(),
                kind,
                len,
            }));
        }
        let len = len.ok_or(MemberProblem::HeaderDamaged)?;
        let end = usize::try_from(len).ok().filter(|&end| end <= rest.len());
        let data = &rest[..end.ok_or(MemberProblem::ExtendedHeader { len })?];
        match kind {
            EntryType::XHeader => long_path = pax_path(data).or(long_path),
            EntryType::GNULongName => {
                let name = data.split(|&byte| byte == 0).next().unwrap_or_default();
                long_path = Some(name.to_vec());
            }
            _ => {}
        }
        let skip = usize::try_from(padded(len)).unwrap_or(usize::MAX);
        bytes = rest.get(skip..).unwrap_or_default();
    }
}

fn pax_path(data: &[u8]) -> Option<Vec<u8>> {
    let records = PaxExtensions::new(data).filter_map(Result::ok);
    let paths = records.filter(|record| record.key_bytes() == b"path");
    paths.last().map(|record| record.value_bytes().to_vec())
}

fn entry_kind(kind: EntryType) -> &'static str {
    match kind {
        EntryType::Regular => "file",
        EntryType::Directory => "directory",
        EntryType::Symlink => "symbolic link",
        EntryType::Link => "hard link",
        EntryType::Char => "character device",
        EntryType::Block => "block device",
        EntryType::Fifo => "named pipe",
        EntryType::GNUSparse => "sparse file",
        EntryType::XGlobalHeader => "global extended header",
        _ => "member of an unknown kind",
    }
}
