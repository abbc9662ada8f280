//! `hod why`

use super::input::Reading;
use super::session::Session;
use crate::cli::Exit;
use crate::cli::args::WhyArgs;
use crate::cli::error::CommandError;
use crate::cli::settings;
use crate::cli::ui::{ResultFormat, format_count, format_len};
use hod_ops::{Use, WhyOptions, WhyOutcome};

pub(super) async fn run(session: &Session<'_>, args: &WhyArgs) -> Result<Exit, CommandError> {
    let cx = session.remote(settings::retry_policy(&args.look.registry));
    let reading = Reading::looking(&args.look, args.look.platforms.options());
    let options = WhyOptions {
        digest: args.digest.clone(),
        look: reading.look(session, &args.source).await?,
    };
    let found = hod_ops::why(&cx, &options).await?;
    session.progress.finish();
    let printer = session.printer;
    match printer.format() {
        ResultFormat::Json => session.document(&found)?,
        ResultFormat::Text => {
            let mut stdout = printer.stdout();
            for line in lines(&found) {
                stdout.line(line);
            }
            stdout.finish()?;
        }
    }
    Ok(Exit::Done)
}

fn lines(found: &WhyOutcome) -> Vec<String> {
    let mut lines = vec![
        found.digest.to_string(),
        format!("  {}, {}", found.what, format_len(found.bytes)),
        format!("  {}", found.media_type),
    ];
    if !found.volumes.is_empty() {
        let numbers: Vec<String> = found.volumes.iter().map(ToString::to_string).collect();
        let noun = if numbers.len() == 1 {
            "volume"
        } else {
            "parts in volumes"
        };
        lines.push(format!("  {noun} {}", numbers.join(", ")));
    }
    if found.is_base {
        lines.push("  not in the bundle: the target must have it".to_owned());
    }
    if let Some(diff_id) = &found.diff_id {
        lines.push(format!("  diff id {diff_id}"));
    }
    if let Some(created_by) = &found.created_by {
        lines.push(format!("  created by {}", created_by.replace('\n', " ")));
    }
    let mut images: Vec<&str> = found
        .uses
        .iter()
        .map(|using| using.image.as_str())
        .collect();
    images.dedup();
    lines.push(format!("used by {}", format_count(images.len(), "image")));
    lines.extend(found.uses.iter().map(way));
    lines
}

/// One way from an image to the digest; the last step needs no digest again.
fn way(using: &Use) -> String {
    let mut steps: Vec<String> = Vec::new();
    steps.extend(using.referrer.iter().map(|tag| format!("referrer {tag}")));
    let (last, above) = match using.path.split_last() {
        Some((last, above)) => (Some(last), above),
        None => (None, &using.path[..]),
    };
    steps.extend(
        above
            .iter()
            .map(|step| format!("{} {}", step.what, step.digest.short())),
    );
    steps.extend(last.map(|step| step.what.clone()));
    format!("  {}: {}", using.image, steps.join(" > "))
}
