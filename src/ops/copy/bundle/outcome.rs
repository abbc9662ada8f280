//! A bundle that was written.

use std::path::PathBuf;

use serde::Serialize;

use crate::batch::is_zero;
use crate::written::WrittenFile;
use hod_bundle::KeyId;
use hod_oci::Digest;

/// A written bundle.
#[derive(Debug, Clone, Serialize)]
pub struct PackOutcome {
    pub path: PathBuf,
    /// The files; none for stdout.
    pub files: Vec<WrittenFile>,
    /// The number of volumes of the bundle, of which only one may have been written.
    pub n_volumes: u32,
    /// Names the content: equal for equal input.
    pub id: Digest,
    /// The key that signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<KeyId>,
    pub n_images: usize,
    pub n_blobs: usize,
    /// Configs and layers that are left out, since the target has them.
    #[serde(skip_serializing_if = "is_zero")]
    pub base_blobs: usize,
    /// Their bytes.
    #[serde(skip_serializing_if = "is_zero")]
    pub base_bytes: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Bytes of the tar before compression; the same as `bytes` for a plain one.
    pub tar_bytes: u64,
    /// Additional bytes that packing each image separately would have cost.
    pub shared_bytes: u64,
    /// Extra files of the source bundle that were not packed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_files: Vec<String>,
}
