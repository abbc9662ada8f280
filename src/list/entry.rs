//! One image of a list.

use std::fmt;

use hod_oci::{Digest, Reference, Registry, RepositoryName, Tag};

use super::{LineOptions, SyncTarget};

/// The name of the images that are on the command line in place of a list.
pub const COMMAND_LINE: &str = "the command line";

/// One image to carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListEntry {
    /// The image to fetch; has a tag, a digest, or both, except in a [`super::PatternLine`].
    pub reference: Reference,
    /// The second column: the name under which it is kept.
    pub destination: Option<Destination>,
    /// Where `hod sync` brings it; empty for all other verbs, and if the line does not say it.
    pub targets: Vec<SyncTarget>,
    /// Options for carrying it that the line contains.
    pub options: LineOptions,
    /// The section that contains it.
    pub section: Option<String>,
    /// Its position in a list.
    pub origin: ListPosition,
}

/// The second column of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    pub repository: RepositoryName,
    /// `None` keeps the reference's tag.
    pub tag: Option<Tag>,
}

/// The position of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPosition {
    pub file: String,
    /// Counted from one.
    pub line: usize,
}

/// The name of an image in a store; without a tag it is identified by its digest only.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoredAs {
    pub repository: RepositoryName,
    pub tag: Option<Tag>,
}

impl Destination {
    /// Whether it is one word, without a path or a tag.
    pub(super) fn is_bare(&self) -> bool {
        self.tag.is_none() && !self.repository.as_str().contains('/')
    }
}

impl ListEntry {
    /// The name in the store: the second column's, else the reference's own.
    ///
    /// A reference with a digest and no tag has none unless the second column gives it one.
    pub fn stored(&self) -> StoredAs {
        let tag = self.reference.tag.clone();
        match &self.destination {
            Some(destination) => StoredAs {
                repository: destination.repository.clone(),
                tag: destination.tag.clone().or(tag),
            },
            None => StoredAs {
                repository: self
                    .reference
                    .stored_name()
                    .expect("parsing a reference checks its stored name"),
                tag,
            },
        }
    }

    /// Returns true if the line has everything that a line of a lock has.
    pub fn is_locked(&self) -> bool {
        self.reference.registry.is_some()
            && self.reference.digest.is_some()
            && self.options.platforms.is_some()
            && self.options.referrers.is_some()
    }

    /// The entry that names the same image by its registry and digest, for the same name in the
    /// store.
    #[must_use]
    pub fn pinned(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Self {
        let mut entry = Self {
            reference: Reference {
                registry: Some(registry.clone()),
                repository: repository.clone(),
                tag: self.reference.tag.clone(),
                digest: Some(digest.clone()),
            },
            destination: None,
            ..self.clone()
        };
        let stored = self.stored();
        if entry.reference.stored_name().as_ref() != Ok(&stored.repository)
            || entry.reference.tag != stored.tag
        {
            entry.destination = Some(Destination {
                repository: stored.repository,
                tag: stored.tag,
            });
        }
        entry
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_name(f, &self.repository, self.tag.as_ref())
    }
}

impl fmt::Display for StoredAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_name(f, &self.repository, self.tag.as_ref())
    }
}

fn write_name(
    f: &mut fmt::Formatter<'_>,
    repository: &RepositoryName,
    tag: Option<&Tag>,
) -> fmt::Result {
    match tag {
        Some(tag) => write!(f, "{repository}:{tag}"),
        None => write!(f, "{repository}"),
    }
}

impl fmt::Display for ListPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}
