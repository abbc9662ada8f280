//! The framing of other people's tars: reading any, in one pass, and writing plain ones.
//!
//! [`Reader`] goes through a tar that may be compressed with gzip or zstd, member by member; of a
//! plain one what is not asked for is not read. Everything in it is hostile: paths come as
//! [`EntryPath`] or not at all, lengths are held against the file's, what a header may make us keep
//! in memory is bounded, and devices, pipes and sparse files are refused. [`TarWriter`] writes the
//! same bytes for the same members. What a member means is for the floors above to know; a bundle,
//! whose every byte is prescribed, has a reader of its own.

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
