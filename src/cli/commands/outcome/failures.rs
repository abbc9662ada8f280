//! The failures of a batch, for people: each cause once, however many images it stops.

use std::collections::HashMap;
use std::fmt;

use super::super::session::Session;
use hod_ops::{BatchOutcome, ImageReport, ImageStatus, UnreadImage};
use hod_report::amount::format_count;

/// Maximum number of further images named that failed for the same reason as the first.
const OTHERS_SHOWN_MAX: usize = 5;
/// Maximum number of hints shown.
const HINTS_MAX: usize = 6;

/// A reason, and the images that failed for it.
pub(super) struct Group<'a> {
    /// As the first image has it.
    pub(super) text: &'a str,
    images: Vec<String>,
}

impl fmt::Display for Group<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, others)) = self.images.split_first() else {
            return Ok(());
        };
        write!(f, "{first}: {}", self.text)?;
        if others.is_empty() {
            return Ok(());
        }
        let shown = &others[..others.len().min(OTHERS_SHOWN_MAX)];
        write!(f, "\n    for the same reason: {}", shown.join(", "))?;
        match others.len() - shown.len() {
            0 => Ok(()),
            n => write!(f, " and {}", format_count(n, "more image")),
        }
    }
}

/// The failures by reason, in the order in which each first occurs.
pub(super) fn groups(outcome: &BatchOutcome) -> Vec<Group<'_>> {
    let failed = outcome.images.iter().filter_map(|image| {
        let ImageStatus::Failed { error, text, .. } = &image.status else {
            return None;
        };
        Some((error.reason(), name(image), text.as_str()))
    });
    by_reason(failed)
}

/// Warns of images that cannot be read, each reason once; `what` says what that means.
pub(in crate::cli::commands) fn warn_of_unread(
    session: &Session<'_>,
    what: &str,
    images: &[UnreadImage],
) {
    let images = images.iter();
    let images = images.map(|of| (of.reason.clone(), of.image.clone(), of.error.as_str()));
    for group in by_reason(images) {
        session.printer.warning(&format!("{what}: {group}"));
    }
}

/// Groups failures by reason, which defaults to the text; each item has the reason, the image and
/// the text.
fn by_reason<'a>(
    failed: impl Iterator<Item = (Option<String>, String, &'a str)>,
) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut places = HashMap::new();
    for (reason, image, text) in failed {
        let reason = reason.unwrap_or_else(|| text.to_owned());
        let at = *places.entry(reason).or_insert(groups.len());
        if at == groups.len() {
            groups.push(Group {
                text,
                images: Vec::new(),
            });
        }
        groups[at].images.push(image);
    }
    groups
}

/// The name of an image, with its target if there are several.
fn name(image: &ImageReport) -> String {
    match &image.at {
        Some(target) => format!("{} to {target}", image.image),
        None => image.image.clone(),
    }
}

/// Advice about the failures, without duplicates.
pub(in crate::cli::commands) fn hints(outcome: &BatchOutcome) -> Vec<String> {
    let mut found: Vec<(&str, String, usize)> = Vec::new();
    let mut places = HashMap::new();
    for image in &outcome.images {
        if let ImageStatus::Failed {
            hint: Some(hint), ..
        } = &image.status
        {
            let at = *places.entry(hint).or_insert(found.len());
            if at == found.len() {
                found.push((hint, name(image), 0));
            } else {
                found[at].2 += 1;
            }
        }
    }
    let is_one = found.len() == 1;
    let mut hints: Vec<String> = found
        .into_iter()
        .map(|(hint, first, n_others)| match n_others {
            // A single hint does not need the image's name.
            _ if is_one => hint.to_owned(),
            0 => format!("`{first}`: {hint}"),
            n => format!("`{first}` and {}: {hint}", format_count(n, "more image")),
        })
        .collect();
    let n_hidden = hints.len().saturating_sub(HINTS_MAX);
    if n_hidden > 0 {
        hints.truncate(HINTS_MAX);
        hints.push(format!(
            "{} not shown; `--json` and `--report` contain all of them.",
            format_count(n_hidden, "more hint")
        ));
    }
    hints
}
