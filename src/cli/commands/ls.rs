//! `hod ls`

use super::{CommandError, Exit, Session};
use crate::cli::args::LsArgs;
use crate::cli::ui::{Align, ResultFormat, Table, format_count, format_len};
use crate::ops::{self, ImageFacts, ImagesOutcome};

pub(super) async fn run(session: &Session<'_>, args: &LsArgs) -> Result<Exit, CommandError> {
    let found = ops::images(&session.local(), &args.source).await?;
    session.progress.finish();
    let printer = session.printer;
    match printer.format() {
        ResultFormat::Json => printer.document(&found)?,
        ResultFormat::Text => {
            printer.result(table(&found))?;
        }
    }
    printer.message(&format!(
        "{}, {} in all",
        format_count(found.images.len(), "image"),
        format_len(found.total_bytes)
    ));
    for damaged in &found.damaged {
        printer.warning(&format!("{}: {}", damaged.image, damaged.error));
    }
    Ok(if found.damaged.is_empty() {
        Exit::Done
    } else {
        Exit::SomeFailed
    })
}

/// A line an image; how much is about it only where there is any.
fn table(found: &ImagesOutcome) -> String {
    let heads = [
        ("IMAGE", Align::Left),
        ("PLATFORMS", Align::Left),
        ("DIGEST", Align::Left),
        ("OWN", Align::Right),
        ("SHARED", Align::Right),
    ];
    let row = |image: &ImageFacts| {
        [
            image.image.clone(),
            image.platforms.join(","),
            image.digest.to_string(),
            format_len(image.own_bytes),
            format_len(image.shared_bytes),
        ]
    };
    if found.images.iter().all(|image| image.referrers == 0) {
        let mut table = Table::new(heads);
        found.images.iter().for_each(|image| table.row(row(image)));
        return table.to_string();
    }
    let [image, platforms, digest, own, shared] = heads;
    let last = ("REFERRERS", Align::Right);
    let mut table = Table::new([image, platforms, digest, own, shared, last]);
    for facts in &found.images {
        let [image, platforms, digest, own, shared] = row(facts);
        let last = facts.referrers.to_string();
        table.row([image, platforms, digest, own, shared, last]);
    }
    table.to_string()
}
