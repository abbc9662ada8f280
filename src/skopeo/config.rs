//! The configuration of an image, with the fields that the OCI image specification knows, in the
//! order in which Go writes them (OCI image-spec, config.md).

use std::collections::{BTreeMap, BTreeSet};

use hod_gotemplate::Time;
use hod_gotext::quote;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a configuration cannot be parsed, in Go's words for the usual case.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("parsing time {time} as \"2006-01-02T15:04:05Z07:00\": cannot parse {time} as \"2006\"", time = quote(.0))]
    Time(String),
}

/// The configuration blob. What is not a field here is dropped, as skopeo does.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct OciConfig {
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "or_default"
    )]
    pub(crate) created: Option<String>,
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "or_default"
    )]
    pub(crate) author: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) architecture: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) os: String,
    #[serde(
        rename = "os.version",
        skip_serializing_if = "String::is_empty",
        deserialize_with = "or_default"
    )]
    pub(crate) os_version: String,
    #[serde(
        rename = "os.features",
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "or_default"
    )]
    pub(crate) os_features: Vec<String>,
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "or_default"
    )]
    pub(crate) variant: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) config: Runtime,
    #[serde(deserialize_with = "or_default")]
    pub(crate) rootfs: RootFs,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub(crate) history: Vec<History>,
    /// Not of the specification: read, and never written.
    #[serde(skip_serializing, deserialize_with = "or_default")]
    pub(crate) docker_version: String,
}

/// How the image is run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Runtime {
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "or_default"
    )]
    pub(crate) user: String,
    #[serde(
        skip_serializing_if = "BTreeSet::is_empty",
        deserialize_with = "keys",
        serialize_with = "objects"
    )]
    pub(crate) exposed_ports: BTreeSet<String>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "or_none")]
    pub(crate) env: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub(crate) entrypoint: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub(crate) cmd: Vec<String>,
    #[serde(
        skip_serializing_if = "BTreeSet::is_empty",
        deserialize_with = "keys",
        serialize_with = "objects"
    )]
    pub(crate) volumes: BTreeSet<String>,
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "or_default"
    )]
    pub(crate) working_dir: String,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "or_none")]
    pub(crate) labels: Option<BTreeMap<String, String>>,
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "or_default"
    )]
    pub(crate) stop_signal: String,
    #[serde(skip_serializing_if = "is_false", deserialize_with = "or_default")]
    pub(crate) args_escaped: bool,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RootFs {
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub(crate) kind: String,
    #[serde(deserialize_with = "or_none")]
    pub(crate) diff_ids: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct History {
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "or_default"
    )]
    pub(crate) created: Option<String>,
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "or_default"
    )]
    pub(crate) created_by: String,
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "or_default"
    )]
    pub(crate) author: String,
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "or_default"
    )]
    pub(crate) comment: String,
    #[serde(skip_serializing_if = "is_false", deserialize_with = "or_default")]
    pub(crate) empty_layer: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// `null` leaves a field of Go's as it was.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// The keys of an object; what is in them does not matter.
fn keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<String>, D::Error> {
    let object = Option::<serde_json::Map<String, serde_json::Value>>::deserialize(deserializer)?;
    let keys = object.into_iter().flatten().map(|(key, _)| key);
    Ok(keys.collect())
}

/// An object of empty objects.
fn objects<S: Serializer>(keys: &BTreeSet<String>, serializer: S) -> Result<S::Ok, S::Error> {
    let empty = serde_json::Map::new();
    serializer.collect_map(keys.iter().map(|key| (key, &empty)))
}

/// A list or map that JSON leaves out when it is empty.
fn or_none<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer)
}

impl OciConfig {
    /// Parses a configuration; its times are those that Go writes again, without zeros at the end of
    /// their fractions.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        let mut config: Self = serde_json::from_slice(bytes)?;
        let steps = config.history.iter_mut().map(|step| &mut step.created);
        for time in steps.chain([&mut config.created]).flatten() {
            let parsed =
                Time::parse_rfc3339(time).ok_or_else(|| ConfigError::Time(time.clone()))?;
            *time = parsed.to_rfc3339();
        }
        Ok(config)
    }

    /// The same with lists and maps left out that are empty, as JSON of Go has it.
    pub(crate) fn without_empty(mut self) -> Self {
        self.config.env = self.config.env.filter(|env| !env.is_empty());
        self.config.labels = self.config.labels.filter(|labels| !labels.is_empty());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::go_json;

    #[test]
    fn unknown_fields_are_dropped_and_times_are_written_as_in_go() {
        let docker = br#"{"container":"x","created":"2026-01-02T03:04:05.678900000Z",
            "docker_version":"20","os":"linux","architecture":"amd64","config":{"Hostname":"h",
            "Env":["A=<b>"],"Cmd":null,"Labels":{},"ExposedPorts":{"80/tcp":{}},"OnBuild":null},
            "rootfs":{"type":"layers","diff_ids":["sha256:1"]},
            "history":[{"created":"2026-01-02T00:00:00.000Z","created_by":"/bin/sh","empty_layer":true}]}"#;
        let config = OciConfig::parse(docker).unwrap();
        assert_eq!(config.docker_version, "20");
        let yesterday = OciConfig::parse(br#"{"created":"yesterday"}"#);
        assert!(matches!(yesterday, Err(ConfigError::Time(_))));
        let bytes = go_json::compact(&config.without_empty());
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            r#"{"created":"2026-01-02T03:04:05.6789Z","architecture":"amd64","os":"linux","config":{"ExposedPorts":{"80/tcp":{}},"Env":["A=\u003cb\u003e"]},"rootfs":{"type":"layers","diff_ids":["sha256:1"]},"history":[{"created":"2026-01-02T00:00:00Z","created_by":"/bin/sh","empty_layer":true}]}"#
        );
    }
}
