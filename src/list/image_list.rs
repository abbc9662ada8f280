//! The texts and the content of lists.

use super::ListLine;

/// The text of one list.
#[derive(Debug, Clone, Copy)]
pub struct ListSource<'a> {
    /// The file's name, for messages.
    pub name: &'a str,
    pub text: &'a str,
}

/// The content of lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageList {
    /// In the order of the lists, each image and each pattern once; never empty.
    pub lines: Vec<ListLine>,
    /// Warnings for the user, a sentence each.
    pub warnings: Vec<String>,
}
