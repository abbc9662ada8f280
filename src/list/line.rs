//! The lines of a list: images, and patterns for the tags of a repository.

use std::fmt;

use hod_oci::{Reference, RepositoryName, Tag};

use super::{ListEntry, TagPattern};

/// A line that names one image or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListLine {
    Image(ListEntry),
    Pattern(PatternLine),
}

/// A line that names those images of a repository whose tags match a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternLine {
    /// The common part of the images: an entry without the tag.
    pub stem: ListEntry,
    pub tags: TagPattern,
}

impl ListLine {
    /// The line without its pattern: for an image, the whole line.
    pub fn stem(&self) -> &ListEntry {
        match self {
            Self::Image(entry) => entry,
            Self::Pattern(pattern) => &pattern.stem,
        }
    }

    pub fn stem_mut(&mut self) -> &mut ListEntry {
        match self {
            Self::Image(entry) => entry,
            Self::Pattern(pattern) => &mut pattern.stem,
        }
    }

    /// The image, or the repository and the pattern, as messages and reports name it.
    pub fn name(&self) -> String {
        match self {
            Self::Image(entry) => entry.reference.to_string(),
            Self::Pattern(pattern) => pattern.to_string(),
        }
    }

    /// The line of the one image that is named `name`, if this line names it.
    pub fn of_image(&self, name: &str) -> Option<Self> {
        match self {
            _ if self.name() == name => Some(self.clone()),
            Self::Image(_) => None,
            Self::Pattern(pattern) => {
                let image: Reference = name.parse().ok()?;
                let entry = pattern.entry(image.tag.as_ref()?);
                let is_it = entry.reference == image && pattern.tags.matches(image.tag.as_ref()?);
                is_it.then_some(Self::Image(entry))
            }
        }
    }
}

impl PatternLine {
    /// The image of one tag.
    pub fn entry(&self, tag: &Tag) -> ListEntry {
        let mut entry = self.stem.clone();
        entry.reference.tag = Some(tag.clone());
        entry
    }
}

impl PatternLine {
    /// Whether an image of a store has a name that this line gives, limits aside.
    pub fn has(&self, repository: &RepositoryName, tag: Option<&Tag>) -> bool {
        let own = self.stem.stored().repository.with_library();
        own == repository.with_library() && tag.is_some_and(|tag| self.tags.matches(tag))
    }
}

impl fmt::Display for PatternLine {
    /// The repository and the pattern, without a limit.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.stem.reference, self.tags.rule)
    }
}
