//! Tars: the one reader, of those that hod wrote and of anyone else's, and the one writer.
//!
//! [`Reader`] goes through a tar that may be compressed with gzip or zstd, member by member; in a
//! plain one, content that is not requested is skipped. Everything in it is hostile: only a valid
//! [`EntryPath`] is a path, lengths are checked against the file's, memory for headers is bounded,
//! and devices, pipes and sparse files are refused. [`Entry`] makes the headers of a member, the
//! same bytes for the same member, and so do [`PlannedTar`] and [`TarWriter`], which write whole
//! tars. The meaning of members is left to higher floors.

mod decoder;
mod entry_path;
mod error;
mod extension;
mod header;
mod input;
mod planned;
mod reader;
mod writer;

pub use decoder::{Compression, decoder, decoder_of};
pub use entry_path::{EntryPath, EntryPathError};
pub use error::ArchiveError;
pub use header::{ALIGNMENT, BLOCK_LEN, Comment, END_LEN, Entry, EntryKind, LEAD_LEN_MAX, padded};
pub use planned::PlannedTar;
pub use reader::{Member, MemberKind, Reader};
pub use writer::TarWriter;
