//! Finds layouts below a directory, and the names in their paths.

use std::path::{Component, Path, PathBuf};

use hod_fsx::WalkKind;
use hod_oci::{Reference, ReferenceError};

use super::dir::is_layout;
use super::error::BadNameReason;
use super::{BadName, LayoutError, oci};

/// A layout and the reference that its path corresponds to.
///
/// A digest in the reference is the one requested when the layout was made: skopeo stores one
/// platform's manifest under the digest of its index unless told to take all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundLayout {
    pub path: PathBuf,
    pub reference: Reference,
}

/// Finds the layouts below `root`, or `root` itself, as `skopeo sync --src dir` does.
///
/// The path below `root` is the reference: `ns/app:1.0`, `app@sha256:<hex>`,
/// `quay.io/ns/app:1.0`, `localhost:5000/app:1.0`; of `root` itself, its last component. Hidden
/// directories and symbolic links are passed over. Every bad name is reported at once; none found
/// is an empty list.
pub fn find_layouts(root: &Path) -> Result<Vec<FoundLayout>, LayoutError> {
    hod_fsx::stat(root)?;
    if is_layout(root)? {
        let name = root
            .file_name()
            .ok_or(BadNameReason::Nameless)
            .and_then(|name| parse_name(Path::new(name)));
        return collect([(root.to_owned(), name)]);
    }
    let mut found = Vec::new();
    for path in layouts_below(root) {
        let path = path?;
        let name = parse_name(path.strip_prefix(root).unwrap_or(&path));
        found.push((path, name));
    }
    collect(found)
}

/// Whether `path` is a layout or has one somewhere below it.
pub fn detect(path: &Path) -> Result<bool, LayoutError> {
    if is_layout(path)? {
        return Ok(true);
    }
    Ok(layouts_below(path).next().transpose()?.is_some())
}

/// Returns what `path` is, with an article, if it is one layout in which others are not found.
pub fn kind_of_one(path: &Path) -> Result<Option<&'static str>, LayoutError> {
    if is_layout(path)? {
        return Ok(Some("a `dir:` layout"));
    }
    for name in [oci::MARKER, oci::INDEX] {
        if hod_fsx::try_stat(&path.join(name))?.is_some_and(|stat| stat.is_file) {
            return Ok(Some("an OCI layout"));
        }
    }
    Ok(None)
}

/// The layouts below `root`, in the order of their paths' components.
fn layouts_below(root: &Path) -> impl Iterator<Item = Result<PathBuf, LayoutError>> {
    // A layout contains no directories with further layouts. An error here occurs again, and is
    // reported, when the entry itself is examined.
    let enter = |path: &Path| !is_hidden(path) && !is_layout(path).unwrap_or(false);
    hod_fsx::walk(root, enter).filter_map(|entry| match entry {
        Ok(entry) if entry.kind == WalkKind::Dir && !is_hidden(&entry.path) => {
            match is_layout(&entry.path) {
                Ok(true) => Some(Ok(entry.path)),
                Ok(false) => None,
                Err(error) => Some(Err(error)),
            }
        }
        Ok(_) => None,
        Err(error) => Some(Err(error.into())),
    })
}

/// No component of a reference starts with a dot, unlike the temporary directories of layouts.
fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn parse_name(relative: &Path) -> Result<Reference, BadNameReason> {
    let mut parts = Vec::new();
    for component in relative.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str().ok_or(BadNameReason::NotText)?),
            _ => return Err(BadNameReason::Nameless),
        }
    }
    let name = parts.join("/");
    let parsed: Result<Reference, ReferenceError> = name.parse();
    parsed
        .or_else(|error| without_registry(&name).ok_or(error))
        .map_err(BadNameReason::Reference)
}

/// A name whose first component is a registry's with a port as stores and layouts have it,
/// `10.0.0.1_5000`, which is not a registry's elsewhere.
fn without_registry(name: &str) -> Option<Reference> {
    const ANY: &str = "x/";
    let below: Reference = format!("{ANY}{name}").parse().ok()?;
    let repository = below.repository.as_str().strip_prefix(ANY)?;
    Some(Reference {
        repository: repository.parse().ok()?,
        ..below
    })
}

fn collect(
    named: impl IntoIterator<Item = (PathBuf, Result<Reference, BadNameReason>)>,
) -> Result<Vec<FoundLayout>, LayoutError> {
    let mut found = Vec::new();
    let mut bad = Vec::new();
    for (path, name) in named {
        match name {
            Ok(reference) => found.push(FoundLayout { path, reference }),
            Err(reason) => bad.push(BadName { path, reason }),
        }
    }
    match bad[..] {
        [] => Ok(found),
        _ => Err(LayoutError::BadNames(bad)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for path in paths {
            hod_fsx::write_file(&root.path().join(path), b"{}").unwrap();
        }
        root
    }

    fn names(root: &Path) -> Vec<String> {
        let found = find_layouts(root).unwrap();
        found.iter().map(|f| f.reference.to_string()).collect()
    }

    #[test]
    fn layouts_are_named_by_their_paths() {
        let digest = format!("app@sha256:{}", "a".repeat(64));
        let root = tree(&[
            "ns/app:1.0/manifest.json",
            "ns/app:1.0/manifest.json.d/manifest.json",
            &format!("{digest}/manifest.json"),
            "127.0.0.1:15999/ns/app:1.0/manifest.json",
            "docker.io/library/redis:7/manifest.json",
            "localhost_5000/x:1/manifest.json",
            "10.0.0.1_5000/x/y:1/manifest.json",
            "untagged/manifest.json",
            ".gone:1.partial/manifest.json",
            "other/file",
        ]);
        assert!(detect(root.path()).unwrap());
        assert_eq!(
            names(root.path()),
            [
                "10.0.0.1_5000/x/y:1",
                "127.0.0.1:15999/ns/app:1.0",
                &digest,
                "docker.io/library/redis:7",
                "localhost_5000/x:1",
                "ns/app:1.0",
                "untagged",
            ]
        );
    }

    #[test]
    fn the_root_may_be_one() {
        let root = tree(&["ns/app:1.0/manifest.json"]);
        let layout = root.path().join("ns/app:1.0");
        assert_eq!(names(&layout), ["app:1.0"]);
        assert!(detect(&layout).unwrap());
    }

    #[test]
    fn every_bad_name_is_reported() {
        let root = tree(&[
            "App:1/manifest.json",
            "a b/manifest.json",
            "c:1/manifest.json",
        ]);
        let error = find_layouts(root.path()).unwrap_err().to_string();
        let lines: Vec<&str> = error.lines().collect();
        assert_eq!(lines.len(), 3, "{error}");
        assert_eq!(
            lines[0],
            "2 layouts have names that are not image references"
        );
        assert!(lines[1].ends_with("App:1`: uppercase letter in repository name"));
    }

    #[test]
    fn a_directory_without_layouts_is_none() {
        let root = tree(&["docker/registry/v2/x", "manifest.json/x"]);
        assert!(!detect(root.path()).unwrap());
        assert!(names(root.path()).is_empty());
        assert!(!detect(&root.path().join("absent")).unwrap());
        assert!(find_layouts(&root.path().join("absent")).is_err());
    }
}
