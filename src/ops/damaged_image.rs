//! An image that cannot be read, as a result.

use serde::Serialize;

/// An image that cannot be read.
#[derive(Debug, Clone, Serialize)]
pub struct DamagedImage {
    pub image: String,
    pub error: String,
    /// The reason: equal for images that fail with the same cause but different errors.
    #[serde(skip)]
    pub reason: Option<String>,
}
