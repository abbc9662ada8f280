//! `hod ls`

use super::input::Reading;
use super::session::Session;
use crate::cli::Exit;
use crate::cli::args::{ByArg, LsArgs};
use crate::cli::error::CommandError;
use crate::cli::settings;
use crate::cli::ui::{Align, ResultFormat, Table, format_count, format_len};
use hod_oci::Digest;
use hod_ops::ImagesOutcome;

pub(super) async fn run(session: &Session<'_>, args: &LsArgs) -> Result<Exit, CommandError> {
    let cx = session.remote(settings::retry_policy(&args.look.registry));
    let reading = Reading::looking(&args.look, args.look.platforms.options());
    let look = reading.look(session, &args.source).await?;
    let found = hod_ops::images(&cx, &look, args.by.into()).await?;
    session.progress.finish();
    let exit = Exit::of_unread(&found.damaged);
    let printer = session.printer;
    match printer.format() {
        ResultFormat::Json => session.document_of(&found, exit, None)?,
        ResultFormat::Text => {
            let form = if printer.is_read_by_a_person() {
                Form::Short
            } else {
                Form::Whole
            };
            printer.block(table(&found, form))?;
        }
    }
    let mut said = format!(
        "{}, {} in all",
        format_count(found.images.len(), "image"),
        format_len(found.total_bytes)
    );
    if matches!(args.by, ByArg::Size) {
        let common = format_len(found.common_bytes);
        said = format!("{said}, {common} shared");
    }
    if let Some(volumes) = found.volumes.as_ref().filter(|volumes| volumes.count > 1) {
        said = format!("{said}, in {} volumes", volumes.count);
    }
    printer.message(&said);
    for number in found.volumes.iter().flat_map(|volumes| &volumes.missing) {
        printer.note(&format!("volume {number} not found"));
    }
    if let Some(signature) = &found.signature {
        printer.message(&format!("`{}` {signature}", args.source.display()));
    }
    if let Some(delta) = &found.delta {
        printer.note(&format!("`{}` {delta}", args.source.display()));
    }
    for damaged in &found.damaged {
        printer.warning(&format!("{}: {}", damaged.image, damaged.error));
    }
    Ok(exit)
}

/// How much of each cell is shown.
#[derive(Debug, Clone, Copy)]
enum Form {
    Whole,
    /// Digests of 12 digits, and platforms without `linux/`, so that a line fits most terminals.
    Short,
}

impl Form {
    fn platforms(self, platforms: &[String]) -> String {
        let joined = platforms.join(",");
        match self {
            Self::Whole => joined,
            Self::Short => joined.replace("linux/", ""),
        }
    }

    fn digest(self, digest: &Digest) -> String {
        match self {
            Self::Whole => digest.to_string(),
            Self::Short => digest.short().to_owned(),
        }
    }
}

/// A line for each image; the columns for referrers and the base only if there are any.
fn table(found: &ImagesOutcome, form: Form) -> String {
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
            form.platforms(&image.platforms),
            form.digest(&image.digest),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_a_person_is_short() {
        let platforms = ["linux/amd64", "linux/arm64", "windows/amd64:10.0.1"].map(str::to_owned);
        let digest = Digest::of(b"");
        let short = Form::Short.platforms(&platforms);
        assert_eq!(short, "amd64,arm64,windows/amd64:10.0.1");
        assert!(Form::Short.digest(&digest).len() < 20);
        assert_eq!(Form::Whole.digest(&digest), digest.to_string());
        assert_eq!(Form::Whole.platforms(&platforms), platforms.join(","));
    }
}
