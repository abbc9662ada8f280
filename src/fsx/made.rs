//! Directories that this run makes, and takes away again while nothing is in them.

use std::io;
use std::path::{Path, PathBuf};

use super::{Error, remove_dir_if_empty, try_stat};

/// Directories that this run created, in the order of creation.
///
/// A directory is recorded only if creating it succeeded, so one that another process created at
/// the same time is not among them.
#[derive(Debug, Default)]
pub struct MadeDirs {
    dirs: Vec<PathBuf>,
}

impl MadeDirs {
    /// Creates a directory and its parents where they are missing, and remembers those it created.
    pub fn make(&mut self, path: &Path) -> Result<(), Error> {
        match self.make_one(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => return result.map_err(|source| Error::new("create directory", path, source)),
        }
        if let Some(parent) = path.parent() {
            self.make(parent)?;
        }
        self.make_one(path)
            .map_err(|source| Error::new("create directory", path, source))
    }

    #[expect(clippy::disallowed_methods, reason = "whether it creates it is known")]
    fn make_one(&mut self, path: &Path) -> io::Result<()> {
        if path.as_os_str().is_empty() {
            return Ok(());
        }
        match std::fs::create_dir(path) {
            Ok(()) => {
                self.dirs.push(path.to_owned());
                Ok(())
            }
            Err(error) => match try_stat(path) {
                Ok(Some(stat)) if stat.is_dir => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// Whether this run made none, or has removed them.
    pub fn is_empty(&self) -> bool {
        self.dirs.is_empty()
    }

    /// Whether this run made the directory.
    pub fn contains(&self, path: &Path) -> bool {
        self.dirs.iter().any(|dir| dir == path)
    }

    /// Removes those that are empty, the last made first; the others stay.
    pub fn remove_empty(&mut self) -> Result<(), Error> {
        while let Some(dir) = self.dirs.pop() {
            remove_dir_if_empty(&dir)?;
        }
        Ok(())
    }
}

/// The directory that an output is in: if this run made it, or parents of it, it removes them on
/// drop where nothing is in them.
#[derive(Debug)]
pub struct OutputParents {
    made: MadeDirs,
}

impl OutputParents {
    /// Creates the directory of `output`, and its parents, where they are missing.
    pub fn create(output: &Path) -> Result<Self, Error> {
        let mut made = MadeDirs::default();
        let result = made.make(super::dir_of(output));
        // Dropped on failure, together with the directories that were created.
        let parents = Self { made };
        result.map(|()| parents)
    }
}

impl Drop for OutputParents {
    fn drop(&mut self) {
        // One more empty directory is harmless, and the failure itself is being reported.
        let _ = self.made.remove_empty();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_empty_directories_of_this_run_are_removed() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        crate::create_dir_all(&path("there")).unwrap();
        let mut made = MadeDirs::default();
        for name in ["there/a/b", "there/a/c", "there"] {
            made.make(&path(name)).unwrap();
        }
        assert!(made.contains(&path("there/a")));
        assert!(!made.contains(&path("there")));
        crate::write_file(&path("there/a/c/file"), b"").unwrap();
        made.remove_empty().unwrap();
        assert_eq!(crate::read_dir_names(&path("there/a")).unwrap(), ["c"]);
    }

    #[test]
    fn an_output_that_came_to_nothing_leaves_no_directory() {
        let root = tempfile::tempdir().unwrap();
        let parents = OutputParents::create(&root.path().join("a/b/x.tar")).unwrap();
        assert_eq!(
            crate::read_dir_names(&root.path().join("a")).unwrap(),
            ["b"]
        );
        drop(parents);
        assert!(crate::read_dir_names(root.path()).unwrap().is_empty());
        crate::write_file(&root.path().join("file"), b"").unwrap();
        assert!(OutputParents::create(&root.path().join("file/b/x.tar")).is_err());
    }
}
