//! What can be wrong with an archive.

use std::io;
use std::path::PathBuf;

use super::input::{Fault, Mode, Problem};
use super::{EntryPathError, WindowTooLarge};
use hod_report::ErrorClass;
use hod_report::Hint;

/// An archive that cannot be read, or only in part.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] hod_fsx::Error),
    /// The bytes where a header is expected are not a header.
    #[error("`{}` is not a tar, or is damaged: what is at byte {offset} is not a header", path.display())]
    BadHeader { path: PathBuf, offset: u64 },
    /// It ends before it says that it does.
    #[error("`{}` is cut off after {len} bytes, behind `{}`", path.display(), last.escape_debug())]
    Truncated {
        path: PathBuf,
        len: u64,
        /// The member that is cut off, or the last one that is whole.
        last: String,
    },
    /// It goes on after it says that it ends.
    #[error("`{}` is damaged: something follows the end of the tar, at byte {offset}", path.display())]
    Trailing { path: PathBuf, offset: u64 },
    /// A compressed archive whose stream is damaged.
    #[error("`{}` cannot be decompressed", path.display())]
    Decompress { path: PathBuf, source: io::Error },
    /// A member whose path leads elsewhere.
    #[error("`{}` has a member that is not safe", path.display())]
    UnsafePath {
        path: PathBuf,
        source: EntryPathError,
    },
    /// A member of a kind that has no place in any archive of images.
    #[error("`{}` has `{}`, which is a {kind}", path.display(), member.escape_debug())]
    Kind {
        path: PathBuf,
        member: String,
        /// Without an article.
        kind: &'static str,
    },
    /// Two members of one name, of which readers would take one or the other.
    #[error("`{}` has `{}` twice", path.display(), member.escape_debug())]
    Duplicate { path: PathBuf, member: String },
    /// More members than any archive of images needs.
    #[error("`{}` has more than {n_max} members", path.display())]
    TooMany { path: PathBuf, n_max: usize },
    /// A member that is to be held in memory and is too long for that.
    #[error("`{}` has {len} bytes in `{}`; at most {len_max} are read there", path.display(), member.escape_debug())]
    TooLong {
        path: PathBuf,
        member: String,
        len: u64,
        len_max: u64,
    },
}

impl From<Fault> for ArchiveError {
    fn from(fault: Fault) -> Self {
        let path = fault.path;
        match fault.problem {
            Problem::Read(error) => Self::File(error),
            Problem::Decompress(source) => Self::Decompress { path, source },
            Problem::Truncated(len) => Self::Truncated {
                path,
                len,
                last: fault.member,
            },
            Problem::Header(offset) => Self::BadHeader { path, offset },
            Problem::Trailing(offset) => Self::Trailing { path, offset },
            Problem::Extension(len) => Self::TooLong {
                path,
                member: "a long name".to_owned(),
                len,
                len_max: Mode::Tolerant.extension_len_max(),
            },
        }
    }
}

impl ArchiveError {
    /// What kind of failure it is, for programs.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::File(error) => error.class(),
            // A window that is too large may be a bit that is flipped.
            Self::BadHeader { .. }
            | Self::Truncated { .. }
            | Self::Trailing { .. }
            | Self::Decompress { .. } => ErrorClass::Verify,
            Self::UnsafePath { .. }
            | Self::Kind { .. }
            | Self::Duplicate { .. }
            | Self::TooMany { .. }
            | Self::TooLong { .. } => ErrorClass::Policy,
        }
    }
}

impl Hint for ArchiveError {
    fn hint(&self) -> Option<String> {
        if let Self::Decompress { source, .. } = self
            && let Some(error) = WindowTooLarge::of(source)
        {
            return error.hint();
        }
        match self {
            Self::File(error) => error.hint(),
            Self::BadHeader { .. }
            | Self::Truncated { .. }
            | Self::Trailing { .. }
            | Self::Decompress { .. } => {
                Some("copy the archive again, and compare its length or checksum".to_owned())
            }
            Self::UnsafePath { .. } | Self::Kind { .. } | Self::Duplicate { .. } => {
                Some("no tool for images writes such an archive; nothing of it was used".to_owned())
            }
            _ => None,
        }
    }
}
