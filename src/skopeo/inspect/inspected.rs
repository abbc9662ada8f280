//! What is known of an image.

use std::collections::BTreeMap;

use hod_oci::{Descriptor, Manifest, ManifestBody};
use serde::Serialize;

use crate::config::OciConfig;
use crate::name::{ImageName, Named};
use crate::source::OpenImage;

/// What the verb prints, in Go's order.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Inspected {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    pub(crate) digest: String,
    pub(crate) repo_tags: Vec<String>,
    pub(crate) created: Option<String>,
    pub(crate) docker_version: String,
    pub(crate) labels: Option<BTreeMap<String, String>>,
    pub(crate) architecture: String,
    pub(crate) os: String,
    pub(crate) layers: Option<Vec<String>>,
    pub(crate) layers_data: Option<Vec<Layer>>,
    pub(crate) env: Option<Vec<String>>,
}

/// A layer in the manifest.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Layer {
    #[serde(rename = "MIMEType")]
    pub(crate) mime_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
    pub(crate) annotations: Option<BTreeMap<String, String>>,
}

impl Inspected {
    pub(super) fn of(
        name: &ImageName,
        image: &OpenImage,
        chosen: &Manifest,
        config: OciConfig,
    ) -> Self {
        let layers = match chosen.body() {
            ManifestBody::Image(image) => image.layers.as_slice(),
            ManifestBody::Index(_) => &[],
        };
        let some = |is_empty: bool| (!is_empty).then_some(());
        Self {
            name: match name {
                ImageName::Docker { named, .. } => named.name(),
                _ => name.docker_reference().map(Named::name).unwrap_or_default(),
            },
            digest: image.top.digest().to_string(),
            repo_tags: Vec::new(),
            created: config.created,
            docker_version: config.docker_version,
            labels: config.config.labels,
            architecture: config.architecture,
            os: config.os,
            layers: some(layers.is_empty()).map(|()| {
                layers
                    .iter()
                    .map(|layer| layer.digest.to_string())
                    .collect()
            }),
            layers_data: some(layers.is_empty()).map(|()| layers.iter().map(Layer::of).collect()),
            env: config.config.env,
        }
    }
}

impl Layer {
    fn of(layer: &Descriptor) -> Self {
        let annotations = &layer.annotations;
        Self {
            mime_type: layer.media_type.to_string(),
            digest: layer.digest.to_string(),
            size: layer.size,
            annotations: (!annotations.is_empty()).then(|| annotations.clone()),
        }
    }
}
