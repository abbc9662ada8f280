//! Files that a user names as an output: built beside their destination, where they appear when
//! they are finished; or, where the destination is a device, a pipe or an open file, written to it.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::error::{REPLACE, WRITE};
use super::flock::{Locked, is_current, lock_now};
use super::made::OutputParents;
use super::sweep::sweep_beside;
use super::{Durability, Error, TempFile, dir_of, is_stdout, resolve, try_stat};

/// How much of a file shows whether it is a text; the header of a tar, which has zeros, is as long.
const TEXT_START_LEN: usize = 512;

/// The kind of an output path, which may not exist yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputKind {
    /// Nothing or a regular file, at this path once links are followed: it is replaced.
    File(PathBuf),
    /// Stdout, a device, a pipe, a file that a process has open (`/dev/fd/3`): it is written to.
    Stream,
}

impl OutputKind {
    /// Determines the kind of `path`; a directory, or a name that no file can have, is an error.
    pub fn of(path: &Path) -> Result<Self, Error> {
        if is_stdout(path) {
            return Ok(Self::Stream);
        }
        let is_dir = || {
            let source = io::ErrorKind::IsADirectory.into();
            Err(Error::new(WRITE, path, source))
        };
        if path.as_os_str().as_encoded_bytes().ends_with(b"/") || path.file_name().is_none() {
            return is_dir();
        }
        match super::try_stat(path)? {
            Some(stat) if stat.is_dir => is_dir(),
            Some(stat) if !stat.is_file => Ok(Self::Stream),
            _ => Ok(match resolve(path)? {
                resolved if super::read::is_open_file(&resolved)? => Self::Stream,
                resolved => Self::File(resolved),
            }),
        }
    }
}

/// Whether an output is written from start to end into an existing stream; see [`OutputKind`].
pub fn is_stream(path: &Path) -> Result<bool, Error> {
    Ok(OutputKind::of(path)? == OutputKind::Stream)
}

/// Opens an output that [`is_stream`]. Blocks until a pipe has a reader.
#[expect(clippy::disallowed_methods, reason = "the home of outputs")]
pub fn open_stream(path: &Path) -> Result<File, Error> {
    let wrap = |source| Error::new("write", path, source);
    if is_stdout(path) {
        return super::stdout();
    }
    // Through what is open here already it continues where others stopped.
    let there = super::stat(path)?.identity;
    let (stdout, stderr) = (io::stdout(), io::stderr());
    for own in [stdout.as_fd(), stderr.as_fd()] {
        let own = File::from(own.try_clone_to_owned().map_err(wrap)?);
        let metadata = own.metadata().map_err(wrap)?;
        if (metadata.dev(), metadata.ino()) == there && !own.is_terminal() {
            return Ok(own);
        }
    }
    std::fs::OpenOptions::new()
        .append(true)
        .open(path)
        .map_err(wrap)
}

/// Refuses to replace a regular file that is not a text, or of which the start is not that of the
/// kind: such as a list or a key that was named by mistake. An empty file is replaced.
pub fn require_text_of(path: &Path, is_kind: impl Fn(&str) -> bool) -> Result<(), Error> {
    if is_stdout(path) || !super::try_stat(path)?.is_some_and(|stat| stat.is_file) {
        return Ok(());
    }
    let mut start = [0; TEXT_START_LEN];
    let n = super::read_at(&super::open(path)?, path, &mut start, 0)?;
    let start = &start[..n];
    // A character may be cut off at the end.
    let is_utf8 = std::str::from_utf8(start).map_or_else(|e| e.error_len().is_none(), |_| true);
    let problem = if !is_utf8 || start.contains(&0) {
        "it is not a text file"
    } else if start.is_empty() || is_kind(&String::from_utf8_lossy(start)) {
        return Ok(());
    } else {
        "it is a file of another kind"
    };
    let source = io::Error::new(io::ErrorKind::AlreadyExists, problem);
    Err(Error::new(REPLACE, path, source))
}

/// A small file that is written at the end of a run: see [`OutputKind`] for where.
#[derive(Debug)]
pub enum ResultFile {
    New(OutputFile),
    Stream(PathBuf),
}

impl ResultFile {
    /// Begins the file, so that a path that cannot be written is known; a stream is opened when it
    /// is written. A file that is not a text, such as a bundle, is not replaced.
    pub fn create(path: &Path) -> Result<Self, Error> {
        Self::create_of(path, |_| true)
    }

    /// As [`Self::create`]; only a file of the kind is replaced, see [`require_text_of`].
    pub fn create_of(path: &Path, is_kind: impl Fn(&str) -> bool) -> Result<Self, Error> {
        Ok(match OutputKind::of(path)? {
            OutputKind::Stream => Self::Stream(path.to_owned()),
            OutputKind::File(there) => {
                require_text_of(&there, is_kind)?;
                Self::New(OutputFile::create(path)?)
            }
        })
    }

    /// Writes all of it.
    pub fn write(self, bytes: &[u8]) -> Result<(), Error> {
        match self {
            Self::New(mut file) => {
                file.temp().write_all(bytes)?;
                file.commit()
            }
            Self::Stream(path) => {
                let mut stream = open_stream(&path)?;
                let wrap = |source| Error::new("write", &path, source);
                stream.write_all(bytes).map_err(wrap)
            }
        }
    }
}

/// A file in the making, under its destination's name with a dot before and `.partial` and random
/// characters after it, so that a person sees what it is.
///
/// Removed on drop unless it is committed. What a killed process left of the same file is removed
/// by the next that builds it; a lock, which dies with its process, tells one from the other.
#[derive(Debug)]
pub struct OutputFile {
    temp: TempFile,
    destination: PathBuf,
    /// Whether there was a file, which is replaced; one that appears meanwhile is not.
    replaces: bool,
    _parents: OutputParents,
}

impl OutputFile {
    /// Starts a file that is to become `destination`, whose parents are created. A link there is
    /// followed; what is not a regular file is an error: it is never replaced.
    pub fn create(destination: &Path) -> Result<Self, Error> {
        let OutputKind::File(destination) = OutputKind::of(destination)? else {
            let source = io::Error::other("it is not a regular file");
            return Err(Error::new(REPLACE, destination, source));
        };
        let replaces = try_stat(&destination)?.is_some();
        let parents = OutputParents::create(&destination)?;
        let name = destination
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let prefix = format!(".{name}.partial-");
        let dir = dir_of(&destination);
        loop {
            let temp = TempFile::create_in(dir, &prefix)?;
            match lock_now(temp.file(), temp.path())? {
                // Between its creation and the lock it may have been taken for left over.
                Locked::Yes if !is_current(temp.file(), temp.path())? => continue,
                Locked::Yes => sweep_beside(dir, &prefix, temp.path().file_name())?,
                Locked::ByAnother => continue,
                Locked::Unsupported => {}
            }
            return Ok(Self {
                temp,
                destination,
                replaces,
                _parents: parents,
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

    /// Publishes the file, atomically in any case; see [`TempFile::persist`]. Fails if a file has
    /// appeared at its destination since it was started.
    pub fn commit_with(self, durability: Durability) -> Result<(), Error> {
        if self.replaces {
            self.temp.persist(&self.destination, durability)
        } else {
            self.temp.persist_new(&self.destination, durability)
        }
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

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    #[test]
    fn a_file_that_appears_meanwhile_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new.tar");
        let [first, second] = [(); 2].map(|()| OutputFile::create(&path).unwrap());
        first.commit_with(Durability::Deferred).unwrap();
        assert!(second.commit_with(Durability::Deferred).is_err());
        // One that was there is to be replaced.
        let third = OutputFile::create(&path).unwrap();
        third.commit().unwrap();
        assert_eq!(crate::read_dir_names(dir.path()).unwrap().len(), 1);
    }

    use super::*;
    use hod_report::Diagnose as _;

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
            crate::write_file(&path(name), b"x").unwrap();
        }
        let mut first = OutputFile::create(&path("b.tar")).unwrap();
        first.write_all(b"1").unwrap();
        let mut second = OutputFile::create(&path("b.tar")).unwrap();
        second.write_all(b"2").unwrap();
        assert_eq!(crate::read_dir_names(root.path()).unwrap().len(), 5);
        first.commit().unwrap();
        assert_eq!(crate::read(&path("b.tar"), 9).unwrap(), b"1");
        second.commit().unwrap();
        assert_eq!(crate::read(&path("b.tar"), 9).unwrap(), b"2");
        assert_eq!(
            crate::read_dir_names(root.path()).unwrap(),
            [".b.tar.partial-notes", ".other.tar.partial-abcdef", "b.tar"]
        );
    }

    #[test]
    fn a_text_is_never_written_over_an_archive() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("result");
        let mut cut_off = vec![b'x'; TEXT_START_LEN - 1];
        cut_off.extend("\u{e4}".as_bytes());
        let mut tar = vec![0; 1024];
        tar[..8].copy_from_slice(b"hod/name");
        for (content, is_replaced) in [
            (&b""[..], true),
            (b"{}", true),
            (b"# nothing is left\n", true),
            (b"<?xml version=\"1.0\"?>", true),
            (&cut_off, true),
            (&tar, false),
            (b"\x1f\x8b\x08\x00", false),
            (b"\x28\xb5\x2f\xfd\x04", false),
            (b"\xfd7zXZ\0", false),
            (b"PK\x03\x04\x14\x00", false),
            (b"\x7fELF\x02\x01\x01\x00", false),
        ] {
            crate::write_file(&path, content).unwrap();
            let created = ResultFile::create(&path).map(drop);
            assert_eq!(created.is_ok(), is_replaced, "{content:?}");
            if let Err(error) = created {
                assert_eq!(error.kind(), crate::IoKind::Exists);
                assert!(error.diagnose().hint.unwrap().contains("another name"));
            }
            assert_eq!(crate::read_dir_names(root.path()).unwrap(), ["result"]);
        }
    }

    #[test]
    fn a_link_is_followed_and_stays() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        crate::write_file(&path("dir/target"), b"old").unwrap();
        for (link, target) in [("to-file", "dir/target"), ("to-nothing", "dir/new")] {
            std::os::unix::fs::symlink(target, path(link)).unwrap();
            ResultFile::create(&path(link))
                .unwrap()
                .write(b"new")
                .unwrap();
            assert_eq!(crate::read(&path(target), 9).unwrap(), b"new", "{target}");
            assert_eq!(crate::resolve(&path(link)).unwrap(), path(target));
        }
        assert_eq!(crate::read_dir_names(&path("dir")).unwrap().len(), 2);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "waits until the pipe is written")]
    fn a_pipe_is_written_and_stays() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("pipe");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let link = root.path().join("link");
        std::os::unix::fs::symlink("pipe", &link).unwrap();
        for path in [&path, &link] {
            let output = ResultFile::create(path).unwrap();
            assert!(OutputFile::create(path).is_err());
            std::thread::scope(|scope| {
                let reader = scope.spawn(|| {
                    let mut text = String::new();
                    let mut pipe = File::open(path).unwrap();
                    pipe.read_to_string(&mut text).unwrap();
                    text
                });
                output.write(b"hello").unwrap();
                assert_eq!(reader.join().unwrap(), "hello");
            });
        }
        assert_eq!(
            crate::read_dir_names(root.path()).unwrap(),
            ["link", "pipe"]
        );
        assert!(!crate::stat(&path).unwrap().is_file);
    }

    #[test]
    fn a_file_that_is_open_is_written_and_stays() {
        use std::os::fd::AsRawFd as _;
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        crate::write_file(&path, b"before ").unwrap();
        let file = crate::open(&path).unwrap();
        let before = crate::stat(&path).unwrap().identity;
        for (name, text) in [("/dev/fd", "a "), ("/proc/self/fd", "b")] {
            let name = Path::new(name).join(file.as_raw_fd().to_string());
            assert!(is_stream(&name).unwrap(), "{}", name.display());
            let output = ResultFile::create(&name).unwrap();
            output.write(text.as_bytes()).unwrap();
        }
        assert_eq!(crate::read(&path, 99).unwrap(), b"before a b");
        assert_eq!(crate::stat(&path).unwrap().identity, before);
    }

    #[test]
    fn what_no_file_can_be_is_refused() {
        let root = tempfile::tempdir().unwrap();
        for name in ["", "new/", "new/..", "/"] {
            let error = OutputKind::of(&root.path().join(name)).unwrap_err();
            assert_eq!(error.kind(), crate::IoKind::IsDirectory, "{name}");
        }
        let new = root.path().join("new/x.json");
        assert_eq!(OutputKind::of(&new).unwrap(), OutputKind::File(new.clone()));
        drop(OutputFile::create(&new).unwrap());
        assert!(crate::read_dir_names(root.path()).unwrap().is_empty());
    }
}
