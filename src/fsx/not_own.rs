//! Reasons why a file or directory is not treated as this user's own.

use std::io;

/// Why a file or directory is not treated as our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotOwn {
    #[error("it is a symbolic link")]
    Symlink,
    #[error("it is not a directory")]
    NotADirectory,
    #[error("it is not a regular file")]
    NotAFile,
    #[error("it has other names (hardlinks)")]
    Linked,
    #[error("it belongs to another user (uid {0})")]
    OtherUser(u32),
}

impl NotOwn {
    /// The reason that `source` carries, if it is one of these.
    pub(super) fn of(source: &io::Error) -> Option<Self> {
        source.get_ref()?.downcast_ref().copied()
    }
}
