//! `hod digest`

use super::session::Session;
use crate::cli::Exit;
use crate::cli::args::DigestArgs;
use crate::cli::error::CommandError;
use crate::cli::ui::ResultFormat;

pub(super) async fn run(session: &Session<'_>, args: &DigestArgs) -> Result<Exit, CommandError> {
    let found = hod_ops::digest(&args.file).await?;
    match session.printer.format() {
        ResultFormat::Json => session.document(&found)?,
        ResultFormat::Text => session.printer.result(&found.digest)?,
    }
    Ok(Exit::Done)
}
