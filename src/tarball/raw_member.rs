//! Parses the headers of a member in any tar: its ustar header, GNU's long names, pax records.

use tar::{EntryType, Header, PaxExtensions};

use super::header::{BLOCK, padded};
use super::input::{Fault, Input, Mode, Problem};

/// The most headers that extend the one of a member.
const EXTENSIONS_MAX: usize = 16;

/// A member as its headers describe it; nothing of it is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawMember {
    /// As in the header; it may be anything.
    pub path: String,
    pub kind: MemberKind,
    /// The length of its content in bytes; 0 for a link.
    pub len: u64,
    /// The bytes of the headers.
    pub lead: Vec<u8>,
}

/// The kind of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberKind {
    File,
    Dir,
    /// The same file as that member.
    HardLink(String),
    /// A path from the member's directory; it may be anything.
    SymbolicLink(String),
    /// A kind that no archive of images has, by its name.
    Other(&'static str),
}

impl MemberKind {
    /// The name, without an article.
    pub fn name(&self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Dir => "directory",
            Self::HardLink(_) => "hard link",
            Self::SymbolicLink(_) => "symbolic link",
            Self::Other(name) => name,
        }
    }

    fn of(kind: EntryType, link: String, mode: Mode) -> Self {
        match kind {
            EntryType::Regular => Self::File,
            EntryType::Continuous if mode == Mode::Tolerant => Self::File,
            EntryType::Directory => Self::Dir,
            EntryType::Link => Self::HardLink(link),
            EntryType::Symlink => Self::SymbolicLink(link),
            EntryType::Char => Self::Other("character device"),
            EntryType::Block => Self::Other("block device"),
            EntryType::Fifo => Self::Other("named pipe"),
            EntryType::GNUSparse => Self::Other(SPARSE),
            EntryType::XGlobalHeader => Self::Other("global extended header"),
            _ => Self::Other("member of an unknown kind"),
        }
    }
}

const SPARSE: &str = "sparse file";

/// Whether a block is a header whose checksum is right.
pub fn is_header(block: &[u8]) -> bool {
    if block.len() != BLOCK || block.iter().all(|&byte| byte == 0) {
        return false;
    }
    let sum = |bytes: &[u8]| bytes.iter().map(|&byte| u32::from(byte)).sum::<u32>();
    // The checksum's own field counts as spaces.
    let actual = sum(&block[..148]) + sum(&block[156..]) + 8 * u32::from(b' ');
    let header = Header::from_byte_slice(block);
    header.cksum().is_ok_and(|expected| expected == actual)
}

/// How many bytes of a damaged tar are searched for a header.
pub const SEARCHED_LEN: usize = 128 * BLOCK;

/// Whether any of these blocks is a header or marked as one: they are of a tar, which may be damaged.
pub fn has_header(blocks: &[u8]) -> bool {
    blocks
        .chunks(BLOCK)
        .any(|block| is_header(block) || is_marked(block))
}

/// Whether a block has the magic of a header; the rest of it may be damaged.
fn is_marked(block: &[u8]) -> bool {
    block.get(257..262) == Some(b"ustar")
}

impl Input<'_> {
    /// Reads the headers of the next member, behind which its content comes; `None` at the end of
    /// the tar, of whose two empty blocks the first was read.
    pub fn next_header(&mut self) -> Result<Option<RawMember>, Fault> {
        let mut lead = Vec::new();
        let mut extension = Extension::default();
        for _ in 0..=EXTENSIONS_MAX {
            let start = self.at();
            let mut block = [0; BLOCK];
            if self.fill(&mut block)? < BLOCK {
                // No tar is that short.
                return Err(if start == 0 && !is_marked(&block) {
                    self.fault(Problem::Header(0))
                } else {
                    self.truncated()
                });
            }
            if block == [0; BLOCK] {
                return Ok(None);
            }
            if !is_header(&block) {
                return Err(self.fault(Problem::Header(start)));
            }
            lead.extend_from_slice(&block);
            let header = Header::from_byte_slice(&block);
            let kind = header.entry_type();
            let len = match header.entry_size() {
                Ok(len) => len,
                // A label leaves this empty.
                Err(_) if is_label(kind) && extends(kind, self.mode) => 0,
                Err(_) => return Err(self.fault(Problem::Header(start))),
            };
            if !extends(kind, self.mode) {
                let raw = extension.apply(header, len, self.mode, lead);
                self.enter(&raw.path);
                return Ok(Some(raw));
            }
            if len > self.mode.extension_len_max() {
                return Err(self.fault(Problem::Extension(len)));
            }
            let mut content = self.read_vec(padded(len))?;
            lead.extend_from_slice(&content);
            content.truncate(usize::try_from(len).expect("at most a MiB"));
            let added = extension.add(kind, &content);
            // A member that is refused in any case is named if possible.
            if added.is_none() && self.mode == Mode::Tolerant {
                return Err(self.fault(Problem::Header(start)));
            }
        }
        Err(self.fault(Problem::Header(self.at())))
    }
}

/// Whether a header of this kind extends the next one (or all that follow).
fn extends(kind: EntryType, mode: Mode) -> bool {
    kind.is_gnu_longname()
        || kind.is_gnu_longlink()
        || kind.is_pax_local_extensions()
        || (kind.is_pax_global_extensions() || is_label(kind)) && mode == Mode::Tolerant
}

/// Whether a header is the label of a volume, as `tar --label` writes it before the first member.
fn is_label(kind: EntryType) -> bool {
    kind.as_byte() == b'V'
}

/// The extended headers for the next member.
#[derive(Debug, Default)]
struct Extension {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    len: Option<u64>,
    is_sparse: bool,
}

impl Extension {
    /// Takes in the content of an extending member; `None` if it is malformed.
    fn add(&mut self, kind: EntryType, content: &[u8]) -> Option<()> {
        // In practice, global extensions contain comments only.
        if kind.is_pax_global_extensions() || is_label(kind) {
            return Some(());
        }
        if kind.is_pax_local_extensions() {
            return self.add_pax(content);
        }
        let name = content.split(|&byte| byte == 0).next().unwrap_or_default();
        if kind.is_gnu_longname() {
            self.path = Some(name.to_owned());
        } else {
            self.link = Some(name.to_owned());
        }
        Some(())
    }

    fn add_pax(&mut self, content: &[u8]) -> Option<()> {
        for record in PaxExtensions::new(content) {
            let record = record.ok()?;
            match record.key_bytes() {
                b"path" => self.path = Some(record.value_bytes().to_owned()),
                b"linkpath" => self.link = Some(record.value_bytes().to_owned()),
                b"size" => self.len = Some(record.value().ok()?.parse().ok()?),
                key if key.starts_with(b"GNU.sparse.") => self.is_sparse = true,
                _ => {}
            }
        }
        Some(())
    }

    /// The member with this header behind the extensions.
    fn apply(self, header: &Header, len: u64, mode: Mode, lead: Vec<u8>) -> RawMember {
        let path = self
            .path
            .unwrap_or_else(|| header.path_bytes().into_owned());
        let link = self
            .link
            .or_else(|| header.link_name_bytes().map(Into::into));
        let link = String::from_utf8_lossy(&link.unwrap_or_default()).into_owned();
        let kind = match MemberKind::of(header.entry_type(), link, mode) {
            _ if self.is_sparse => MemberKind::Other(SPARSE),
            kind => kind,
        };
        RawMember {
            path: String::from_utf8_lossy(&path).into_owned(),
            len: match kind {
                // In some tars, links have the length of their target, and never content.
                MemberKind::HardLink(_) | MemberKind::SymbolicLink(_) => 0,
                _ => self.len.unwrap_or(len),
            },
            kind,
            lead,
        }
    }
}
