//! Tells lists from the files of other tools, and parses those that can be read.

use super::document::{self, Document, DocumentError};
use super::foreign::ForeignFormat;
use super::{skopeo, syncer};

/// A file of another tool.
#[derive(Debug)]
pub(super) enum Recognised {
    /// A file for `skopeo sync`.
    SkopeoSync(Document),
    /// A file for image-syncer.
    ImageSyncer(Document),
    /// A file of a readable format that is damaged.
    Damaged(ForeignFormat, DocumentError),
    Unreadable(ForeignFormat),
}

/// Recognises a file of another tool; `None` if it may be a list.
pub(super) fn recognise(text: &str) -> Option<Recognised> {
    let text = text.trim_start_matches('\u{feff}');
    let likely = ForeignFormat::of(text)?;
    let is_readable = matches!(
        likely,
        ForeignFormat::SkopeoSync | ForeignFormat::ImageSyncer
    );
    Some(match document::parse(text) {
        Ok(document) if skopeo::is_one(&document.root) => Recognised::SkopeoSync(document),
        Ok(document) if syncer::is_one(&document.root) => Recognised::ImageSyncer(document),
        Err(error) if is_readable => Recognised::Damaged(likely, error),
        // It only looked like one by its lines.
        Ok(_) if is_readable => Recognised::Unreadable(ForeignFormat::Yaml),
        Ok(_) | Err(_) => Recognised::Unreadable(likely),
    })
}
