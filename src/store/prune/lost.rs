//! What would be lost, since the origin does not have it.

use std::fmt;

use crate::StoredImage;
use hod_oci::Digest;

/// An image that would be lost.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lost {
    pub image: StoredImage,
    /// The manifest or blob that the origin lacks.
    pub digest: Digest,
    pub why: WhyLost,
}

/// What kind of content the origin lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WhyLost {
    Absent,
    Damaged,
    /// It has the bytes of a manifest, which belong to no repository and have no tag.
    Unlinked,
}

impl fmt::Display for Lost {
    /// "a/one:1 (`ab12…` is damaged there)"
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.digest.short();
        let why = match self.why {
            WhyLost::Absent => "is not there",
            WhyLost::Damaged => "is damaged there",
            WhyLost::Unlinked => "belongs to no repository there",
        };
        write!(f, "{} (`{digits}` {why})", self.image)
    }
}
