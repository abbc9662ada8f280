//! The output of `hod pack --dry-run`.

use std::path::Path;

use super::super::session::Session;
use super::super::written::left_out;
use crate::cli::error::CommandError;
use crate::cli::ui::{ResultFormat, format_count, format_len};
use hod_ops::{PackForecast, TargetNeeds};

/// Maximum number of projects named.
const PROJECTS_MAX: usize = 5;

/// Prints the files with their lengths in bytes as the result, and the rest as messages.
pub(super) fn print(
    session: &Session<'_>,
    forecast: &PackForecast,
    output: &Path,
) -> Result<(), CommandError> {
    session.progress.finish();
    let printer = session.printer;
    match printer.format() {
        ResultFormat::Json => session.document(forecast)?,
        ResultFormat::Text => {
            let mut stdout = printer.stdout();
            for volume in &forecast.volumes {
                stdout.line(format_args!("{} {}", volume.path.display(), volume.bytes));
            }
            stdout.finish()?;
        }
    }
    printer.message(&summary(forecast, output));
    printer.message(&target(&forecast.target));
    Ok(())
}

fn summary(forecast: &PackForecast, output: &Path) -> String {
    let files = match forecast.volumes.len() {
        1 => String::new(),
        n => format!(" in {}", format_count(n, "volume")),
    };
    let what = format!(
        "{} would be packed: {} with {}{files}, {} saved by sharing{}",
        format_count(forecast.facts.n_images, "image"),
        format_len(forecast.bytes),
        format_count(forecast.facts.n_blobs, "unique blob"),
        format_len(forecast.facts.shared_bytes),
        left_out(forecast.facts.base_blobs, forecast.facts.base_bytes),
    );
    let free = forecast.free_bytes;
    let free = free.map(|free| {
        let disk = output.display();
        format!("{} free on the disk of `{disk}`", format_len(free))
    });
    let parts: Vec<String> = [Some(what), free].into_iter().flatten().collect();
    parts.join("; ")
}

fn target(needs: &TargetNeeds) -> String {
    let shown = needs.projects.iter().take(PROJECTS_MAX);
    let mut projects: Vec<String> = shown
        .map(|need| format!("{} {}", need.project, format_len(need.bytes)))
        .collect();
    if needs.projects.len() > PROJECTS_MAX {
        projects.push(format!("{} more", needs.projects.len() - PROJECTS_MAX));
    }
    let by_project = if projects.is_empty() {
        String::new()
    } else {
        format!(" (by project: {})", projects.join(", "))
    };
    format!(
        "the target requires {} for the bundle (pushed without unpacking) and {} in its \
         registry{by_project}; the largest blob is {}",
        format_len(needs.bundle_bytes),
        format_len(needs.registry_bytes),
        format_len(needs.largest_blob_bytes),
    )
}
