//! How to write a bundle.

use std::path::PathBuf;

use crate::error::BundleError;
use hod_fsx::Durability;

/// The container format of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Uncompressed, so that readers can seek.
    Raw,
    /// One zstd stream, which is read from start to end; levels 1 to 19.
    Zstd { level: i32 },
}

/// How to write a bundle.
#[derive(Debug, Clone)]
pub struct WriteOptions {
    /// The path of the complete bundle, from which the names of volumes are derived: see
    /// [`crate::volume_path`]. Its directory must exist.
    pub output: PathBuf,
    pub compression: Compression,
    /// Number of chunks that are compressed in parallel. Does not affect the output.
    pub jobs: usize,
    /// Whether to sync the bundle to the disk before finishing.
    pub durability: Durability,
    /// Write only this volume.
    pub only_volume: Option<u32>,
}

impl WriteOptions {
    /// The error for a thread that cannot be started.
    pub(crate) fn thread_error(&self, source: std::io::Error) -> BundleError {
        self.write_error(hod_fsx::Error::new(
            "start a thread for",
            &self.output,
            source,
        ))
    }

    pub(crate) fn write_error(&self, source: hod_fsx::Error) -> BundleError {
        BundleError::Write {
            path: self.output.clone(),
            source,
        }
    }
}
