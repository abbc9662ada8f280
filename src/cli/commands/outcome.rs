//! The result of a batch, for people and for programs.

mod failures;

pub(super) use failures::{hints, warn_of_unread};

use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::session::Session;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::results::{Results, Run};
use crate::cli::ui::{ResultFormat, Totals, format_count, format_len};
use hod_list::ImageList;
use hod_oci::Registry;
use hod_ops::{BatchOutcome, ImageReport, ImageStatus, PresentVolumes, RunMode, Target};
use hod_report::Diagnose as _;
use hod_report::amount::format_volumes;

/// The words for a verb in messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wording {
    /// "pull"
    pub(super) verb: &'static str,
    /// "pulled"
    pub(super) done: &'static str,
    /// What happened to the bytes: "transferred" or "written".
    pub(super) bytes: &'static str,
    pub(super) mode: RunMode,
}

#[derive(Serialize)]
struct Document<'a> {
    verb: &'static str,
    #[serde(flatten)]
    outcome: &'a BatchOutcome,
    moved_bytes: u64,
    kept_bytes: u64,
    moved_blobs: usize,
    replaced_blobs: usize,
    linked_bytes: u64,
    mounted_bytes: u64,
    present_bytes: u64,
    seconds: f64,
}

/// The request of a run, as far as its results show it.
pub(super) struct Asked<'a> {
    pub(super) results: Results,
    pub(super) list: Option<&'a ImageList>,
    /// The local source of the images, if any.
    pub(super) source: Option<&'a Path>,
    pub(super) target: Option<&'a Registry>,
    /// How many targets each image goes to.
    pub(super) n_targets: usize,
}

impl Asked<'_> {
    /// The files of a run that ends before its images are known.
    pub(super) fn nothing(results: Results) -> Self {
        Self {
            results,
            list: None,
            source: None,
            target: None,
            n_targets: 1,
        }
    }
}

/// Ends a run: writes the files that it was asked for, then prints.
pub(super) async fn finish(
    session: &Session<'_>,
    wording: Wording,
    found: Result<BatchOutcome, CommandError>,
    asked: Asked<'_>,
) -> Result<Exit, CommandError> {
    let written = write(session, found.as_ref(), asked).await;
    match found {
        Ok(found) => {
            let exit = print(session, wording, &found, written.as_ref().err())?;
            written.map(|()| exit)
        }
        Err(error) => {
            if let Err(other) = written {
                session
                    .printer
                    .error(&other, other.diagnose().hint.as_deref());
            }
            Err(error)
        }
    }
}

/// Writes the files that a run was asked for.
pub(super) async fn write(
    session: &Session<'_>,
    found: Result<&BatchOutcome, &CommandError>,
    asked: Asked<'_>,
) -> Result<(), CommandError> {
    let is_unknown = found.is_err() && asked.list.is_none() && asked.results.are_wanted();
    let names = match asked.source.filter(|_| is_unknown) {
        // A source that cannot be read has no names, and the error already reports it.
        Some(source) => {
            let names = hod_ops::image_names(source, &session.reading).await;
            names.unwrap_or_default()
        }
        None => Vec::new(),
    };
    asked.results.write(&Run {
        found,
        exit: match found {
            Ok(found) => Exit::of_batch(found),
            Err(error) => Exit::of(&error.diagnose()),
        },
        list: asked.list,
        names,
        target: asked.target,
        moved: session.progress.totals().into(),
        done: session.progress.done_images(asked.n_targets),
        warnings: session.progress.warnings(),
    })
}

/// Says which images failed, if any, for a verb that prints its results itself.
pub(super) fn print_failures(
    session: &Session<'_>,
    wording: Wording,
    outcome: &BatchOutcome,
    advice: Option<&str>,
) {
    if outcome.n_failed() > 0 {
        let failed = BatchFailed { wording, outcome };
        session.printer.error(&failed, advice);
    }
}

/// Prints the outcome of a batch: images on stdout, the summary and failures on stderr.
fn print(
    session: &Session<'_>,
    wording: Wording,
    outcome: &BatchOutcome,
    unwritten: Option<&CommandError>,
) -> Result<Exit, CommandError> {
    session.progress.finish();
    let printer = session.printer;
    let totals = session.progress.totals();
    let exit = Exit::of_batch(outcome);
    let advice = advice(exit, wording.mode, outcome);
    match printer.format() {
        ResultFormat::Json => {
            let document = Document {
                verb: wording.verb,
                outcome,
                moved_bytes: totals.fresh_len(),
                kept_bytes: totals.kept_len,
                moved_blobs: totals.moved_blobs,
                replaced_blobs: totals.replaced_blobs,
                linked_bytes: totals.linked_len,
                mounted_bytes: totals.mounted_len,
                present_bytes: totals.present_len,
                seconds: totals.elapsed.as_secs_f64(),
            };
            session.document_with_files(&document, unwritten, exit, advice.as_deref())?;
        }
        ResultFormat::Text => print_images(session, wording.mode, outcome)?,
    }
    for bundle in &outcome.bundles {
        printer.message(&format!(
            "wrote `{}`, {}: bundle id {}",
            bundle.path.display(),
            format_len(bundle.bytes),
            bundle.id
        ));
    }
    let n_failed = outcome.n_failed();
    if n_failed == 0 && outcome.n_waiting() > 0 {
        printer.message(&Progressed { wording, outcome }.to_string());
        if let Some(next) = next_volumes(&outcome.next_volumes) {
            printer.message(&format!("next: {next}"));
        }
        return Ok(exit);
    }
    if n_failed + outcome.n_waiting() > 0 {
        printer.error(&BatchFailed { wording, outcome }, advice.as_deref());
        return Ok(exit);
    }
    printer.message(&summary(wording, outcome, &totals));
    Ok(exit)
}

/// One line about a run whose images are all done, or planned.
fn summary(wording: Wording, outcome: &BatchOutcome, totals: &Totals) -> String {
    let n_all = outcome.images.len();
    let is_unchanged = |image: &&ImageReport| matches!(image.status, ImageStatus::Unchanged);
    let n_unchanged = outcome.images.iter().filter(is_unchanged).count();
    let unchanged = if n_unchanged > 0 {
        format!(" ({n_unchanged} unchanged)")
    } else {
        String::new()
    };
    let done = wording.done;
    match wording.mode {
        RunMode::DryRun => {
            let (blobs, bytes) = match outcome.would_move {
                Some(found) => (format_count(found.blobs, "blob"), found.bytes),
                None => (format_count(outcome.n_blobs, "unique blob"), outcome.bytes),
            };
            let n_images = format_count(n_all - n_unchanged, "image");
            let moved = if n_unchanged == n_all || bytes == 0 {
                "nothing to transfer".to_owned()
            } else {
                let (len, shared) = (format_len(bytes), format_len(outcome.shared_bytes));
                format!("{len} in {blobs}, {shared} saved by sharing")
            };
            format!("{n_images} would be {done}{unchanged}: {moved}")
        }
        RunMode::Real => format!(
            "{done} {}{unchanged}: {}",
            format_count(n_all, "image"),
            totals.summary(wording.bytes, outcome.shared_bytes)
        ),
    }
}

/// A line an image: its name at the destination, its digest, and the digest it replaced.
fn print_images(
    session: &Session<'_>,
    mode: RunMode,
    outcome: &BatchOutcome,
) -> Result<(), CommandError> {
    let mut stdout = session.printer.stdout();
    for image in &outcome.images {
        let has_result = match image.status {
            ImageStatus::Done | ImageStatus::Unchanged | ImageStatus::Planned => true,
            ImageStatus::NotTried | ImageStatus::Failed { .. } | ImageStatus::Waiting { .. } => {
                false
            }
        };
        let Some(digest) = image.digest.as_ref().filter(|_| has_result) else {
            continue;
        };
        let was = image.original_digest.as_ref();
        let was = was.map(|original| format!(" (was {original})"));
        let target = image.at.as_ref().map(|target| format!("{target}/"));
        stdout.line(format_args!(
            "{}{} {digest}{}{}",
            target.unwrap_or_default(),
            image.destination,
            was.unwrap_or_default(),
            of_target(image, mode),
        ));
    }
    Ok(stdout.finish()?)
}

/// The status of the destination, if it adds to "pushed".
fn of_target(image: &ImageReport, mode: RunMode) -> String {
    let is_planned = mode == RunMode::DryRun;
    match (image.target, &image.replaces) {
        (Some(Target::Replaces), Some(digest)) => format!(" (replaces {digest})"),
        (Some(Target::Replaces), None) => " (replaces another image)".to_owned(),
        (Some(Target::New), _) if is_planned => " (new)".to_owned(),
        (Some(Target::Unchanged), _) if is_planned => match image.status {
            ImageStatus::Unchanged => " (unchanged)".to_owned(),
            _ => " (unchanged, incomplete)".to_owned(),
        },
        (Some(Target::Unreadable), _) if is_planned => {
            " (cannot be read because of a policy)".to_owned()
        }
        _ => String::new(),
    }
}

/// A batch with failed images.
#[derive(Debug)]
struct BatchFailed<'a> {
    wording: Wording,
    outcome: &'a BatchOutcome,
}

impl std::error::Error for BatchFailed<'_> {}

impl fmt::Display for BatchFailed<'_> {
    /// The failures with their causes, each cause once.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (n_all, n_failed) = (self.outcome.images.len(), self.outcome.n_failed());
        let n_waiting = self.outcome.n_waiting();
        let n_not_tried = self.outcome.n_not_tried();
        let n_done = n_all - n_failed - n_waiting - n_not_tried;
        let done = self.wording.done;
        let all = format_count(n_all, "image");
        match self.wording.mode {
            RunMode::Real => write!(f, "{done} {n_done} of {all}; ")?,
            RunMode::DryRun => write!(f, "{n_done} of {all} would be {done}; ")?,
        }
        let mut parts: Vec<String> = Vec::new();
        match n_failed {
            0 => {}
            1 if n_not_tried > 0 => parts.push("stopped at the first failure".to_owned()),
            _ => parts.push(format!("{n_failed} failed")),
        }
        if n_waiting > 0 {
            parts.push(format!("{n_waiting} waiting for other volumes"));
        }
        let separator = if n_not_tried > 0 {
            parts.push(format!("{n_not_tried} not tried"));
            "; "
        } else {
            ", "
        };
        f.write_str(&parts.join(separator))?;
        let groups = failures::groups(self.outcome);
        // If all images failed for the same reason, their names add nothing.
        if let ([group], true) = (groups.as_slice(), n_failed == n_all && n_all > 1) {
            return write!(f, ", all for the same reason\n  {}", group.text);
        }
        for group in groups {
            write!(f, "\n  {group}")?;
        }
        list_waiting(f, self.outcome)
    }
}

/// A line for each image that waits.
fn list_waiting(f: &mut fmt::Formatter<'_>, outcome: &BatchOutcome) -> fmt::Result {
    for image in &outcome.images {
        if let ImageStatus::Waiting { volumes } = &image.status {
            let volumes = format_volumes(volumes);
            write!(f, "\n  {}: waits for {volumes}", image.image)?;
        }
    }
    Ok(())
}

/// A run with some of the volumes, without failures.
#[derive(Debug)]
struct Progressed<'a> {
    wording: Wording,
    outcome: &'a BatchOutcome,
}

impl fmt::Display for Progressed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (outcome, done) = (self.outcome, self.wording.done);
        let n_done = outcome.images.len() - outcome.n_waiting();
        let all = format_count(outcome.images.len(), "image");
        let mode = self.wording.mode;
        if let Some(PresentVolumes { present, n_volumes }) = &outcome.present_volumes {
            let volumes = format_volumes(present);
            match mode {
                RunMode::Real => write!(f, "{done} {volumes} of {n_volumes}: ")?,
                RunMode::DryRun => write!(f, "found {volumes} of {n_volumes}: ")?,
            }
        }
        match mode {
            RunMode::Real if outcome.present_volumes.is_some() => {
                write!(f, "{n_done} of {all} complete")?;
            }
            RunMode::Real => write!(f, "{done} {n_done} of {all}")?,
            RunMode::DryRun => write!(f, "{n_done} of {all} would be {done}")?,
        }
        list_waiting(f, outcome)
    }
}

/// The volumes to continue with.
fn next_volumes(volumes: &[u32]) -> Option<String> {
    let named = format_volumes(volumes);
    match volumes {
        [] => None,
        [_] => Some(named),
        _ => Some(format!(
            "{named} together, in one directory or with `--volume-dir`: they contain parts of the \
             same layer"
        )),
    }
}

/// The hint of a run that ends with `exit`: advice about the failures, without duplicates.
pub(super) fn advice(exit: Exit, mode: RunMode, outcome: &BatchOutcome) -> Option<String> {
    if exit == Exit::Done {
        return None;
    }
    let mut hints = failures::hints(outcome);
    let next = next_volumes(&outcome.next_volumes);
    hints.extend(next.map(|next| format!("Next, run the command again with {next}.")));
    let is_any = |test: fn(&ImageStatus) -> bool| {
        let mut images = outcome.images.iter();
        images.any(|image| test(&image.status))
    };
    let is_any_done = is_any(|status| matches!(status, ImageStatus::Done));
    let is_any_complete = is_any_done || is_any(|status| matches!(status, ImageStatus::Unchanged));
    let may_pass = is_any(|status| status.error().is_some_and(|error| !error.is_for_good()));
    let kept = match mode {
        RunMode::DryRun => "This was a dry run: nothing was changed.",
        RunMode::Real if exit == Exit::Refused => "",
        RunMode::Real if outcome.is_closed && is_any_done => {
            "The output has the other images. For a complete one, remove it, and run the command \
             again when all images are available."
        }
        RunMode::Real if outcome.is_closed => "Nothing was written.",
        RunMode::Real if is_any_complete && (may_pass || outcome.n_waiting() > 0) => {
            "Finished images are kept; run the command again for the rest."
        }
        RunMode::Real if may_pass => "No image was finished; run the command again to retry.",
        // Running the command again would fail in the same way.
        RunMode::Real if is_any_done => "Finished images are kept.",
        RunMode::Real => "",
    };
    if !kept.is_empty() {
        hints.push(kept.to_owned());
    }
    (!hints.is_empty()).then(|| hints.join("\n"))
}
