//! Volumes that an earlier bundle left next to a new one.

use std::path::{Path, PathBuf};

use super::BundleTarget;
use crate::Context;
use hod_transfer::Source;

/// Maximum number of files named.
const SHOWN_MAX: usize = 10;

/// The files that a bundle is made from.
pub(super) fn inputs(
    source: &dyn Source,
    path: Option<&Path>,
    target: &BundleTarget,
) -> Vec<PathBuf> {
    let volumes: Vec<&Path> = match source.as_bundle() {
        Some(bundle) => bundle.volume_paths().flatten().collect(),
        None => Vec::new(),
    };
    let carried = target.carry.files.iter().map(|file| &file.source);
    let others = target.baseline.iter().chain(carried).cloned();
    let own = volumes.into_iter().chain(path).map(Path::to_owned);
    own.chain(others).collect()
}

/// Warns of volumes of an earlier bundle next to this one, which has `n_volumes` or is one file;
/// not of `inputs`, the files it was made from.
///
/// Readers of the bundle ignore them because of their id, but people copy them along. They are
/// neither removed nor is their removal advised: hod does not know who owns them.
pub(crate) async fn warn_of_stale_volumes(
    cx: &Context,
    output: &Path,
    n_volumes: Option<u32>,
    inputs: &[PathBuf],
) {
    // The bundle is written already, so errors here are ignored.
    let (output, inputs) = (output.to_owned(), inputs.to_owned());
    let find = move || hod_bundle::stale_volumes(&output, n_volumes, &inputs);
    let stale = hod_bridge::run(find).await.unwrap_or_default();
    if stale.is_empty() {
        return;
    }
    let name = |path: &PathBuf| format!("`{}`", path.display());
    let shown: Vec<String> = stale.iter().take(SHOWN_MAX).map(name).collect();
    let more = match stale.len() - shown.len() {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let are = match stale.len() {
        1 => "is a volume",
        _ => "are volumes",
    };
    cx.warn(&format!(
        "{}{more} {are} of an earlier bundle, not of this one",
        shown.join(", "),
    ));
}
