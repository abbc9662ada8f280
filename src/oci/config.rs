//! The configuration blob of an image (OCI image-spec, config.md), as far as carrying needs it.

use serde::Deserialize;

use super::{Digest, Platform};

/// The platform in an image config.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ImageConfig {
    #[serde(flatten)]
    pub platform: Platform,
}

impl ImageConfig {
    /// Parses a configuration; `None` if it does not state a platform, as an artifact's.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let config: Self = serde_json::from_slice(bytes).ok()?;
        config.platform.is_stated().then_some(config)
    }
}

/// Reads of a configuration which layers it lists, by the digests of their unpacked bytes.
pub fn diff_ids(config: &[u8]) -> Result<Vec<Digest>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Config {
        rootfs: RootFs,
    }
    #[derive(Deserialize)]
    struct RootFs {
        #[serde(default)]
        diff_ids: Option<Vec<Digest>>,
    }
    let config: Config = serde_json::from_slice(config)?;
    Ok(config.rootfs.diff_ids.unwrap_or_default())
}
