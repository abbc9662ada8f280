//! The entries of an `index.json`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{CollectionError, LayoutError};
use hod_oci::{Digest, Manifest, MediaType, Reference, RepositoryName, Tag};

/// An image of a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OciEntry {
    /// The full name, with the registry that a name without one means.
    name: String,
    media_type: MediaType,
    digest: Digest,
    size: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    media_type: &'a str,
    digest: &'a Digest,
    size: u64,
    annotations: Annotations<'a>,
}

#[derive(Serialize)]
struct Annotations<'a> {
    #[serde(rename = "io.containerd.image.name")]
    image_name: &'a str,
    #[serde(rename = "org.opencontainers.image.ref.name")]
    ref_name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    media_type: &'static str,
    manifests: Vec<Value>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// The index of an existing layout: its entries, and its other fields (`annotations`, for
/// instance).
#[derive(Debug, Default, Deserialize)]
pub(super) struct OldIndex {
    manifests: Vec<Value>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl OldIndex {
    /// Parses the index of the layout at `path`.
    pub(super) fn parse(bytes: &[u8], path: &std::path::Path) -> Result<Self, LayoutError> {
        let mut old: Self =
            serde_json::from_slice(bytes).map_err(|source| CollectionError::Json {
                path: path.to_owned(),
                member: super::INDEX.to_owned(),
                source,
            })?;
        for own in ["schemaVersion", "mediaType"] {
            old.rest.remove(own);
        }
        Ok(old)
    }
}

impl OciEntry {
    /// The manifest under the name that it has in a store; by its digest when it has no tag.
    pub fn new(repository: &RepositoryName, tag: Option<&Tag>, manifest: &Manifest) -> Self {
        let digest = manifest.digest();
        Self {
            name: match tag {
                Some(tag) => format!("{}:{tag}", full_name(repository)),
                None => format!("{}@{digest}", full_name(repository)),
            },
            media_type: manifest.media_type().clone(),
            digest: digest.clone(),
            size: manifest.bytes().len() as u64,
        }
    }

    fn value(&self) -> Value {
        let wire = Wire {
            media_type: self.media_type.as_str(),
            digest: &self.digest,
            size: self.size,
            annotations: Annotations {
                image_name: &self.name,
                ref_name: &self.name,
            },
        };
        serde_json::to_value(wire).expect("a struct of texts and numbers is JSON")
    }
}

/// The name of a repository with its registry: what a store keeps has none if it is Docker Hub's.
pub(crate) fn full_name(repository: &RepositoryName) -> String {
    let reference: Option<Reference> = repository.as_str().parse().ok();
    match reference.and_then(|reference| reference.registry) {
        Some(_) => repository.to_string(),
        None => format!("docker.io/{repository}"),
    }
}

/// The index of these entries and of those in `old` that no new one has the name of, with all else
/// that `old` says.
pub(super) fn index(entries: &[OciEntry], old: &OldIndex) -> Vec<u8> {
    let mut entries: Vec<&OciEntry> = entries.iter().collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries.dedup_by(|a, b| a.name == b.name);
    let is_replaced = |value: &Value| {
        let annotation = |key: &str| value["annotations"][key].as_str();
        let name = annotation("io.containerd.image.name")
            .or_else(|| annotation("org.opencontainers.image.ref.name"));
        let is_ours = |entry: &&OciEntry| Some(entry.name.as_str()) == name;
        entries.iter().any(is_ours)
    };
    let mut manifests: Vec<Value> = {
        let old = old.manifests.iter().filter(|old| !is_replaced(old));
        old.cloned().collect()
    };
    manifests.extend(entries.iter().map(|entry| entry.value()));
    let index = Index {
        schema_version: 2,
        media_type: MediaType::OCI_INDEX,
        manifests,
        rest: old.rest.clone(),
    };
    serde_json::to_vec(&index).expect("values are JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_full() {
        #[track_caller]
        fn check(stored: &str, expect: &str) {
            assert_eq!(full_name(&stored.parse().unwrap()), expect);
        }
        check("library/redis", "docker.io/library/redis");
        check("ns/app", "docker.io/ns/app");
        check("quay.io/ns/app", "quay.io/ns/app");
        check("localhost_5000/app", "docker.io/localhost_5000/app");
    }

    #[test]
    fn old_entries_stay_unless_they_have_a_new_name() {
        let manifest = Manifest::parse(br#"{"schemaVersion":2,"manifests":[]}"#[..].into(), None);
        let tag = "1".parse().unwrap();
        let entry = |name: &str| {
            OciEntry::new(
                &name.parse().unwrap(),
                Some(&tag),
                manifest.as_ref().unwrap(),
            )
        };
        let parse = |bytes: &[u8]| OldIndex::parse(bytes, std::path::Path::new("x")).unwrap();
        let first = index(&[entry("ns/b"), entry("ns/a")], &OldIndex::default());
        let mut old = parse(&first);
        assert!(old.rest.is_empty());
        let annotations = serde_json::json!({"created-by": "release"});
        old.rest
            .insert("annotations".to_owned(), annotations.clone());
        let second = index(&[entry("ns/b"), entry("ns/c")], &old);
        assert_eq!(parse(&second).rest["annotations"], annotations);
        let names = |bytes: &[u8]| -> Vec<String> {
            let name = |v: &Value| v["annotations"]["io.containerd.image.name"].to_string();
            parse(bytes).manifests.iter().map(name).collect()
        };
        assert_eq!(names(&first).len(), 2);
        let expect = ["a", "b", "c"].map(|name| format!("\"docker.io/ns/{name}:1\""));
        assert_eq!(names(&second), expect);
    }
}
