//! What can be wrong with an archive.

use std::io;
use std::path::PathBuf;

use super::input::{Fault, Mode, Problem};
use super::{EntryPathError, WindowTooLarge};
use hod_report::ErrorClass::{Policy, Verify};
use hod_report::amount::format_len;
use hod_report::{Diagnose, Diagnosis};

/// An archive that cannot be read, or only in part.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] hod_fsx::Error),
    /// The bytes where a header is expected are not a header.
    #[error("`{}` is not a tar archive, or is damaged: no valid header at byte {offset}", path.display())]
    BadHeader { path: PathBuf, offset: u64 },
    /// It ends before it says that it does.
    #[error("`{}` is truncated: it ends after {len} bytes, at or after `{}`", path.display(), last.escape_debug())]
    Truncated {
        path: PathBuf,
        len: u64,
        /// The member that is cut off, or the last one that is whole.
        last: String,
    },
    /// It goes on after it says that it ends.
    #[error("`{}` is damaged: there is data after the end of the archive, at byte {offset}", path.display())]
    Trailing { path: PathBuf, offset: u64 },
    /// A compressed archive whose stream is damaged.
    #[error("`{}` cannot be decompressed", path.display())]
    Decompress { path: PathBuf, source: io::Error },
    /// A member whose path leads elsewhere.
    #[error("`{}` has a member with an unsafe path", path.display())]
    UnsafePath {
        path: PathBuf,
        source: EntryPathError,
    },
    /// A member of a kind that has no place in any archive of images.
    #[error("`{}` contains `{}`, which is a {kind}", path.display(), member.escape_debug())]
    Kind {
        path: PathBuf,
        member: String,
        /// Without an article.
        kind: &'static str,
    },
    /// Two members of one name, of which readers would take one or the other.
    #[error("`{}` contains `{}` twice", path.display(), member.escape_debug())]
    Duplicate { path: PathBuf, member: String },
    /// More members than any archive of images needs.
    #[error("`{}` contains more than {n_max} members", path.display())]
    TooMany { path: PathBuf, n_max: usize },
    /// A member that is to be held in memory and is too long for that.
    #[error("`{}` in `{}` is {}; at most {} is read", member.escape_debug(), path.display(), format_len(*len), format_len(*len_max))]
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

impl Diagnose for ArchiveError {
    fn diagnose(&self) -> Diagnosis {
        let damaged = || {
            Diagnosis::new(Verify).hint(
                "Copy the archive again, and compare its length or checksum with the original.",
            )
        };
        match self {
            Self::File(error) => error.diagnose(),
            Self::Decompress { source, .. } => match WindowTooLarge::of(source) {
                Some(error) => error.diagnose(),
                None => damaged(),
            },
            Self::BadHeader { .. } | Self::Truncated { .. } | Self::Trailing { .. } => damaged(),
            Self::UnsafePath { .. } | Self::Kind { .. } | Self::Duplicate { .. } => {
                Diagnosis::new(Policy)
                    .hint("No image tool writes such an archive. The archive was not used.")
            }
            Self::TooMany { .. } | Self::TooLong { .. } => Diagnosis::new(Policy),
        }
    }
}
