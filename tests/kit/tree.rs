//! What stands on a disk, seen with other eyes than hod's: plain files, plain JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hod_oci::Digest;
use serde_json::Value;

/// Where a store's registry tree is.
const TREE: &str = "docker/registry/v2";

/// What is at a path: `None` for a directory, the digest of a file's bytes otherwise.
pub type Tree = BTreeMap<PathBuf, Option<Digest>>;

/// Everything below `root`, by its path from there; empty when there is nothing.
#[track_caller]
pub fn tree(root: &Path) -> Tree {
    entries(root)
        .into_iter()
        .map(|(path, is_file)| {
            let digest = is_file.then(|| Digest::of(&read(&path)));
            (path.strip_prefix(root).unwrap().to_owned(), digest)
        })
        .collect()
}

/// The registry tree of a store: all but `.hod`.
#[track_caller]
pub fn registry_tree(store: &Path) -> Tree {
    tree(&store.join(TREE))
}

/// The files of a store's registry tree, sorted.
#[track_caller]
pub fn registry_files(store: &Path) -> Vec<PathBuf> {
    files(&store.join(TREE))
}

/// The files below `root`, sorted.
#[track_caller]
pub fn files(root: &Path) -> Vec<PathBuf> {
    let entries = entries(root).into_iter();
    entries
        .filter_map(|(path, is_file)| is_file.then_some(path))
        .collect()
}

/// The names of the inodes below `root`, and which of them each path has: what a run that does
/// nothing leaves as it is.
#[track_caller]
pub fn inodes(root: &Path) -> BTreeMap<PathBuf, (u64, u64)> {
    let identity = |path: &Path| hod_fsx::stat(path).unwrap().identity;
    files(root)
        .into_iter()
        .map(|path| {
            let identity = identity(&path);
            (path.strip_prefix(root).unwrap().to_owned(), identity)
        })
        .collect()
}

/// Fails with what is different, rather than with two whole trees.
#[track_caller]
pub fn assert_same(left: &Tree, right: &Tree, what: &str) {
    let paths: BTreeSet<&PathBuf> = left.keys().chain(right.keys()).collect();
    let different: Vec<String> = paths
        .into_iter()
        .filter(|path| left.get(*path) != right.get(*path))
        .map(|path| {
            format!(
                "{}: {:?} and {:?}",
                path.display(),
                left.get(path),
                right.get(path)
            )
        })
        .collect();
    assert!(different.is_empty(), "{what}:\n{}", different.join("\n"));
    assert!(!left.is_empty(), "{what}: there is nothing to compare");
}

/// The tags of a store with what they name, each of them a whole image.
///
/// Fails when a tag leads to less than all of an image, when a link or a blob is not what its
/// place says, and when there is any file that a registry would not have.
#[track_caller]
pub fn whole_images(store: &Path) -> BTreeMap<String, Digest> {
    images(store, |_| true)
}

/// The tags of a store as [`whole_images`] has them, less those that name nothing: they are being
/// removed.
#[track_caller]
pub fn visible_images(store: &Path) -> BTreeMap<String, Digest> {
    images(store, |tag| exists(&tag.join("current/link")))
}

#[track_caller]
fn images(store: &Path, is_wanted: impl Fn(&Path) -> bool) -> BTreeMap<String, Digest> {
    let root = store.join(TREE);
    for path in files(&root) {
        let name = path.file_name().unwrap();
        assert!(
            name == "data" || name == "link",
            "`{}` is no registry's",
            path.display()
        );
    }
    let repositories = root.join("repositories");
    let mut images = BTreeMap::new();
    for (path, is_file) in entries(&repositories) {
        let is_tag = path.parent().and_then(Path::file_name) == Some("tags".as_ref());
        if is_file || !is_tag || !is_wanted(&path) {
            continue;
        }
        let repository = path.ancestors().nth(3).unwrap();
        let top = read_link(&path.join("current/link"));
        let past = path.join(format!("index/sha256/{}/link", top.hex()));
        assert_eq!(read_link(&past), top, "{}", past.display());
        check_manifest((&root, repository), &top, &mut BTreeSet::new());
        let name = repository.strip_prefix(&repositories).unwrap().display();
        let tag = path.file_name().unwrap().to_str().unwrap();
        images.insert(format!("{name}:{tag}"), top);
    }
    images
}

/// Checks a manifest and all below it: bytes and links.
#[track_caller]
fn check_manifest(
    (root, repository): (&Path, &Path),
    digest: &Digest,
    seen: &mut BTreeSet<Digest>,
) {
    if !seen.insert(digest.clone()) {
        return;
    }
    let hex = digest.hex();
    let link = repository.join(format!("_manifests/revisions/sha256/{hex}/link"));
    assert_eq!(read_link(&link), *digest, "{}", link.display());
    let manifest: Value = serde_json::from_slice(&check_blob(root, digest)).unwrap();
    let list = |field: &str| manifest[field].as_array().cloned().unwrap_or_default();
    for child in list("manifests") {
        check_manifest((root, repository), &named(&child), seen);
    }
    let config = manifest.get("config").cloned();
    for blob in config.into_iter().chain(list("layers")) {
        if blob.get("urls").is_some() {
            continue;
        }
        let digest = named(&blob);
        let link = repository.join(format!("_layers/sha256/{}/link", digest.hex()));
        assert_eq!(read_link(&link), digest, "{}", link.display());
        let len = check_blob(root, &digest).len();
        assert_eq!(blob["size"].as_u64(), Some(len as u64), "{digest}");
    }
}

#[track_caller]
fn check_blob(root: &Path, digest: &Digest) -> Vec<u8> {
    let hex = digest.hex();
    let bytes = read(&root.join(format!("blobs/sha256/{}/{hex}/data", &hex[..2])));
    assert!(digest.matches(&bytes), "{digest} is damaged");
    bytes
}

#[track_caller]
fn named(descriptor: &Value) -> Digest {
    descriptor["digest"].as_str().unwrap().parse().unwrap()
}

#[track_caller]
fn read_link(path: &Path) -> Digest {
    String::from_utf8(read(path)).unwrap().parse().unwrap()
}

/// The bytes of a file.
#[track_caller]
pub fn read(path: &Path) -> Vec<u8> {
    hod_fsx::read(path, u64::MAX - 1).unwrap()
}

/// Whether something is at `path`.
#[track_caller]
pub fn exists(path: &Path) -> bool {
    hod_fsx::try_stat(path).unwrap().is_some()
}

/// Paths below `root`, sorted, and whether each is a file; anything else is an error.
#[track_caller]
fn entries(root: &Path) -> Vec<(PathBuf, bool)> {
    if !exists(root) {
        return Vec::new();
    }
    let walk = walkdir::WalkDir::new(root).min_depth(1).sort_by_file_name();
    walk.into_iter()
        .map(|entry| {
            let entry = entry.unwrap();
            let kind = entry.file_type();
            assert!(
                kind.is_file() || kind.is_dir(),
                "`{}` is neither a file nor a directory",
                entry.path().display()
            );
            (entry.path().to_owned(), kind.is_file())
        })
        .collect()
}

/// Removes a tree; one that is not found is not an error.
#[expect(
    clippy::disallowed_methods,
    reason = "the program itself never removes what it did not make"
)]
pub fn remove_tree(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
