//! Writing OCI layouts, as directories and as archives.
//!
//! ```text
//! oci-layout                    `{"imageLayoutVersion":"1.0.0"}`
//! index.json                    every image, by its full name
//! blobs/sha256/<hex>            manifests, configs and layers, each once
//! ```

mod archive;
mod directory;
mod entry;

pub(super) use archive::ArchiveMember;
pub use archive::{OciArchivePlan, OciArchiveWriter};
pub use directory::OciDirWriter;
pub use entry::OciEntry;
pub(super) use entry::full_name;

use hod_oci::Digest;

pub(super) const MARKER: &str = "oci-layout";
const MARKER_TEXT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
pub(super) const INDEX: &str = "index.json";
const BLOBS: &str = "blobs";

/// The path of a blob in a layout.
fn blob_member(digest: &Digest) -> String {
    let algorithm = digest.algorithm().as_str();
    format!("{BLOBS}/{algorithm}/{}", digest.hex())
}
