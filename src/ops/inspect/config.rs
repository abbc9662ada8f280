//! Configs of images, as far as people ask for them.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use serde::Serialize;
use serde_json::Value;

use super::parts::Part;
use crate::Context;
use hod_oci::{Digest, ImageConfig, ManifestBody};
use hod_transfer::{Resolved, Source, TransferError, config_of};

/// Number of configurations that are read at once.
const CONFIGS_AT_ONCE: usize = 8;

/// The config of an image. What a hostile one states in another type than the specification is left
/// out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ConfigFacts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    pub env: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    pub exposed_ports: Vec<String>,
    pub volumes: Vec<String>,
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Digests of the uncompressed layers.
    pub diff_ids: Vec<String>,
}

impl ConfigFacts {
    fn of(bytes: &[u8]) -> Option<Self> {
        let config: Value = serde_json::from_slice(bytes).ok()?;
        let run = &config["config"];
        let text = |value: &Value| {
            let text = value.as_str().map(str::to_owned);
            text.filter(|text| !text.is_empty())
        };
        let list = |value: &Value| -> Option<Vec<String>> {
            let texts = value.as_array()?.iter();
            Some(
                texts
                    .filter_map(|text| text.as_str().map(str::to_owned))
                    .collect(),
            )
        };
        let keys = |value: &Value| -> Vec<String> {
            let keys = value.as_object().into_iter().flat_map(|map| map.keys());
            keys.cloned().collect()
        };
        Some(Self {
            created: text(&config["created"]),
            author: text(&config["author"]),
            entrypoint: list(&run["Entrypoint"]),
            cmd: list(&run["Cmd"]),
            env: list(&run["Env"]).unwrap_or_default(),
            user: text(&run["User"]),
            working_dir: text(&run["WorkingDir"]),
            exposed_ports: keys(&run["ExposedPorts"]),
            volumes: keys(&run["Volumes"]),
            labels: texts(&run["Labels"]),
            stop_signal: text(&run["StopSignal"]),
            diff_ids: list(&config["rootfs"]["diff_ids"]).unwrap_or_default(),
        })
    }
}

/// The entries of an object that are texts.
pub(super) fn texts(value: &Value) -> BTreeMap<String, String> {
    let entries = value.as_object().into_iter().flatten();
    entries
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// What the config of a manifest says.
#[derive(Debug, Default)]
pub(super) struct ReadConfig {
    /// `None` for an artifact, and if the source does not have it.
    pub(super) config: Option<ConfigFacts>,
    pub(super) platform: Option<String>,
}

/// Reads the configs of all manifests, several at once, in order. Those of artifacts are not read.
pub(super) async fn read_all(
    cx: &Context,
    source: &dyn Source,
    resolved: &Resolved,
    parts: &[Part],
) -> Vec<Result<ReadConfig, TransferError>> {
    cx.stage(&format!("reading {}", resolved.wanted.name));
    let read = futures_util::stream::iter(parts)
        .map(|part| async move {
            let manifest = part.manifest.as_ref().filter(|_| !part.is_about_another);
            let Some(manifest) = manifest else {
                return Ok(ReadConfig::default());
            };
            let bytes = config_of(source, &resolved.location, manifest).await?;
            let platform = bytes.as_deref().and_then(ImageConfig::parse);
            Ok(ReadConfig {
                config: bytes.as_deref().and_then(ConfigFacts::of),
                platform: platform.map(|config| config.platform.to_string()),
            })
        })
        .buffered(CONFIGS_AT_ONCE);
    read.collect().await
}

/// The digest of the config of a manifest that is not an index.
pub(super) fn config_digest(part: &Part) -> Option<Digest> {
    match part.manifest.as_ref()?.body() {
        ManifestBody::Image(image) => Some(image.config.digest.clone()),
        ManifestBody::Index(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_another_type_is_left_out() {
        let config = br#"{"created":7,"author":"me","config":{"Env":["A=b",1],"Cmd":"x",
            "ExposedPorts":{"80/tcp":{}},"Labels":{"a":"b","c":1},"User":""},"rootfs":[]}"#;
        let facts = ConfigFacts::of(config).unwrap();
        let expect = ConfigFacts {
            author: Some("me".to_owned()),
            env: vec!["A=b".to_owned()],
            exposed_ports: vec!["80/tcp".to_owned()],
            labels: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            ..ConfigFacts::default()
        };
        assert_eq!(facts, expect);
        assert_eq!(ConfigFacts::of(b"no"), None);
        assert_eq!(ConfigFacts::of(b"[]"), Some(ConfigFacts::default()));
    }
}
