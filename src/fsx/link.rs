//! Giving a file a second name or a second copy.

use std::fs::File;
use std::io;
use std::path::Path;

use super::error::{HARDLINK, REFLINK};
use super::{Durability, Error, IoKind, TempFile};

/// How a file is duplicated: hardlink, reflink or copy. None falls back to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkMode {
    /// A second name of the same inode: costs nothing, needs one file system.
    Hard,
    /// A new inode that shares the blocks: needs a file system that can (XFS, Btrfs).
    Reflink,
    /// A new inode with its own blocks.
    Copy,
}

/// Puts `source`'s file at `destination` by a hardlink, or by a copy where it cannot have another
/// name there, as [`link_file`] does.
pub fn link_or_copy_file(
    source: &Path,
    destination: &Path,
    temp_dir: &Path,
) -> Result<bool, Error> {
    match link_file(source, destination, LinkMode::Hard, temp_dir) {
        Err(error) if error.kind() == IoKind::CannotLink => {
            link_file(source, destination, LinkMode::Copy, temp_dir)
        }
        result => result,
    }
}

/// Gives `source`'s file a second name, `destination`, which is free; returns false, with nothing
/// there, when it cannot have one.
pub fn link_where_possible(
    source: &Path,
    destination: &Path,
    temp_dir: &Path,
) -> Result<bool, Error> {
    match link_file(source, destination, LinkMode::Hard, temp_dir) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), IoKind::CannotLink | IoKind::CrossDevice) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Puts `source`'s file at `destination` too; returns whether it was not there before.
///
/// An existing destination is left as it is. `temp_dir` is a directory on the destination's file
/// system, where copies are made before they get their name, so that no half file is ever seen.
/// The parent directory is created when it is missing. Not synced.
pub fn link_file(
    source: &Path,
    destination: &Path,
    mode: LinkMode,
    temp_dir: &Path,
) -> Result<bool, Error> {
    match link_once(source, destination, mode, temp_dir) {
        Err(error) if error.kind() == IoKind::NotFound => {
            if let Some(parent) = destination.parent() {
                super::create_dir_all(parent)?;
            }
            link_once(source, destination, mode, temp_dir)
        }
        result => result,
    }
}

fn link_once(
    source: &Path,
    destination: &Path,
    mode: LinkMode,
    temp_dir: &Path,
) -> Result<bool, Error> {
    if mode == LinkMode::Hard {
        return hard_link(source, destination);
    }
    if super::try_stat(destination)?.is_some() {
        return Ok(false);
    }
    let file = super::open(source)?;
    let temp = TempFile::create_in(temp_dir, "copy-")?;
    let copied = match mode {
        LinkMode::Reflink => reflink(&file, temp.file()),
        LinkMode::Hard | LinkMode::Copy => io::copy(&mut &file, &mut temp.file()).map(|_| ()),
    };
    let verb = if mode == LinkMode::Reflink {
        REFLINK
    } else {
        "copy"
    };
    copied.map_err(|error| Error::with_destination(verb, source, destination, error))?;
    temp.persist(destination, Durability::Deferred)?;
    Ok(true)
}

/// Tries whether files can be linked from `source` into `dir`, where nothing is left of it.
pub fn try_link(source: &Path, dir: &Path, mode: LinkMode) -> Result<(), Error> {
    let temp = TempFile::create_in(dir, ".hod-link-")?;
    match mode {
        LinkMode::Copy => Ok(()),
        LinkMode::Reflink => {
            let file = super::open(source)?;
            let wrap = |error| Error::with_destination(REFLINK, source, temp.path(), error);
            reflink(&file, temp.file()).map_err(wrap)
        }
        LinkMode::Hard => {
            let mut name = temp.path().as_os_str().to_owned();
            name.push("-hard");
            let link = Path::new(&name);
            if hard_link(source, link)? {
                super::remove_file(link)?;
            }
            Ok(())
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one home of hardlinks")]
fn hard_link(source: &Path, destination: &Path) -> Result<bool, Error> {
    match std::fs::hard_link(source, destination) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(Error::with_destination(
            HARDLINK,
            source,
            destination,
            error,
        )),
    }
}

/// Clones with `FICLONE`: `copy_file_range` shares blocks where the file system can and copies
/// silently elsewhere. `nix` has no safe call for it.
fn reflink(source: &File, destination: &File) -> io::Result<()> {
    match rustix::fs::ioctl_ficlone(destination, source) {
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOTTY | rustix::io::Errno::INVAL) => {
            Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this file system has no reflinks",
            ))
        }
        result => Ok(result?),
    }
}
