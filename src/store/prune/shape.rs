//! Which files and directories a finished tree has: nothing else is ever removed from one.

use std::path::Path;

use crate::UnreadableTag;
use hod_oci::{Digest, RepositoryName, Tag};

/// A file of a finished tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TreeFile {
    /// The current digest of a tag.
    Current(RepositoryName, Tag),
    /// A former digest of a tag.
    Past(RepositoryName, Tag, Digest),
    Revision(RepositoryName, Digest),
    Layer(RepositoryName, Digest),
    Blob(Digest),
}

impl TreeFile {
    /// Parses a path below `docker/registry/v2`; `None` if a tree has no such file.
    pub(super) fn parse(path: &Path) -> Option<Self> {
        let parts: Vec<&str> = path.to_str()?.split('/').collect();
        let digest = |algorithm: &str, hex: &str| format!("{algorithm}:{hex}").parse().ok();
        match parts.as_slice() {
            ["blobs", algorithm, start, hex, "data"] if hex.get(..2) == Some(*start) => {
                Some(Self::Blob(digest(algorithm, hex)?))
            }
            ["repositories", within @ .., "link"] => {
                let at = within.iter().position(|part| part.starts_with('_'))?;
                let (name, within) = within.split_at(at);
                let name: RepositoryName = name.join("/").parse().ok()?;
                match within {
                    ["_layers", algorithm, hex] => Some(Self::Layer(name, digest(algorithm, hex)?)),
                    ["_manifests", "revisions", algorithm, hex] => {
                        Some(Self::Revision(name, digest(algorithm, hex)?))
                    }
                    ["_manifests", "tags", tag, "current"] => {
                        Some(Self::Current(name, tag.parse().ok()?))
                    }
                    ["_manifests", "tags", tag, "index", algorithm, hex] => {
                        Some(Self::Past(name, tag.parse().ok()?, digest(algorithm, hex)?))
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Returns true if it is the current link of a tag.
    pub(super) fn is_current_of(&self, unreadable: &UnreadableTag) -> bool {
        matches!(self, Self::Current(..)) && self.is_of(unreadable)
    }

    /// Whether it belongs to a tag.
    pub(super) fn is_of(&self, unreadable: &UnreadableTag) -> bool {
        match self {
            Self::Current(name, tag) | Self::Past(name, tag, _) => {
                (name, tag) == (&unreadable.repository, &unreadable.tag)
            }
            Self::Revision(..) | Self::Layer(..) | Self::Blob(_) => false,
        }
    }
}

/// A directory that a finished tree has below `blobs` and `repositories`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TreeDir {
    OfBlobs,
    /// The directory of a repository, or one inside it.
    Of(RepositoryName),
}

impl TreeDir {
    /// Parses a path below `docker/registry/v2`; `None` if a tree has no such directory.
    pub(super) fn parse(path: &Path) -> Option<Self> {
        let parts: Vec<&str> = path.to_str()?.split('/').collect();
        match parts.as_slice() {
            ["blobs", "sha256" | "sha512", rest @ ..] if rest.len() <= 2 => rest
                .iter()
                .all(|part| is_hex(part))
                .then_some(Self::OfBlobs),
            ["repositories", within @ ..] => {
                let at = within.iter().position(|part| part.starts_with('_'));
                let (name, within) = within.split_at(at.unwrap_or(within.len()));
                let name = name.join("/").parse().ok()?;
                let is_known = match within {
                    []
                    | ["_uploads" | "_layers" | "_manifests"]
                    | ["_layers", _]
                    | ["_manifests", "revisions" | "tags"]
                    | ["_manifests", "revisions", _]
                    | ["_manifests", "tags", _, "current" | "index"]
                    | ["_manifests", "tags", _, "index", _] => true,
                    ["_manifests", "tags", tag] => tag.parse::<Tag>().is_ok(),
                    ["_layers", _, hex]
                    | ["_manifests", "revisions", _, hex]
                    | ["_manifests", "tags", _, "index", _, hex] => is_hex(hex),
                    _ => false,
                };
                is_known.then_some(Self::Of(name))
            }
            _ => None,
        }
    }
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_a_tree_has_are_known() {
        let hex = "ab".repeat(32);
        let known = [
            format!("blobs/sha256/ab/{hex}/data"),
            format!("repositories/a/b/_layers/sha256/{hex}/link"),
            format!("repositories/a/_manifests/revisions/sha256/{hex}/link"),
            "repositories/a/_manifests/tags/1/current/link".to_owned(),
            format!("repositories/a/_manifests/tags/1/index/sha256/{hex}/link"),
        ];
        for path in &known {
            assert!(TreeFile::parse(Path::new(path)).is_some(), "{path}");
            for dir in Path::new(path).ancestors().skip(1) {
                let is_inner = dir.components().count() > 1;
                assert_eq!(TreeDir::parse(dir).is_some(), is_inner, "{}", dir.display());
            }
        }
        for path in [
            format!("blobs/sha256/cd/{hex}/data"),
            format!("blobs/sha256/ab/{hex}/data.bak"),
            format!("blobs/sha256/ab/{hex}/link"),
            format!("blobs/md5/ab/{hex}/data"),
            format!("repositories/A/_layers/sha256/{hex}/link"),
            format!("repositories/a/_layers/sha256/{hex}/data"),
            format!("repositories/a/_layers/_layers/sha256/{hex}/link"),
            "repositories/_manifests/tags/1/current/link".to_owned(),
            "repositories/a/_manifests/tags/1/current/link/link".to_owned(),
            "repositories/a/_manifests/tags/.x/current/link".to_owned(),
            "repositories/a/_uploads/x/data".to_owned(),
            "repositories/a/notes.txt".to_owned(),
            "link".to_owned(),
        ] {
            assert!(TreeFile::parse(Path::new(&path)).is_none(), "{path}");
        }
        for path in [
            "blobs",
            "repositories",
            "blobs/notes",
            "repositories/a/_notes",
            "repositories/a/_manifests/tags/.x",
            "repositories/Notes",
        ] {
            assert!(TreeDir::parse(Path::new(path)).is_none(), "{path}");
        }
    }
}
