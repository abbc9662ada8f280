//! A directory that is built beside its destination and appears there only when finished.

use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};

use super::{Durability, Error};

/// A directory in the making, under its destination's name with a dot before and `.partial` after.
///
/// Removed on drop unless it is committed. What a killed process left under that name is removed
/// by the next that builds the same directory; a lock on it, which dies with its process, tells
/// one from the other.
#[derive(Debug)]
pub struct OutputDir {
    path: PathBuf,
    destination: PathBuf,
    /// `None` on file systems that cannot lock a directory (some network ones).
    _lock: Option<Flock<File>>,
    is_done: bool,
}

impl OutputDir {
    /// Starts a directory that is to become `destination`, whose parents are created.
    ///
    /// Returns `None` when another process is building it.
    pub fn create(destination: &Path) -> Result<Option<Self>, Error> {
        let path = beside(destination, "partial");
        loop {
            make_dir(&path)?;
            let Some(file) = open_dir(&path)? else {
                continue; // Removed or renamed by its builder since.
            };
            let identity = identity_of(&file, &path)?;
            let lock = match lock(file) {
                DirLocked::Yes(lock) => Some(lock),
                DirLocked::CannotBe => None,
                DirLocked::ByAnother => return Ok(None),
            };
            let is_current = super::try_stat(&path)?.is_some_and(|stat| stat.identity == identity);
            if is_current {
                super::sweep_dir(&path)?;
                return Ok(Some(Self {
                    path,
                    destination: destination.to_owned(),
                    _lock: lock,
                    is_done: false,
                }));
            }
        }
    }

    /// Where it is built.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where it is to be.
    pub fn destination(&self) -> &Path {
        &self.destination
    }

    /// Gives it its name; an empty directory there is replaced, a full one is an error.
    ///
    /// Atomic. With [`Durability::Synced`] all of it is on the disk before it is visible.
    pub fn commit(mut self, durability: Durability) -> Result<(), Error> {
        self.sync_content(durability)?;
        super::rename(&self.path, &self.destination)?;
        self.is_done = true;
        self.sync_name(durability)
    }

    /// Gives it its name in place of the directory that is there, which is removed.
    ///
    /// Atomic where the file system can exchange two names; elsewhere the destination is absent
    /// for an instant.
    pub fn replace(mut self, durability: Durability) -> Result<(), Error> {
        self.sync_content(durability)?;
        // The old directory is about to stand where others look for one in the making.
        let _lock = open_dir(&self.destination)?.map(lock);
        let old = match exchange(&self.path, &self.destination)? {
            Exchange::Done => self.path.clone(),
            Exchange::Unsupported => {
                let old = beside(&self.destination, "old");
                super::remove_dir_all(&old)?;
                super::rename(&self.destination, &old)?;
                super::rename(&self.path, &self.destination)?;
                old
            }
        };
        self.is_done = true;
        self.sync_name(durability)?;
        super::remove_dir_all(&old)
    }

    fn sync_content(&self, durability: Durability) -> Result<(), Error> {
        match durability {
            Durability::Synced => super::sync_filesystem(&self.path),
            Durability::Deferred => Ok(()),
        }
    }

    fn sync_name(&self, durability: Durability) -> Result<(), Error> {
        match durability {
            Durability::Synced => super::sync_dir(super::dir_of(&self.destination)),
            Durability::Deferred => Ok(()),
        }
    }
}

impl Drop for OutputDir {
    fn drop(&mut self) {
        if !self.is_done {
            // Whatever made it unfinished is being reported; the next run removes what stays.
            let _ = super::remove_dir_all(&self.path);
        }
    }
}

fn beside(destination: &Path, suffix: &str) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(destination.file_name().unwrap_or_default());
    name.push(".");
    name.push(suffix);
    super::dir_of(destination).join(name)
}

/// Makes the directory unless it is there, and its parents.
#[expect(clippy::disallowed_methods, reason = "the home of output directories")]
fn make_dir(path: &Path) -> Result<(), Error> {
    let wrap = |source| Error::new("create directory", path, source);
    match std::fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            super::create_dir_all(super::dir_of(path))?;
            std::fs::create_dir(path)
                .or_else(unless_there)
                .map_err(wrap)
        }
        result => result.or_else(unless_there).map_err(wrap),
    }
}

fn unless_there(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::AlreadyExists => Ok(()),
        _ => Err(error),
    }
}

/// Opens a directory, not through a symbolic link; `None` when it is not there.
#[expect(clippy::disallowed_methods, reason = "the home of output directories")]
fn open_dir(path: &Path) -> Result<Option<File>, Error> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    match std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(path)
    {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::new("open directory", path, source)),
    }
}

fn identity_of(file: &File, path: &Path) -> Result<(u64, u64), Error> {
    let metadata = file
        .metadata()
        .map_err(|source| Error::new("look at", path, source))?;
    Ok((metadata.dev(), metadata.ino()))
}

enum DirLocked {
    Yes(Flock<File>),
    ByAnother,
    /// The file system has no locks for directories.
    CannotBe,
}

fn lock(file: File) -> DirLocked {
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => DirLocked::Yes(lock),
        Err((_, Errno::EWOULDBLOCK)) => DirLocked::ByAnother,
        Err(_) => DirLocked::CannotBe,
    }
}

enum Exchange {
    Done,
    Unsupported,
}

/// Exchanges two names, atomically. `nix` has the call for glibc only.
fn exchange(from: &Path, to: &Path) -> Result<Exchange, Error> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, from, CWD, to, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(Exchange::Done),
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(Exchange::Unsupported),
        Err(errno) => Err(Error::with_destination("exchange", from, to, errno.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fsx;

    fn build(destination: &Path, content: &[u8]) -> OutputDir {
        let output = OutputDir::create(destination).unwrap().unwrap();
        fsx::write_file(&output.path().join("f"), content).unwrap();
        output
    }

    #[test]
    fn a_directory_appears_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let destination = root.path().join("a/b:1");
        let output = build(&destination, b"1");
        assert_eq!(output.path(), root.path().join("a/.b:1.partial"));
        assert!(fsx::try_stat(&destination).unwrap().is_none());
        drop(output);
        let parent = root.path().join("a");
        assert!(fsx::read_dir_names(&parent).unwrap().is_empty());
        build(&destination, b"2")
            .commit(Durability::Synced)
            .unwrap();
        assert!(
            build(&destination, b"3")
                .commit(Durability::Deferred)
                .is_err()
        );
        assert_eq!(fsx::read(&destination.join("f"), 9).unwrap(), b"2");
        build(&destination, b"4")
            .replace(Durability::Synced)
            .unwrap();
        assert_eq!(fsx::read(&destination.join("f"), 9).unwrap(), b"4");
        assert_eq!(fsx::read_dir_names(&parent).unwrap(), ["b:1"]);
    }

    #[test]
    fn only_what_a_dead_process_left_is_taken_over() {
        let root = tempfile::tempdir().unwrap();
        let destination = root.path().join("d");
        let output = build(&destination, b"1");
        assert!(OutputDir::create(&destination).unwrap().is_none());
        drop(output);
        fsx::write_file(&root.path().join(".d.partial/stale"), b"x").unwrap();
        build(&destination, b"2")
            .commit(Durability::Deferred)
            .unwrap();
        assert_eq!(fsx::read_dir_names(&destination).unwrap(), ["f"]);
    }

    #[test]
    fn a_planted_link_is_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let precious = root.path().join("precious");
        fsx::write_file(&precious.join("f"), b"1").unwrap();
        std::os::unix::fs::symlink(&precious, root.path().join(".d.partial")).unwrap();
        assert!(OutputDir::create(&root.path().join("d")).is_err());
        assert_eq!(fsx::read_dir_names(&precious).unwrap(), ["f"]);
    }
}
