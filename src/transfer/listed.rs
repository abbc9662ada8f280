//! The listed images of a source, and their lookup.

use super::{Destination, Locate, Location, TransferError};
use hod_oci::{Digest, RepositoryName, Tag};

/// An image that a source lists.
#[derive(Debug, Clone)]
pub struct Listed {
    /// As a list that finds it there has it.
    pub name: String,
    pub locate: Locate,
    /// The destination before renaming.
    pub destination: Destination,
    /// `None` for one that cannot be read.
    pub digest: Option<Digest>,
}

impl Listed {
    /// An image that is found by its digest in a repository.
    pub fn stored(repository: RepositoryName, tag: Option<Tag>, digest: Digest) -> Self {
        let name = match &tag {
            Some(tag) => format!("{repository}:{tag}"),
            None => format!("{repository}@{digest}"),
        };
        let locate = Locate::stored(&repository, &digest);
        Self {
            name,
            locate,
            destination: Destination { repository, tag },
            digest: Some(digest),
        }
    }

    /// An image that is listed and cannot be read.
    pub fn unreadable(
        name: String,
        destination: Destination,
        error: impl Into<TransferError>,
    ) -> Self {
        Self {
            name,
            locate: Locate::unreadable(error),
            destination,
            digest: None,
        }
    }
}

/// The key of an image lookup: the digest if given, otherwise the tag.
#[derive(Debug, Clone)]
pub struct Sought {
    pub repository: RepositoryName,
    pub tag: Option<Tag>,
    pub digest: Option<Digest>,
}

impl Sought {
    pub(super) fn is(&self, image: &Listed) -> bool {
        image.destination.repository == self.repository
            && match &self.digest {
                Some(digest) => image.digest.as_ref() == Some(digest),
                None => image.destination.tag == self.tag,
            }
    }
}

/// An image found by name; without a digest if it cannot be read.
pub type Found = (Locate, Option<Digest>);

/// A blob at a place in a source.
pub type Placed = (Location, Digest);
