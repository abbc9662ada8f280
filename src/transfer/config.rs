//! Image configs and the platforms in them.

use std::sync::Arc;

use futures_util::StreamExt as _;

use super::attempt::Attempts;
use super::{Location, Source, TransferError};
use hod_oci::{Descriptor, ImageConfig, Manifest, ManifestBody, Platform};
use hod_report::Reporter;
use hod_retry::RetryPolicy;

/// The longest configuration that is read, in bytes.
const CONFIG_LEN_MAX: u64 = 8 * 1024 * 1024;

/// Reads the platform from the config of a manifest; `None` if the manifest is not an image, the
/// config does not state a platform, or a sequential source has not reached it.
pub async fn platform_of(
    source: &dyn Source,
    location: &Location,
    manifest: &Manifest,
) -> Result<Option<Platform>, TransferError> {
    let bytes = config_of(source, location, manifest).await?;
    let config = bytes.and_then(|bytes| ImageConfig::parse(&bytes));
    let platform = config.map(|config| config.platform);
    Ok(platform.filter(Platform::is_printable))
}

/// Reads the config of a manifest; `None` if the manifest is not an image, or a sequential source
/// has not reached it.
pub async fn config_of(
    source: &dyn Source,
    location: &Location,
    manifest: &Manifest,
) -> Result<Option<Vec<u8>>, TransferError> {
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
    match known(source, config).await {
        Some(bytes) => Ok(Some(bytes)),
        None => Ok(Some(read(source, location, config).await?)),
    }
}

/// Reads a config, with retries; `None` if it is too long.
pub async fn read_config(
    source: &dyn Source,
    location: &Location,
    config: &Descriptor,
    retry: RetryPolicy,
    reporter: &Arc<dyn Reporter>,
) -> Result<Option<Vec<u8>>, TransferError> {
    if config.size > CONFIG_LEN_MAX {
        return Ok(None);
    }
    if let Some(bytes) = known(source, config).await {
        return Ok(Some(bytes));
    }
    let mut attempts = Attempts::new(source, &config.digest, retry, reporter);
    loop {
        let error = match read(source, location, config).await {
            Ok(bytes) => return Ok(Some(bytes)),
            Err(error) => error,
        };
        let failure = error.failure(source.caps().reach);
        attempts.failed(error, failure, 0).await?;
    }
}

/// A configuration from a local store, if the source is a registry.
async fn known(source: &dyn Source, config: &Descriptor) -> Option<Vec<u8>> {
    let registry = source.as_registry()?;
    let (store, digest) = (registry.known.clone()?, config.digest.clone());
    // A store that cannot be read is ignored here; writing to it reports the error.
    let read = move || store.read_blob(&digest, CONFIG_LEN_MAX).ok().flatten();
    hod_bridge::run(read).await
}

async fn read(
    source: &dyn Source,
    location: &Location,
    config: &Descriptor,
) -> Result<Vec<u8>, TransferError> {
    let content = source.open_blob(location, config).await?;
    let origins = content.origins();
    let mut stream = content.into_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk?);
        if bytes.len() as u64 > config.size {
            break;
        }
    }
    match config.digest.check(&bytes) {
        Ok(()) => Ok(bytes),
        Err(mismatch) => Err(source.blame(location, &config.digest, &origins, mismatch.into())),
    }
}
