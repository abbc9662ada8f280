//! Opening and reading.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::Mode;

use super::Error;
use hod_oci::{Algorithm, Digest};

/// Metadata of a path; links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStat {
    /// The length in bytes.
    pub len: u64,
    pub is_file: bool,
    pub is_dir: bool,
    /// The owner and mode.
    pub mode: u32,
    /// Device and inode: equal means the same file.
    pub identity: (u64, u64),
    /// The number of hardlinks of the file.
    pub n_links: u64,
    /// When it was last written, where that is known.
    pub modified: Option<SystemTime>,
}

impl FileStat {
    /// Whether any execute bit is set.
    pub fn is_executable(&self) -> bool {
        self.mode & 0o111 != 0
    }

    /// Whether others than the owner may read it.
    pub fn is_shared(&self) -> bool {
        self.mode & 0o044 != 0
    }
}

/// The directory that a path is in: `.` for a bare name.
pub fn dir_of(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// `NotFound`, and a component that is a file where a directory belongs, mean "not there".
fn absent_as_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Opens a file for reading. Never waits: a pipe is an error; see [`read_input`].
pub fn open(path: &Path) -> Result<File, Error> {
    open_now(path).map_err(|source| Error::new("open", path, source))
}

/// Opens a file as [`open`] does; `None` when it is not found.
pub fn try_open(path: &Path) -> Result<Option<File>, Error> {
    absent_as_none(open_now(path)).map_err(|source| Error::new("open", path, source))
}

/// Opens anything at a path and returns its status; `None` if it is not found. Never waits.
pub fn try_open_any(path: &Path) -> Result<Option<(File, FileStat)>, Error> {
    let opened = absent_as_none(open_any(path));
    let opened = opened.map_err(|source| Error::new("open", path, source))?;
    Ok(opened.map(|(file, metadata)| (file, FileStat::from(&metadata))))
}

/// Opens a path unless it is a pipe: opening and reading a pipe waits until there is a writer.
fn open_now(path: &Path) -> io::Result<File> {
    let (file, metadata) = open_any(path)?;
    let kind = metadata.file_type();
    if kind.is_fifo() {
        return Err(io::Error::other("it is a pipe, not a file"));
    }
    if kind.is_char_device() {
        // A terminal is waited for.
        let flags = OFlag::from_bits_retain(fcntl(&file, FcntlArg::F_GETFL)?);
        fcntl(&file, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK))?;
    }
    Ok(file)
}

fn open_any(path: &Path) -> io::Result<(File, std::fs::Metadata)> {
    let file = open_without_waiting(path)?;
    let metadata = file.metadata()?;
    Ok((file, metadata))
}

#[expect(clippy::disallowed_methods, reason = "the one home of opening")]
fn open_without_waiting(path: &Path) -> io::Result<File> {
    std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)
}

/// Opens a file that the user named, which may be a pipe such as `<(command)`. Waits for its writer.
#[expect(clippy::disallowed_methods, reason = "the one home of opening")]
pub fn open_input(path: &Path) -> Result<File, Error> {
    File::open(path).map_err(|source| Error::new("open", path, source))
}

/// Reads a whole file of at most `len_max` bytes, opened as [`open_input`] does.
pub fn read_input(path: &Path, len_max: u64) -> Result<Vec<u8>, Error> {
    read_open(&open_input(path)?, path, len_max)
}

/// Reads a whole file of at most `len_max` bytes; a longer one is an error.
pub fn read(path: &Path, len_max: u64) -> Result<Vec<u8>, Error> {
    read_open(&open(path)?, path, len_max)
}

/// Reads a whole file of at most `len_max` bytes; `None` when it is not found.
pub fn try_read(path: &Path, len_max: u64) -> Result<Option<Vec<u8>>, Error> {
    let Some(file) = try_open(path)? else {
        return Ok(None);
    };
    read_open(&file, path, len_max).map(Some)
}

fn read_open(file: &File, path: &Path, len_max: u64) -> Result<Vec<u8>, Error> {
    read_to_end(file, len_max).map_err(|source| Error::new("read", path, source))
}

/// Reads to the end, which must come after at most `len_max` bytes.
pub fn read_to_end(input: impl Read, len_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut input = input.take(len_max.saturating_add(1));
    input.read_to_end(&mut bytes)?;
    if bytes.len() as u64 > len_max {
        let text = format!("it has more than the {len_max} bytes that are allowed here");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(bytes)
}

/// Reads up to `buffer.len()` bytes at `offset` and returns how many; 0 only at the end.
pub fn read_at(file: &File, path: &Path, buffer: &mut [u8], offset: u64) -> Result<usize, Error> {
    loop {
        match file.read_at(buffer, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map_err(|source| Error::new("read", path, source)),
        }
    }
}

/// Hashes an open file from start to end, telling `on_bytes` of each piece; returns its length too.
pub fn digest_of(
    file: &File,
    path: &Path,
    algorithm: Algorithm,
    on_bytes: &dyn Fn(u64),
) -> Result<(Digest, u64), Error> {
    let mut at = 0;
    Digest::of_all(algorithm, |buffer| {
        let n = read_at(file, path, buffer, at)?;
        at += n as u64;
        on_bytes(n as u64);
        Ok(n)
    })
}

/// Whether the file at `path` exists and contains exactly `bytes`. Anything that is not a file
/// fails as with [`open`].
pub fn has_content(path: &Path, bytes: &[u8]) -> Result<bool, Error> {
    let opened = absent_as_none(open_without_waiting(path));
    let Some(file) = opened.map_err(|source| Error::new("open", path, source))? else {
        return Ok(false);
    };
    // The content is equal; no further check is required.
    if let Ok(true) = reads(&file, path, bytes) {
        return Ok(true);
    }
    match try_open(path)? {
        Some(file) => reads(&file, path, bytes),
        None => Ok(false),
    }
}

fn reads(file: &File, path: &Path, bytes: &[u8]) -> Result<bool, Error> {
    let mut buffer = vec![0; bytes.len() + 1];
    let mut n_read = 0;
    while n_read < buffer.len() {
        match read_at(file, path, &mut buffer[n_read..], n_read as u64)? {
            0 => break,
            n => n_read += n,
        }
    }
    Ok(buffer[..n_read] == *bytes)
}

/// Reads exactly `len` bytes at `offset`.
pub fn read_range(file: &File, path: &Path, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, offset)
        .map_err(|source| Error::new("read", path, source))?;
    Ok(bytes)
}

/// The length in bytes of an open file, even if its path no longer exists.
pub fn len_of(file: &File, path: &Path) -> Result<u64, Error> {
    let metadata = file.metadata();
    let metadata = metadata.map_err(|source| Error::new("stat", path, source))?;
    Ok(metadata.len())
}

/// Looks at a path, following links.
pub fn stat(path: &Path) -> Result<FileStat, Error> {
    stat_of(path).map_err(|source| Error::new("stat", path, source))
}

/// Returns the metadata of a path, following links; `None` when it is not found.
pub fn try_stat(path: &Path) -> Result<Option<FileStat>, Error> {
    absent_as_none(stat_of(path)).map_err(|source| Error::new("stat", path, source))
}

#[expect(clippy::disallowed_methods, reason = "the one home of metadata")]
fn stat_of(path: &Path) -> io::Result<FileStat> {
    std::fs::metadata(path).map(|metadata| FileStat::from(&metadata))
}

impl From<&std::fs::Metadata> for FileStat {
    fn from(metadata: &std::fs::Metadata) -> Self {
        Self {
            len: metadata.len(),
            is_file: metadata.is_file(),
            is_dir: metadata.is_dir(),
            mode: metadata.mode(),
            identity: (metadata.dev(), metadata.ino()),
            n_links: metadata.nlink(),
            modified: metadata.modified().ok(),
        }
    }
}

/// Follows links to where the file is, or would be created: a path that does not exist, or a
/// dangling link, is not an error. A link to a file that a process has open is not followed: see
/// `is_open_file`.
#[expect(clippy::disallowed_methods, reason = "the one home of links")]
pub fn resolve(path: &Path) -> Result<PathBuf, Error> {
    let mut path = path.to_owned();
    // As many as the kernel follows.
    for _ in 0..40 {
        match absent_as_none(std::fs::read_link(&path)) {
            // Not a link, or not found.
            Ok(None) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(path),
            Ok(Some(_)) if is_open_file(&path)? => return Ok(path),
            Ok(Some(target)) => {
                path = match path.parent() {
                    Some(dir) => dir.join(target),
                    None => target,
                };
            }
            Err(source) => return Err(Error::new("follow", &path, source)),
        }
    }
    let source = io::Error::other("the links go in circles");
    Err(Error::new("follow", &path, source))
}

/// What exists at `path`, or else nearest above it.
pub fn nearest(path: &Path) -> Result<(&Path, FileStat), Error> {
    let mut near = path;
    loop {
        match try_stat(near)? {
            Some(found) => return Ok((near, found)),
            None => near = dir_of(near),
        }
    }
}

/// Whether `path`, or its nearest existing ancestor, is the directory `dir` or inside it,
/// regardless of how the two are written.
#[expect(clippy::disallowed_methods, reason = "the one home of links")]
pub fn is_within(path: &Path, dir: &Path) -> Result<bool, Error> {
    let Some(dir) = try_stat(dir)? else {
        return Ok(false);
    };
    let (existing, _) = nearest(path)?;
    let real = std::fs::canonicalize(existing);
    let real = real.map_err(|source| Error::new("stat", existing, source))?;
    for above in real.ancestors() {
        if try_stat(above)?.is_some_and(|stat| stat.identity == dir.identity) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The dangling link that makes `path` unreachable: the path itself, or a directory above it.
#[expect(
    clippy::disallowed_methods,
    reason = "links are looked at, not followed"
)]
pub fn broken_link(path: &Path) -> Result<Option<PathBuf>, Error> {
    for part in path.ancestors().filter(|part| !part.as_os_str().is_empty()) {
        let found = absent_as_none(std::fs::symlink_metadata(part));
        match found.map_err(|source| Error::new("stat", part, source))? {
            None => {}
            Some(metadata) if metadata.is_symlink() && try_stat(part)?.is_none() => {
                return Ok(Some(part.to_owned()));
            }
            Some(_) => break,
        }
    }
    Ok(None)
}

/// Whether a path is how a process names a file that it has open, such as `/dev/fd/3`; the link
/// itself, not one that leads to it.
pub(super) fn is_open_file(path: &Path) -> Result<bool, Error> {
    use nix::sys::statfs::{PROC_SUPER_MAGIC, statfs};
    match statfs(dir_of(path)) {
        Ok(stat) => Ok(stat.filesystem_type() == PROC_SUPER_MAGIC),
        Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(false),
        Err(errno) => Err(Error::new("stat", path, errno.into())),
    }
}

/// Returns the names in a directory, sorted.
pub fn read_dir_names(path: &Path) -> Result<Vec<OsString>, Error> {
    let names = list_error(path, open_dir(path))?;
    names_in(&names, path)
}

/// Returns the names in a directory, sorted; `None` when it is not found.
pub fn try_read_dir_names(path: &Path) -> Result<Option<Vec<OsString>>, Error> {
    match list_error(path, absent_as_none(open_dir(path)))? {
        Some(dir) => names_in(&dir, path).map(Some),
        None => Ok(None),
    }
}

fn list_error<T>(path: &Path, result: io::Result<T>) -> Result<T, Error> {
    result.map_err(|source| Error::new("list", path, source))
}

#[expect(clippy::disallowed_methods, reason = "the one home of listing")]
fn open_dir(path: &Path) -> io::Result<File> {
    std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_DIRECTORY.bits())
        .open(path)
}

/// Returns the names in an open directory, sorted.
///
/// Not by the standard library, which panics where closing a directory fails.
pub(super) fn names_in(dir: &File, path: &Path) -> Result<Vec<OsString>, Error> {
    let wrap = |errno: Errno| Error::new("list", path, errno.into());
    let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let dir = nix::dir::Dir::openat(dir, ".", flags, Mode::empty()).map_err(wrap)?;
    let mut names = Vec::new();
    for entry in dir {
        let entry = entry.map_err(wrap)?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_that_of_a_file() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        crate::write_file(&path("file"), b"hello").unwrap();
        crate::create_dir_all(&path("dir")).unwrap();
        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for (bytes, expect) in [
            (&b"hello"[..], true),
            (b"hell", false),
            (b"hello!", false),
            (b"hallo", false),
            (b"", false),
        ] {
            assert_eq!(has_content(&path("file"), bytes).unwrap(), expect);
            assert!(!has_content(&path("none"), bytes).unwrap());
            assert!(!has_content(&path("file/none"), bytes).unwrap());
            for name in ["dir", "pipe"] {
                assert!(has_content(&path(name), bytes).is_err(), "{name}");
            }
        }
    }
}
