//! `index.json` of an OCI layout as skopeo writes it.

use std::collections::BTreeMap;

use hod_oci::{Manifest, MediaType};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::go_json;

/// The annotation with the name of an image.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Index {
    schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    #[serde(default)]
    pub(crate) manifests: Vec<Entry>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

/// A descriptor, with its fields in Go's order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    media_type: String,
    pub(crate) digest: String,
    size: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    urls: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    platform: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
}

impl Index {
    /// Parses `index.json`.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// The bytes as skopeo writes them after it has removed an image.
    pub(crate) fn to_line(&self) -> Vec<u8> {
        let mut bytes = go_json::compact(self);
        bytes.push(b'\n');
        bytes
    }
}

impl Entry {
    /// The name of the image, if it has one.
    pub(crate) fn name(&self) -> Option<&str> {
        self.annotations.get(REF_NAME).map(String::as_str)
    }
}

/// The index with an image added, which takes its name from another one that has it.
pub(crate) fn with_image(old: Option<&[u8]>, name: Option<&str>, image: &Manifest) -> Vec<u8> {
    let old = old.and_then(|bytes| serde_json::from_slice::<Index>(bytes).ok());
    let mut index = old.unwrap_or_else(|| Index {
        schema_version: 2,
        media_type: Some(MediaType::OCI_INDEX.to_owned()),
        manifests: Vec::new(),
        annotations: BTreeMap::new(),
    });
    let name_of = |entry: &Entry| entry.name().map(str::to_owned);
    let name = name.map(str::to_owned);
    if name.is_some() {
        let holder = index
            .manifests
            .iter_mut()
            .find(|entry| name_of(entry) == name);
        if let Some(holder) = holder {
            holder.annotations.remove(REF_NAME);
        }
    }
    let digest = image.digest().to_string();
    let entry = Entry {
        media_type: image.media_type().to_string(),
        digest: digest.clone(),
        size: image.bytes().len() as u64,
        urls: Vec::new(),
        annotations: name
            .map(|name| BTreeMap::from([(REF_NAME.to_owned(), name)]))
            .unwrap_or_default(),
        data: None,
        platform: None,
        artifact_type: None,
    };
    let is_same = |known: &&mut Entry| known.digest == digest && name_of(known).is_none();
    match index.manifests.iter_mut().find(is_same) {
        Some(known) => *known = entry,
        None => index.manifests.push(entry),
    }
    go_json::compact(&index)
}
