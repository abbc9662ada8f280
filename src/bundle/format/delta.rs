//! What a bundle requires at its target, for people and programs.

use std::fmt;

use serde::Serialize;

use super::manifest::{BaseOrigin, BundleManifest, OriginKind};
use hod_oci::sum_len;
use hod_report::amount::{format_count, format_len};

/// Describes a delta: the configs and layers that the bundle requires, and who had them when it was
/// packed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delta {
    pub required_blobs: usize,
    /// Their bytes.
    pub required_bytes: u64,
    /// In the order in which they were named; never empty.
    pub origins: Vec<BaseOrigin>,
}

impl BundleManifest {
    /// The content that it requires; `None` for a bundle that is complete.
    pub fn delta(&self) -> Option<Delta> {
        (!self.base.is_empty()).then(|| Delta {
            required_blobs: self.base.len(),
            required_bytes: sum_len(self.base.iter().map(|blob| blob.size)),
            origins: self.origins.clone(),
        })
    }
}

/// "is a delta: it requires 2 blobs (1.0 KiB) that it does not contain, of bundle `july` (id …)".
impl fmt::Display for Delta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "is a delta: it requires {} ({}) that it does not contain",
            format_count(self.required_blobs, "blob"),
            format_len(self.required_bytes)
        )?;
        for (at, origin) in self.origins.iter().enumerate() {
            f.write_str(if at == 0 { ", from " } else { " or " })?;
            let kind = match origin.kind {
                OriginKind::Registry => "registry",
                OriginKind::Store => "store",
                OriginKind::Bundle => "bundle",
            };
            write!(f, "{kind} `{}`", origin.title())?;
            if let Some(id) = &origin.id {
                write!(f, " (bundle id {id})")?;
            }
        }
        Ok(())
    }
}
