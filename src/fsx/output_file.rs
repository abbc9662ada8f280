//! A file that is built beside its destination and appears there only when finished.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::{Durability, Error, IoKind, TempFile};

/// A file in the making, under its destination's name with a dot before and `.partial` and random
/// characters after it, so that a person sees what it is.
///
/// Removed on drop unless it is committed. What a killed process left of the same file is removed
/// by the next that builds it; a lock, which dies with its process, tells one from the other.
#[derive(Debug)]
pub struct OutputFile {
    temp: TempFile,
    destination: PathBuf,
    /// `None` on file systems that cannot lock (some network ones); nothing is removed there.
    _lock: Option<Flock<File>>,
}

impl OutputFile {
    /// Starts a file that is to become `destination`; its directory must exist.
    pub fn create(destination: &Path) -> Result<Self, Error> {
        let name = destination
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let prefix = format!(".{name}.partial-");
        let dir = super::dir_of(destination);
        loop {
            let temp = TempFile::create_in(dir, &prefix)?;
            let handle = temp.file().try_clone();
            let handle = handle.map_err(|source| Error::new("lock", temp.path(), source))?;
            let lock = match Flock::lock(handle, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => {
                    // Between its creation and the lock it may have been taken for left over.
                    if super::try_stat(temp.path())?.is_none() {
                        continue;
                    }
                    sweep(dir, &prefix, temp.path())?;
                    Some(lock)
                }
                Err((_, Errno::EWOULDBLOCK)) => continue,
                Err(_) => None,
            };
            return Ok(Self {
                temp,
                destination: destination.to_owned(),
                _lock: lock,
            });
        }
    }

    /// The file being written.
    pub fn temp(&mut self) -> &mut TempFile {
        &mut self.temp
    }

    /// The file being written, for positioned writes from several threads.
    pub fn shared(&self) -> &TempFile {
        &self.temp
    }

    /// Publishes the file: synced, renamed, directory synced.
    pub fn commit(self) -> Result<(), Error> {
        self.commit_with(Durability::Synced)
    }

    /// Publishes the file, atomically in any case; see [`TempFile::persist`].
    pub fn commit_with(self, durability: Durability) -> Result<(), Error> {
        self.temp.persist(&self.destination, durability)
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.temp.file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temp.file().flush()
    }
}

/// Removes the files in `dir` that dead processes left under `prefix` and six characters.
fn sweep(dir: &Path, prefix: &str, own: &Path) -> Result<(), Error> {
    for name in super::read_dir_names(dir)? {
        let path = dir.join(&name);
        let random = name
            .to_str()
            .and_then(|name| name.strip_prefix(prefix))
            .filter(|random| random.len() == 6);
        if random.is_none() || path.file_name() == own.file_name() {
            continue;
        }
        match remove_dead(&path) {
            // Another user's: theirs to remove.
            Err(error) if error.kind() == IoKind::Permission => {}
            result => result?,
        }
    }
    Ok(())
}

fn remove_dead(path: &Path) -> Result<(), Error> {
    if !super::try_stat(path)?.is_some_and(|stat| stat.is_file) {
        return Ok(());
    }
    let Some(file) = super::try_open(path)? else {
        return Ok(());
    };
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(_lock) => super::remove_file(path),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fsx;

    #[test]
    fn only_what_a_dead_process_left_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        for name in [
            ".b.tar.partial-abcdef",
            ".b.tar.partial-notes",
            ".other.tar.partial-abcdef",
            "b.tar",
        ] {
            fsx::write_file(&path(name), b"x").unwrap();
        }
        let mut first = OutputFile::create(&path("b.tar")).unwrap();
        first.write_all(b"1").unwrap();
        let mut second = OutputFile::create(&path("b.tar")).unwrap();
        second.write_all(b"2").unwrap();
        assert_eq!(fsx::read_dir_names(root.path()).unwrap().len(), 5);
        first.commit().unwrap();
        assert_eq!(fsx::read(&path("b.tar"), 9).unwrap(), b"1");
        second.commit().unwrap();
        assert_eq!(fsx::read(&path("b.tar"), 9).unwrap(), b"2");
        assert_eq!(
            fsx::read_dir_names(root.path()).unwrap(),
            [".b.tar.partial-notes", ".other.tar.partial-abcdef", "b.tar"]
        );
    }
}
