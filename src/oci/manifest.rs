//! Manifests and indexes, kept byte for byte (OCI image-spec, manifest.md and image-index.md;
//! Docker's schema 2 and manifest list).
//!
//! A manifest has a digest, so it is never re-serialised: it is parsed to be read, and carried as
//! bytes. Unknown fields, inline `data` and annotations therefore arrive as they left.

use bytes::Bytes;
use serde::Deserialize;

use super::descriptor::null_as_default;
use super::{Descriptor, Digest, MediaType, MediaTypeKind};

/// The longest manifest that is read, in bytes: 4 MiB, the limit of registries.
pub const MANIFEST_LEN_MAX: u64 = 4 * 1024 * 1024;

/// A manifest or an index: its bytes, their digest, and their references.
#[derive(Debug, Clone)]
pub struct Manifest {
    bytes: Bytes,
    digest: Digest,
    media_type: MediaType,
    body: ManifestBody,
}

/// The references of a manifest.
#[derive(Debug, Clone)]
pub enum ManifestBody {
    /// One platform's image, or an artifact.
    Image(ImageManifest),
    /// A list of manifests.
    Index(IndexManifest),
}

/// The blobs of one image.
#[derive(Debug, Clone)]
pub struct ImageManifest {
    pub config: Descriptor,
    pub layers: Vec<Descriptor>,
    pub subject: Option<Descriptor>,
}

/// The children of an index.
#[derive(Debug, Clone)]
pub struct IndexManifest {
    pub manifests: Vec<Descriptor>,
    pub subject: Option<Descriptor>,
}

/// Why bytes are not a manifest that can be carried.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Over [`MANIFEST_LEN_MAX`].
    #[error("manifest has {len} bytes; at most {MANIFEST_LEN_MAX} are read")]
    TooLong { len: u64 },
    /// Not JSON, or not of a manifest's shape.
    #[error("manifest is not valid JSON of a known shape")]
    Json(#[source] serde_json::Error),
    /// Docker's schema 1.
    #[error("manifest is Docker schema 1, which is obsolete and cannot be carried unchanged")]
    Schema1,
    /// A `mediaType` that is not a manifest's.
    #[error("`{media_type}` is not a manifest media type that can be carried")]
    UnknownMediaType { media_type: MediaType },
    /// Both or neither of a manifest and an index.
    #[error("manifest has neither a config with layers nor a list of manifests")]
    Shapeless,
    /// An index of one shape declared as the other (a known attack: the two parse differently).
    #[error("manifest is declared as `{media_type}` and has the fields of the other kind")]
    Ambiguous { media_type: MediaType },
}

impl ManifestError {
    /// Whether the bytes are not a manifest at all. Any other reason lies in how the image was made.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Json(_) | Self::Shapeless)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    #[serde(default)]
    schema_version: u32,
    #[serde(default)]
    media_type: Option<MediaType>,
    config: Option<Descriptor>,
    #[serde(default, deserialize_with = "null_as_default")]
    layers: Vec<Descriptor>,
    manifests: Option<Vec<Descriptor>>,
    #[serde(default)]
    subject: Option<Descriptor>,
}

impl Manifest {
    /// Parses `bytes`, whose media type is the one inside, otherwise `declared` (from
    /// `Content-Type` or the descriptor), otherwise derived from the fields.
    ///
    /// The digest is sha256; see [`Manifest::parse_as`] for bytes with a known digest.
    pub fn parse(bytes: Bytes, declared: Option<&MediaType>) -> Result<Self, ManifestError> {
        let digest = Digest::of(&bytes);
        Self::parse_as(bytes, digest, declared)
    }

    /// Parses `bytes` that are known to have `digest`, of any algorithm.
    pub fn parse_as(
        bytes: Bytes,
        digest: Digest,
        declared: Option<&MediaType>,
    ) -> Result<Self, ManifestError> {
        let len = bytes.len() as u64;
        if len > MANIFEST_LEN_MAX {
            return Err(ManifestError::TooLong { len });
        }
        let wire: Wire = match serde_json::from_slice(&bytes) {
            Ok(wire) => wire,
            Err(error) => return Err(not_a_manifest(&bytes, error)),
        };
        let declared = declared.filter(|media_type| media_type.kind() != MediaTypeKind::Blob);
        let media_type = wire
            .media_type
            .clone()
            .filter(|media_type| !media_type.as_str().is_empty());
        let media_type = media_type.or_else(|| declared.cloned());
        if wire.schema_version == 1
            || media_type
                .as_ref()
                .is_some_and(|m| m.kind() == MediaTypeKind::Schema1)
        {
            return Err(ManifestError::Schema1);
        }
        let (body, implied) = match (wire.manifests, wire.config) {
            (Some(manifests), None) => (
                ManifestBody::Index(IndexManifest {
                    manifests,
                    subject: wire.subject,
                }),
                MediaType::OCI_INDEX,
            ),
            (None, Some(config)) => (
                ManifestBody::Image(ImageManifest {
                    config,
                    layers: wire.layers,
                    subject: wire.subject,
                }),
                MediaType::OCI_MANIFEST,
            ),
            (Some(_), Some(_)) => {
                let media_type = media_type.unwrap_or_else(|| MediaType::new("nothing"));
                return Err(ManifestError::Ambiguous { media_type });
            }
            (None, None) => return Err(ManifestError::Shapeless),
        };
        let media_type = media_type.unwrap_or_else(|| MediaType::new(implied));
        match (&body, media_type.kind()) {
            (ManifestBody::Image(_), MediaTypeKind::Image)
            | (ManifestBody::Index(_), MediaTypeKind::Index) => {}
            (_, MediaTypeKind::Image | MediaTypeKind::Index) => {
                return Err(ManifestError::Ambiguous { media_type });
            }
            _ => return Err(ManifestError::UnknownMediaType { media_type }),
        }
        Ok(Self {
            bytes,
            digest,
            media_type,
            body,
        })
    }

    /// The bytes as they came.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The digest of [`Manifest::bytes`].
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The media type to send it with.
    pub fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// Its references.
    pub fn body(&self) -> &ManifestBody {
        &self.body
    }

    /// A descriptor of this manifest.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(
            self.media_type.clone(),
            self.digest.clone(),
            self.bytes.len() as u64,
        )
    }

    /// The manifest that this one refers to, if it is a referrer.
    pub fn subject(&self) -> Option<&Descriptor> {
        match &self.body {
            ManifestBody::Image(image) => image.subject.as_ref(),
            ManifestBody::Index(index) => index.subject.as_ref(),
        }
    }

    /// The child manifests, in order; none for an image.
    pub fn children(&self) -> &[Descriptor] {
        match &self.body {
            ManifestBody::Image(_) => &[],
            ManifestBody::Index(index) => &index.manifests,
        }
    }

    /// The config and the layers, in order and with repeats; none for an index.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let image = match &self.body {
            ManifestBody::Image(image) => Some(image),
            ManifestBody::Index(_) => None,
        };
        image
            .into_iter()
            .flat_map(|image| std::iter::once(&image.config).chain(&image.layers))
    }

    /// The blobs that a registry must hold: [`Manifest::blobs`] less the foreign layers.
    pub fn stored_blobs(&self) -> impl Iterator<Item = &Descriptor> {
        self.blobs().filter(|blob| !blob.is_foreign())
    }

    /// Makes an index of `entries` of this one, with every other field unchanged.
    ///
    /// The result has another digest. Returns `None` when this is not an index.
    pub fn with_entries(&self, entries: &[IndexEntry<'_>]) -> Option<Self> {
        let ManifestBody::Index(_) = self.body else {
            return None;
        };
        // Values, so that unknown fields are kept.
        let mut fields: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&self.bytes).ok()?;
        let list = fields.get_mut("manifests")?.as_array_mut()?;
        let mut kept = Vec::with_capacity(entries.len());
        for entry in entries {
            match *entry {
                IndexEntry::Keep(at) => kept.push(list.get(at)?.clone()),
                IndexEntry::Replace(at, manifest) => {
                    let mut value = list.get(at)?.clone();
                    value["digest"] = manifest.digest().as_str().into();
                    value["size"] = manifest.bytes().len().into();
                    kept.push(value);
                }
            }
        }
        *list = kept;
        let bytes = serde_json::to_vec(&fields).ok()?;
        Self::parse(bytes.into(), Some(&self.media_type)).ok()
    }
}

/// An entry of a rewritten index.
#[derive(Debug, Clone, Copy)]
pub enum IndexEntry<'a> {
    /// The unchanged entry at this position.
    Keep(usize),
    /// The entry at this position, now naming another manifest.
    Replace(usize, &'a Manifest),
}

/// A schema 1 manifest has other fields, so it is recognised by its media type here too.
fn not_a_manifest(bytes: &[u8], error: serde_json::Error) -> ManifestError {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Version {
        schema_version: u32,
    }
    match serde_json::from_slice::<Version>(bytes) {
        Ok(Version { schema_version: 1 }) => ManifestError::Schema1,
        _ => ManifestError::Json(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn parse(json: &str) -> Result<Manifest, ManifestError> {
        Manifest::parse(json.replace("HEX", HEX).into_bytes().into(), None)
    }

    #[test]
    fn an_oci_manifest_without_media_type_is_known_by_its_shape() {
        let manifest = parse(
            r#"{"schemaVersion":2,"config":{"mediaType":"x/y","digest":"sha256:HEX","size":0},
               "layers":null,"future":{"a":1}}"#,
        )
        .unwrap();
        assert_eq!(manifest.media_type().as_str(), MediaType::OCI_MANIFEST);
        assert_eq!(manifest.blobs().count(), 1);
        assert!(manifest.children().is_empty());
    }

    #[test]
    fn foreign_layers_are_not_stored_blobs() {
        let manifest = parse(
            r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",
               "config":{"mediaType":"x/y","digest":"sha256:HEX","size":0},"layers":[
               {"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                "digest":"sha256:HEX","size":9,"urls":["https://example.com/l"]}]}"#,
        )
        .unwrap();
        assert_eq!(
            (manifest.blobs().count(), manifest.stored_blobs().count()),
            (2, 1)
        );
    }

    #[test]
    fn what_cannot_be_carried_is_refused_by_name() {
        #[track_caller]
        fn check(json: &str, expect: &str) {
            assert_eq!(parse(json).unwrap_err().to_string(), expect);
        }
        let schema1 =
            "manifest is Docker schema 1, which is obsolete and cannot be carried unchanged";
        check(r#"{"schemaVersion":1,"history":[],"config":7}"#, schema1);
        check(r#"{"schemaVersion":1,"fsLayers":[]}"#, schema1);
        check("[]", "manifest is not valid JSON of a known shape");
        check(
            "{}",
            "manifest has neither a config with layers nor a list of manifests",
        );
        check(
            r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json","manifests":[]}"#,
            "manifest is declared as `application/vnd.oci.image.manifest.v1+json` and has the fields of the other kind",
        );
        check(
            r#"{"mediaType":"text/plain","manifests":[]}"#,
            "`text/plain` is not a manifest media type that can be carried",
        );
    }

    #[test]
    fn a_rewritten_index_keeps_unknown_fields() {
        let index = parse(
            r#"{"schemaVersion":2,"manifests":[
               {"mediaType":"a","digest":"sha256:HEX","size":1,"x":1.50},
               {"mediaType":"b","digest":"sha256:HEX","size":2,"x":2}],"annotations":{"k":"v"}}"#,
        )
        .unwrap();
        let one = index.with_entries(&[IndexEntry::Keep(1)]).unwrap();
        assert_eq!(one.children().len(), 1);
        let text = std::str::from_utf8(one.bytes()).unwrap();
        assert!(
            text.contains(r#""annotations":{"k":"v"}"#) && text.contains(r#""x":2"#),
            "{text}"
        );
    }
}
