//! `index.json` of an OCI layout: the images and their names.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::name::{NamedImage, nameless};
use super::{CollectionEntry, CollectionError, TopManifest, UnreadableImage};
use hod_oci::{Descriptor, Digest, RepositoryName, Tag};

/// The longest index that is read, in bytes; one of thousands of images has a few MiB.
pub(super) const INDEX_LEN_MAX: u64 = 16 * 1024 * 1024;
/// The annotation with the full name of an image, written by containerd and Docker.
const IMAGE_NAME: &str = "io.containerd.image.name";
/// The annotation whose meaning the specification leaves to the tools: a tag with some, a full name
/// with others.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation in which hauler states the role of a manifest, where several have one name.
const KIND: &str = "kind";
/// Prefixes of the roles that correspond to cosign's tags; older haulers and cosign itself have
/// another prefix.
const KIND_PREFIXES: [&str; 2] = ["dev.hauler/", "dev.cosignproject.cosign/"];

#[derive(Deserialize)]
struct Wire {
    manifests: Vec<Descriptor>,
}

/// What an index lists.
pub(super) struct Index {
    pub(super) tops: Vec<TopManifest>,
    pub(super) unreadable: Vec<UnreadableImage>,
    pub(super) entries: Vec<CollectionEntry>,
}

/// Reads the index of the layout at `path`, which is the member `member`; an entry whose name
/// cannot be parsed becomes an unreadable image.
pub(super) fn read(bytes: &[u8], path: &Path, member: &str) -> Result<Index, CollectionError> {
    let wire: Wire = serde_json::from_slice(bytes).map_err(|source| CollectionError::Json {
        path: path.to_owned(),
        member: member.to_owned(),
        source,
    })?;
    // Referrers written by hauler have the name of their subject.
    let subjects: HashMap<&str, &Digest> = wire
        .manifests
        .iter()
        .filter(|entry| about(entry).is_none())
        .filter_map(|entry| Some((name_of(entry)?, &entry.digest)))
        .collect();
    let (mut tops, mut unreadable) = (Vec::new(), Vec::new());
    for entry in &wire.manifests {
        let name = |text: &str, tag: Option<&str>| {
            image(text, entry, path, tag).map_err(|source| UnreadableImage {
                name: text.to_owned(),
                repository: nameless(path),
                tag: None,
                error: Arc::new(CollectionError::Name {
                    path: path.to_owned(),
                    member: member.to_owned(),
                    name: text.to_owned(),
                    source,
                }),
            })
        };
        let (named, is_named) = match (name_of(entry), about(entry)) {
            (None, _) => {
                let digest = entry.digest.clone();
                let image = NamedImage::stored(nameless(path), None, digest);
                (Ok(image), false)
            }
            (Some(text), None) => (name(text, None), true),
            (Some(text), Some(Part::Referrer)) => (name(text, Some("")), true),
            (Some(text), Some(Part::Cosign(suffix))) => {
                let subject = subjects.get(text);
                let tag = subject.map(|subject| subject.as_str().replace(':', "-") + "." + suffix);
                (name(text, Some(tag.as_deref().unwrap_or(""))), true)
            }
        };
        match named {
            Ok(image) => tops.push(TopManifest {
                image: NamedImage {
                    len: Some(entry.size),
                    ..image
                },
                media_type: Some(entry.media_type.clone()),
                is_named,
            }),
            Err(image) => unreadable.push(image),
        }
    }
    let entries = wire.manifests.iter().map(|entry| CollectionEntry {
        names: entry
            .annotations
            .get(REF_NAME)
            .cloned()
            .into_iter()
            .collect(),
        digest: Some(entry.digest.clone()),
    });
    Ok(Index {
        tops,
        unreadable,
        entries: entries.collect(),
    })
}

/// The role of an entry that is a referrer.
enum Part<'a> {
    /// Under a tag of cosign's with this suffix.
    Cosign(&'a str),
    /// By its digest.
    Referrer,
}

fn about(entry: &Descriptor) -> Option<Part<'_>> {
    let kind = entry.annotations.get(KIND)?;
    let mut prefixes = KIND_PREFIXES.iter();
    let kind = prefixes.find_map(|prefix| kind.strip_prefix(prefix))?;
    match kind {
        "sigs" => Some(Part::Cosign("sig")),
        "atts" => Some(Part::Cosign("att")),
        "sboms" => Some(Part::Cosign("sbom")),
        _ if kind.starts_with("referrers") => Some(Part::Referrer),
        _ => None,
    }
}

/// The name of an entry: the full one if there is any.
fn name_of(entry: &Descriptor) -> Option<&str> {
    let name = |key| entry.annotations.get(key).map(String::as_str);
    name(IMAGE_NAME)
        .or_else(|| name(REF_NAME))
        .filter(|name| !name.is_empty())
}

/// The image of an entry that is called `text`, under another tag (or by its digest, if that is
/// empty) where one is given.
fn image(
    text: &str,
    entry: &Descriptor,
    path: &Path,
    tag: Option<&str>,
) -> Result<NamedImage, hod_oci::ReferenceError> {
    let digest = entry.digest.clone();
    // A tag only, of an image that is named like its layout: `skopeo copy … oci:app:1.0`.
    let is_full = entry.annotations.contains_key(IMAGE_NAME) || text.contains([':', '/', '@']);
    let image = match text.parse::<Tag>() {
        Ok(tag) if !is_full => NamedImage::stored(nameless(path), Some(tag), digest),
        _ => NamedImage::parse(text, digest)?,
    };
    let repository: RepositoryName = image.repository.clone();
    match tag {
        None => Ok(image),
        Some("") => Ok(NamedImage::stored(repository, None, image.digest)),
        Some(tag) => Ok(NamedImage::stored(
            repository,
            Some(tag.parse()?),
            image.digest,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(byte: u8, annotations: &[(&str, &str)]) -> String {
        let annotations: std::collections::BTreeMap<_, _> = annotations.iter().copied().collect();
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":1,"annotations":{}}}"#,
            Digest::of(&[byte]),
            serde_json::to_string(&annotations).unwrap()
        )
    }

    fn names(entries: &[String]) -> Vec<String> {
        let json = format!(
            r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
            entries.join(",")
        );
        let path = Path::new("x/app.tar");
        let Index {
            tops, unreadable, ..
        } = read(json.as_bytes(), path, "index.json").unwrap();
        assert!(unreadable.is_empty());
        let name = |top: TopManifest| match &top.image.tag {
            Some(tag) => format!("{}:{tag}", top.image.repository),
            None => format!("{}@{}", top.image.repository, top.image.digest.short()),
        };
        tops.into_iter().map(name).collect()
    }

    #[test]
    fn images_are_called_what_their_annotations_say() {
        let digest = Digest::of(b"1");
        let (short, hex) = (digest.short(), digest.as_str());
        let full = "quay.io/ns/app:2";
        assert_eq!(names(&[entry(b'1', &[])]), [format!("app@{short}")]);
        assert_eq!(names(&[entry(b'1', &[(REF_NAME, "1.0")])]), ["app:1.0"]);
        let plain = [(REF_NAME, "busybox:1")];
        assert_eq!(names(&[entry(b'1', &plain)]), ["library/busybox:1"]);
        let both = [(REF_NAME, "2"), (IMAGE_NAME, full)];
        assert_eq!(names(&[entry(b'1', &both)]), ["quay.io/ns/app:2"]);
        let by_digest = format!("ns/app@{hex}");
        let by_digest = [(IMAGE_NAME, by_digest.as_str())];
        assert_eq!(
            names(&[entry(b'1', &by_digest)]),
            [format!("ns/app@{short}")]
        );
    }

    #[test]
    fn the_parts_of_a_haul_are_told_apart() {
        let name = (IMAGE_NAME, "ghcr.io/ns/app:1");
        let found = names(&[
            entry(b'2', &[name, (KIND, "dev.hauler/sigs")]),
            entry(b'1', &[name, (KIND, "dev.hauler/image")]),
            entry(b'3', &[name, (KIND, "dev.hauler/referrers/abc")]),
            entry(b'4', &[name, (KIND, "dev.cosignproject.cosign/atts")]),
        ]);
        let tag = Digest::of(b"1").as_str().replace(':', "-");
        let third = Digest::of(b"3");
        assert_eq!(
            found,
            [
                format!("ghcr.io/ns/app:{tag}.sig"),
                "ghcr.io/ns/app:1".to_owned(),
                format!("ghcr.io/ns/app@{}", third.short()),
                format!("ghcr.io/ns/app:{tag}.att"),
            ]
        );
    }

    #[test]
    fn bad_names_are_those_of_their_entries() {
        let bad = entry(b'1', &[(IMAGE_NAME, "Quay.io/App:1")]);
        let good = entry(b'2', &[(IMAGE_NAME, "quay.io/app:1")]);
        let json = format!(r#"{{"manifests":[{bad},{good}]}}"#);
        let path = Path::new("x.tar");
        let Index {
            tops, unreadable, ..
        } = read(json.as_bytes(), path, "index.json").unwrap();
        assert_eq!(tops.len(), 1);
        assert_eq!(unreadable[0].name, "Quay.io/App:1");
        assert_eq!(
            unreadable[0].error.to_string(),
            "`index.json` in `x.tar` has the invalid image name `Quay.io/App:1`"
        );
        assert!(matches!(
            read(b"{}", path, "index.json"),
            Err(CollectionError::Json { .. })
        ));
    }
}
