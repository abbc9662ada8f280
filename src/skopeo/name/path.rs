//! Paths without symbolic links, `.` and `..`, as policies name them.

use std::path::{Path, PathBuf};

use crate::wording::go_problem;

/// A path that cannot be resolved, in Go's words.
#[derive(Debug, thiserror::Error)]
#[error("lstat {}: {problem}", path.display())]
pub(crate) struct PathError {
    pub(crate) path: PathBuf,
    pub(crate) problem: String,
}

/// The absolute path without symbolic links. Its last component need not exist. Blocks.
pub(crate) fn explicit(path: &Path) -> Result<PathBuf, PathError> {
    let failed = |path: &Path, error: &std::io::Error| PathError {
        path: missing_part(path),
        problem: go_problem(error),
    };
    let absolute = std::path::absolute(path).map_err(|error| failed(path, &error))?;
    match absolute.canonicalize() {
        Ok(explicit) => Ok(explicit),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // A symbolic link to nothing cannot be resolved.
            if absolute.symlink_metadata().is_ok() {
                return Err(failed(&absolute, &error));
            }
            let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
                return Err(failed(&absolute, &error));
            };
            let parent = parent.canonicalize();
            let parent = parent.map_err(|error| failed(&absolute, &error))?;
            Ok(parent.join(name))
        }
        Err(error) => Err(failed(&absolute, &error)),
    }
}

/// The first part of a path that does not exist.
fn missing_part(path: &Path) -> PathBuf {
    let mut ancestors: Vec<&Path> = path.ancestors().collect();
    ancestors.reverse();
    let missing = ancestors.into_iter().find(|part| !part.exists());
    missing.unwrap_or(path).to_owned()
}
