//! How a store takes images.

use crate::Visibility;
use hod_fsx::{Durability, LinkMode};

/// How a store takes images.
#[derive(Debug, Clone, Copy)]
pub struct StoreSinkOptions {
    /// How to place blobs that are files; `None` copies and verifies them.
    pub link: Option<LinkMode>,
    pub durability: Durability,
    pub visibility: Visibility,
    pub referrers: ReferrerTags,
}

/// The content of referrers tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferrerTags {
    /// The carried referrers, joined with those that the store has for the same manifest.
    Joined,
    /// Only the carried referrers.
    Carried,
}
