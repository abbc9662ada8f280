//! Removing what killed runs left: only under the names that hod gives, only what is this user's,
//! and never through a symbolic link.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::owned::is_own;
use super::pinned::{open_dir_at, stat_at};
use super::read::names_in;
use super::{Error, FileStat, open_own_dir};

/// Number of random characters at the end of a temporary name.
const RANDOM_LEN: usize = 6;

/// Whether `name` is `prefix` and random characters.
pub(super) fn is_temporary(name: &OsStr, prefix: &str) -> bool {
    let name = name.as_encoded_bytes();
    name.strip_prefix(prefix.as_bytes()).is_some_and(is_random)
}

fn is_random(bytes: &[u8]) -> bool {
    bytes.len() == RANDOM_LEN && bytes.iter().all(u8::is_ascii_alphanumeric)
}

/// Whether a name is one that temporary files and directories are given: a word, a hyphen and
/// random characters.
pub fn is_scratch_name(name: &OsStr) -> bool {
    let mut parts = name.as_encoded_bytes().splitn(2, |byte| *byte == b'-');
    let (word, random) = (parts.next().unwrap_or_default(), parts.next());
    !word.is_empty() && word.iter().all(u8::is_ascii_lowercase) && random.is_some_and(is_random)
}

/// Removes the temporary files and directories in `dir`, which must be real and this user's, and
/// which no run uses any more; what has another name stays.
pub fn sweep_scratch(dir: &Path) -> Result<(), Error> {
    let Some(open) = open_own_dir(dir)? else {
        return Ok(());
    };
    for name in names_in(&open, dir)? {
        if is_scratch_name(&name) {
            remove_at(&open, &name, &dir.join(&name))?;
        }
    }
    Ok(())
}

/// Whether a file that an earlier run left is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftover {
    /// Its name is not one that hod gives: it stays.
    Foreign,
    /// A later run may still use it.
    Useful,
    Useless,
}

/// Removes the files in `dir`, which must be real and this user's, that are useless or have not
/// been written for `age`; a directory that is not found is not an error.
pub fn sweep_older(
    dir: &Path,
    age: Duration,
    judge: impl Fn(&OsStr) -> Leftover,
) -> Result<(), Error> {
    let Some(open) = open_own_dir(dir)? else {
        return Ok(());
    };
    for name in names_in(&open, dir)? {
        let leftover = judge(&name);
        let path = dir.join(&name);
        if leftover == Leftover::Foreign {
            continue;
        }
        let Some(stat) = try_stat_at(&open, &name, &path)? else {
            continue;
        };
        if stat.is_file && (leftover == Leftover::Useless || is_older(&stat, age)) {
            unlink_at(&open, &name, &path)?;
        }
    }
    Ok(())
}

/// Whether a file was not written for `age`. A time in the future is that of a clock that was
/// wrong: such a file is old enough.
fn is_older(stat: &FileStat, age: Duration) -> bool {
    let young = |modified: SystemTime| modified.elapsed().is_ok_and(|elapsed| elapsed < age);
    !stat.modified.is_some_and(young)
}

/// Removes a directory that hod built, member by member; `is_member` knows the paths in it that hod
/// gives. Returns the first path that is not one of them, in which case the directory stays.
pub(super) fn remove_built(
    dir: &Path,
    is_member: fn(&Path) -> bool,
) -> Result<Option<PathBuf>, Error> {
    let left = clear_built(dir, is_member)?;
    if left.is_none() {
        super::remove_dir_if_empty(dir)?;
    }
    Ok(left)
}

/// Empties a directory as [`remove_built`] does.
pub(super) fn clear_built(
    dir: &Path,
    is_member: fn(&Path) -> bool,
) -> Result<Option<PathBuf>, Error> {
    match open_own_dir(dir)? {
        Some(open) => clear_members(&open, dir, Path::new(""), is_member),
        None => Ok(None),
    }
}

fn clear_members(
    dir: &File,
    path: &Path,
    relative: &Path,
    is_member: fn(&Path) -> bool,
) -> Result<Option<PathBuf>, Error> {
    let mut left = None;
    for name in names_in(dir, path)? {
        let (relative, path) = (relative.join(&name), path.join(&name));
        let mut stays = (!is_member(&relative)).then(|| relative.clone());
        if stays.is_none() && !unlink_at(dir, &name, &path)? {
            let Some(child) = open_child(dir, &name, &path)? else {
                continue;
            };
            stays = clear_members(&child, &path, &relative, is_member)?;
            if stays.is_none() {
                remove_dir_at(dir, &name, &path)?;
            }
        }
        left = left.or(stays);
    }
    Ok(left)
}

/// Removes a file or a directory with all in it, of which this user made every part.
pub(super) fn remove_at(dir: &File, name: &OsStr, path: &Path) -> Result<(), Error> {
    if unlink_at(dir, name, path)? {
        return Ok(());
    }
    let Some(child) = open_child(dir, name, path)? else {
        return Ok(());
    };
    for name in names_in(&child, path)? {
        remove_at(&child, &name, &path.join(&name))?;
    }
    remove_dir_at(dir, name, path)
}

/// Removes a file or a link, not its target; false when it is a directory.
fn unlink_at(dir: &File, name: &OsStr, path: &Path) -> Result<bool, Error> {
    match unlinkat(dir, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(true),
        Err(Errno::EISDIR | Errno::EPERM) if is_dir_at(dir, name, path)? => Ok(false),
        Err(errno) => Err(Error::new("remove", path, errno.into())),
    }
}

fn remove_dir_at(dir: &File, name: &OsStr, path: &Path) -> Result<(), Error> {
    match unlinkat(dir, name, UnlinkatFlags::RemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(Error::new("remove", path, errno.into())),
    }
}

/// Opens a directory to empty it; what is mounted there is not ours, and an error.
fn open_child(dir: &File, name: &OsStr, path: &Path) -> Result<Option<File>, Error> {
    use std::os::unix::fs::MetadataExt as _;
    let wrap = |source: io::Error| Error::new("remove", path, source);
    let child = match open_dir_at(dir, name) {
        Ok(child) => child,
        Err(Errno::ENOENT) => return Ok(None),
        Err(errno) => return Err(wrap(errno.into())),
    };
    let device = |dir: &File| dir.metadata().map_err(wrap).map(|metadata| metadata.dev());
    if device(dir)? == device(&child)? {
        Ok(Some(child))
    } else {
        let source = io::Error::other("another file system is mounted there");
        Err(Error::new("remove", path, source))
    }
}

fn is_dir_at(dir: &File, name: &OsStr, path: &Path) -> Result<bool, Error> {
    Ok(try_stat_at(dir, name, path)?.is_some_and(|stat| stat.is_dir))
}

fn try_stat_at(dir: &File, name: &OsStr, path: &Path) -> Result<Option<FileStat>, Error> {
    stat_at(dir, name).map_err(|source| Error::new("stat", path, source))
}

/// Removes the files in `dir` that killed runs left under `prefix` and random characters: regular
/// files of this user's with one name, that no run has locked. What cannot be removed stays.
pub(super) fn sweep_beside(dir: &Path, prefix: &str, own: Option<&OsStr>) -> Result<(), Error> {
    let names: Vec<OsString> = super::read_dir_names(dir)?;
    for name in names {
        if !is_temporary(&name, prefix) || Some(name.as_os_str()) == own {
            continue;
        }
        let path = dir.join(&name);
        // Another user's, or no file of ours: theirs to remove.
        if let Ok(Some(file)) = open_left(&path)
            && matches!(
                super::flock::lock_now(&file, &path),
                Ok(super::flock::Locked::Yes)
            )
            && super::flock::is_current(&file, &path)?
        {
            super::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Opens a file that a run left; `None` when it is not found, or is not a file of ours.
#[expect(clippy::disallowed_methods, reason = "opened without following links")]
fn open_left(path: &Path) -> io::Result<Option<File>> {
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let opened = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(path);
    let file = opened?;
    let metadata = file.metadata()?;
    let is_ours =
        metadata.is_file() && metadata.nlink() == 1 && is_own(metadata.uid(), super::dir_of(path));
    Ok(is_ours.then_some(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_scratch_are_known() {
        for (name, expect) in [
            ("blob-aB3dE6", true),
            ("gone-000000", true),
            ("blob-aB3dE", false),
            ("blob-aB3dE67", false),
            ("blob-aB-dE6", false),
            ("Blob-aB3dE6", false),
            ("-aB3dE6", false),
            ("notes", false),
            ("notes.txt", false),
        ] {
            assert_eq!(is_scratch_name(OsStr::new(name)), expect, "{name}");
        }
    }

    #[test]
    fn scratch_is_swept_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let (dir, precious) = (root.path().join("tmp"), root.path().join("precious"));
        for path in [
            dir.join("blob-aaaaaa"),
            dir.join("gone-aaaaaa/gone/a/b"),
            dir.join("notes.txt"),
            precious.join("sub/file"),
        ] {
            crate::write_file(&path, b"x").unwrap();
        }
        for link in [dir.join("link-aaaaaa"), dir.join("gone-aaaaaa/link")] {
            std::os::unix::fs::symlink(&precious, link).unwrap();
        }
        sweep_scratch(&dir).unwrap();
        assert_eq!(crate::read_dir_names(&dir).unwrap(), ["notes.txt"]);
        assert!(
            crate::try_stat(&precious.join("sub/file"))
                .unwrap()
                .is_some()
        );
        let linked = root.path().join("linked");
        crate::write_file(&precious.join("blob-aaaaaa"), b"x").unwrap();
        std::os::unix::fs::symlink(&precious, &linked).unwrap();
        assert!(sweep_scratch(&linked).is_err());
        assert_eq!(crate::read_dir_names(&precious).unwrap().len(), 2);
        sweep_scratch(&root.path().join("none")).unwrap();
    }

    #[test]
    fn a_built_directory_is_removed_member_by_member() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("dir");
        let is_member = |path: &Path| !path.ends_with("notes.txt");
        crate::write_file(&dir.join("blobs/sha256/1"), b"x").unwrap();
        crate::write_file(&dir.join("blobs/notes.txt"), b"x").unwrap();
        let left = remove_built(&dir, is_member).unwrap();
        assert_eq!(left.as_deref(), Some(Path::new("blobs/notes.txt")));
        assert_eq!(
            crate::read_dir_names(&dir.join("blobs")).unwrap(),
            ["notes.txt"]
        );
        crate::remove_file(&dir.join("blobs/notes.txt")).unwrap();
        assert_eq!(remove_built(&dir, is_member).unwrap(), None);
        assert!(crate::try_stat(&dir).unwrap().is_none());
        assert_eq!(remove_built(&dir, is_member).unwrap(), None);
    }

    #[test]
    fn only_files_of_dead_runs_are_swept_beside_an_output() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        for name in [".hod-dead00", ".hod-alive0", ".hod-two000", "precious"] {
            crate::write_file(&path(name), b"x").unwrap();
        }
        crate::create_dir_all(&path(".hod-dir000")).unwrap();
        std::os::unix::fs::symlink(path("precious"), path(".hod-link00")).unwrap();
        let hard = crate::LinkMode::Hard;
        crate::link_file(&path(".hod-two000"), &path("second"), hard, root.path()).unwrap();
        let alive = crate::open(&path(".hod-alive0")).unwrap();
        let locked = super::super::flock::lock_now(&alive, root.path()).unwrap();
        assert_eq!(locked, super::super::flock::Locked::Yes);
        sweep_beside(root.path(), ".hod-", None).unwrap();
        assert_eq!(
            crate::read_dir_names(root.path()).unwrap(),
            [
                ".hod-alive0",
                ".hod-dir000",
                ".hod-link00",
                ".hod-two000",
                "precious",
                "second"
            ]
        );
    }
}
