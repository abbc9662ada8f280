//! The removal itself, file by file.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use super::planned::open_tree;
use super::shape::TreeDir;
use super::surplus::Surplus;
use crate::StoreError;
use hod_bridge::Stop;
use hod_fsx::{IoKind, PinnedDir, TempDir};
use hod_oci::{Digest, RepositoryName};

/// Prefix of the directories that files are moved to before they are removed.
const ASIDE: &str = "gone-";
/// Prefix of the names under which files are kept that could not be put back.
const KEPT: &str = "kept.";

/// The result of removing a surplus.
#[derive(Debug, Default)]
pub struct Removal {
    pub n_blobs: usize,
    /// The bytes of these blobs, which become free if they have no other hardlink.
    pub len: u64,
    /// Files that were left: unknown files, files of unreadable tags, and files that changed during
    /// the run.
    pub left: Vec<PathBuf>,
    /// Whether it was stopped before the end.
    pub is_stopped: bool,
}

impl Surplus {
    /// Removes the files one by one, and then the empty directories.
    ///
    /// Fails with [`StoreError::Changed`], and puts the blob back, when the origin's copy of a blob
    /// has disappeared after the tree's was renamed away. A kill or a failure leaves a tree in
    /// which everything visible is complete, and the next run continues.
    pub fn remove(self, stop: &Stop) -> Result<Removal, StoreError> {
        let mut removal = Removal {
            left: self.left,
            ..Removal::default()
        };
        removal.left.extend(self.unreadable_files);
        let root = self.tree.tree().root().to_owned();
        let dir = open_tree(self.tree.path(), &root)?;
        let mut aside = Aside::new(&dir, self.tree.temp_path()?)?;
        let mut emptied: BTreeSet<PathBuf> = BTreeSet::new();
        let mut files = self.files.into_iter().peekable();
        while let Some(planned) = files.next() {
            if stop.is_set() {
                removal.is_stopped = true;
                return Ok(removal);
            }
            let tag_dir = planned.tag_dir().map(Path::to_owned);
            let is_inside = |path: &PathBuf| tag_dir.as_ref().is_some_and(|d| path.starts_with(d));
            if let Some(tag_dir) = &tag_dir
                && !removal.left.iter().any(is_inside)
            {
                let mut parts = vec![planned.path];
                while let Some(past) = files.next_if(|next| next.path.starts_with(tag_dir)) {
                    parts.push(past.path);
                }
                if !remove_tag(&mut aside, tag_dir, &parts)? {
                    removal.left.push(tag_dir.clone());
                }
                remove_empty(&dir, &self.kept, &root, tag_dir)?;
                continue;
            }
            let within = planned
                .path
                .strip_prefix(dir.path())
                .unwrap_or(&planned.path);
            let stat = dir.stat(within)?;
            match stat {
                None => continue,
                Some(stat) if !stat.is_file || stat.identity != planned.identity => {
                    removal.left.push(planned.path);
                    continue;
                }
                Some(_) => {}
            }
            match (&planned.copy, planned.blob()) {
                (Some(copy), Some(digest)) => {
                    let data = aside.take(within, digest.as_str())?;
                    let stands = copy.stands();
                    if !matches!(stands, Ok(true)) {
                        aside.put_back(&data, within)?;
                        stands?;
                        return Err(StoreError::Changed {
                            path: copy.path.clone(),
                        });
                    }
                    dir.remove_file(&data)?;
                }
                _ => dir.remove_file(within)?,
            }
            if planned.blob().is_some() {
                removal.n_blobs += 1;
                removal.len += planned.len;
            }
            emptied.extend(planned.path.parent().map(Path::to_owned));
        }
        for path in emptied.iter().chain(&self.empty_dirs).rev() {
            remove_empty(&dir, &self.kept, &root, &path.join("link"))?;
        }
        Ok(removal)
    }
}

/// Holds one file that was renamed away and is not removed yet: a blob under its digest, so that
/// [`restore`] can put it back after a kill.
#[derive(Debug)]
struct Aside<'a> {
    dir: &'a PinnedDir,
    /// `None` once it is to stay.
    temp: Option<TempDir>,
    /// The directory, within `dir`.
    within: PathBuf,
}

impl<'a> Aside<'a> {
    fn new(dir: &'a PinnedDir, temp_dir: &Path) -> Result<Self, StoreError> {
        let temp = TempDir::create_in(temp_dir, ASIDE)?;
        // Not its own path, which is absolute.
        let within = temp_dir.strip_prefix(dir.path()).unwrap_or(temp_dir);
        let within = within.join(temp.path().file_name().unwrap_or_default());
        Ok(Self {
            dir,
            temp: Some(temp),
            within,
        })
    }

    /// Returns its current path.
    fn take(&self, from: &Path, name: &str) -> Result<PathBuf, hod_fsx::Error> {
        let data = self.within.join(name);
        self.dir.rename_new(from, &data)?;
        Ok(data)
    }

    /// Puts the file back; when that is impossible it is kept under a name that is never swept,
    /// which the error contains.
    fn put_back(&mut self, data: &Path, to: &Path) -> Result<(), StoreError> {
        let Err(source) = self.dir.rename_new(data, to) else {
            return Ok(());
        };
        if let Some(temp) = self.temp.take() {
            temp.keep();
        }
        let name = self.within.file_name().unwrap_or_default();
        let mut kept_name = KEPT.to_owned();
        kept_name.push_str(&name.to_string_lossy());
        let kept = self.within.with_file_name(kept_name);
        let kept = match self.dir.rename_new(&self.within, &kept) {
            Ok(()) => kept,
            Err(_) => self.within.clone(),
        };
        Err(StoreError::NotPutBack {
            path: self.dir.path().join(to),
            kept: self
                .dir
                .path()
                .join(kept)
                .join(data.file_name().unwrap_or_default()),
            source: Box::new(source),
        })
    }
}

/// Restores the blobs that a killed removal had set aside: they are the last copy if the origin has
/// lost its own. Blobs with other names are not restored.
pub(crate) fn restore(
    path: &Path,
    temp_dir: &Path,
    place: impl Fn(&Digest) -> PathBuf,
) -> Result<(), StoreError> {
    let dir = PinnedDir::open(path)?;
    for aside in hod_fsx::own_dir_names(temp_dir)? {
        if !hod_fsx::is_scratch_name(&aside)
            || !aside.as_encoded_bytes().starts_with(ASIDE.as_bytes())
        {
            continue;
        }
        let aside = temp_dir.join(aside);
        let within = |at: &Path| at.strip_prefix(path).unwrap_or(at).to_owned();
        if !dir.stat(&within(&aside))?.is_some_and(|stat| stat.is_dir) {
            continue;
        }
        for name in hod_fsx::own_dir_names(&aside)? {
            let digest = name.to_str().and_then(|name| name.parse::<Digest>().ok());
            let Some(digest) = digest else {
                continue;
            };
            let (from, to) = (aside.join(name), place(&digest));
            let (from, within_to) = (within(&from), within(&to));
            let stat = dir.stat(&from)?;
            if stat.is_some_and(|stat| stat.is_file && stat.n_links == 1)
                && dir.stat(&within_to)?.is_none()
            {
                hod_fsx::create_dir_all(hod_fsx::dir_of(&to))?;
                dir.rename_new(&from, &within_to)?;
            }
        }
    }
    Ok(())
}

/// Removes a tag atomically: renames its directory away, then removes `parts`, all files in it, one
/// by one, starting with the current link. Returns false, and restores it, if another file was
/// added to it.
///
/// A directory that cannot be renamed, as one of a lower layer of an overlay, is emptied in place.
fn remove_tag(
    aside: &mut Aside<'_>,
    tag_dir: &Path,
    parts: &[PathBuf],
) -> Result<bool, StoreError> {
    let dir = aside.dir;
    let within = tag_dir.strip_prefix(dir.path()).unwrap_or(tag_dir);
    let parts = || {
        let parts = parts.iter();
        parts.map(|part| part.strip_prefix(tag_dir).unwrap_or(part))
    };
    let data = match aside.take(within, "tag") {
        Err(error) if error.kind() == IoKind::CrossDevice => {
            return Ok(remove_parts(dir, within, parts())?);
        }
        taken => taken?,
    };
    match remove_parts(dir, &data, parts()) {
        Ok(true) => Ok(true),
        left => {
            aside.put_back(&data, within)?;
            Ok(left?)
        }
    }
}

/// Removes these files below `top`, and the directories that are empty then, up to `top`; whether
/// nothing is left.
fn remove_parts<'p>(
    dir: &PinnedDir,
    top: &Path,
    parts: impl Iterator<Item = &'p Path>,
) -> Result<bool, hod_fsx::Error> {
    for part in parts {
        let part = top.join(part);
        dir.remove_file(&part)?;
        for above in part.ancestors().skip(1) {
            if !above.starts_with(top) {
                break;
            }
            dir.remove_dir_if_empty(above)?;
        }
    }
    Ok(dir.stat(top)?.is_none())
}

/// Removes the empty directories of the tree above `path`.
fn remove_empty(
    dir: &PinnedDir,
    kept: &HashSet<RepositoryName>,
    root: &Path,
    path: &Path,
) -> Result<(), StoreError> {
    for above in path.ancestors().skip(1) {
        let Ok(within) = above.strip_prefix(root) else {
            break;
        };
        let stays = match TreeDir::parse(within) {
            None => true,
            Some(TreeDir::Of(name)) if kept.contains(&name) => {
                // The files that publishing creates in each repository.
                let is_own = |part: &str| {
                    within == Path::new("repositories").join(name.to_string()).join(part)
                };
                ["", "_layers", "_manifests"]
                    .iter()
                    .any(|part| is_own(part))
            }
            Some(_) => false,
        };
        let within = above.strip_prefix(dir.path()).unwrap_or(above);
        if stays {
            break;
        }
        dir.remove_dir_if_empty(within)?;
        if dir.stat(within)?.is_some() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_put_back_is_kept() {
        let root = TempDir::create_in(&std::env::temp_dir(), "hod-store-").unwrap();
        let path = |name: &str| root.path().join(name);
        hod_fsx::write_file(&path("tree/data"), b"last copy").unwrap();
        hod_fsx::create_dir_all(&path("tmp")).unwrap();
        let dir = PinnedDir::open(root.path()).unwrap();
        let mut aside = Aside::new(&dir, &path("tmp")).unwrap();
        let within = Path::new("tree/data");
        let data = aside.take(within, "data").unwrap();
        hod_fsx::write_file(&path("tree/data"), b"other").unwrap();
        let error = aside.put_back(&data, within).unwrap_err();
        drop(aside);
        let StoreError::NotPutBack { kept, .. } = &error else {
            panic!("{error}");
        };
        hod_fsx::sweep_scratch(&path("tmp")).unwrap();
        assert_eq!(hod_fsx::read(kept, 9).unwrap(), b"last copy");
        assert!(error.to_string().contains(&kept.display().to_string()));
        assert_eq!(hod_fsx::read(&path("tree/data"), 9).unwrap(), b"other");
    }
}
