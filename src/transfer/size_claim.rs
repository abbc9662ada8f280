//! Who says how long a blob is.

use std::fmt;

use hod_oci::Digest;

/// Who says how long a blob is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SizeClaim {
    Manifest(Digest),
    /// The `index.json` of an OCI layout.
    LayoutIndex,
    /// A manifest that the reader of the bytes does not know.
    SomeManifest,
}

impl fmt::Display for SizeClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest(digest) => write!(f, "manifest `{digest}`"),
            Self::LayoutIndex => f.write_str("`index.json`"),
            Self::SomeManifest => f.write_str("its manifest"),
        }
    }
}
