//! How a store takes images.

use crate::Visibility;
use hod_fsx::{Durability, LinkMode};

/// How a store takes images.
#[derive(Debug, Clone, Copy)]
pub struct StoreSinkOptions {
    /// How blobs that are files are taken over; `None` copies and verifies them.
    pub link: Option<LinkMode>,
    pub durability: Durability,
    pub visibility: Visibility,
    pub referrers: ReferrerTags,
}

/// What the tags list that lead to referrers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferrerTags {
    /// What is carried, and what the store has about the same manifest already.
    Joined,
    /// What is carried and no more.
    Carried,
}
