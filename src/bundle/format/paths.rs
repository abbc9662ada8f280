//! The paths of the members of a volume.

use hod_oci::Digest;

/// The member that describes the volume.
pub(crate) const VOLUME_PATH: &str = "hod/volume.json";
/// The member that describes the bundle.
pub(crate) const BUNDLE_PATH: &str = "hod/bundle.json";
/// The member that signs the bundle.
pub(crate) const SIGNATURE_PATH: &str = "hod/bundle.json.minisig";
/// The storage of a registry, below the root of the archive.
pub(crate) const TREE: &str = "docker/registry/v2";

/// Returns the path of a blob, or of the file that its parts are joined to.
pub(crate) fn blob_path(digest: &Digest) -> String {
    let hex = digest.hex();
    let algorithm = digest.algorithm().as_str();
    format!("{TREE}/blobs/{algorithm}/{}/{hex}/data", &hex[..2])
}

/// Returns the path of a part, numbered so that a shell expands `cat data.*` in order.
pub(crate) fn part_path(digest: &Digest, part: usize, n_parts: usize) -> String {
    let width = n_parts.to_string().len().max(3);
    format!("{}.{:0width$}", blob_path(digest), part + 1)
}
