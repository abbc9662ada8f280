//! `skopeo inspect`

mod value;

use std::collections::BTreeMap;

use hod_oci::{Descriptor, Manifest, ManifestBody};
use hod_registry::RegistryError;
use serde::Serialize;

use self::value::{AsValue, formatted};

use crate::config::OciConfig;
use crate::convert::manifest::image_of;
use crate::copy::artifact;
use crate::failure::{Done, Failure};
use crate::go_json;
use crate::log::Log;
use crate::name::{ImageName, Named};
use crate::platform::PlatformFlags;
use crate::screen::Screen;
use crate::source::{OpenImage, Opening};
use crate::wording;

/// The flags of the verb.
#[derive(Debug, Clone, Default)]
pub(crate) struct InspectFlags {
    pub(crate) raw: bool,
    pub(crate) config: bool,
    pub(crate) format: Option<String>,
    pub(crate) no_tags: bool,
    pub(crate) platform: PlatformFlags,
}

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

/// Prints what is known of an image.
pub(crate) async fn run(
    log: &Log,
    opening: &Opening<'_>,
    flags: &InspectFlags,
    text: &str,
) -> Done {
    if flags.raw && flags.format.is_some() {
        return Err(Failure::new("raw output does not support format option"));
    }
    let named = |error: Failure| error.during(format!("Error parsing image name {text:?}"));
    let parsed = {
        let text = text.to_owned();
        hod_bridge::run(move || ImageName::parse(&text)).await
    };
    let name = parsed.map_err(|error| named(Failure::new(error.to_string())))?;
    opening.flags.check()?;
    let opened = OpenImage::open(&name, opening).await;
    let image = opened.map_err(|error| match &name {
        ImageName::Dir { .. } => error.during("Error retrieving manifest for image"),
        _ => named(error),
    })?;
    if flags.raw && !flags.config {
        return Screen::result(image.top.bytes());
    }
    let chosen = chosen(&image, flags).await?;
    let config = &image_of(&chosen)?.config;
    let is_raw_config = flags.config && flags.raw;
    if !(config.media_type.is_image_config() || is_raw_config) {
        return Err(artifact(&config.media_type));
    }
    let bytes = image.config(config).await?;
    if flags.config && flags.raw {
        return Screen::result(&bytes);
    }
    let parsed = OciConfig::parse(&bytes).map_err(|error| {
        Failure::new(format!(
            "Error reading OCI-formatted configuration data: {error}"
        ))
    })?;
    if flags.config {
        return print(&parsed.without_empty(), flags.format.as_deref());
    }
    let mut inspected = Inspected::of(&name, &image, &chosen, parsed);
    if let (Some(registry), false) = (&image.registry, flags.no_tags) {
        match registry.client.tags.list(&registry.repo).await {
            Ok(tags) => inspected.repo_tags = tags.iter().map(ToString::to_string).collect(),
            Err(error) if is_disallowed(&error) => {
                log.warn("Registry disallows tag list retrieval; skipping");
            }
            Err(error) => {
                let error = wording::of_tags(&error);
                return Err(error.during("Error determining repository tags"));
            }
        }
    }
    print(&inspected, flags.format.as_deref())
}

/// Some registries let nobody list tags.
fn is_disallowed(error: &RegistryError) -> bool {
    match error {
        RegistryError::Refused(refusal) => {
            refusal.code() == Some("DENIED")
                || (refusal.status() == 404 && refusal.message() == Some("404 page not found"))
        }
        _ => false,
    }
}

/// The image itself, or the one of an index for the system that the flags name.
async fn chosen(image: &OpenImage, flags: &InspectFlags) -> Done<Manifest> {
    match image.top.body() {
        ManifestBody::Image(_) => Ok(image.top.clone()),
        ManifestBody::Index(_) => {
            let during = |error: Failure| {
                error
                    .during("choosing image instance")
                    .during("Error parsing manifest for image")
            };
            let entry = flags.platform.choose(&image.top).map_err(during)?;
            image.child(entry).await
        }
    }
}

fn print(value: &(impl Serialize + AsValue), format: Option<&str>) -> Done {
    match format.filter(|format| !hod_gotemplate::is_json(format)) {
        None => {
            let mut text = go_json::indented(value);
            text.push('\n');
            Screen::result(text.as_bytes())
        }
        Some(format) => Screen::result(&formatted(value, format)?),
    }
}

impl Inspected {
    fn of(name: &ImageName, image: &OpenImage, chosen: &Manifest, config: OciConfig) -> Self {
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
