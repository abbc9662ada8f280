//! How to write a bundle.

use std::path::PathBuf;

use crate::error::BundleError;
use hod_fsx::Durability;

/// The container format of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As it is: readers seek in it.
    Raw,
    /// As one zstd stream, read from start to end; levels as those of zstd, 1 to 19.
    Zstd { level: i32 },
}

/// How to write a bundle.
#[derive(Debug, Clone)]
pub struct WriteOptions {
    /// The path at which the bundle appears once it is complete; the names of several volumes are
    /// derived from it: see [`super::volume_path`]. Its directory must exist.
    pub output: PathBuf,
    pub compression: Compression,
    /// The number of parts that are compressed at the same time. Does not affect the output.
    pub jobs: usize,
    /// Whether the bundle is on the disk, or only in the kernel's hands, when it is finished.
    pub durability: Durability,
    /// Of all volumes, write this one only.
    pub only_volume: Option<u32>,
}

impl WriteOptions {
    /// The system cannot start more threads.
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
