//! Whether this user may create something at a path, before anything is created.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::error::WRITE_TO;
use super::{Error, IoKind, broken_link, dir_of, resolve, try_stat};

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
    let mut near = path;
    let found = loop {
        match try_stat(near)? {
            Some(found) => break found,
            None => near = dir_of(near),
        }
    };
    if !found.is_dir {
        return Err(Error::new(
            WRITE_TO,
            near,
            io::ErrorKind::NotADirectory.into(),
        ));
    }
    let access = Access::WRITE_OK | Access::EXEC_OK;
    match accessat(CWD, near, access, AtFlags::EACCESS) {
        Ok(()) => Ok(()),
        Err(errno) => Err(Error::new(WRITE_TO, near, errno.into())),
    }
}

/// Fails if the file `path` cannot be created, or replaced by another.
pub fn require_writable_file(path: &Path) -> Result<(), Error> {
    require_writable(dir_of(&resolve(path)?))
}

/// Where a path leads: links are followed as far as they exist, and the rest is as it is written,
/// without `.` and `..`.
#[expect(clippy::disallowed_methods, reason = "a home of links")]
pub fn absolute(path: &Path) -> Result<PathBuf, Error> {
    let path = resolve(path)?;
    let mut near = path.as_path();
    let real = loop {
        match std::fs::canonicalize(near) {
            Ok(real) => break real,
            Err(source) => {
                let error = Error::new("follow", near, source);
                if !matches!(error.kind(), IoKind::NotFound | IoKind::NotDirectory) {
                    return Err(error);
                }
                near = dir_of(near);
            }
        }
    };
    let mut real = real;
    for part in path.strip_prefix(near).unwrap_or(&path).components() {
        match part {
            std::path::Component::Normal(name) => real.push(name),
            std::path::Component::ParentDir => {
                real.pop();
            }
            _ => {}
        }
    }
    Ok(real)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::fsx;

    #[test]
    fn what_cannot_be_created_is_known_before() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fsx::write_file(&at("file"), b"1").unwrap();
        fsx::create_dir_all(&at("dir")).unwrap();
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
        assert_eq!(fsx::read_dir_names(root.path()).unwrap().len(), 4);
    }

    #[test]
    fn one_path_is_known_in_other_words() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fsx::create_dir_all(&at("dir")).unwrap();
        symlink("dir", at("link")).unwrap();
        let new = absolute(&at("dir/new")).unwrap();
        for path in [
            "link/new",
            "dir/./new",
            "dir/other/../new",
            "dir/../link/new/",
        ] {
            assert_eq!(absolute(&at(path)).unwrap(), new, "{path}");
        }
        assert_ne!(absolute(&at("new")).unwrap(), new);
    }
}
