//! The headers that hod writes before a member: its ustar header, and what precedes it.
//!
//! A header is a block of 512 bytes:
//!
//! ```text
//!   0 100  name        the path, or what is behind its last `/` that the prefix leaves room for
//! 100   8  mode        `0000644` or `0000755`, and a zero
//! 108   8  uid         `0000000`, and a zero
//! 116   8  gid         likewise
//! 124  12  size        11 octal digits and a zero; from 8 GiB on 0x80 and the number, big-endian
//! 136  12  mtime       that of all members, likewise
//! 148   8  checksum    the sum of all bytes, these taken as blanks: 7 octal digits and a zero
//! 156   1  type        `0` a file, `5` a directory; `x` and `L` as below
//! 157 100  link name   zeros
//! 257   8  magic       `ustar`, a zero, `00`
//! 265  80  owner, group, device numbers: zeros
//! 345 155  prefix      what is before the `/` before the name; zeros where the path fits the name
//! 500  12  zeros
//! ```
//!
//! Files have the mode 0644, or 0755 if they are executable; directories have 0755, the size 0 and
//! a `/` at the end of the path. A path of more than 100 bytes is divided at the last `/`, but
//! one at its end, before which there are no more than 155 bytes. Before it stand, each where it is needed and in this order:
//!
//! - a pax header with nothing but a `comment`, where the content is to start on a boundary or a
//!   note is to be left: every tar passes over comments. The header has the name `PaxHeaders/hod`,
//!   the type `x`, the mode 0644 and the mtime of all. Its content is one record of whole blocks:
//!   its length in decimal, ` comment=`, the text, blanks, and a line break as the last byte.
//!   A note takes one block. To align, the text is `padding, so that the content starts on a block`,
//!   and the record has the least number of blocks, at least one, with which the content starts on a
//!   multiple of 4096; where it does so anyway, there is no such header
//! - a GNU long name, for a path that a ustar header cannot hold: unlike a pax `path`, it is also
//!   understood by busybox. The header has the name `././@LongLink`, the type `L`, the mode 0644 and
//!   the mtime 0; its content is the path and a zero. The name in the header of the member is then
//!   the first 100 bytes of the path, without a prefix
//!
//! Nothing else varies. Content is padded with zeros to whole blocks, and a tar ends with two blocks
//! of zeros.

use tar::{EntryType, Header};

/// The unit of a tar.
pub const BLOCK_LEN: u64 = 512;
/// The same, for buffers.
pub const BLOCK: usize = 512;
/// The two empty blocks that end a tar.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];
/// The length of the end.
pub const END_LEN: u64 = 2 * BLOCK_LEN;
/// The alignment of content that asks for it: the block size of file systems, so that it can be cloned.
pub const ALIGNMENT: u64 = 4096;
/// The longest that a lead can be: three headers, a long path and an alignment's worth of comment.
pub const LEAD_LEN_MAX: u64 = 16 * 1024;

const PAX_PATH: &str = "PaxHeaders/hod";
const LONG_NAME_PATH: &str = "././@LongLink";

/// What kind of member a lead is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    File,
    Executable,
    Dir,
}

/// The comment that a lead holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comment<'a> {
    None,
    /// Padding, so that the content starts on a multiple of [`ALIGNMENT`].
    Align,
    /// One block with this text.
    Note(&'a str),
}

/// A member, by its headers.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    pub path: &'a str,
    pub kind: EntryKind,
    pub len: u64,
    pub mtime: u64,
    pub comment: Comment<'a>,
}

impl Entry<'_> {
    /// The length of the lead if it starts at `start`, in bytes.
    pub fn lead_len(&self, start: u64) -> u64 {
        let mut bare = BLOCK_LEN;
        // The rest of a header does not affect its length, and creating it would take most of the
        // time of the layout.
        if Header::new_ustar().set_path(self.path).is_err() {
            // With the zero that ends it.
            bare += BLOCK_LEN + padded(self.path.len() as u64 + 1);
        }
        let comment = self.comment_len(start.wrapping_add(bare));
        bare + if comment == 0 { 0 } else { BLOCK_LEN + comment }
    }

    /// The offsets of the content and of the next member, if the lead starts at `start`; `None`
    /// above half of the range of a number, so that sums cannot overflow.
    pub fn place(&self, start: u64) -> Option<(u64, u64)> {
        let limit = |at: &u64| *at <= u64::MAX / 4;
        let offset = start.checked_add(self.lead_len(start)).filter(limit)?;
        let len = Some(self.len).filter(limit)?;
        Some((offset, offset + padded(len)))
    }

    /// The headers, if they start at `start`.
    pub fn lead(&self, start: u64) -> Vec<u8> {
        let (header, long_name) = self.header();
        let bare = BLOCK_LEN
            + long_name
                .as_ref()
                .map_or(0, |n| BLOCK_LEN + padded(n.len() as u64));
        let mut lead = Vec::new();
        let comment = self.comment_len(start.wrapping_add(bare));
        if comment > 0 {
            let text = match self.comment {
                Comment::Note(text) => text,
                Comment::None | Comment::Align => "padding, so that the content starts on a block",
            };
            let pax = header_of(PAX_PATH, EntryType::XHeader, comment, self.mtime);
            append(&mut lead, &pax, &comment_record(text, comment));
        }
        if let Some(name) = long_name {
            let long = header_of(LONG_NAME_PATH, EntryType::GNULongName, name.len() as u64, 0);
            append(&mut lead, &long, &name);
        }
        lead.extend_from_slice(header.as_bytes());
        lead
    }

    /// The length of the pax data, if the lead without it would end at `end`; 0 for none at all.
    fn comment_len(&self, end: u64) -> u64 {
        match self.comment {
            Comment::None => 0,
            Comment::Note(_) => BLOCK_LEN,
            Comment::Align if end.is_multiple_of(ALIGNMENT) => 0,
            Comment::Align => match (end.wrapping_add(BLOCK_LEN)) % ALIGNMENT {
                0 => ALIGNMENT,
                over => ALIGNMENT - over,
            },
        }
    }

    /// The ustar header, and the long name when the path does not fit into it.
    fn header(&self) -> (Header, Option<Vec<u8>>) {
        let (kind, mode) = match self.kind {
            EntryKind::File => (EntryType::Regular, 0o644),
            EntryKind::Executable => (EntryType::Regular, 0o755),
            EntryKind::Dir => (EntryType::Directory, 0o755),
        };
        let mut header = header_of("x", kind, self.len, self.mtime);
        header.set_mode(mode);
        let fits = header.set_path(self.path).is_ok();
        let long_name = (!fits).then(|| {
            let mut name = self.path.as_bytes().to_vec();
            if let Some(ustar) = header.as_ustar_mut() {
                let n = name.len().min(ustar.name.len());
                ustar.prefix.fill(0);
                ustar.name[..n].copy_from_slice(&name[..n]);
            }
            name.push(0);
            name
        });
        header.set_cksum();
        (header, long_name)
    }
}

fn header_of(path: &str, kind: EntryType, len: u64, mtime: u64) -> Header {
    let mut header = Header::new_ustar();
    let name = &mut header.as_old_mut().name;
    name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(kind);
    header.set_size(len);
    header.set_mtime(mtime);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    header
}

fn append(lead: &mut Vec<u8>, header: &Header, data: &[u8]) {
    lead.extend_from_slice(header.as_bytes());
    lead.extend_from_slice(data);
    let end = padded(lead.len() as u64);
    lead.resize(usize::try_from(end).expect("a lead is short"), 0);
}

/// A pax record of exactly `len` bytes: its length, `comment=`, the text, spaces, a newline.
fn comment_record(text: &str, len: u64) -> Vec<u8> {
    let mut record = format!("{len} comment={text}").into_bytes();
    let len = usize::try_from(len).expect("a comment is short");
    debug_assert!(record.len() < len, "the shortest comment is one block");
    record.resize(len - 1, b' ');
    record.push(b'\n');
    record
}

/// Rounds up to whole blocks.
pub fn padded(len: u64) -> u64 {
    len.next_multiple_of(BLOCK_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligned_content_starts_on_a_boundary_wherever_the_lead_starts() {
        let long = format!("docker/{}/data", "a".repeat(200));
        for path in ["short", long.as_str()] {
            for start in (0..20).map(|n| n * BLOCK_LEN) {
                let entry = Entry {
                    path,
                    kind: EntryKind::File,
                    len: 5,
                    mtime: 0,
                    comment: Comment::Align,
                };
                let lead = entry.lead(start);
                assert_eq!(
                    lead.len() as u64,
                    entry.lead_len(start),
                    "{path} at {start}"
                );
                assert_eq!(
                    (start + entry.lead_len(start)) % ALIGNMENT,
                    0,
                    "{path} at {start}"
                );
                assert!(entry.lead_len(start) <= LEAD_LEN_MAX);
            }
        }
    }

    #[test]
    fn the_tar_crate_reads_what_a_header_says() {
        #[track_caller]
        fn check(path: &str, kind: EntryKind, len: u64) {
            let entry = Entry {
                path,
                kind,
                len,
                mtime: 1_600_000_000,
                comment: Comment::Align,
            };
            let bytes = entry.lead(512);
            let mut archive = tar::Archive::new(&bytes[..]);
            let read = archive.entries().unwrap().next().unwrap().unwrap();
            assert_eq!(read.path_bytes(), path.as_bytes());
            let header = read.header();
            assert_eq!(header.entry_size().unwrap(), len);
            assert_eq!(header.mtime().unwrap(), 1_600_000_000);
            assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
            assert_eq!(header.username_bytes(), Some(&b""[..]));
            let mode = if kind == EntryKind::File {
                0o644
            } else {
                0o755
            };
            assert_eq!(header.mode().unwrap(), mode);
        }
        let hex = "0".repeat(128);
        check("README.txt", EntryKind::File, 7);
        check("install.sh", EntryKind::Executable, 0);
        check(
            "docker/registry/v2/repositories/a/_layers/",
            EntryKind::Dir,
            0,
        );
        check(&format!("docker/{}", "d/".repeat(120)), EntryKind::Dir, 0);
        check(
            &format!("docker/registry/v2/blobs/sha512/00/{hex}/data"),
            EntryKind::File,
            9 * 1024 * 1024 * 1024,
        );
        check(&format!("{}/x", "é".repeat(127)), EntryKind::File, 1);
    }
}
