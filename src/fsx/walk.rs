//! Walking a tree.

use std::path::{Path, PathBuf};

use super::Error;

/// The kind of an entry of a walk; symbolic links are not followed.
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

/// Walks everything below `root`, parents before children and names in order; nothing if it does
/// not exist. Directories for which `enter` returns false are listed, but not entered.
pub fn walk(
    root: &Path,
    enter: impl Fn(&Path) -> bool,
) -> impl Iterator<Item = Result<WalkEntry, Error>> {
    let mut entries = walkdir::WalkDir::new(root)
        .min_depth(1)
        .sort_by_file_name()
        .into_iter();
    let root = root.to_owned();
    std::iter::from_fn(move || {
        loop {
            match entries.next()? {
                Ok(entry) => {
                    let kind = match entry.file_type() {
                        kind if kind.is_dir() => WalkKind::Dir,
                        kind if kind.is_file() => WalkKind::File,
                        _ => WalkKind::Special,
                    };
                    if kind == WalkKind::Dir && !enter(entry.path()) {
                        entries.skip_current_dir();
                    }
                    return Some(Ok(WalkEntry {
                        path: entry.into_path(),
                        kind,
                    }));
                }
                Err(error) => {
                    let path = error.path().unwrap_or(&root).to_owned();
                    let source: std::io::Error = error.into();
                    // The root itself, or an entry removed since its name was read.
                    if source.kind() != std::io::ErrorKind::NotFound {
                        return Some(Err(Error::new("list", &path, source)));
                    }
                }
            }
        }
    })
}
