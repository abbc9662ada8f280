//! Whether this user may create something at a path, before anything is created.

use std::io;
use std::path::{Component, Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use super::error::WRITE_TO;
use super::{Error, broken_link, dir_of, nearest, resolve};

/// Fails if no entry can be created in the directory `path`, or if it does not exist and cannot be
/// created.
///
/// The answer is about this moment and this user: mode, access control list and a file system that
/// is mounted read-only. Changes nothing.
pub fn require_writable(path: &Path) -> Result<(), Error> {
    if let Some(link) = broken_link(path)? {
        let source = io::Error::other("it is a symbolic link to a path that does not exist");
        return Err(Error::new(WRITE_TO, &link, source));
    }
    let (near, found) = nearest(path)?;
    if !found.is_dir {
        return Err(Error::new(
            WRITE_TO,
            near,
            io::ErrorKind::NotADirectory.into(),
        ));
    }
    // The real user is the effective one, and flags take a call that old container runtimes refuse.
    access(near, AccessFlags::W_OK | AccessFlags::X_OK)
        .map_err(|errno| Error::new(WRITE_TO, near, errno.into()))
}

/// Fails if the file `path` cannot be created, or replaced by another.
pub fn require_writable_file(path: &Path) -> Result<(), Error> {
    require_writable(dir_of(&resolve(path)?))
}

/// Where a path leads: links are followed as far as that can be done, and the rest is as it is
/// written, without `.` and `..`.
#[expect(clippy::disallowed_methods, reason = "a home of links")]
pub fn absolute(path: &Path) -> PathBuf {
    let path = resolve(path).unwrap_or_else(|_| path.to_owned());
    let above = path.ancestors().filter(|near| !near.as_os_str().is_empty());
    let mut above = above.chain(std::iter::once(Path::new(".")));
    let real = above.find_map(|near| Some((near, std::fs::canonicalize(near).ok()?)));
    let (near, mut real) = real.unwrap_or((Path::new(""), PathBuf::new()));
    for part in path.strip_prefix(near).unwrap_or(&path).components() {
        match part {
            Component::Normal(name) => real.push(name),
            Component::ParentDir => {
                real.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    real
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::IoKind;

    #[test]
    fn what_cannot_be_created_is_known_before() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        crate::write_file(&at("file"), b"1").unwrap();
        crate::create_dir_all(&at("dir")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        symlink("dir", at("link")).unwrap();
        for path in ["dir", "new", "new/deep/er", "link", "link/new"] {
            require_writable(&at(path)).unwrap();
        }
        for (path, why) in [
            ("file", IoKind::NotDirectory),
            ("file/x/y", IoKind::NotDirectory),
            ("dangling", IoKind::Unspecified),
            ("dangling/x", IoKind::Unspecified),
        ] {
            let error = require_writable(&at(path)).unwrap_err();
            assert_eq!(error.kind(), why, "{path}");
        }
        // A file is replaced, and created where a link leads.
        for path in ["file", "dangling", "link/new"] {
            require_writable_file(&at(path)).unwrap();
        }
        assert!(require_writable_file(&at("file/x")).is_err());
        // What root may not, either.
        assert!(require_writable(Path::new("/proc/self/nothing/x")).is_err());
        assert_eq!(crate::read_dir_names(root.path()).unwrap().len(), 4);
    }

    #[test]
    fn one_path_is_known_in_other_words() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        crate::create_dir_all(&at("dir")).unwrap();
        symlink("dir", at("link")).unwrap();
        let new = absolute(&at("dir/new"));
        for path in [
            "link/new",
            "dir/./new",
            "dir/other/../new",
            "dir/../link/new/",
        ] {
            assert_eq!(absolute(&at(path)), new, "{path}");
        }
        assert_ne!(absolute(&at("new")), new);
    }
}
