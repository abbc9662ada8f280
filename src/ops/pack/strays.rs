//! Volumes that an earlier bundle left next to a new one.

use std::path::{Path, PathBuf};

use crate::bundle;
use crate::ops::{Context, PackOptions};
use crate::transfer::Source;

/// Maximum number of files named.
const SHOWN_MAX: usize = 10;

/// The files that a bundle is made from.
pub(super) fn inputs(source: &dyn Source, options: &PackOptions) -> Vec<PathBuf> {
    let volumes: Vec<&Path> = match source.as_bundle() {
        Some(bundle) => bundle.volume_paths().flatten().collect(),
        None => Vec::new(),
    };
    let carried = options.carry.files.iter().map(|file| &file.source);
    let own = std::iter::once(&options.source);
    let others = own.chain(&options.since).chain(carried).cloned();
    volumes
        .into_iter()
        .map(Path::to_owned)
        .chain(others)
        .collect()
}

/// Warns of volumes of an earlier bundle next to this one, which has `n_volumes` or is one file;
/// not of `inputs`, the files it was made from.
///
/// Readers of the bundle ignore them because of their id, but people copy them along. They are
/// neither removed nor is their removal advised: hod does not know who owns them.
pub(in crate::ops) fn warn_of_strays(
    cx: &Context,
    (output, n_volumes): (&Path, Option<u32>),
    inputs: &[PathBuf],
) {
    // The bundle is written already, so errors here are ignored.
    let strays = bundle::stray_volumes(output, n_volumes, inputs).unwrap_or_default();
    if strays.is_empty() {
        return;
    }
    let name = |path: &PathBuf| format!("`{}`", path.display());
    let shown: Vec<String> = strays.iter().take(SHOWN_MAX).map(name).collect();
    let more = match strays.len() - shown.len() {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let (are, left) = match strays.len() {
        1 => ("is named like a volume", "is not: it was left"),
        _ => ("are named like volumes", "are not: they were left"),
    };
    cx.warn(&format!(
        "{}{more} {are} of this bundle and {left} by an earlier bundle",
        shown.join(", "),
    ));
}
