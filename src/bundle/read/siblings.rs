//! Finds the other volumes of a bundle.
//!
//! By name first: `NAME.002.tar` next to `NAME.001.tar`, and in the directories that the user
//! names. Media may change names (ISO 9660 makes them short and upper case), so a volume that is
//! not found by name is searched in every `.tar` of those directories.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::head::{self, Head};
use super::volume::{OpenVolume, ReadOptions, open_file};
use crate::error::BundleError;
use crate::format::volume_name::{EXTENSION, file_name, stem_of, volume_path};
use crate::sign::Trust;
use hod_oci::Digest;
use hod_tarball::{Input, Mode};

/// Replaces consecutive arguments that name volumes of one bundle, as from the pattern
/// `NAME.*.tar`, by the first of them, from which the others are found.
pub fn fold_volumes(arguments: Vec<OsString>) -> Vec<OsString> {
    let mut folded: Vec<OsString> = Vec::with_capacity(arguments.len());
    for argument in arguments {
        let is_next = folded.last().is_some_and(|first| {
            let (first, next) = (Path::new(first), Path::new(&argument));
            let are_named = stem_of(next).is_some()
                && stem_of(first) == stem_of(next)
                && first.parent() == next.parent()
                && first != next;
            are_named
                && volume_of(first)
                    .is_some_and(|(id, _)| volume_of(next).is_some_and(|n| n.0 == id))
        });
        if !is_next {
            folded.push(argument);
        }
    }
    folded
}

/// Returns the volumes of other bundles that are named like volumes of the bundle `output`: an
/// earlier bundle had more volumes, or this one has none (`n_volumes` is `None`).
///
/// Other files are not included, nor are `inputs` and the volumes of their bundles.
pub fn stale_volumes(
    output: &Path,
    n_volumes: Option<u32>,
    inputs: &[PathBuf],
) -> Result<Vec<PathBuf>, hod_fsx::Error> {
    let count = n_volumes.unwrap_or_default();
    let own: BTreeSet<PathBuf> = (1..=count)
        .map(|index| volume_path(output, index, count))
        .collect();
    // As the names of volumes contain it.
    let first = volume_path(output, 1, 1);
    let names = hod_fsx::read_dir_names(hod_fsx::dir_of(output))?;
    let paths = names.into_iter().map(|name| output.with_file_name(name));
    let is_named = |path: &PathBuf| stem_of(path) == stem_of(&first) && !own.contains(path);
    let stale: Vec<(PathBuf, Digest)> = paths
        .filter(is_named)
        .filter_map(|path| {
            let (id, name) = volume_of(&path)?;
            (path.file_name()?.to_str()? == name?).then_some((path, id))
        })
        .collect();
    if stale.is_empty() {
        return Ok(Vec::new());
    }
    let identity = |path: &PathBuf| Some(hod_fsx::try_stat(path).ok()??.identity);
    // A file that was just written may have replaced an input of the same name.
    let files: BTreeSet<(u64, u64)> = inputs.iter().filter_map(identity).collect();
    let ids: BTreeSet<Digest> = inputs
        .iter()
        .filter_map(|i| Some(volume_of(i)?.0))
        .collect();
    let is_input = |path: &PathBuf, id: &Digest| {
        ids.contains(id) || identity(path).is_none_or(|identity| files.contains(&identity))
    };
    let stale = stale.into_iter().filter(|(path, id)| !is_input(path, id));
    Ok(stale.map(|(path, _)| path).collect())
}

/// Returns the id of the bundle that a file belongs to, and its canonical name if it is one of
/// several volumes; `None` for a file that is not part of a bundle.
fn volume_of(path: &Path) -> Option<(Digest, Option<String>)> {
    // Checked first, since opening a pipe may block forever.
    if !hod_fsx::stat(path).is_ok_and(|stat| stat.is_file) {
        return None;
    }
    let mut input = Input::of_range(open_file(path).ok()?, Mode::Strict);
    // The signature is not checked, since nothing of the content is used.
    let (head, own) = head::read(&mut input, &Trust::default()).ok()?;
    let (index, count) = (own.volume.index(), head.manifest.n_volumes);
    let stem = stem_of(path).filter(|_| count > 1);
    let name = stem.map(|stem| file_name(stem, index, count));
    Some((head.manifest.id, name))
}

/// Opens the volumes that are missing in `volumes`, if they are found.
///
/// A file that is not a volume of this bundle is skipped. One with the name of a volume that
/// belongs to another bundle is an error if the right one is not found elsewhere.
pub(crate) fn find(
    head: &Head,
    path: &Path,
    options: &ReadOptions,
    volumes: &mut [Option<OpenVolume>],
) -> Result<(), BundleError> {
    let mut dirs = vec![hod_fsx::dir_of(path).to_owned()];
    dirs.extend(options.volume_dirs.iter().cloned());
    let count = head.manifest.n_volumes;
    let mut wrong = None;
    let mut tried: BTreeSet<PathBuf> = BTreeSet::from([path.to_owned()]);
    if let Some(stem) = stem_of(path) {
        for (at, index) in (1..=count).enumerate() {
            let mut candidates = dirs
                .iter()
                .map(|dir| dir.join(file_name(stem, index, count)));
            while volumes[at].is_none() {
                let Some(candidate) = candidates.next() else {
                    break;
                };
                if hod_fsx::try_stat(&candidate).is_ok_and(|stat| stat.is_some_and(|s| s.is_file)) {
                    let opened = open(head, &candidate, Some(&options.trust), volumes);
                    wrong = wrong.or(opened.err().map(|error| BundleError::InVolume {
                        source: Box::new(error),
                        path: candidate.clone(),
                    }));
                    tried.insert(candidate);
                }
            }
        }
    }
    for dir in &dirs {
        if volumes.iter().all(Option::is_some) {
            return Ok(());
        }
        // A directory that does not exist, such as an unmounted drive, has no volumes.
        for name in hod_fsx::read_dir_names(dir).unwrap_or_default() {
            let candidate = dir.join(&name);
            let is_tar = name
                .to_string_lossy()
                .to_ascii_lowercase()
                .ends_with(EXTENSION);
            let is_file =
                || hod_fsx::try_stat(&candidate).is_ok_and(|stat| stat.is_some_and(|s| s.is_file));
            if is_tar && is_file() && !tried.contains(&candidate) {
                // It is not a volume of this bundle.
                let _ = open(head, &candidate, None, volumes);
            }
        }
    }
    let is_complete = volumes.iter().all(Option::is_some);
    wrong.filter(|_| !is_complete).map_or(Ok(()), Err)
}

/// Opens a file as a volume of the bundle, and stores it at its number unless that volume is known.
/// If there are trusted keys, a volume of another bundle is examined too: see [`Head::read_next`].
fn open(
    head: &Head,
    path: &Path,
    examine: Option<&Trust>,
    volumes: &mut [Option<OpenVolume>],
) -> Result<(), BundleError> {
    let range = open_file(path)?;
    let own = head.read_next(&mut Input::of_range(range.clone(), Mode::Strict), examine)?;
    let Some(own) = own else {
        return Err(BundleError::Empty {
            path: path.to_owned(),
        });
    };
    let volume = OpenVolume::new(range, own);
    let at = volume.position();
    volumes[at].get_or_insert(volume);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_numbered_after_the_name() {
        #[track_caller]
        fn check(output: &str, index: u32, count: u32, expect: &str) {
            let path = volume_path(Path::new(output), index, count);
            assert_eq!(path, Path::new(expect));
            let name = Path::new(expect).file_name().unwrap().to_str().unwrap();
            assert!(name.starts_with(stem_of(&path).unwrap()));
        }
        check("d/site.tar", 1, 3, "d/site.001.tar");
        check("site", 12, 999, "site.012.tar");
        check("site.1.tar", 7, 1000, "site.1.0007.tar");
        for name in ["site.tar", "site.01.tar", "site.a01.tar", "site.001", "tar"] {
            assert_eq!(stem_of(Path::new(name)), None, "{name}");
        }
    }
}
