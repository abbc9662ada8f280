//! A bundle that was written.

use std::path::PathBuf;

use serde::Serialize;

use crate::OpsError;
use crate::written::WrittenFile;
use hod_bundle::KeyId;
use hod_oci::Digest;
use hod_report::amount::is_zero;

/// The content of a bundle, as it is known before it is written.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct PackFacts {
    pub n_images: usize,
    pub n_blobs: usize,
    /// Configs and layers that are left out, since the target has them.
    #[serde(skip_serializing_if = "is_zero")]
    pub base_blobs: usize,
    /// Their bytes.
    #[serde(skip_serializing_if = "is_zero")]
    pub base_bytes: u64,
    /// Additional bytes that packing each image separately would cost.
    pub shared_bytes: u64,
}

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
    #[serde(flatten)]
    pub facts: PackFacts,
    /// Bytes of the files.
    pub bytes: u64,
    /// Bytes of the tar before compression; the same as `bytes` for a plain one.
    pub tar_bytes: u64,
    /// Extra files of the source bundle that were not packed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_files: Vec<String>,
}

/// The expected result of packing. Nothing was written.
#[derive(Debug, Serialize)]
pub struct PackForecast {
    /// The files that would be written.
    pub volumes: Vec<VolumeForecast>,
    /// Total bytes; for a compressed bundle before compression, which is about the same.
    pub bytes: u64,
    #[serde(flatten)]
    pub facts: PackFacts,
    /// Free bytes at the output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
    pub target: TargetNeeds,
    /// Why packing would be refused.
    #[serde(skip)]
    pub refusal: Option<OpsError>,
}

/// A file that would be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VolumeForecast {
    pub path: PathBuf,
    pub bytes: u64,
}

/// The space that the target requires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetNeeds {
    /// Space for all volumes: they are pushed without unpacking, or one after the other if there is
    /// not enough space.
    pub bundle_bytes: u64,
    /// Room in a registry, or for `hod unpack`: every blob once.
    pub registry_bytes: u64,
    /// The largest blob, which every proxy before the registry must let pass.
    pub largest_blob_bytes: u64,
    /// Space by project, because quotas apply to projects; a blob counts in every project that has
    /// it, even if the target has it elsewhere.
    pub projects: Vec<ProjectNeed>,
}

/// The space that a project needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProjectNeed {
    pub project: String,
    pub bytes: u64,
}
