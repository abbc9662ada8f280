//! Files and directories that must be the user's own: opened without following a symbolic link,
//! and checked before anything in them is touched.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use super::not_own::NotOwn;
use super::{Error, dir_of, user_id};

fn not_own(reason: NotOwn, path: &Path) -> Error {
    Error::new("use", path, io::Error::other(reason))
}

/// Opens the directory at `path`, which must be real and this user's; `None` when it is not found.
#[expect(clippy::disallowed_methods, reason = "the home of owned directories")]
pub fn open_own_dir(path: &Path) -> Result<Option<File>, Error> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    let opened = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(path);
    let dir = match opened {
        Ok(dir) => dir,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(explain(path, source, NotOwn::NotADirectory)),
    };
    let uid = metadata(&dir, path)?.uid();
    if is_own(uid, dir_of(path)) {
        Ok(Some(dir))
    } else {
        Err(not_own(NotOwn::OtherUser(uid), path))
    }
}

/// The names in a real directory of this user; empty when there is no directory.
pub fn own_dir_names(path: &Path) -> Result<Vec<OsString>, Error> {
    match open_own_dir(path)? {
        Some(dir) => super::read::names_in(&dir, path),
        None => Ok(Vec::new()),
    }
}

/// Fails if a directory between `root` and `path` is a symbolic link; `root` itself may be one, and
/// what is not found is not.
pub fn require_real_dirs(root: &Path, path: &Path) -> Result<(), Error> {
    RealDirs::below(root).require(path)
}

/// Directories below one that may be a symbolic link itself, each looked at once.
#[derive(Debug)]
pub struct RealDirs {
    root: PathBuf,
    seen: HashMap<PathBuf, Seen>,
    /// Those in which something can be created.
    writable: HashSet<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Missing,
    Real,
    Other,
}

impl RealDirs {
    /// The directories below `root`.
    pub fn below(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            seen: HashMap::new(),
            writable: HashSet::new(),
        }
    }

    /// Fails as [`require_real_dirs`] does.
    pub fn require(&mut self, path: &Path) -> Result<(), Error> {
        self.walk(path).map(drop)
    }

    /// Fails as [`RealDirs::require`] does, and if the directory of `path` does not exist and this
    /// user cannot create it.
    pub fn require_creatable(&mut self, path: &Path) -> Result<(), Error> {
        match self.walk(path)? {
            Some(dir) if !self.writable.contains(&dir) => {
                super::require_writable(&dir)?;
                self.writable.insert(dir);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Looks at the directories of a path; returns the last that exists, unless all do.
    fn walk(&mut self, path: &Path) -> Result<Option<PathBuf>, Error> {
        let Ok(relative) = path.strip_prefix(&self.root) else {
            return Ok(None);
        };
        let mut at = self.root.clone();
        for part in relative.parent().into_iter().flat_map(Path::iter) {
            at.push(part);
            match self.look(&at)? {
                Seen::Missing => return Ok(at.parent().map(Path::to_owned)),
                Seen::Real => {}
                Seen::Other => {
                    // Opening it distinguishes the two cases.
                    open_own_dir(&at)?;
                    return Err(not_own(NotOwn::Symlink, &at));
                }
            }
        }
        Ok(None)
    }

    /// Creates a directory and its parents, none of which is a symbolic link; idempotent.
    pub fn create_all(&mut self, dir: &Path) -> Result<(), Error> {
        self.require(&dir.join("-"))?;
        if self.seen.get(dir) == Some(&Seen::Real) {
            return Ok(());
        }
        super::create_dir_all(dir)?;
        self.seen.retain(|_, seen| *seen != Seen::Missing);
        Ok(())
    }

    fn look(&mut self, path: &Path) -> Result<Seen, Error> {
        if let Some(seen) = self.seen.get(path) {
            return Ok(*seen);
        }
        let seen = match super::try_stat_link(path)? {
            None => Seen::Missing,
            Some(stat) if stat.is_dir => Seen::Real,
            Some(_) => Seen::Other,
        };
        self.seen.insert(path.to_owned(), seen);
        Ok(seen)
    }
}

/// Creates the directory at `path`, whose parent must exist, or checks that the existing one is
/// real and belongs to this user.
#[expect(clippy::disallowed_methods, reason = "the home of owned directories")]
pub fn make_own_dir(path: &Path) -> Result<(), Error> {
    loop {
        match std::fs::create_dir(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(Error::new("create directory", path, source)),
        }
        if open_own_dir(path)?.is_some() {
            return Ok(());
        }
    }
}

/// Opens the file at `path` for reading and appending, creating it with `mode` when it is missing;
/// it must be a regular file of this user's with no other name.
#[expect(clippy::disallowed_methods, reason = "the home of owned files")]
pub(super) fn open_own_file(path: &Path, mode: u32) -> Result<File, Error> {
    // Opening a pipe without a reader must not block.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let opened = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .append(true)
        .mode(mode)
        .custom_flags(flags.bits())
        .open(path);
    let file = opened.map_err(|source| explain(path, source, NotOwn::NotAFile))?;
    let metadata = metadata(&file, path)?;
    let refused = if !metadata.is_file() {
        NotOwn::NotAFile
    } else if metadata.nlink() > 1 {
        NotOwn::Linked
    } else if !is_own(metadata.uid(), dir_of(path)) {
        NotOwn::OtherUser(metadata.uid())
    } else {
        return Ok(file);
    };
    Err(not_own(refused, path))
}

/// Whether a file that belongs to `uid` is this user's, as the file system of `dir` reports it:
/// some (FAT, network ones) give every file the same owner, regardless of who creates it.
pub(super) fn is_own(uid: u32, dir: &Path) -> bool {
    let made_here = || {
        let made = tempfile::tempfile_in(dir);
        made.and_then(|file| file.metadata())
            .is_ok_and(|metadata| metadata.uid() == uid)
    };
    uid == user_id() || made_here()
}

/// Says what is at `path`, which could not be opened, where that is the reason.
#[expect(clippy::disallowed_methods, reason = "links are not followed")]
fn explain(path: &Path, source: io::Error, wrong_kind: NotOwn) -> Error {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => not_own(NotOwn::Symlink, path),
        Ok(metadata) => {
            let is_right = match wrong_kind {
                NotOwn::NotADirectory => metadata.is_dir(),
                _ => metadata.is_file(),
            };
            if is_right {
                Error::new("open", path, source)
            } else {
                not_own(wrong_kind, path)
            }
        }
        Err(_) => Error::new("open", path, source),
    }
}

fn metadata(file: &File, path: &Path) -> Result<std::fs::Metadata, Error> {
    let metadata = file.metadata();
    metadata.map_err(|source| Error::new("stat", path, source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IoKind;

    #[test]
    fn only_real_directories_are_used() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        assert!(open_own_dir(&path("none")).unwrap().is_none());
        make_own_dir(&path("dir")).unwrap();
        make_own_dir(&path("dir")).unwrap();
        assert!(open_own_dir(&path("dir")).unwrap().is_some());
        std::os::unix::fs::symlink(path("dir"), path("link")).unwrap();
        std::os::unix::fs::symlink(path("none"), path("dangling")).unwrap();
        crate::write_file(&path("file"), b"x").unwrap();
        for name in ["link", "dangling", "file"] {
            for result in [
                open_own_dir(&path(name)).map(|_| ()),
                make_own_dir(&path(name)),
            ] {
                let error = result.unwrap_err();
                assert_eq!(error.kind(), IoKind::NotOwn, "{name}: {error:?}");
                assert_eq!(error.path(), path(name));
            }
        }
        assert!(crate::try_stat(&path("none")).unwrap().is_none());
    }

    #[test]
    fn links_below_a_root_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        crate::write_file(&path("tree/a/b/file"), b"x").unwrap();
        for (target, link) in [
            ("tree", "named"),
            ("a", "tree/link"),
            ("none", "tree/dangling"),
        ] {
            std::os::unix::fs::symlink(target, path(link)).unwrap();
        }
        let check = |inner: &str| require_real_dirs(&path("named"), &path("named").join(inner));
        for inner in ["", "a", "a/b/file", "new/b/file", "link", "a/file"] {
            check(inner).unwrap();
        }
        for inner in ["link/file", "link/b/file", "dangling/file", "a/b/file/x"] {
            let error = check(inner).unwrap_err();
            assert_eq!(error.kind(), IoKind::NotOwn, "{inner}: {error:?}");
        }
    }

    #[test]
    fn each_directory_is_looked_at_once() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        crate::create_dir_all(&path("a/b")).unwrap();
        let mut dirs = RealDirs::below(root.path());
        for inner in ["a/b/file", "new/c/file"] {
            dirs.require(&path(inner)).unwrap();
        }
        // What was seen is believed, and nothing else.
        crate::rename(&path("a"), &path("moved")).unwrap();
        std::os::unix::fs::symlink(path("moved"), path("a")).unwrap();
        dirs.require(&path("a/b/file")).unwrap();
        crate::create_dir_all(&path("moved/c")).unwrap();
        std::os::unix::fs::symlink("c", path("moved/link")).unwrap();
        let error = dirs.require(&path("a/link/file")).unwrap_err();
        assert_eq!(error.kind(), IoKind::NotOwn);
        // What it makes is not missing any more.
        std::os::unix::fs::symlink(path("moved"), path("new")).unwrap();
        dirs.require(&path("new/c/file")).unwrap();
        dirs.create_all(&path("other/c")).unwrap();
        assert!(dirs.require(&path("new/c/file")).is_err());
        assert!(dirs.create_all(&path("new/c")).is_err());
        dirs.create_all(&path("other/c")).unwrap();
        assert!(crate::stat(&path("other/c")).unwrap().is_dir);
    }

    #[test]
    fn only_regular_files_with_one_name_are_used() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        drop(open_own_file(&path("new"), 0o600).unwrap());
        drop(open_own_file(&path("new"), 0o600).unwrap());
        crate::write_file(&path("precious"), b"1").unwrap();
        std::os::unix::fs::symlink(path("precious"), path("link")).unwrap();
        std::os::unix::fs::symlink(path("none"), path("dangling")).unwrap();
        crate::create_dir_all(&path("dir")).unwrap();
        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let linked = crate::LinkMode::Hard;
        crate::link_file(&path("precious"), &path("second"), linked, root.path()).unwrap();
        for name in ["link", "dangling", "dir", "pipe", "second"] {
            let error = open_own_file(&path(name), 0o600).unwrap_err();
            assert_eq!(error.kind(), IoKind::NotOwn, "{name}: {error:?}");
        }
        assert!(crate::try_stat(&path("none")).unwrap().is_none());
    }

    #[test]
    fn files_of_others_are_not_ours() {
        let root = tempfile::tempdir().unwrap();
        assert!(is_own(user_id(), root.path()));
        assert!(!is_own(user_id() + 1, root.path()));
    }
}
