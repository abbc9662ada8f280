//! The texts and the content of lists.

use hod_oci::Registry;

use super::{BadLine, ForeignFormat, ListLine, RegistrySettings};

/// The text of one list.
#[derive(Debug, Clone, Copy)]
pub struct ListSource<'a> {
    /// The file's name, for messages.
    pub name: &'a str,
    pub text: &'a str,
}

/// How lists are read.
#[derive(Debug, Clone, Copy)]
pub struct ListOptions<'a> {
    /// The registry of names without one. Decides only whether `redis` and `docker.io/redis` are
    /// one image or two that claim one name.
    pub source: &'a Registry,
    /// The selected sections; all if empty.
    pub sections: &'a [String],
    /// Returns the value of a variable of the environment, which files of image-syncer name.
    pub variable: fn(&str) -> Option<String>,
    pub targets: TargetUse,
    pub bad_lines: BadLines,
    /// The format of all files; `None` to recognise it. Only those of skopeo and image-syncer can
    /// be stated.
    pub format: Option<ForeignFormat>,
}

/// What becomes of lines that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BadLines {
    /// With any of them, the lists cannot be used.
    #[default]
    Refuse,
    /// They are in [`ImageList::problems`], unless nothing else is in the lists.
    Keep,
}

/// What the places at registries are for that a line names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TargetUse {
    /// They are a second column: the repository and the tag of a line's only target are its
    /// destination, and [`super::ListEntry::targets`] is empty. Two images may not have one name.
    #[default]
    Name,
    /// `hod sync`: they are kept in [`super::ListEntry::targets`]. Two images may not have one
    /// target.
    Keep,
}

/// The content of lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageList {
    /// In the order of the lists, each image and each pattern once; never empty.
    pub lines: Vec<ListLine>,
    /// Warnings for the user, a sentence each.
    pub warnings: Vec<String>,
    /// What files of skopeo and image-syncer say about registries; see [`RegistrySettings::of`].
    pub registries: Vec<RegistrySettings>,
    /// The lines that cannot be used, with [`BadLines::Keep`].
    pub problems: Vec<BadLine>,
    /// The formats of other tools among the files.
    pub formats: Vec<ForeignFormat>,
}
