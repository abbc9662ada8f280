//! A directory that is held open, below which nothing is reached through a symbolic link.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};
use rustix::fs::{RenameFlags, renameat_with};

use super::{Error, FileStat};

/// An open directory, which stays the same when its path is renamed or replaced.
///
/// The paths that its methods take are relative to it and consist of names only. A path that leads
/// through anything other than real directories is not found.
#[derive(Debug)]
pub struct PinnedDir {
    dir: File,
    path: PathBuf,
}

impl PinnedDir {
    /// Opens a directory; a link at `path` itself is followed.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self {
            dir: super::open(path)?,
            path: path.to_owned(),
        })
    }

    /// The path of the directory when it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the status of `relative` without following a link.
    pub fn stat(&self, relative: &Path) -> Result<Option<FileStat>, Error> {
        let Some((dir, name)) = self.locate(relative)? else {
            return Ok(None);
        };
        stat_at(&dir, &name).map_err(|source| self.error("stat", relative, source))
    }

    /// Looks at the directory that `relative` is in.
    pub fn stat_parent(&self, relative: &Path) -> Result<Option<FileStat>, Error> {
        let Some((dir, _)) = self.locate(relative)? else {
            return Ok(None);
        };
        let metadata = dir.metadata();
        let metadata = metadata.map_err(|source| self.error("stat", relative, source))?;
        Ok(Some(FileStat::from(&metadata)))
    }

    /// Removes the name `relative` of a file; its other names stay. Idempotent.
    pub fn remove_file(&self, relative: &Path) -> Result<(), Error> {
        self.remove(relative, UnlinkatFlags::NoRemoveDir, &[Errno::ENOENT])
    }

    /// Removes a directory that is empty; one that is not, or is not found, stays as it is.
    pub fn remove_dir_if_empty(&self, relative: &Path) -> Result<(), Error> {
        let kept = [
            Errno::ENOENT,
            Errno::ENOTEMPTY,
            Errno::EEXIST,
            Errno::ENOTDIR,
        ];
        self.remove(relative, UnlinkatFlags::RemoveDir, &kept)
    }

    fn remove(&self, relative: &Path, what: UnlinkatFlags, fine: &[Errno]) -> Result<(), Error> {
        let Some((dir, name)) = self.locate(relative)? else {
            return Ok(());
        };
        match unlinkat(&dir, name.as_os_str(), what) {
            Err(errno) if !fine.contains(&errno) => {
                Err(self.error("remove", relative, errno.into()))
            }
            _ => Ok(()),
        }
    }

    /// Renames `from` to `to`, which must not exist.
    pub fn rename_new(&self, from: &Path, to: &Path) -> Result<(), Error> {
        let missing = |path: &Path| self.error("rename", path, Errno::ENOENT.into());
        let (from_dir, from_name) = self.locate(from)?.ok_or_else(|| missing(from))?;
        let (to_dir, to_name) = self.locate(to)?.ok_or_else(|| missing(to))?;
        let flags = RenameFlags::NOREPLACE;
        let renamed = match renameat_with(&from_dir, &from_name, &to_dir, &to_name, flags) {
            Err(errno) if cannot_rename_so(errno) && self.stat(to)?.is_none() => renameat(
                &from_dir,
                from_name.as_os_str(),
                &to_dir,
                to_name.as_os_str(),
            )
            .map_err(io::Error::from),
            renamed => renamed.map_err(io::Error::from),
        };
        renamed.map_err(|source| {
            let (from, to) = (self.path.join(from), self.path.join(to));
            Error::with_destination("rename", &from, &to, source)
        })
    }

    /// Opens the directory that `relative` is in; `None` unless it is a real directory.
    fn locate(&self, relative: &Path) -> Result<Option<(File, OsString)>, Error> {
        let mut names: Vec<&OsStr> = Vec::new();
        for component in relative.components() {
            match component {
                Component::Normal(name) => names.push(name),
                _ => return Ok(None),
            }
        }
        let Some((name, parents)) = names.split_last() else {
            return Ok(None);
        };
        let mut dir = None;
        for parent in parents {
            let within = dir.as_ref().unwrap_or(&self.dir);
            match open_dir_at(within, parent) {
                Ok(child) => dir = Some(child),
                Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => return Ok(None),
                Err(errno) => return Err(self.error("open", relative, errno.into())),
            }
        }
        let dir = match dir {
            Some(dir) => dir,
            None => self
                .dir
                .try_clone()
                .map_err(|source| Error::new("open", &self.path, source))?,
        };
        Ok(Some((dir, (*name).to_owned())))
    }

    fn error(&self, verb: &'static str, relative: &Path, source: io::Error) -> Error {
        Error::new(verb, &self.path.join(relative), source)
    }
}

/// Opens the directory `name` in `dir` without following a link there.
pub(super) fn open_dir_at(dir: &File, name: &OsStr) -> Result<File, Errno> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(dir, name, flags, Mode::empty()).map(File::from)
}

/// Looks at `name` in `dir` without following a link there; `None` when it is not found.
pub(super) fn stat_at(dir: &File, name: &OsStr) -> io::Result<Option<FileStat>> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    match openat(dir, name, flags, Mode::empty()) {
        Ok(entry) => Ok(Some(FileStat::from(&File::from(entry).metadata()?))),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether a file system does not know the way of renaming (some network ones).
pub(super) fn cannot_rename_so(errno: rustix::io::Errno) -> bool {
    use rustix::io::Errno;
    matches!(errno, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)
}

/// Looks at a path without following a link there; `None` when it is not found.
#[expect(clippy::disallowed_methods, reason = "links are not followed")]
pub fn try_stat_link(path: &Path) -> Result<Option<FileStat>, Error> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(FileStat::from(&metadata))),
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(source) => Err(Error::new("stat", path, source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_reached_through_a_link() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        crate::write_file(&path("tree/a/file"), b"1").unwrap();
        crate::write_file(&path("precious/file"), b"1").unwrap();
        std::os::unix::fs::symlink(path("precious"), path("tree/link")).unwrap();
        std::os::unix::fs::symlink(path("precious/file"), path("tree/a/leaf")).unwrap();
        std::os::unix::fs::symlink(path("tree"), path("alias")).unwrap();
        let dir = PinnedDir::open(&path("alias")).unwrap();
        let stat = |name: &str| dir.stat(Path::new(name)).unwrap();
        let known = crate::stat(&path("tree/a/file")).unwrap();
        assert_eq!(stat("a/file"), Some(known));
        assert_eq!(stat("link/file"), None);
        assert_eq!(stat("../precious/file"), None);
        assert!(!stat("a/leaf").unwrap().is_file);
        for name in ["link/file", "../precious/file"] {
            dir.remove_file(Path::new(name)).unwrap();
            assert!(
                dir.rename_new(Path::new(name), Path::new("a/new")).is_err(),
                "{name}"
            );
        }
        // Of a link, the link itself.
        dir.remove_file(Path::new("a/leaf")).unwrap();
        assert_eq!(crate::read(&path("precious/file"), 1).unwrap(), b"1");
        dir.remove_dir_if_empty(Path::new("a")).unwrap();
        dir.remove_dir_if_empty(Path::new("link")).unwrap();
        dir.rename_new(Path::new("a/file"), Path::new("moved"))
            .unwrap();
        crate::write_file(&path("tree/other"), b"2").unwrap();
        let refused = dir.rename_new(Path::new("moved"), Path::new("other"));
        assert_eq!(refused.unwrap_err().kind(), crate::IoKind::Exists);
        dir.remove_dir_if_empty(Path::new("a")).unwrap();
        assert_eq!(
            crate::read_dir_names(&path("tree")).unwrap(),
            ["link", "moved", "other"]
        );
    }
}
