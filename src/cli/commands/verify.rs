//! `hod verify`

use std::path::Path;
use std::time::Duration;

use super::input::Reading;
use super::outcome;
use super::session::Session;
use crate::cli::Exit;
use crate::cli::args::VerifyArgs;
use crate::cli::error::CommandError;
use crate::cli::settings;
use crate::cli::ui::{ResultFormat, format_count, format_duration, format_len};
use hod_ops::{Depth, Extent, VerifyOptions, VerifyOutcome};
use hod_report::Diagnose as _;

pub(super) async fn run(session: &Session<'_>, args: &VerifyArgs) -> Result<Exit, CommandError> {
    let cx = session.remote(settings::retry_policy(&args.look.registry));
    let reading = Reading::looking(&args.look, args.look.platforms.options());
    let options = VerifyOptions {
        look: reading.look(session, &args.source).await?,
        extent: if args.partial {
            Extent::Partial
        } else {
            Extent::Whole
        },
        depth: if args.deep {
            Depth::Content
        } else {
            Depth::Length
        },
    };
    let found = hod_ops::verify(&cx, &options).await?;
    session.progress.finish();
    let what = what_was_checked(&found, session.progress.totals().elapsed);
    let error = failure(&args.source, &found, &what);
    let diagnosis = error.as_ref().map(CommandError::diagnose);
    let exit = match &diagnosis {
        Some(diagnosis) => Exit::of(diagnosis),
        None => Exit::of_unread(&found.unread),
    };
    let hint = diagnosis.and_then(|diagnosis| diagnosis.hint);
    let printer = session.printer;
    match printer.format() {
        ResultFormat::Json => session.document_of(&found, exit, hint.as_deref())?,
        ResultFormat::Text => {
            let mut stdout = printer.stdout();
            for problem in &found.problems {
                stdout.line(problem);
            }
            stdout.finish()?;
        }
    }
    for note in &found.notes {
        printer.note(note);
    }
    if let Some(signature) = &found.signature {
        printer.note(&format!("`{}` {signature}", args.source.display()));
    }
    if let Some(delta) = &found.delta {
        printer.note(&format!("`{}` {delta}", args.source.display()));
    }
    let source = args.source.display();
    outcome::warn_of_unread(session, "not checked", &found.unread);
    match error {
        Some(error) => printer.error(&error, hint.as_deref()),
        None if found.unread.is_empty() => {
            printer.message(&format!("verified `{source}`: {what}"));
        }
        None => {
            let n = format_count(found.unread.len(), "image or blob");
            printer.message(&format!("verified `{source}` except {n}: {what}"));
        }
    }
    Ok(exit)
}

/// "2 images, 5 blobs, 1.0 MiB hashed in 0.1 s"
fn what_was_checked(found: &VerifyOutcome, elapsed: Duration) -> String {
    let checked = match found.unhashed_bytes {
        Some(len) => format!(
            "{} found with the right length, not hashed",
            format_len(len)
        ),
        None => format!("{} hashed", format_len(found.bytes)),
    };
    format!(
        "{}, {}, {checked} in {}",
        format_count(found.n_images, "image"),
        format_count(found.n_blobs, "blob"),
        format_duration(elapsed),
    )
}

/// The error that problems mean, if any were found; `what` says what was verified.
fn failure(source: &Path, found: &VerifyOutcome, what: &str) -> Option<CommandError> {
    let (path, what) = (source.to_owned(), what.to_owned());
    if found.problems.is_empty() {
        return None;
    }
    if let Some(missing) = found.only_missing() {
        return Some(CommandError::Incomplete { path, missing });
    }
    if found.problems.len() == found.n_absent {
        return Some(CommandError::ImagesAbsent {
            path,
            n_absent: found.n_absent,
            what,
        });
    }
    Some(CommandError::Damaged {
        path,
        kind: found.kind,
        n_problems: format_count(found.problems.len(), "problem"),
        what,
    })
}
