//! What a manifest's configuration says that its image runs on.

use futures_util::StreamExt as _;

use super::{Location, Source, TransferError};
use crate::bridge;
use crate::oci::{Descriptor, Digest, ImageConfig, Manifest, ManifestBody, Platform};

/// The longest configuration that is read for that, in bytes.
const CONFIG_LEN_MAX: u64 = 8 * 1024 * 1024;

/// Reads of a manifest's configuration what it is for; `None` where it is not an image's or does
/// not say it, or where the source does not give it before what comes in front of it.
pub(crate) async fn platform_of(
    source: &dyn Source,
    location: &Location,
    manifest: &Manifest,
) -> Result<Option<Platform>, TransferError> {
    let ManifestBody::Image(image) = manifest.body() else {
        return Ok(None);
    };
    let config = &image.config;
    if !config.media_type.is_image_config()
        || config.size > CONFIG_LEN_MAX
        || source.is_sequential()
        || !source.has_blob(&config.digest)
    {
        return Ok(None);
    }
    let bytes = match known(source, config).await {
        Some(bytes) => bytes,
        None => read(source, location, config).await?,
    };
    let platform = ImageConfig::parse(&bytes).map(|config| config.platform);
    Ok(platform.filter(Platform::is_printable))
}

/// A configuration from a local store, if the source is a registry.
async fn known(source: &dyn Source, config: &Descriptor) -> Option<Vec<u8>> {
    let registry = source.as_registry()?;
    let (store, digest) = (registry.known.clone()?, config.digest.clone());
    // A store that cannot be read is ignored here; writing to it reports the error.
    let read = move || store.read_blob(&digest, CONFIG_LEN_MAX).ok().flatten();
    bridge::run(read).await
}

async fn read(
    source: &dyn Source,
    location: &Location,
    config: &Descriptor,
) -> Result<Vec<u8>, TransferError> {
    let content = source.open_blob(location, config).await?;
    let mut stream = content.into_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk?);
        if bytes.len() as u64 > config.size {
            break;
        }
    }
    if config.digest.matches(&bytes) {
        return Ok(bytes);
    }
    let error = TransferError::DigestMismatch {
        expected: config.digest.clone(),
        actual: Digest::of(&bytes),
        len: bytes.len() as u64,
    };
    Err(source.blame(location, &config.digest, error))
}
