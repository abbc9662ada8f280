//! Replaces the volumes of a bundle by new ones of the same names.
//!
//! No file system renames several files atomically. So the older volumes are moved aside first,
//! then the new ones are renamed into place, from the last to the first, then the older ones are
//! removed: after an interruption all volumes of one of the two bundles are present. A volume that
//! was moved aside is named `NAME.001.old-1.tar`; readers find it by its content.

use std::path::{Path, PathBuf};

use crate::format::volume_name::{EXTENSION, OLD_INFIX, aside_path};
use hod_fsx::{Durability, OutputFile};

/// A volume that is complete, and the path that it is to have.
pub(crate) struct Finished {
    pub(crate) path: PathBuf,
    pub(crate) file: OutputFile,
}

/// Renames the volumes into place, in their order.
///
/// On failure the previous volumes are in place again, and the new ones are removed.
pub(crate) fn replace(
    volumes: Vec<Finished>,
    durability: Durability,
) -> Result<(), hod_fsx::Error> {
    let mut left = Vec::new();
    let mut moved = Moved::default();
    if volumes.len() > 1 {
        for volume in &volumes {
            left.extend(leftover_volumes(&volume.path)?);
            moved.move_aside(&volume.path)?;
        }
        if let (Durability::Synced, Some(first)) = (durability, volumes.first()) {
            hod_fsx::sync_dir(hod_fsx::dir_of(&first.path))?;
        }
    }
    for Finished { path, file } in volumes.into_iter().rev() {
        file.commit_with(durability)?;
        moved.replaced.push(path);
    }
    // Those that earlier runs left are obsolete, too.
    let mut old = moved.take_paths().into_iter().chain(left);
    old.try_for_each(|path| hod_fsx::remove_file(&path))
}

/// Volumes that were moved aside; moved back on drop.
#[derive(Default)]
struct Moved {
    /// Where each was, and where it is.
    moved: Vec<(PathBuf, PathBuf)>,
    /// The paths that new volumes have by now.
    replaced: Vec<PathBuf>,
}

impl Moved {
    fn move_aside(&mut self, path: &Path) -> Result<(), hod_fsx::Error> {
        if hod_fsx::try_stat(path)?.is_none() {
            return Ok(());
        }
        for n in 1.. {
            let aside = aside_path(path, n);
            if hod_fsx::rename_new(path, &aside)? {
                self.moved.push((path.to_owned(), aside));
                break;
            }
        }
        Ok(())
    }

    /// Returns the paths of the volumes that were moved aside, and no longer moves them back.
    fn take_paths(&mut self) -> Vec<PathBuf> {
        let moved = std::mem::take(&mut self.moved);
        moved.into_iter().map(|(_, aside)| aside).collect()
    }
}

impl Drop for Moved {
    fn drop(&mut self) {
        if self.moved.is_empty() {
            return;
        }
        // The original error is being returned; a volume that cannot be moved back stays aside.
        for path in &self.replaced {
            let _ = hod_fsx::remove_file(path);
        }
        for (path, aside) in &self.moved {
            let _ = hod_fsx::rename_new(aside, path);
        }
    }
}

/// The files that earlier runs moved aside from `path` and left.
fn leftover_volumes(path: &Path) -> Result<Vec<PathBuf>, hod_fsx::Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(EXTENSION).unwrap_or(&name);
    let is_aside = |other: &str| {
        let number = other
            .strip_prefix(stem)
            .and_then(|rest| rest.strip_prefix(OLD_INFIX))
            .and_then(|rest| rest.strip_suffix(EXTENSION));
        number.is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let dir = hod_fsx::dir_of(path);
    let names = hod_fsx::read_dir_names(dir)?.into_iter();
    let aside = names.filter(|name| name.to_str().is_some_and(is_aside));
    Ok(aside.map(|name| path.with_file_name(name)).collect())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn volumes(dir: &Path, content: &str) -> Vec<Finished> {
        let volume = |n| {
            let path = dir.join(format!("b.00{n}.tar"));
            let mut file = OutputFile::create(&path).unwrap();
            write!(file, "{content} {n}").unwrap();
            Finished { path, file }
        };
        (1..=3).map(volume).collect()
    }

    fn contents(dir: &Path) -> Vec<(String, String)> {
        let names = hod_fsx::read_dir_names(dir).unwrap().into_iter();
        let content = |name: &std::ffi::OsString| {
            let bytes = hod_fsx::read(&dir.join(name), 99).unwrap();
            String::from_utf8(bytes).unwrap()
        };
        names
            .map(|name| (name.to_str().unwrap().to_owned(), content(&name)))
            .collect()
    }

    fn set(content: &str) -> Vec<(String, String)> {
        let volume = |n| (format!("b.00{n}.tar"), format!("{content} {n}"));
        (1..=3).map(volume).collect()
    }

    #[test]
    fn a_set_takes_the_place_of_another() {
        let dir = tempfile::tempdir().unwrap();
        for content in ["first", "second"] {
            // Left by a killed run from an even earlier set.
            hod_fsx::write_file(&dir.path().join("b.002.old-7.tar"), b"x").unwrap();
            replace(volumes(dir.path(), content), Durability::Synced).unwrap();
            assert_eq!(contents(dir.path()), set(content));
        }
        let foreign = [
            "b.002.old-.tar",
            "b.002.old-x.tar",
            "b.004.old-1.tar",
            "old-1.tar",
        ];
        for name in foreign {
            hod_fsx::write_file(&dir.path().join(name), b"x").unwrap();
        }
        replace(volumes(dir.path(), "third"), Durability::Deferred).unwrap();
        assert_eq!(contents(dir.path()).len(), 3 + foreign.len());
    }

    #[test]
    fn a_set_that_cannot_be_replaced_stays() {
        for blocked in ["b.001.tar", "b.002.tar", "b.003.tar"] {
            let dir = tempfile::tempdir().unwrap();
            replace(volumes(dir.path(), "first"), Durability::Deferred).unwrap();
            let new = volumes(dir.path(), "second");
            // Its own temporary file is gone: it cannot be renamed.
            let broken = new.iter().find(|volume| volume.path.ends_with(blocked));
            hod_fsx::remove_file(broken.unwrap().file.shared().path()).unwrap();
            assert!(replace(new, Durability::Deferred).is_err());
            assert_eq!(contents(dir.path()), set("first"), "{blocked}");
        }
    }
}
