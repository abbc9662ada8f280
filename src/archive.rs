//! The framing of tars that other tools wrote: reads any, in one pass, and writes plain ones.
//!
//! [`Reader`] goes through a tar that may be compressed with gzip or zstd, member by member; in a
//! plain one, content that is not requested is skipped. Everything in it is hostile: only a valid
//! [`EntryPath`] is a path, lengths are checked against the file's, memory for headers is bounded,
//! and devices, pipes and sparse files are refused. [`TarWriter`] writes the same bytes for the
//! same members. The meaning of members is left to higher floors; a bundle, whose every byte is
//! prescribed, has its own reader.

mod decoder;
mod entry_path;
mod error;
mod extension;
mod input;
mod planned;
mod reader;
mod writer;

pub use decoder::{Compression, decoder, decoder_of};
pub use entry_path::{EntryPath, EntryPathError};
pub use error::ArchiveError;
pub use planned::PlannedTar;
pub use reader::{Member, MemberKind, Reader};
pub use writer::TarWriter;
