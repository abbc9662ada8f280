//! The configuration blob of an image (OCI image-spec, config.md), as far as carrying needs it.

use serde::Deserialize;

use super::Platform;

/// The platform that a configuration says its image runs on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ImageConfig {
    #[serde(flatten)]
    pub platform: Platform,
}

impl ImageConfig {
    /// Parses a configuration; an artifact's configuration of another shape is `None`.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}
