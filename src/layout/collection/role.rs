//! What the members of an archive are, by their paths.

use hod_oci::{Digest, RepositoryName, Tag};

/// The root of distribution's storage.
const TREE: &str = "docker/registry/v2/";

/// The role of a member, by its path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// One of the two files that every bundle of ours begins with.
    Ours,
    /// A blob with its digest, in any directory.
    Blob(Digest),
    /// The current digest of a registry's tag.
    Tag(RepositoryName, Tag),
    /// A former digest of a tag.
    Named(RepositoryName, Digest),
    /// A manifest of a repository.
    Revision(RepositoryName, Digest),
    /// `oci-layout`, `index.json` or `manifest.json`, in the directory before.
    Head(String, &'static str),
    Other,
}

/// The directory above a registry's storage, if `path` is in one; ends with a slash unless empty.
pub(super) fn tree_above(path: &str) -> Option<&str> {
    if path.starts_with(TREE) {
        return Some("");
    }
    let at = path.find(&format!("/{TREE}"))?;
    Some(&path[..=at])
}

pub(super) fn role(path: &str) -> Role {
    match path {
        "hod/volume.json" | "hod/bundle.json" => return Role::Ours,
        _ => {}
    }
    if let Some(above) = tree_above(path) {
        let rest = &path[above.len() + TREE.len()..];
        return in_tree(rest).unwrap_or(Role::Other);
    }
    let parts: Vec<&str> = path.split('/').collect();
    if let [.., "blobs", algorithm, hex] = parts[..]
        && let Some(digest) = digest(algorithm, hex)
    {
        return Role::Blob(digest);
    }
    // Deeper directories of an archive belong to something else.
    let (dir, name) = match parts[..] {
        [name] => (String::new(), name),
        [dir, name] => (format!("{dir}/"), name),
        _ => return Role::Other,
    };
    let heads = ["oci-layout", "index.json", "manifest.json"];
    let mut heads = heads.into_iter();
    match heads.find(|head| *head == name) {
        Some(head) => Role::Head(dir, head),
        None => Role::Other,
    }
}

fn in_tree(rest: &str) -> Option<Role> {
    if let Some(blob) = rest.strip_prefix("blobs/") {
        let parts: Vec<&str> = blob.split('/').collect();
        let [algorithm, _, hex, "data"] = parts[..] else {
            return None;
        };
        return Some(Role::Blob(digest(algorithm, hex)?));
    }
    let (repository, link) = rest
        .strip_prefix("repositories/")?
        .split_once("/_manifests/")?;
    let repository: RepositoryName = repository.parse().ok()?;
    let parts: Vec<&str> = link.split('/').collect();
    match parts[..] {
        ["tags", tag, "current", "link"] => Some(Role::Tag(repository, tag.parse().ok()?)),
        ["tags", _, "index", algorithm, hex, "link"] => {
            Some(Role::Named(repository, digest(algorithm, hex)?))
        }
        ["revisions", algorithm, hex, "link"] => {
            Some(Role::Revision(repository, digest(algorithm, hex)?))
        }
        _ => None,
    }
}

fn digest(algorithm: &str, hex: &str) -> Option<Digest> {
    format!("{algorithm}:{hex}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_what_members_are() {
        #[track_caller]
        fn check(path: &str, expect: &Role) {
            assert_eq!(&role(path), expect, "{path}");
        }
        let digest = Digest::of(b"");
        let hex = digest.hex();
        let repository: RepositoryName = "ns/app".parse().unwrap();
        let tag: Tag = "1.0".parse().unwrap();
        let blob = Role::Blob(digest.clone());
        check("hod/volume.json", &Role::Ours);
        check(&format!("blobs/sha256/{hex}"), &blob);
        check(&format!("dir/blobs/sha256/{hex}"), &blob);
        check(&format!("blobs/md5/{hex}"), &Role::Other);
        let tree = format!("docker/registry/v2/blobs/sha256/e3/{hex}/data");
        check(&tree, &blob);
        check(&format!("site/storage/{tree}"), &blob);
        let in_repository = "docker/registry/v2/repositories/ns/app/_manifests";
        check(
            &format!("x/{in_repository}/tags/1.0/current/link"),
            &Role::Tag(repository.clone(), tag),
        );
        check(
            &format!("{in_repository}/tags/1.0/index/sha256/{hex}/link"),
            &Role::Named(repository.clone(), digest.clone()),
        );
        check(
            &format!("{in_repository}/revisions/sha256/{hex}/link"),
            &Role::Revision(repository, digest),
        );
        check(
            &format!("{in_repository}/tags/-/current/link"),
            &Role::Other,
        );
        check("index.json", &Role::Head(String::new(), "index.json"));
        check("a/oci-layout", &Role::Head("a/".to_owned(), "oci-layout"));
        check("a/b/index.json", &Role::Other);
        assert_eq!(tree_above("a/docker/registry/v2/x"), Some("a/"));
        assert_eq!(tree_above("adocker/registry/v2/x"), None);
    }
}
