//! `hod ls`

use super::{CommandError, Exit, Session};
use crate::cli::args::{ByArg, LsArgs};
use crate::cli::ui::{Align, ResultFormat, Table, format_count, format_len};
use crate::ops::{self, ImagesOutcome};

pub(super) async fn run(session: &Session<'_>, args: &LsArgs) -> Result<Exit, CommandError> {
    let found = ops::images(&session.local(), &args.source, args.by.into()).await?;
    session.progress.finish();
    let printer = session.printer;
    match printer.format() {
        ResultFormat::Json => session.document(&found)?,
        ResultFormat::Text => {
            printer.block(table(&found))?;
        }
    }
    let mut said = format!(
        "{}, {} in all",
        format_count(found.images.len(), "image"),
        format_len(found.total_bytes)
    );
    if matches!(args.by, ByArg::Size) {
        let common = format_len(found.common_bytes);
        said = format!("{said}, {common} of it in several of them");
    }
    if let Some(volumes) = found.volumes.as_ref().filter(|volumes| volumes.count > 1) {
        said = format!("{said}, in {} volumes", volumes.count);
    }
    printer.message(&said);
    for number in found.volumes.iter().flat_map(|volumes| &volumes.missing) {
        printer.note(&format!("volume {number} is not here"));
    }
    if let Some(signature) = &found.signature {
        printer.message(&format!("`{}` {signature}", args.source.display()));
    }
    for damaged in &found.damaged {
        printer.warning(&format!("{}: {}", damaged.image, damaged.error));
    }
    Ok(if found.damaged.is_empty() {
        Exit::Done
    } else {
        Exit::SomeFailed
    })
}

/// A line an image; how much is about it, and what it counts on, only where there is any.
fn table(found: &ImagesOutcome) -> String {
    let mut table = Table::new([
        ("IMAGE", Align::Left),
        ("PLATFORMS", Align::Left),
        ("DIGEST", Align::Left),
        ("OWN", Align::Right),
        ("SHARED", Align::Right),
        ("REFERRERS", Align::Right),
        ("BASE", Align::Right),
    ]);
    for image in &found.images {
        table.row([
            image.image.clone(),
            image.platforms.join(","),
            image.digest.to_string(),
            format_len(image.own_bytes),
            format_len(image.shared_bytes),
            image.referrers.to_string(),
            format_len(image.base_bytes),
        ]);
    }
    if found.images.iter().all(|image| image.referrers == 0) {
        table.hide("REFERRERS");
    }
    if found.images.iter().all(|image| image.base_blobs == 0) {
        table.hide("BASE");
    }
    table.to_string()
}
