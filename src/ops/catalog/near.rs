//! A registry's tree close to a path that is none itself.

use std::path::{Path, PathBuf};

use super::OpsError;
use hod_store::Store;

/// Number of directories above a path that may contain the tree: the directories of
/// `docker/registry`.
const ABOVE_MAX: usize = 2;
/// Maximum number of directories below a path that are examined.
const BELOW_MAX: usize = 1000;

/// Finds the directory to suggest instead of `path`: one above it, if it is part of a tree, or the
/// only one below it that has a tree, such as `/data/registry` of a Harbor.
pub(super) fn tree_near(path: &Path) -> Result<Option<PathBuf>, OpsError> {
    if !hod_fsx::try_stat(path)?.is_some_and(|stat| stat.is_dir) {
        return Ok(None);
    }
    for above in path.ancestors().skip(1).take(ABOVE_MAX) {
        let is_part = path.strip_prefix(above).is_ok_and(|part| {
            let tree = Path::new("docker/registry/v2");
            tree.starts_with(part)
        });
        if is_part && Store::detect(above)? {
            let is_here = above.as_os_str().is_empty();
            return Ok(Some(
                if is_here { Path::new(".") } else { above }.to_owned(),
            ));
        }
    }
    let mut found = None;
    for name in hod_fsx::read_dir_names(path)?.into_iter().take(BELOW_MAX) {
        let below = path.join(name);
        if Store::detect(&below)? && found.replace(below).is_some() {
            return Ok(None);
        }
    }
    Ok(found)
}
