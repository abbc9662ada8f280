//! A file to which lines are added, such as a log.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::{Error, File};

/// A file that only grows; several processes may add to it.
#[derive(Debug)]
pub struct AppendFile {
    file: File,
    path: PathBuf,
}

impl AppendFile {
    /// Opens the file at `path`, creating it when it does not exist.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one home of opening to append"
    )]
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::options().append(true).create(true).open(path);
        let file = file.map_err(|source| Error::new("open", path, source))?;
        Ok(Self {
            file,
            path: path.to_owned(),
        })
    }

    /// Adds a line at one stroke.
    pub fn line(&self, text: &str) -> Result<(), Error> {
        let line = format!("{text}\n");
        let written = (&self.file).write_all(line.as_bytes());
        written.map_err(|source| Error::new("write", &self.path, source))
    }
}
