//! Tars: the one reader, of those that hod wrote and of anyone else's, and the one writer.
//!
//! Everything that is read is hostile. [`Input`] has the bytes of a tar, plain or compressed, of a
//! file or a stream, and understands the headers in them; memory for these is bounded. It is used in
//! two ways, which differ in what they take ([`Mode`]):
//!
//! - [`Reader`] goes through a tar of anyone, member by member; in a plain one, content that is not
//!   requested is skipped. Only a valid [`EntryPath`] is a path, lengths are checked against the
//!   file's, and devices, pipes and sparse files are refused.
//! - Who knows what must be there, byte for byte, uses [`Input::expect`]; [`Input::next_header`]
//!   then says what is there instead.
//!
//! [`Entry`] makes the headers of a member, the same bytes for the same member, and so do
//! [`PlannedTar`] and [`TarWriter`], which write whole tars. The meaning of members is left to
//! higher floors.

mod decoder;
mod entry_path;
mod error;
mod header;
mod input;
mod raw_member;
mod reader;
mod writer;

pub use decoder::{Compression, WindowTooLarge, decoder};
pub use entry_path::{EntryPath, EntryPathError};
pub use error::ArchiveError;
pub use header::{
    ALIGNMENT, BLOCK, BLOCK_LEN, Comment, END, END_LEN, Entry, EntryKind, LEAD_LEN_MAX, padded,
};
pub use input::{Fault, Input, Mode, Problem};
pub use raw_member::{MemberKind, RawMember, SEARCHED_LEN, has_header, is_header};
pub use reader::{Member, Reader};
pub use writer::{PlannedTar, TarWriter};
