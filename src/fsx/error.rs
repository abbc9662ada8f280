//! One error for all of the file system: what was tried, on which path, and the cause.

use std::io;
use std::path::{Path, PathBuf};

use super::not_own::NotOwn;
use hod_report::ErrorClass::{File, NotFound, Space};
use hod_report::{Diagnose, Diagnosis};

/// A failed file system operation.
#[derive(Debug, thiserror::Error)]
#[error("failed to {verb} `{}`{}", path.display(), to.as_ref().map(|to| format!(" to `{}`", to.display())).unwrap_or_default())]
pub struct Error {
    verb: &'static str,
    path: PathBuf,
    to: Option<PathBuf>,
    source: io::Error,
}

/// The kind of a failure, as far as callers act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IoKind {
    /// The disk or the quota is full.
    NoSpace,
    /// The file system, or a limit, does not permit files of this length.
    TooLarge,
    /// Two paths are on different file systems.
    CrossDevice,
    /// A file cannot have another name there: it is on another file system or mount, belongs to
    /// another user, has too many names, or the file system has no hardlinks.
    CannotLink,
    /// The file system does not support the operation, such as reflinks.
    Unsupported,
    /// The path exists already, or is a directory that is not empty.
    Exists,
    /// The user does not have the permission.
    Permission,
    /// The file system is mounted read-only.
    ReadOnly,
    /// A part of the path is a file, not a directory.
    NotDirectory,
    /// The file is shorter than expected.
    Truncated,
    /// The path does not exist.
    NotFound,
    /// Another process has locked it.
    Busy,
    /// A directory is where a file belongs.
    IsDirectory,
    /// The existing entry is not a real directory, or not a file of this user, and is left
    /// untouched.
    NotOwn,
    /// Anything else.
    Unspecified,
}

impl Error {
    /// Wraps `source`, which `verb` on `path` caused.
    pub fn new(verb: &'static str, path: &Path, source: io::Error) -> Self {
        Self {
            verb,
            path: path.to_owned(),
            to: None,
            source,
        }
    }

    /// Wraps `source`, which `verb` on `path` with the destination `to` caused.
    pub fn with_destination(verb: &'static str, path: &Path, to: &Path, source: io::Error) -> Self {
        Self {
            verb,
            path: path.to_owned(),
            to: Some(to.to_owned()),
            source,
        }
    }

    /// The path that the operation was about.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the kind of the standard library.
    pub(super) fn source_kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// Returns the kind of the failure.
    pub fn kind(&self) -> IoKind {
        if NotOwn::of(&self.source).is_some() {
            return IoKind::NotOwn;
        }
        if self.verb == HARDLINK && self.source.raw_os_error().is_some_and(is_refused_link) {
            return IoKind::CannotLink;
        }
        match self.source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => IoKind::NoSpace,
            io::ErrorKind::FileTooLarge => IoKind::TooLarge,
            io::ErrorKind::CrossesDevices => IoKind::CrossDevice,
            io::ErrorKind::Unsupported => IoKind::Unsupported,
            io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty => IoKind::Exists,
            io::ErrorKind::PermissionDenied => IoKind::Permission,
            io::ErrorKind::ReadOnlyFilesystem => IoKind::ReadOnly,
            io::ErrorKind::NotADirectory => IoKind::NotDirectory,
            io::ErrorKind::UnexpectedEof => IoKind::Truncated,
            io::ErrorKind::NotFound => IoKind::NotFound,
            io::ErrorKind::WouldBlock => IoKind::Busy,
            io::ErrorKind::IsADirectory => IoKind::IsDirectory,
            _ => IoKind::Unspecified,
        }
    }
}

/// The directory of hod's own state that a file is in, which can be removed as a whole, else the file
/// itself.
fn of_state(path: &Path) -> &Path {
    let mut above = path.ancestors();
    above
        .find(|above| above.file_name().is_some_and(|name| name == ".hod"))
        .unwrap_or(path)
}

/// The verb of errors about creating a directory.
pub(super) const CREATE_DIR: &str = "create directory";
/// The verb of errors about a file that is to be replaced.
pub(super) const REPLACE: &str = "replace";
/// The verb of errors about an output that is to be written.
pub(super) const WRITE: &str = "write";
/// The verb of errors about a directory in which something is to be created.
pub(super) const WRITE_TO: &str = "write to";
/// The verb of errors about making a hardlink.
pub(super) const HARDLINK: &str = "hardlink";
/// The verb of errors about making a reflink.
pub(super) const REFLINK: &str = "reflink";

/// Whether `link` fails so for a reason that copying does not have.
fn is_refused_link(errno: i32) -> bool {
    use nix::errno::Errno;
    let refusals = [
        Errno::EXDEV,
        Errno::EPERM,
        Errno::EMLINK,
        Errno::EOPNOTSUPP,
        Errno::ENOSYS,
    ];
    refusals.iter().any(|refusal| *refusal as i32 == errno)
}

impl Diagnose for Error {
    fn diagnose(&self) -> Diagnosis {
        let path = self.to.as_ref().unwrap_or(&self.path).display();
        let file = |hint: String| Diagnosis::new(File).hint(hint);
        let wrong_place = |what: &str, expected: &str| {
            file(format!(
                "{what} is a {}, but a {expected} is expected there. Check the path.",
                if expected == "file" {
                    "directory"
                } else {
                    "file"
                }
            ))
        };
        match self.kind() {
            // The error names the path: in a batch, each blob has another one.
            IoKind::NoSpace => {
                Diagnosis::new(Space).hint("The disk is full. Free some space on it.")
            }
            IoKind::TooLarge => Diagnosis::new(Space),
            IoKind::NotFound => Diagnosis::new(NotFound),
            IoKind::CannotLink => Diagnosis::new(File).hint(
                "A hardlink requires one file system and one mount, a file of the same user, and a \
                 file that does not have too many links yet. Pass `--link copy`, which requires the \
                 full size again.",
            ),
            IoKind::CrossDevice | IoKind::Unsupported if self.verb == REFLINK => {
                Diagnosis::new(File).hint(
                    "A reflink requires that both paths are on the same file system, and that it \
                     supports reflinks (Btrfs, XFS). Pass `--link copy`, which requires the full \
                     size again.",
                )
            }
            IoKind::CrossDevice => Diagnosis::new(File).hint(
                "The two paths are on different file systems or mounts. Put both on the same one.",
            ),
            IoKind::NotOwn if NotOwn::of(&self.source) == Some(NotOwn::Linked) => file(format!(
                "The directory was probably copied with hardlinks (`cp -al`), so both copies share \
                 the file. In the copy, remove `{}`, which hod creates again; or copy the directory \
                 with `cp -a`.",
                of_state(&self.path).display()
            )),
            IoKind::NotOwn => file(format!(
                "Check what `{}` is and move it away, or run hod as its owner: hod uses only real \
                 directories and files of the user who runs it.",
                self.path.display()
            )),
            IoKind::IsDirectory if self.verb == WRITE => file(format!(
                "`{path}` is a directory. Name a file, as in `{}`.",
                self.path.join("FILE").display()
            )),
            IoKind::IsDirectory => wrong_place(&format!("`{path}`"), "file"),
            IoKind::Exists if self.verb == REPLACE => {
                Diagnosis::new(File).hint("Choose another name, or remove the file first.")
            }
            IoKind::Permission => file(format!(
                "The user who runs hod may not {} `{path}`. Check the owner and mode of it and of \
                 the directories above it (`namei -l {path}`), or choose another path.",
                self.verb
            )),
            IoKind::ReadOnly => file(format!(
                "`{path}` is on a file system that is mounted read-only. Choose a path on another \
                 one, or mount it writable."
            )),
            IoKind::Exists | IoKind::NotDirectory if matches!(self.verb, CREATE_DIR | WRITE_TO) => {
                wrong_place(&format!("`{path}`"), "directory")
            }
            IoKind::NotDirectory => wrong_place(&format!("A part of `{path}`"), "directory"),
            IoKind::Unsupported
            | IoKind::Exists
            | IoKind::Truncated
            | IoKind::Busy
            | IoKind::Unspecified => Diagnosis::new(File),
        }
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;

    #[test]
    fn what_the_system_refuses_gets_a_hint_with_the_path() {
        for (errno, expect) in [
            (Errno::EACCES, "may not open `a/b`"),
            (Errno::EPERM, "owner and mode"),
            (
                Errno::EROFS,
                "`a/b` is on a file system that is mounted read-only",
            ),
            (Errno::ENOTDIR, "part of `a/b` is a file"),
            (Errno::ENOSPC, "The disk is full"),
            (Errno::EDQUOT, "The disk is full"),
            (Errno::EISDIR, "`a/b` is a directory"),
        ] {
            let error = Error::new("open", Path::new("a/b"), errno.into());
            let hint = error.diagnose().hint.unwrap_or_default();
            assert!(hint.contains(expect), "{errno}: {hint}");
        }
    }

    #[test]
    fn a_hardlink_that_is_refused_is_told_from_other_failures() {
        for (verb, errno, expect) in [
            (HARDLINK, Errno::EXDEV, IoKind::CannotLink),
            (HARDLINK, Errno::EPERM, IoKind::CannotLink),
            (HARDLINK, Errno::EMLINK, IoKind::CannotLink),
            (HARDLINK, Errno::EOPNOTSUPP, IoKind::CannotLink),
            (HARDLINK, Errno::EACCES, IoKind::Permission),
            (HARDLINK, Errno::ENOSPC, IoKind::NoSpace),
            (HARDLINK, Errno::ENOENT, IoKind::NotFound),
            (REFLINK, Errno::EXDEV, IoKind::CrossDevice),
            (REFLINK, Errno::EOPNOTSUPP, IoKind::Unsupported),
            ("rename", Errno::EXDEV, IoKind::CrossDevice),
            ("rename", Errno::EPERM, IoKind::Permission),
            ("rename", Errno::EISDIR, IoKind::IsDirectory),
        ] {
            let (from, to) = (Path::new("a"), Path::new("b"));
            let error = Error::with_destination(verb, from, to, errno.into());
            assert_eq!(error.kind(), expect, "{verb}: {errno}");
            let hint = error.diagnose().hint.unwrap_or_default();
            let names_it = hint.contains("`--link copy`");
            let takes_link_mode = expect == IoKind::CannotLink || verb == REFLINK;
            assert_eq!(names_it, takes_link_mode, "{verb}: {hint}");
        }
    }
}
