//! Options that contradict a lock, and registries that a lock cannot name.

use crate::cli::error::CommandError;
use hod_list::{ImageList, IndexChoice, LineOptions, ListEntry, ListLine};
use hod_oci::{ForeignLayers, PlatformChoice, Reference, ReferrerMode, Registry};
use hod_ops::PlatformOptions;
use hod_transfer::IndexMode;

/// The options that determine what is carried of every image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flags<'a> {
    pub(super) platforms: Option<&'a PlatformChoice>,
    pub(super) index: Option<IndexMode>,
    pub(super) referrers: ReferrerMode,
    pub(super) foreign_layers: ForeignLayers,
    pub(super) source: Option<&'a Registry>,
}

impl<'a> Flags<'a> {
    /// The options of verbs that read a local source.
    pub(super) fn local(platforms: &'a PlatformOptions, referrers: ReferrerMode) -> Self {
        Self {
            platforms: platforms.platforms.as_ref(),
            index: platforms.index,
            referrers,
            foreign_layers: ForeignLayers::Leave,
            source: None,
        }
    }
}

/// Refuses options that a line of a lock contradicts and that no other line supports.
///
/// Lines of other lists take precedence over an option, or leave it to decide.
pub(super) fn require_agreement(list: &ImageList, flags: &Flags<'_>) -> Result<(), CommandError> {
    let is_pinned = |entry: &ListEntry| entry.reference.digest.is_some();
    let stems = || list.lines.iter().map(ListLine::stem);
    let is_lock = stems().all(is_pinned);
    let judged = stems();
    let judged = judged.filter(|entry| is_lock || entry.is_locked());
    let judged: Vec<&ListEntry> = judged.collect();
    if let Some(platforms) = flags.platforms {
        let wanted = Some(platforms.sorted());
        let option = format!("--platform {platforms}");
        let said = |entry: &ListEntry| entry.options.platforms.as_ref().map(PlatformChoice::sorted);
        require(&judged, option, |entry| match said(entry) {
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
    if flags.referrers == ReferrerMode::Leave {
        let option = "--no-referrers".to_owned();
        require(&judged, option, |entry| match entry.options.referrers {
            None => Line::Open,
            Some(ReferrerMode::Leave) => Line::Agrees,
            Some(ReferrerMode::Carry) => Line::Differs("referrers=yes".to_owned()),
        })?;
    }
    if flags.foreign_layers == ForeignLayers::Fetch {
        let option = "--foreign-layers".to_owned();
        // The lock of an image without foreign layers does not contain the option.
        require(&judged, option, |entry| {
            match entry.options.foreign_layers {
                None => Line::Silent,
                Some(ForeignLayers::Fetch) => Line::Agrees,
                Some(ForeignLayers::Leave) => Line::Differs("foreign-layers=no".to_owned()),
            }
        })?;
    }
    let (option, mode) = match flags.index {
        None | Some(IndexMode::Fitting) => ("", None),
        Some(IndexMode::Keep) => ("--index keep", Some("index=keep")),
        Some(IndexMode::Rewrite) => ("--index rewrite", Some("index=rewrite")),
    };
    if let Some(mode) = mode {
        // A pinned manifest of one platform has no index to keep or to rewrite. An index that is
        // pinned has a column, so that the option decides nothing, and one line is enough to differ.
        require(&judged, option.to_owned(), |entry| {
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
    if let Some(source) = flags.source {
        // It is for every line without a registry, and so for those that are not of a lock, too.
        let all: Vec<&ListEntry> = if judged.is_empty() {
            Vec::new()
        } else {
            stems().collect()
        };
        let option = format!("--source {source}");
        require(&all, option, |entry| match &entry.reference.registry {
            None => Line::Open,
            Some(registry) if registry == source => Line::Agrees,
            Some(_) => Line::Differs(entry.reference.to_string()),
        })?;
    }
    Ok(())
}

/// The relation of a line to an option.
enum Line {
    /// Nothing, so that the option decides.
    Open,
    /// Nothing that matters to the others, and the option decides nothing either.
    Silent,
    Agrees,
    /// Something else, in these words.
    Differs(String),
}

/// Refuses an option that at least one line contradicts and that has no effect on any image.
fn require(
    entries: &[&ListEntry],
    option: String,
    says: impl Fn(&ListEntry) -> Line,
) -> Result<(), CommandError> {
    let mut first = None;
    for &entry in entries {
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
