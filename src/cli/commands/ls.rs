//! `hod ls`

use super::{CommandError, Exit, Session};
use crate::cli::args::LsArgs;
use crate::cli::ui::{Align, ResultFormat, Table, format_count, format_len};
use crate::ops;

pub(super) async fn run(session: &Session<'_>, args: &LsArgs) -> Result<Exit, CommandError> {
    let found = ops::images(&session.local(), &args.source).await?;
    session.progress.finish();
    let printer = session.printer;
    match printer.format() {
        ResultFormat::Json => printer.document(&found)?,
        ResultFormat::Text => {
            let mut table = Table::new([
                ("IMAGE", Align::Left),
                ("PLATFORMS", Align::Left),
                ("DIGEST", Align::Left),
                ("OWN", Align::Right),
                ("SHARED", Align::Right),
            ]);
            for image in &found.images {
                table.row([
                    image.image.clone(),
                    image.platforms.join(","),
                    image.digest.to_string(),
                    format_len(image.own_bytes),
                    format_len(image.shared_bytes),
                ]);
            }
            printer.result(table)?;
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
