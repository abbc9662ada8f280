//! Images that were not found or cannot be read.

use serde::Serialize;

use hod_list::{ListLine, RenameError, RenameRules, TagPattern};
use hod_oci::{Digest, RepositoryName, Tag};
use hod_report::{Diagnose as _, ErrorClass, chain};
use hod_transfer::{Locate, TransferError, Wanted};

/// An image that cannot be read, or was not found.
#[derive(Debug, Clone, Serialize)]
pub struct UnreadImage {
    pub image: String,
    pub error: String,
    pub class: ErrorClass,
    /// The reason: equal for images that fail with the same cause but different errors.
    #[serde(skip)]
    pub reason: Option<String>,
}

impl UnreadImage {
    /// An image whose error says everything.
    pub(super) fn new(image: String, error: String, class: ErrorClass) -> Self {
        Self {
            image,
            error,
            class,
            reason: None,
        }
    }

    /// An image that failed with an error.
    pub(super) fn failed(image: String, error: &TransferError) -> Self {
        Self::new(image, chain(error), error.diagnose().class)
    }
}

/// An image that was not found or cannot be read, or a pattern that matches no image, under the
/// name by which it is compared with the images of other sources.
#[derive(Debug, Clone)]
pub(super) struct Unread {
    pub(super) image: UnreadImage,
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

impl Unread {
    /// The image or pattern of a line that was not found.
    pub(super) fn of_line(line: &ListLine, error: String) -> Self {
        let stored = line.stem().stored();
        Self {
            image: UnreadImage::new(line.name(), error, ErrorClass::NotFound),
            repository: stored.repository,
            which: match line {
                ListLine::Image(entry) => Which::One(stored.tag, entry.reference.digest.clone()),
                ListLine::Pattern(pattern) => Which::Tags(pattern.tags.clone()),
            },
        }
    }

    /// An image that could not be resolved.
    pub(super) fn of_wanted(wanted: &Wanted, error: &TransferError) -> Self {
        let destination = wanted.destination.clone();
        let digest = wanted.pinned.clone().or_else(|| match &wanted.locate {
            Locate::Stored { digest, .. } => Some(digest.clone()),
            _ => None,
        });
        Self {
            image: UnreadImage::failed(wanted.name.clone(), error),
            repository: destination.repository,
            which: Which::One(destination.tag, digest),
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
