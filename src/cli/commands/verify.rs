//! `hod verify`

use super::{CommandError, Exit, Session};
use crate::cli::args::VerifyArgs;
use crate::cli::ui::{ResultFormat, format_count, format_duration, format_len};
use crate::ops::{self, Extent, VerifyOptions};

pub(super) async fn run(session: &Session<'_>, args: &VerifyArgs) -> Result<Exit, CommandError> {
    let options = VerifyOptions {
        source: args.source.clone(),
        extent: if args.partial {
            Extent::Partial
        } else {
            Extent::Whole
        },
    };
    let found = ops::verify(&session.local(), &options).await?;
    session.progress.finish();
    let printer = session.printer;
    match printer.format() {
        ResultFormat::Json => session.document(&found)?,
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
    let what = format!(
        "{}, {}, {} hashed in {}",
        format_count(found.n_images, "image"),
        format_count(found.n_blobs, "blob"),
        format_len(found.bytes),
        format_duration(session.progress.totals().elapsed),
    );
    let source = args.source.display();
    if found.problems.is_empty() {
        printer.message(&format!("verified `{source}`: {what}"));
        return Ok(Exit::Done);
    }
    if let Some(missing) = found.only_missing() {
        let error = CommandError::Incomplete {
            path: args.source.clone(),
            missing,
        };
        printer.error(&error, error.advice().as_deref());
        return Ok(Exit::Refused);
    }
    let n_problems = format_count(found.problems.len(), "problem");
    let error = CommandError::Damaged {
        path: args.source.clone(),
        kind: found.kind,
        n_problems,
        what,
    };
    printer.error(&error, error.advice().as_deref());
    Ok(Exit::NotVerified)
}
