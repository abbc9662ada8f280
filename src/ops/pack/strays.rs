//! What an earlier bundle left beside a new one.

use std::path::{Path, PathBuf};

use crate::bundle;
use crate::ops::Context;

/// How many files are named.
const SHOWN_MAX: usize = 10;

/// Warns of volumes of an earlier bundle that lie beside this one, which has `n_volumes` or is one
/// file.
///
/// Whoever reads the bundle goes by its id and passes them over, but people carry them along. They
/// are not taken away: hod does not know whose they are.
pub(in crate::ops) fn warn_of_strays(cx: &Context, output: &Path, n_volumes: Option<u32>) {
    // The bundle is written, whatever becomes of this.
    let strays = bundle::stray_volumes(output, n_volumes).unwrap_or_default();
    if strays.is_empty() {
        return;
    }
    let name = |path: &PathBuf| format!("`{}`", path.display());
    let shown: Vec<String> = strays.iter().take(SHOWN_MAX).map(name).collect();
    let more = match strays.len() - shown.len() {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let (are, none) = match strays.len() {
        1 => ("is named like a volume", "is not"),
        _ => ("are named like volumes", "are not"),
    };
    cx.warn(&format!(
        "{}{more} {are} of this bundle and {none}: an earlier one left what can be removed now",
        shown.join(", "),
    ));
}
