//! Files and directories that are needed for a moment.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::Error;
use super::sweep::remove_at;

/// A uniquely named directory that is removed on drop with everything that is still in it.
///
/// A killed process leaves it behind; [`super::sweep_scratch`] removes it.
#[derive(Debug)]
pub struct TempDir {
    path: PathBuf,
    /// The open parent directory, even if another one is at its path by now.
    parent: File,
    name: OsString,
    is_kept: bool,
}

impl TempDir {
    /// Creates an empty directory in `dir`, named `prefix` and six random characters.
    pub fn create_in(dir: &Path, prefix: &str) -> Result<Self, Error> {
        let parent = super::open(dir)?;
        let path = tempfile::Builder::new()
            .prefix(prefix)
            .tempdir_in(dir)
            .map_err(|source| Error::new("create a directory in", dir, source))?
            .keep();
        let name = path.file_name().unwrap_or_default().to_owned();
        Ok(Self {
            path,
            parent,
            name,
            is_kept: false,
        })
    }

    /// The directory's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the directory with all in it, for a place where nothing may stay unseen.
    pub fn remove(mut self) -> Result<(), Error> {
        self.is_kept = true;
        remove_at(&self.parent, &self.name, &self.path)
    }

    /// Leaves the directory where it is, with all in it.
    pub fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        // The next run removes whatever remains.
        let _ = remove_at(&self.parent, &self.name, &self.path);
    }
}

/// Writes a few bytes into a file in memory, which is removed when it is closed.
pub fn memory_file(bytes: &[u8]) -> Result<File, Error> {
    let wrap = |source| Error::new("make a file in", Path::new("memory"), source);
    let made = memfd_create(c"hod", MFdFlags::MFD_CLOEXEC);
    let mut file = File::from(made.map_err(|errno| wrap(errno.into()))?);
    file.write_all(bytes).map_err(wrap)?;
    Ok(file)
}
