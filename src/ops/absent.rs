//! Images that were named and not found.

use super::DamagedImage;
use hod_list::{ListLine, RenameError, RenameRules, TagPattern};
use hod_oci::{Digest, RepositoryName, Tag};
use hod_transfer::Wanted;

/// A named image that was not found, or a pattern that matches no image.
#[derive(Debug, Clone)]
pub(super) struct Absent {
    pub(super) image: DamagedImage,
    /// The repository under which a push puts it.
    repository: RepositoryName,
    which: Which,
}

/// Which images of a repository.
#[derive(Debug, Clone)]
enum Which {
    /// A tag, or a digest.
    One(Option<Tag>, Option<Digest>),
    Tags(TagPattern),
}

impl Absent {
    /// The image or pattern of a line.
    pub(super) fn of_line(line: &ListLine, error: String) -> Self {
        let stored = line.stem().stored();
        Self {
            image: image(line.name(), error),
            repository: stored.repository,
            which: match line {
                ListLine::Image(entry) => Which::One(stored.tag, entry.reference.digest.clone()),
                ListLine::Pattern(pattern) => Which::Tags(pattern.tags.clone()),
            },
        }
    }

    /// An image that a registry does not have.
    pub(super) fn of_wanted(wanted: &Wanted, error: String) -> Self {
        let destination = wanted.destination.clone();
        Self {
            image: image(wanted.name.clone(), error),
            repository: destination.repository,
            which: Which::One(destination.tag, wanted.pinned.clone()),
        }
    }

    pub(super) fn repository(&self) -> &RepositoryName {
        &self.repository
    }

    /// Gives it the name that a push with these rules gives it.
    pub(super) fn rename(&mut self, rules: &RenameRules) -> Result<(), RenameError> {
        self.repository = rules.apply(&self.repository)?;
        Ok(())
    }

    /// The name under which it is compared with images of other sources; a pattern has none.
    pub(super) fn stored_name(&self) -> Option<String> {
        match &self.which {
            Which::One(tag, digest) => {
                Some(stored_name(&self.repository, tag.as_ref(), digest.as_ref()))
            }
            Which::Tags(_) => None,
        }
    }

    /// Whether it is a pattern that an image of another source matches.
    pub(super) fn matches(&self, repository: &RepositoryName, tag: Option<&Tag>) -> bool {
        match (&self.which, tag) {
            (Which::Tags(pattern), Some(tag)) => {
                pattern.matches(tag) && self.repository.with_library() == repository.with_library()
            }
            _ => false,
        }
    }
}

/// The name for comparing an image with the images of other sources.
pub(super) fn stored_name(
    repository: &RepositoryName,
    tag: Option<&Tag>,
    digest: Option<&Digest>,
) -> String {
    let repository = repository.with_library();
    match (tag, digest) {
        (Some(tag), _) => format!("{repository}:{tag}"),
        (None, Some(digest)) => format!("{repository}@{digest}"),
        (None, None) => repository.to_string(),
    }
}

fn image(image: String, error: String) -> DamagedImage {
    DamagedImage {
        image,
        error,
        reason: None,
    }
}
