//! The names of images in files of other tools.

use std::path::Path;

use hod_oci::{Digest, Reference, ReferenceError, RepositoryName, Tag};

/// A former name of Docker Hub that some tools still write.
const OLD_DOCKER_HUB: &str = "index.docker.io/";
/// Extensions of files that contain images.
const SUFFIXES: [&str; 8] = [
    ".tar",
    ".tar.gz",
    ".tgz",
    ".tar.zst",
    ".tar.zstd",
    ".tzst",
    ".oci",
    ".haul",
];

/// An image of a collection, by its tag or, when it has none, by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NamedImage {
    /// As a list that finds it has it.
    pub name: String,
    /// As a store has it.
    pub repository: RepositoryName,
    pub tag: Option<Tag>,
    /// Of the manifest or index.
    pub digest: Digest,
    /// The size of the manifest in `index.json`.
    pub len: Option<u64>,
}

impl NamedImage {
    /// An image that is called by a full reference; one without a tag or digest is `latest`.
    pub(super) fn parse(name: &str, digest: Digest) -> Result<Self, ReferenceError> {
        let bare = name.strip_prefix(OLD_DOCKER_HUB);
        let reference: Reference = match bare {
            Some(bare) => format!("docker.io/{bare}").parse()?,
            None => name.parse()?,
        };
        let repository = reference.stored_name()?;
        let tag = match (&reference.tag, &reference.digest) {
            (None, None) => Some(Tag::latest()),
            (tag, _) => tag.clone(),
        };
        Ok(Self {
            name: reference.to_string(),
            repository,
            tag,
            digest,
            len: None,
        })
    }

    /// An image in a repository.
    pub(super) fn stored(repository: RepositoryName, tag: Option<Tag>, digest: Digest) -> Self {
        let name = match &tag {
            Some(tag) => format!("{repository}:{tag}"),
            None => format!("{repository}@{digest}"),
        };
        Self {
            name,
            repository,
            tag,
            digest,
            len: None,
        }
    }
}

/// Whether a file is called as archives of images are.
pub fn has_archive_name(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

/// The repository for images without a name: the name of the file without its extensions, with
/// invalid characters replaced by dashes.
pub(super) fn nameless(path: &Path) -> RepositoryName {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = SUFFIXES
        .iter()
        .filter_map(|suffix| name.strip_suffix(suffix))
        .min_by_key(|stem| stem.len())
        .unwrap_or(&name);
    let lower = stem.to_ascii_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let parse = |text: &str| text.parse::<RepositoryName>().ok();
    parse(&lower)
        .filter(|name| name.components().count() == 1)
        .or_else(|| parse(&words.join("-")))
        .unwrap_or_else(|| parse("image").expect("a plain word is a repository name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_stored_as_a_pull_would_store_them() {
        #[track_caller]
        fn check(name: &str, expect: &str) {
            let image = NamedImage::parse(name, Digest::of(b"")).unwrap();
            let tag = image.tag.as_ref().map_or("-", Tag::as_str);
            assert_eq!(format!("{} {tag}", image.repository), expect, "{name}");
        }
        check("busybox", "library/busybox latest");
        check("docker.io/library/busybox:1", "library/busybox 1");
        check("index.docker.io/library/busybox:1", "library/busybox 1");
        check("ns/app:1", "ns/app 1");
        check("quay.io/ns/app:1", "quay.io/ns/app 1");
        check("localhost:5000/app:1", "localhost_5000/app 1");
        let hex = "a".repeat(64);
        check(&format!("ns/app@sha256:{hex}"), "ns/app -");
        check(&format!("ns/app:1@sha256:{hex}"), "ns/app 1");
    }

    #[test]
    fn nameless_images_are_called_after_their_file() {
        #[track_caller]
        fn check(path: &str, expect: &str) {
            assert_eq!(nameless(Path::new(path)).as_str(), expect, "{path}");
        }
        check("/tmp/app.tar", "app");
        check("app-1.2.tar.gz", "app-1.2");
        check("haul.tar.zst", "haul");
        check("My App (1).tgz", "my-app-1");
        check("layout", "layout");
        check("__.tar", "image");
        check("/", "image");
    }
}
