//! A directory that is built beside its destination and appears there only when finished.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::flock::{Locked, is_current, lock_now};
use super::made::OutputParents;
use super::pinned::cannot_rename_so;
use super::sweep::{clear_built, remove_built};
use super::{Durability, Error, make_own_dir, open_own_dir};

/// Knows the paths that a directory in the making may have, relative to it: nothing else in it is
/// ever removed.
pub type IsMember = fn(&Path) -> bool;

/// A directory in the making, under its destination's name with a dot before and `.partial` after.
///
/// Removed on drop unless it is committed. What a killed process left under that name is removed
/// by the next that builds the same directory; a lock on it, which dies with its process, tells
/// one from the other.
#[derive(Debug)]
pub struct OutputDir {
    path: PathBuf,
    destination: PathBuf,
    is_member: IsMember,
    /// Locked, where the file system can.
    _open: File,
    is_done: bool,
    _parents: OutputParents,
}

impl OutputDir {
    /// Starts building the directory that becomes `destination`, whose parents are created.
    ///
    /// Returns `None` when another process is building it. Fails when the temporary directory
    /// exists already and belongs to another user or has unexpected content.
    pub fn create(destination: &Path, is_member: IsMember) -> Result<Option<Self>, Error> {
        let path = beside(destination, "partial");
        require_replaceable(destination)?;
        let parents = OutputParents::create(destination)?;
        loop {
            make_own_dir(&path)?;
            let Some(open) = open_own_dir(&path)? else {
                continue; // Removed or renamed by its builder since.
            };
            if lock_now(&open, &path)? == Locked::ByAnother {
                return Ok(None);
            }
            if is_current(&open, &path)? {
                require_cleared(&path, clear_built(&path, is_member)?)?;
                return Ok(Some(Self {
                    path,
                    destination: destination.to_owned(),
                    is_member,
                    _open: open,
                    is_done: false,
                    _parents: parents,
                }));
            }
        }
    }

    /// Fails if this user cannot create the directory `destination`, or not replace what is there;
    /// changes nothing.
    pub fn require_writable(destination: &Path) -> Result<(), Error> {
        super::require_writable(super::dir_of(destination))?;
        super::require_writable(destination)?;
        require_replaceable(destination)
    }

    /// The temporary path that it is built at.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The final path.
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

    /// Moves it to its final path in place of the existing directory, which is removed.
    ///
    /// Atomic where the file system can exchange two names; elsewhere the destination is absent for
    /// an instant. Entries of the old directory that are not ours are kept, and an error names
    /// where.
    pub fn replace(mut self, durability: Durability) -> Result<(), Error> {
        self.sync_content(durability)?;
        // The old directory is moved to the path where other processes expect one that is being
        // built.
        let old_open = open_own_dir(&self.destination)?;
        if let Some(old) = &old_open {
            lock_now(old, &self.destination)?;
        }
        let old = match exchange(&self.path, &self.destination)? {
            Exchange::Done => self.path.clone(),
            Exchange::Unsupported => {
                let old = beside(&self.destination, "old");
                require_cleared(&old, remove_built(&old, self.is_member)?)?;
                super::rename(&self.destination, &old)?;
                super::rename(&self.path, &self.destination)?;
                old
            }
        };
        self.is_done = true;
        self.sync_name(durability)?;
        require_cleared(&old, remove_built(&old, self.is_member)?)
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
            let _ = remove_built(&self.path, self.is_member);
        }
    }
}

/// Refuses a directory that is not empty and not this user's own.
fn require_replaceable(destination: &Path) -> Result<(), Error> {
    let there = super::try_read_dir_names(destination)?;
    if there.is_some_and(|names| !names.is_empty()) {
        open_own_dir(destination)?;
    }
    Ok(())
}

/// Refuses a directory in which something was found that hod did not make.
fn require_cleared(dir: &Path, left: Option<PathBuf>) -> Result<(), Error> {
    match left {
        None => Ok(()),
        Some(left) => {
            let path = dir.join(left);
            let source = io::Error::other("hod did not make it; move it away");
            Err(Error::new("remove", &path, source))
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

enum Exchange {
    Done,
    Unsupported,
}

/// Exchanges two names, atomically.
fn exchange(from: &Path, to: &Path) -> Result<Exchange, Error> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(Exchange::Done),
        Err(errno) if cannot_rename_so(errno) => Ok(Exchange::Unsupported),
        Err(errno) => Err(Error::with_destination("exchange", from, to, errno.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_member(path: &Path) -> bool {
        matches!(path.to_str(), Some("f" | "stale"))
    }

    fn build(destination: &Path, content: &[u8]) -> OutputDir {
        let output = OutputDir::create(destination, is_member).unwrap().unwrap();
        crate::write_file(&output.path().join("f"), content).unwrap();
        output
    }

    #[test]
    fn a_directory_appears_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let destination = root.path().join("a/b:1");
        let output = build(&destination, b"1");
        assert_eq!(output.path(), root.path().join("a/.b:1.partial"));
        assert!(crate::try_stat(&destination).unwrap().is_none());
        drop(output);
        let parent = root.path().join("a");
        assert!(crate::try_stat(&parent).unwrap().is_none());
        build(&destination, b"2")
            .commit(Durability::Synced)
            .unwrap();
        assert!(
            build(&destination, b"3")
                .commit(Durability::Deferred)
                .is_err()
        );
        assert_eq!(crate::read(&destination.join("f"), 9).unwrap(), b"2");
        build(&destination, b"4")
            .replace(Durability::Synced)
            .unwrap();
        assert_eq!(crate::read(&destination.join("f"), 9).unwrap(), b"4");
        assert_eq!(crate::read_dir_names(&parent).unwrap(), ["b:1"]);
    }

    #[test]
    fn only_what_a_dead_process_left_is_taken_over() {
        let root = tempfile::tempdir().unwrap();
        let destination = root.path().join("d");
        let output = build(&destination, b"1");
        assert!(
            OutputDir::create(&destination, is_member)
                .unwrap()
                .is_none()
        );
        drop(output);
        crate::write_file(&root.path().join(".d.partial/stale"), b"x").unwrap();
        build(&destination, b"2")
            .commit(Durability::Deferred)
            .unwrap();
        assert_eq!(crate::read_dir_names(&destination).unwrap(), ["f"]);
    }

    #[test]
    fn a_planted_link_is_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let precious = root.path().join("precious");
        crate::write_file(&precious.join("f"), b"1").unwrap();
        std::os::unix::fs::symlink(&precious, root.path().join(".d.partial")).unwrap();
        let error = OutputDir::create(&root.path().join("d"), is_member).unwrap_err();
        assert_eq!(error.kind(), crate::IoKind::NotOwn);
        assert_eq!(crate::read_dir_names(&precious).unwrap(), ["f"]);
    }

    #[test]
    fn what_hod_did_not_make_stays() {
        let root = tempfile::tempdir().unwrap();
        let destination = root.path().join("d");
        let foreign = root.path().join(".d.partial/notes");
        crate::write_file(&foreign, b"x").unwrap();
        let error = OutputDir::create(&destination, is_member).unwrap_err();
        assert_eq!(error.path(), foreign);
        crate::remove_file(&foreign).unwrap();
        build(&destination, b"1")
            .commit(Durability::Deferred)
            .unwrap();
        crate::write_file(&destination.join("notes"), b"x").unwrap();
        let error = build(&destination, b"2")
            .replace(Durability::Deferred)
            .unwrap_err();
        assert_eq!(error.path(), foreign);
        assert_eq!(crate::read(&foreign, 9).unwrap(), b"x");
        assert_eq!(crate::read(&destination.join("f"), 9).unwrap(), b"2");
    }
}
