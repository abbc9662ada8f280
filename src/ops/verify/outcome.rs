//! What is verified, and what was found.

use std::fmt;

use serde::Serialize;

use crate::input::Look;
use crate::{SignatureFacts, SourceKind, UnreadImage};
use hod_bundle::Delta;
use hod_report::amount::{format_count, format_missing, format_volumes};

/// Options for verifying.
#[derive(Debug)]
pub struct VerifyOptions {
    pub look: Look,
    pub extent: Extent,
    pub depth: Depth,
}

/// How the configs and layers of registries are checked; all others are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The registry is asked whether it has them, in the right length.
    Length,
    /// They are fetched and hashed.
    Content,
}

/// The volumes of a bundle that must be present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Every volume.
    Whole,
    /// One volume, or more.
    Partial,
}

/// The result.
#[derive(Debug, Clone, Serialize)]
pub struct VerifyOutcome {
    pub kind: SourceKind,
    pub n_images: usize,
    pub n_blobs: usize,
    /// Bytes that were hashed.
    pub bytes: u64,
    /// Bytes that a registry reports and that were not hashed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unhashed_bytes: Option<u64>,
    /// The number of problems that are requested images that were not found.
    #[serde(skip)]
    pub n_absent: usize,
    /// Everything that is wrong; empty when the source is whole.
    pub problems: Vec<String>,
    /// The images that could not be checked, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<UnreadImage>,
    /// Unusual but harmless findings.
    pub notes: Vec<String>,
    /// The volumes that were found, if some are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volumes: Option<FoundVolumes>,
    /// The signature, if it is a signed bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<SignatureFacts>,
    /// The content required at the target, if it is a bundle that does not contain all of its
    /// images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta: Option<Delta>,
}

/// The volumes of an incomplete bundle.
#[derive(Debug, Clone, Serialize)]
pub struct FoundVolumes {
    pub n_volumes: u32,
    /// Counted from 1; never empty.
    pub missing: Vec<u32>,
    pub n_images: usize,
    /// The number of images that need none of the missing volumes.
    pub n_complete_images: usize,
}

impl VerifyOutcome {
    /// Nothing found yet.
    pub(super) fn new(kind: SourceKind) -> Self {
        Self {
            kind,
            n_images: 0,
            n_blobs: 0,
            bytes: 0,
            unhashed_bytes: None,
            n_absent: 0,
            problems: Vec::new(),
            unread: Vec::new(),
            notes: Vec::new(),
            volumes: None,
            signature: None,
            delta: None,
        }
    }

    /// Counts missing volumes as a problem unless a part was to be verified.
    pub(super) fn judged(mut self, extent: Extent) -> Self {
        if let Some(volumes) = &self.volumes {
            let text = volumes.to_string();
            match extent {
                Extent::Whole => self.problems.push(text),
                Extent::Partial => self.notes.push(text),
            }
        }
        self
    }

    /// The missing volumes, if they should have been present and there are no other problems.
    pub fn only_missing(&self) -> Option<String> {
        let volumes = self.volumes.as_ref()?;
        (self.problems == [volumes.to_string()])
            .then(|| format_missing(&volumes.missing, volumes.n_volumes))
    }
}

impl fmt::Display for FoundVolumes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_missing = u32::try_from(self.missing.len()).expect("at most a few thousand");
        let verb = if n_missing == 1 { "is" } else { "are" };
        write!(
            f,
            "{} of {} volumes found; {} {verb} missing; {} of {} complete here",
            self.n_volumes - n_missing,
            self.n_volumes,
            format_volumes(&self.missing),
            self.n_complete_images,
            format_count(self.n_images, "image"),
        )
    }
}
