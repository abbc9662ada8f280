//! The parts of a source bundle that are not packed again.

use std::path::Path;

use super::BundleTarget;
use crate::Context;
use crate::copy::files_besides;
use hod_report::amount::format_count;
use hod_transfer::Source;

/// Maximum number of files named that are not packed.
const NAMES_SHOWN_MAX: usize = 5;

/// Warns of parts of a bundle that are not packed again: its signature, unless the new bundle is
/// signed too, and the user's files in it, which are returned.
pub(super) fn warn_of_rest(
    cx: &Context,
    source: &dyn Source,
    path: &Path,
    target: &BundleTarget,
) -> Vec<String> {
    let Some(document) = source.document() else {
        return Vec::new();
    };
    let path = path.display();
    if document.signed_by.is_some() && target.signer.is_none() {
        cx.warn(&format!(
            "`{path}` is signed, and the new bundle is not: a site that requires a signature will \
             refuse it. Sign it with `--sign KEY`"
        ));
    }
    let left = files_besides(source);
    if !left.is_empty() {
        cx.warn(&format!(
            "did not pack {} of `{path}`: {}. Add {} with `--file`",
            format_count(left.len(), "extra file"),
            shown(&left),
            if left.len() == 1 { "it" } else { "them" },
        ));
    }
    left
}

/// The first names, and the number of others.
fn shown(names: &[String]) -> String {
    let first = &names[..names.len().min(NAMES_SHOWN_MAX)];
    match names.len() - first.len() {
        0 => first.join(", "),
        n => format!("{} and {n} more", first.join(", ")),
    }
}
