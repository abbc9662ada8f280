//! A file that is written over several runs, by one process at a time.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::flock::{Locked, is_current, lock_now};
use super::owned::open_own_file;
use super::{Durability, Error, len_of, read_at, remove_file, sync_dir};

/// A uniquely named file that is kept when it is dropped, so that a later run can continue it. An
/// exclusive lock on it, which ends with its process, excludes all other processes.
///
/// Its content is not synced: after a power cut it may contain anything.
#[derive(Debug)]
pub struct KeptFile {
    file: File,
    path: PathBuf,
    len: u64,
}

/// The result of opening a [`KeptFile`] for writing.
#[derive(Debug)]
pub enum Keeping {
    /// It is ours until it is dropped.
    Ours(KeptFile),
    /// Somebody else writes it.
    Busy,
    /// The file system cannot lock (some network ones), so the file must not be written.
    NoLocks,
}

impl KeptFile {
    /// Opens the file at `path`, creating it when it is missing; its directory must exist.
    ///
    /// Refuses what is not a regular file of this user's with this name only.
    pub fn open(path: &Path) -> Result<Keeping, Error> {
        loop {
            let file = open_own_file(path, 0o644)?;
            match lock_now(&file, path)? {
                Locked::Yes => {}
                Locked::ByAnother => return Ok(Keeping::Busy),
                Locked::Unsupported => return Ok(Keeping::NoLocks),
            }
            // The previous owner may have renamed or removed the file between our opening and our
            // lock.
            if is_current(&file, path)? {
                let len = len_of(&file, path)?;
                return Ok(Keeping::Ours(Self {
                    file,
                    path: path.to_owned(),
                    len,
                }));
            }
        }
    }

    /// The file's present path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Reads up to `buffer.len()` bytes at `offset` and returns how many; 0 only at the end.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Error> {
        read_at(&self.file, &self.path, buffer, offset)
    }

    /// Appends `bytes`; after an error it is as it was.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut file: &File = &self.file;
        if let Err(source) = file.write_all(bytes) {
            // A part of them may be there.
            self.cut(self.len)?;
            return Err(Error::new("write", &self.path, source));
        }
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Cuts the file to `len` bytes, of which it has at least as many.
    pub fn cut(&mut self, len: u64) -> Result<(), Error> {
        self.file
            .set_len(len)
            .map_err(|source| Error::new("cut", &self.path, source))?;
        self.len = len;
        Ok(())
    }

    /// Renames the file to `destination`, as [`super::TempFile::persist_with`] does.
    pub fn persist_with(
        self,
        destination: &Path,
        durability: Durability,
        on_disk: impl FnOnce(&File),
    ) -> Result<(), Error> {
        if durability == Durability::Synced {
            self.file
                .sync_data()
                .map_err(|source| Error::new("sync", &self.path, source))?;
            on_disk(&self.file);
        }
        super::rename(&self.path, destination)?;
        match (durability, destination.parent()) {
            (Durability::Synced, Some(parent)) => sync_dir(parent),
            _ => Ok(()),
        }
    }

    /// Removes the file.
    pub fn remove(self) -> Result<(), Error> {
        remove_file(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(path: &Path) -> KeptFile {
        match KeptFile::open(path).unwrap() {
            Keeping::Ours(file) => file,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_was_written_is_there_the_next_time() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("kept");
        let mut file = ours(&path);
        file.append(b"hello").unwrap();
        assert!(matches!(KeptFile::open(&path).unwrap(), Keeping::Busy));
        drop(file);
        let mut file = ours(&path);
        assert_eq!(file.len(), 5);
        let mut buffer = [0; 9];
        assert_eq!(file.read_at(&mut buffer, 1).unwrap(), 4);
        assert_eq!(&buffer[..4], b"ello");
        file.cut(2).unwrap();
        file.append(b"y").unwrap();
        let end = root.path().join("end");
        file.persist_with(&end, Durability::Synced, |_| ()).unwrap();
        assert_eq!(crate::read(&end, 9).unwrap(), b"hey");
        assert!(ours(&path).is_empty(), "a new file, not the renamed one");
    }

    #[test]
    fn a_file_that_was_renamed_under_a_lock_is_opened_anew() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("kept");
        let mut first = ours(&path);
        first.append(b"x").unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                loop {
                    if let Keeping::Ours(file) = KeptFile::open(&path).unwrap() {
                        return file.len();
                    }
                    std::thread::yield_now();
                }
            });
            let end = root.path().join("end");
            first
                .persist_with(&end, Durability::Deferred, |_| ())
                .unwrap();
            assert_eq!(second.join().unwrap(), 0);
        });
    }
}
