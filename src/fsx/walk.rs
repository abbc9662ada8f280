//! Walking a tree.

use std::path::{Path, PathBuf};

use super::Error;

/// What an entry of a walk is; symbolic links are not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalkKind {
    File,
    Dir,
    /// A symbolic link, a device, a socket, a pipe.
    Special,
}

/// One entry below the root of a walk.
#[derive(Debug, Clone)]
pub struct WalkEntry {
    pub path: PathBuf,
    pub kind: WalkKind,
}

/// Walks all below `root`, parents before children and names in order; nothing when it is not
/// there. Directories for which `enter` says no are listed and not descended into.
pub fn walk(
    root: &Path,
    enter: impl Fn(&Path) -> bool,
) -> impl Iterator<Item = Result<WalkEntry, Error>> {
    // What is still to be looked at, the next last.
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut dir = Some(root.to_owned());
    std::iter::from_fn(move || {
        loop {
            if let Some(dir) = dir.take() {
                match super::try_read_dir_names(&dir) {
                    Ok(names) => {
                        let names = names.unwrap_or_default();
                        paths.extend(names.iter().rev().map(|name| dir.join(name)));
                    }
                    Err(error) => return Some(Err(error)),
                }
            }
            let path = paths.pop()?;
            match kind_of(&path) {
                Ok(Some(kind)) => {
                    if kind == WalkKind::Dir && enter(&path) {
                        dir = Some(path.clone());
                    }
                    return Some(Ok(WalkEntry { path, kind }));
                }
                // Removed since its name was read.
                Ok(None) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    })
}

#[expect(clippy::disallowed_methods, reason = "links are not followed")]
fn kind_of(path: &Path) -> Result<Option<WalkKind>, Error> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(Some(WalkKind::Dir)),
        Ok(metadata) if metadata.is_file() => Ok(Some(WalkKind::File)),
        Ok(_) => Ok(Some(WalkKind::Special)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::new("look at", path, source)),
    }
}
