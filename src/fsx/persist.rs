//! Writing: temporary file, sync, rename, sync of the directory.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;

use tempfile::NamedTempFile;

use super::flock::{Locked, is_current, lock_now};
use super::pinned::cannot_rename_so;
use super::{Error, IoKind};

/// What must be on the disk when a write returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The file and its directory entry are synced: they survive a power cut.
    Synced,
    /// Left to the kernel, or to a later [`sync_filesystem`]: survives a kill, not a power cut.
    Deferred,
}

/// The error without the temporary name, which tempfile adds and the user did not choose.
fn without_path(error: &io::Error) -> io::Error {
    let text = error.to_string();
    let said = text.split(" at path \"").next().unwrap_or(&text);
    io::Error::new(error.kind(), said)
}

/// A uniquely named file that is removed on drop unless it is persisted.
///
/// Mode 0644. A killed process leaves it behind; [`super::sweep_scratch`] removes such files.
#[derive(Debug)]
pub struct TempFile {
    inner: NamedTempFile,
}

impl TempFile {
    /// Creates an empty file in `dir`, named `prefix` and six random characters.
    pub fn create_in(dir: &Path, prefix: &str) -> Result<Self, Error> {
        let inner = tempfile::Builder::new()
            .prefix(prefix)
            .permissions(std::fs::Permissions::from_mode(0o644))
            .tempfile_in(dir)
            .map_err(|source| Error::new("create a file in", dir, without_path(&source)))?;
        Ok(Self { inner })
    }

    /// Creates an empty file in `dir` that is for its owner only (mode 0600), named `prefix` and six
    /// random characters.
    ///
    /// Locked, so that no other run takes it for a leftover of a killed one.
    pub(super) fn create_private_in(dir: &Path, prefix: &str) -> Result<Self, Error> {
        loop {
            let inner = tempfile::Builder::new()
                .prefix(prefix)
                .permissions(std::fs::Permissions::from_mode(0o600))
                .tempfile_in(dir)
                .map_err(|source| Error::new("create a file in", dir, without_path(&source)))?;
            let file = Self { inner };
            match lock_now(file.file(), file.path())? {
                Locked::Yes if is_current(file.file(), file.path())? => return Ok(file),
                Locked::Yes | Locked::ByAnother => {}
                Locked::Unsupported => return Ok(file),
            }
        }
    }

    /// Makes the file readable by everyone: mode 0644.
    pub(super) fn make_public(&self) -> Result<(), Error> {
        let permissions = std::fs::Permissions::from_mode(0o644);
        let set = self.inner.as_file().set_permissions(permissions);
        set.map_err(|source| Error::new("set the mode of", self.inner.path(), source))
    }

    /// The file's present path.
    pub fn path(&self) -> &Path {
        self.inner.path()
    }

    /// The open file.
    pub fn file(&self) -> &File {
        self.inner.as_file()
    }

    /// Appends `bytes`.
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.inner
            .as_file_mut()
            .write_all(bytes)
            .map_err(|source| Error::new("write", self.inner.path(), source))
    }

    /// Writes `bytes` at `offset`; safe to call from several threads for different ranges.
    pub fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<(), Error> {
        self.inner
            .as_file()
            .write_all_at(bytes, offset)
            .map_err(|source| Error::new("write", self.inner.path(), source))
    }

    /// Cuts the file off behind `len` bytes.
    pub fn truncate(&self, len: u64) -> Result<(), Error> {
        let cut = self.inner.as_file().set_len(len);
        cut.map_err(|source| Error::new("truncate", self.inner.path(), source))
    }

    /// Asks the kernel to begin writing a range to the disk, so that a later sync has less to wait
    /// for; returns without waiting, and does not fail: it is advice.
    pub fn begin_writeback(&self, offset: u64, len: u64) {
        use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
        // "Not needed" writes out dirty pages, and drops from the cache only those that are clean.
        let advice = PosixFadviseAdvice::POSIX_FADV_DONTNEED;
        if let (Ok(offset), Ok(len)) = (offset.try_into(), len.try_into()) {
            let _ = posix_fadvise(self.inner.as_file(), offset, len, advice);
        }
    }

    /// Waits until what was written is on the disk.
    pub fn sync(&self) -> Result<(), Error> {
        let synced = self.inner.as_file().sync_data();
        synced.map_err(|source| Error::new("sync", self.inner.path(), source))
    }

    /// Makes the file `len` bytes long, so that a full disk shows at once where the file system
    /// can reserve.
    pub fn allocate(&self, len: u64) -> Result<(), Error> {
        use nix::errno::Errno;
        use nix::fcntl::{FallocateFlags, fallocate};
        let wrap = |source| Error::new("reserve space for", self.inner.path(), source);
        let Ok(signed) = i64::try_from(len) else {
            return Err(wrap(io::Error::from(io::ErrorKind::FileTooLarge)));
        };
        if len == 0 {
            return Ok(());
        }
        match fallocate(self.inner.as_file(), FallocateFlags::empty(), 0, signed) {
            Ok(()) => Ok(()),
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => {
                self.inner.as_file().set_len(len).map_err(wrap)
            }
            Err(errno) => Err(wrap(errno.into())),
        }
    }

    /// Closes the file and keeps its name, so that many can wait to be persisted.
    #[must_use]
    pub fn close(self) -> TempName {
        TempName {
            inner: self.inner.into_temp_path(),
        }
    }

    /// Renames the file to `destination`, replacing an existing one.
    ///
    /// Atomic: readers see the old file or the whole new one. With [`Durability::Synced`] data,
    /// then name, are on the disk on return. On failure the temporary file is gone.
    pub fn persist(self, destination: &Path, durability: Durability) -> Result<(), Error> {
        self.persist_with(destination, durability, |_| ())
    }

    /// Renames the file as [`TempFile::persist`] does, and passes it to `on_disk` after its data
    /// are synced and before it is visible; never with [`Durability::Deferred`].
    pub fn persist_with(
        self,
        destination: &Path,
        durability: Durability,
        on_disk: impl FnOnce(&File),
    ) -> Result<(), Error> {
        if durability == Durability::Synced {
            self.sync()?;
            on_disk(self.inner.as_file());
        }
        let from = self.inner.path().to_owned();
        self.inner
            .persist(destination)
            .map_err(|error| Error::with_destination("rename", &from, destination, error.error))?;
        match (durability, destination.parent()) {
            (Durability::Synced, Some(parent)) => sync_dir(parent),
            _ => Ok(()),
        }
    }
}

impl TempFile {
    /// Renames the file to `destination`, which must not exist. With [`Durability::Synced`] data,
    /// then name, are on the disk on return. On failure neither file exists.
    pub(super) fn persist_new(
        self,
        destination: &Path,
        durability: Durability,
    ) -> Result<(), Error> {
        if durability == Durability::Synced {
            self.sync()?;
        }
        let from = self.inner.path().to_owned();
        self.inner
            .persist_noclobber(destination)
            .map_err(|error| Error::with_destination("rename", &from, destination, error.error))?;
        match destination.parent() {
            _ if durability == Durability::Deferred => Ok(()),
            Some(parent) => sync_dir(parent).inspect_err(|_| {
                // It is ours: nothing was there before.
                let _ = remove_file(destination);
            }),
            None => Ok(()),
        }
    }
}

/// A closed [`TempFile`]; it too disappears on drop.
#[derive(Debug)]
pub struct TempName {
    inner: tempfile::TempPath,
}

impl TempName {
    /// Opens the file again, to persist it.
    pub fn open(self) -> Result<TempFile, Error> {
        let file = super::open(&self.inner)?;
        Ok(TempFile {
            inner: NamedTempFile::from_parts(file, self.inner),
        })
    }
}

/// Creates a directory and its parents; idempotent.
#[expect(
    clippy::disallowed_methods,
    reason = "the one home of creating directories"
)]
pub fn create_dir_all(path: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(path).map_err(|source| Error::new("create directory", path, source))
}

/// Writes a small file anew at `path`, unsynced and not atomic: for trees that are not yet visible.
///
/// Creates the parent directory when it is missing. Never writes through an existing inode, which
/// another tree may share: an existing file is replaced by a new one.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let create = || {
        let mut file = new_file(path)?;
        file.write_all(bytes)
    };
    let result = match create() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(parent) = path.parent() {
                create_dir_all(parent)?;
            }
            create()
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            remove_file(path)?;
            create()
        }
        result => result,
    };
    result.map_err(|source| Error::new("write", path, source))
}

/// Overwrites the file at `path`, or creates it, as a shell's `>` does: unsynced and not atomic, through
/// links, into pipes and devices. Blocks until a pipe has a reader.
#[expect(clippy::disallowed_methods, reason = "the one home of creating files")]
pub fn overwrite(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let opened = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path);
    let written = opened.and_then(|mut file| file.write_all(bytes));
    written.map_err(|source| Error::new("write", path, source))
}

/// Opens a log file, which is created or emptied, through links and into pipes and devices.
#[expect(clippy::disallowed_methods, reason = "the one home of creating files")]
pub fn create_log(path: &Path) -> Result<File, Error> {
    let opened = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path);
    opened.map_err(|source| Error::new("write", path, source))
}

#[expect(clippy::disallowed_methods, reason = "the one home of creating files")]
fn new_file(path: &Path) -> io::Result<File> {
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
}

/// Renames a file or directory, replacing an existing file.
#[expect(clippy::disallowed_methods, reason = "the one home of renaming")]
pub fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    std::fs::rename(from, to).map_err(|source| Error::with_destination("rename", from, to, source))
}

/// Renames a file to a path at which nothing may be; false when something is.
pub fn rename_new(from: &Path, to: &Path) -> Result<bool, Error> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::EXIST) => Ok(false),
        Err(errno) if cannot_rename_so(errno) => {
            let is_free = super::try_stat(to)?.is_none();
            if is_free {
                rename(from, to)?;
            }
            Ok(is_free)
        }
        Err(errno) => Err(Error::with_destination("rename", from, to, errno.into())),
    }
}

/// Removes a file; a file that is not found is not an error.
#[expect(clippy::disallowed_methods, reason = "the one home of removing")]
pub fn remove_file(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::new("remove", path, source))
        }
        _ => Ok(()),
    }
}

/// Removes an empty directory; one that is not empty or does not exist is not an error.
#[expect(clippy::disallowed_methods, reason = "the one home of removing")]
pub fn remove_dir_if_empty(path: &Path) -> Result<(), Error> {
    match std::fs::remove_dir(path) {
        Err(source)
            if !matches!(
                source.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty
            ) =>
        {
            Err(Error::new("remove", path, source))
        }
        _ => Ok(()),
    }
}

/// Syncs a directory, so that renames in it survive a power cut.
///
/// A file system that cannot sync directories (some network ones) is not an error.
pub fn sync_dir(path: &Path) -> Result<(), Error> {
    // The parent of a bare file name.
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    let directory = super::open(path)?;
    match directory
        .sync_all()
        .map_err(|source| Error::new("sync", path, source))
    {
        Err(error) if error.kind() == IoKind::Unsupported => Ok(()),
        Err(error) if matches!(error.source_kind(), io::ErrorKind::InvalidInput) => Ok(()),
        result => result,
    }
}

/// Syncs all of the file system that `path` is on: one call for many small files.
pub fn sync_filesystem(path: &Path) -> Result<(), Error> {
    let directory = super::open(path)?;
    nix::unistd::syncfs(&directory)
        .map_err(|errno| Error::new("sync the file system of", path, errno.into()))
}
