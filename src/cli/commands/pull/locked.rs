//! Options that contradict a lock, and registries that a lock cannot name.

use super::CommandError;
use crate::cli::args::PullArgs;
use crate::list::{ImageList, IndexChoice, LineOptions, ListEntry};
use crate::oci::{ForeignLayers, PlatformChoice, Reference, ReferrerMode, Registry};
use crate::transfer::IndexMode;

/// Refuses options that no line of a lock leaves anything to and that every line contradicts.
///
/// In a list that has lines without a digest, a line takes precedence over an option.
pub(super) fn require_agreement(
    list: &ImageList,
    args: &PullArgs,
    source: Option<&Registry>,
) -> Result<(), CommandError> {
    let is_pinned = |entry: &ListEntry| entry.reference.digest.is_some();
    if !list.entries.iter().all(is_pinned) {
        return Ok(());
    }
    if let Some(platforms) = &args.platforms.platform {
        let wanted = Some(platforms.sorted());
        let option = format!("--platform {platforms}");
        let said = |entry: &ListEntry| entry.options.platforms.as_ref().map(PlatformChoice::sorted);
        require(list, option, |entry| match said(entry) {
            None => Line::Open,
            has if has == wanted => Line::Agrees,
            platforms => Line::Differs(
                LineOptions {
                    platforms,
                    ..LineOptions::default()
                }
                .to_string(),
            ),
        })?;
    }
    if args.referrers.mode() == ReferrerMode::Leave {
        let option = "--no-referrers".to_owned();
        require(list, option, |entry| match entry.options.referrers {
            None => Line::Open,
            Some(ReferrerMode::Leave) => Line::Agrees,
            Some(ReferrerMode::Carry) => Line::Differs("referrers=yes".to_owned()),
        })?;
    }
    if args.foreign_layers.mode() == ForeignLayers::Fetch {
        let option = "--foreign-layers".to_owned();
        // A locked image without such layers does not say.
        require(list, option, |entry| match entry.options.foreign_layers {
            None => Line::Silent,
            Some(ForeignLayers::Fetch) => Line::Agrees,
            Some(ForeignLayers::Leave) => Line::Differs("foreign-layers=no".to_owned()),
        })?;
    }
    let (option, mode) = match args.platforms.index_mode() {
        IndexMode::Fitting => ("", None),
        IndexMode::Keep => ("--index keep", Some("index=keep")),
        IndexMode::Rewrite => ("--index rewrite", Some("index=rewrite")),
    };
    if let Some(mode) = mode {
        // A pinned manifest of one platform has no index to keep or to rewrite. An index that is
        // pinned has a column, so that the option decides nothing, and one line is enough to differ.
        require(list, option.to_owned(), |entry| {
            let column = match entry.options.index {
                None => return Line::Silent,
                Some(IndexChoice::Keep) => "index=keep",
                Some(IndexChoice::Rewrite(_)) => "index=rewrite",
            };
            if column == mode {
                Line::Silent
            } else {
                Line::Differs(column.to_owned())
            }
        })?;
    }
    if let Some(source) = source {
        let option = format!("--source {source}");
        require(list, option, |entry| match &entry.reference.registry {
            None => Line::Open,
            Some(registry) if registry == source => Line::Agrees,
            Some(_) => Line::Differs(entry.reference.to_string()),
        })?;
    }
    Ok(())
}

/// What a line says to an option.
enum Line {
    /// Nothing, so that the option decides.
    Open,
    /// Nothing that matters to the others, and the option decides nothing either.
    Silent,
    Agrees,
    /// Something else, in these words.
    Differs(String),
}

/// Refuses an option that at least one line contradicts, and that decides nothing anywhere.
fn require(
    list: &ImageList,
    option: String,
    says: impl Fn(&ListEntry) -> Line,
) -> Result<(), CommandError> {
    let mut first = None;
    for entry in &list.entries {
        match says(entry) {
            Line::Open | Line::Agrees => return Ok(()),
            Line::Silent => {}
            Line::Differs(line) => {
                first.get_or_insert((entry, line));
            }
        }
    }
    match first {
        None => Ok(()),
        Some((entry, line)) => Err(CommandError::Locked {
            option,
            origin: entry.origin.clone(),
            line: line.trim_start().to_owned(),
        }),
    }
}

/// Refuses a registry that a list would read as the first part of a name.
pub(super) fn require_nameable(registry: &Registry) -> Result<(), CommandError> {
    let reference = format!("{registry}/x").parse::<Reference>();
    if reference.is_ok_and(|reference| reference.registry.as_ref() == Some(registry)) {
        return Ok(());
    }
    Err(CommandError::LockSource {
        registry: registry.clone(),
    })
}
