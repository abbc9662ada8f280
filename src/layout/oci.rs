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

pub use archive::{ArchiveBlob, OciArchivePlan, OciArchiveWriter};
pub use directory::{DirBlob, OciDirWriter};
pub use entry::OciEntry;
pub(super) use entry::full_name;

use crate::oci::{Digest, DigestHasher};

use super::LayoutError;

pub(super) const MARKER: &str = "oci-layout";
const MARKER_TEXT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
pub(super) const INDEX: &str = "index.json";
const BLOBS: &str = "blobs";

/// The path of a blob in a layout.
fn blob_member(digest: &Digest) -> String {
    let algorithm = digest.algorithm().as_str();
    format!("{BLOBS}/{algorithm}/{}", digest.hex())
}

/// Bytes that arrive in pieces, and their expected digest.
#[derive(Debug)]
struct Checked {
    expected: Digest,
    hasher: DigestHasher,
    len: u64,
}

impl Checked {
    fn new(expected: &Digest) -> Self {
        Self {
            expected: expected.clone(),
            hasher: DigestHasher::new(expected.algorithm()),
            len: 0,
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
    }

    fn finish(self) -> Result<(), LayoutError> {
        let actual = self.hasher.finish();
        if actual == self.expected {
            return Ok(());
        }
        Err(LayoutError::DigestMismatch {
            expected: self.expected,
            actual,
            len: self.len,
        })
    }
}
