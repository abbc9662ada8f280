//! `skopeo inspect`

mod inspected;
mod value;

use hod_gotext::quote;
use hod_oci::{Algorithm, Digest, Manifest, ManifestBody};
use hod_registry::RegistryError;
use serde::Serialize;

use self::inspected::Inspected;
use self::value::{AsValue, formatted};

use crate::config::OciConfig;
use crate::convert::manifest::image_of;
use crate::copy::artifact;
use crate::failure::{Done, Failure};
use crate::go_json;
use crate::log::Log;
use crate::name::ImageName;
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
    pub(crate) manifest_digest: Option<String>,
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
    let named = |error: Failure| {
        error.during(format!(
            "Error parsing image name {}",
            hod_gotext::quote(text)
        ))
    };
    let parsed = {
        let text = text.to_owned();
        hod_bridge::run(move || ImageName::parse(&text)).await
    };
    let name = parsed.map_err(|error| named(Failure::new(error.to_string())))?;
    opening.flags.check()?;
    let opened = OpenImage::open(&name, opening).await;
    let image = opened.map_err(|error| match &name {
        ImageName::Dir { .. } => error.during("Error retrieving manifest for image"),
        // The archive itself is read before.
        ImageName::Oci { .. } | ImageName::DockerArchive { .. } if is_choice(&error) => {
            error.during("Error retrieving manifest for image")
        }
        _ => named(error),
    })?;
    if flags.raw && !flags.config {
        return Screen::result(image.top.bytes());
    }
    let chosen = chosen(&image, flags).await?;
    let config = &image_of(&chosen)?.config;
    let is_raw_config = flags.config && flags.raw;
    if !(config.media_type.is_image_config() || is_raw_config) {
        return Err(artifact(&chosen));
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
    let algorithm = algorithm(flags.manifest_digest.as_deref(), &config.digest)?;
    let mut inspected = Inspected::of(&name, &image, &chosen, parsed);
    inspected.digest = algorithm.digest(image.top.bytes()).to_string();
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

/// The algorithm that the flag names, or the one of the configuration's digest.
fn algorithm(given: Option<&str>, config: &Digest) -> Done<Algorithm> {
    let Some(given) = given else {
        return Ok(config.algorithm());
    };
    let known = [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512];
    let mut known = known.into_iter();
    known.find(|known| known.as_str() == given).ok_or_else(|| {
        Failure::new(format!(
            "Error computing manifest digest: digest algorithm {} is not available",
            quote(given)
        ))
    })
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
            image.child(entry).await.map_err(|error| {
                error
                    .during("fetching target platform image selected from manifest list")
                    .during("Error parsing manifest for image")
            })
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

/// Whether a layout or an archive was read, and lacks the image.
fn is_choice(error: &Failure) -> bool {
    let starts = [
        "Tag ",
        "Invalid source index ",
        "Unexpected tar manifest.json: ",
    ];
    starts.iter().any(|start| error.text.starts_with(start)) || error.text.contains("/blobs/")
}
