//! A bundle as the target of a copy.

use std::path::PathBuf;

use super::extra_files::CarryOptions;
use crate::written::{Checksums, Existing};
use hod_bundle::{Compression, Signer};
use hod_fsx::Durability;

/// A bundle to write.
///
/// A blob is hashed while it is copied, unless the store has verified it and it was not changed
/// since, so that a damaged store is detected here and not at the site. The file appears when it is
/// complete; equal input gives equal bytes. Unlike a store, which later runs trust, a bundle is
/// verified by all its readers, so syncing is optional.
///
/// An image that cannot be read is left out and has failed; the others are packed. A blob that
/// fails later fails the whole bundle.
///
/// To stdout, a pipe or a device it is written in one pass, and the reader sees an incomplete
/// bundle when it fails.
#[derive(Debug, Clone)]
pub struct BundleTarget {
    /// The file, or the base of the volumes' names; `-` for stdout. A pipe or a device is written
    /// from start to end.
    pub output: PathBuf,
    /// Receipts, earlier bundles or stores of the target: their content is left out.
    pub baseline: Vec<PathBuf>,
    pub compression: Compression,
    /// Maximum size of a volume in bytes; `None` for one volume of any length.
    pub volume_size: Option<u64>,
    /// Of all volumes, write this one only.
    pub only_volume: Option<u32>,
    /// The name of the bundle; by default the output's file name.
    pub name: Option<String>,
    pub version: Option<String>,
    /// The signer, if the bundle is to be signed.
    pub signer: Option<Signer>,
    /// The time of every member, in seconds since 1970.
    pub mtime: u64,
    /// The tool, texts and files that go with the images.
    pub carry: CarryOptions,
    /// Whether the file is on the disk, or only in the kernel's hands, when the call returns.
    pub durability: Durability,
    pub reading: Reading,
    pub existing: Existing,
    pub checksums: Checksums,
}

/// Which blobs of a store are read and hashed when they are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Those that were not verified before, or were written since.
    Unverified,
    All,
}

/// The kind of output of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    Files,
    /// Stdout, a pipe or a device.
    Stream,
}
