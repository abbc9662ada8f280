//! `skopeo layers`

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use hod_fsx::TempDir;
use hod_layout::DirWriter;
use hod_oci::{Descriptor, Digest, ImageManifest, Manifest, ManifestBody};

use crate::convert::manifest::{self, Kind, image_of};
use crate::failure::{Done, Failure};
use crate::name::ImageName;
use crate::platform::PlatformFlags;
use crate::source::{OpenImage, Opening};
use crate::target::{Copied, DirSink, move_into, unnamed};
use crate::wording;

/// Writes layers of an image, or all of them with its configuration, and its manifest into a new
/// directory `layers-…` of the working directory, as a layout `dir:`.
pub(crate) async fn run(
    opening: &Opening<'_>,
    platform: &PlatformFlags,
    text: &str,
    layers: &[String],
) -> Done {
    let owned = text.to_owned();
    let name = hod_bridge::run(move || ImageName::parse(&owned)).await;
    let name = name.map_err(|error| Failure::new(error.to_string()))?;
    let image = OpenImage::open(&name, opening).await?.for_copy().await?;
    let chosen = match image.top.body() {
        ManifestBody::Image(_) => image.top.clone(),
        ManifestBody::Index(_) => image.child(platform.choose(&image.top)?).await?,
    };
    let parts = parts(&chosen, layers)?;
    let dir = hod_bridge::run(|| TempDir::create_in(Path::new("."), "layers-")).await;
    let dir = dir.map_err(|error| wording::of_file(&error))?;
    let path = dir.path().to_owned();
    let writer = {
        let path = path.clone();
        hod_bridge::run(move || DirWriter::create(&path)).await
    };
    let writer = writer.map_err(|error| wording::of_layout(&error))?;
    let copied = Copied {
        source: Arc::clone(&image.source),
        location: image.location.clone(),
        manifests: vec![parts.clone()],
        chosen_from: None,
        config: None,
    };
    move_into(Arc::new(DirSink::new(vec![writer])), copied, unnamed()).await?;
    // The manifest is always the one of the name, which may be an index.
    let manifest = path.join("manifest.json");
    let bytes = image.top.bytes().clone();
    // A manifest of layers alone needed one; it was not asked for.
    let config = image_of(&chosen)?.config.digest.hex().to_owned();
    let config = (!layers.is_empty()).then(|| path.join(config));
    let replaced = hod_bridge::run(move || {
        hod_fsx::overwrite(&manifest, &bytes)?;
        config.map_or(Ok(()), |config| hod_fsx::remove_file(&config))
    });
    replaced.await.map_err(|error| wording::of_file(&error))?;
    dir.keep();
    Ok(())
}

/// A manifest with the layers that are asked for.
fn parts(chosen: &Manifest, layers: &[String]) -> Done<Manifest> {
    if layers.is_empty() {
        return Ok(chosen.clone());
    }
    let image = image_of(chosen)?;
    let known: HashMap<&Digest, &Descriptor> = image
        .layers
        .iter()
        .map(|layer| (&layer.digest, layer))
        .collect();
    let wanted = |text: &String| -> Done<Descriptor> {
        let full = if text.starts_with("sha256:") {
            text.clone()
        } else {
            format!("sha256:{text}")
        };
        let digest = full.parse::<Digest>();
        let digest = digest.map_err(|_| Failure::new(digest_problem(&full)))?;
        let found = known.get(&digest).map(|layer| (*layer).clone());
        found.ok_or_else(|| Failure::new(format!("{digest} is not a layer of the image")))
    };
    let parts = ImageManifest {
        layers: layers.iter().map(wanted).collect::<Done<_>>()?,
        ..image.clone()
    };
    manifest::image(Kind::of(chosen), &parts)
}

/// What Go says of a digest that is none.
fn digest_problem(text: &str) -> &'static str {
    let encoded = text.trim_start_matches("sha256:");
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "=_-".contains(c);
    if !encoded.is_empty() && encoded.len() != 64 && encoded.chars().all(is_plain) {
        "invalid checksum digest length"
    } else {
        "invalid checksum digest format"
    }
}
