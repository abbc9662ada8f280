//! The previous content of destinations, and the names of targets.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use hod_oci::Registry;

/// The previous content of a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    New,
    /// Its tag is moved from another image.
    Replaces,
    Unchanged,
    /// A policy of the registry prevents reading it.
    Unreadable,
}

/// The amounts that a dry run expects to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WouldMove {
    pub blobs: usize,
    pub bytes: u64,
}

/// The name of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetName {
    Registry(Registry),
    Path(PathBuf),
}

impl fmt::Display for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(registry) => registry.fmt(f),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}
