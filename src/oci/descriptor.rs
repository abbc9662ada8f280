//! Descriptors: references to other blobs in a manifest (OCI image-spec, descriptor.md).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Digest, MediaType, MediaTypeKind, Platform};

/// A reference to a blob by digest. Fields that carrying does not need are left in the raw bytes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type of the blob.
    #[serde(default = "no_media_type")]
    pub media_type: MediaType,
    /// The content address of the blob as stored.
    pub digest: Digest,
    /// The length of the blob in bytes.
    pub size: u64,
    /// URLs of the blob outside of the registry; only foreign layers have any.
    #[serde(default, deserialize_with = "null_as_default")]
    pub urls: Vec<String>,
    /// Of an index's entry: the platform that the image runs on.
    #[serde(default)]
    pub platform: Option<Platform>,
    /// Free-form notes; attestations in an index use them.
    #[serde(default, deserialize_with = "null_as_default")]
    pub annotations: BTreeMap<String, String>,
}

/// Whether foreign layers are fetched with their image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignLayers {
    Fetch,
    Leave,
}

fn no_media_type() -> MediaType {
    MediaType::new("")
}

/// Go writes an empty slice or map as `null` as often as not.
pub(super) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Adds lengths from outside; saturates at [`u64::MAX`].
pub fn sum_len(lens: impl IntoIterator<Item = u64>) -> u64 {
    lens.into_iter().fold(0, u64::saturating_add)
}

impl Descriptor {
    /// A descriptor with nothing but the three required fields.
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self {
            media_type,
            digest,
            size,
            urls: Vec::new(),
            platform: None,
            annotations: BTreeMap::new(),
        }
    }

    /// Returns true for a foreign layer, which registries need not store.
    ///
    /// The media type alone is not enough: a foreign layer without `urls` is not available
    /// elsewhere, so registries store it and it is carried like any other.
    pub fn is_foreign(&self) -> bool {
        self.media_type.kind() == MediaTypeKind::ForeignLayer && !self.urls.is_empty()
    }
}
