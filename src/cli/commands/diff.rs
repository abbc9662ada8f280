//! `hod diff`

use super::{CommandError, Exit, Session, settings};
use crate::cli::args::DiffArgs;
use crate::cli::ui::{Align, ResultFormat, Table, format_count, format_len};
use crate::oci::{Digest, Registry};
use crate::ops::{self, BlobCount, Change, DiffOptions, DiffOutcome};

pub(super) async fn run(session: &Session<'_>, args: &DiffArgs) -> Result<Exit, CommandError> {
    let list = if args.list.is_empty() {
        None
    } else {
        let reporter = session.reporter();
        let hub = Registry::docker_hub();
        let lists = settings::ListInputs {
            paths: &args.list,
            ..settings::ListInputs::default()
        };
        Some(settings::read_lists(lists, &hub, reporter.as_ref()).await?)
    };
    let options = DiffOptions {
        old: args.old.clone(),
        new: args.new.clone(),
        list,
    };
    let found = ops::diff(&session.local(), &options).await?;
    session.progress.finish();
    let printer = session.printer;
    match printer.format() {
        ResultFormat::Json => session.document(&found)?,
        ResultFormat::Text => {
            let table = table(&found);
            if !table.is_empty() {
                printer.block(table)?;
            }
        }
    }
    printer.message(&summary(&found));
    Ok(if args.exit_code && !found.is_same() {
        Exit::Failed
    } else {
        Exit::Done
    })
}

fn table(found: &DiffOutcome) -> Table<6> {
    let mut table = Table::new([
        ("", Align::Left),
        ("IMAGE", Align::Left),
        ("OLD", Align::Left),
        ("NEW", Align::Left),
        ("NEW LAYERS", Align::Right),
        ("LINE", Align::Left),
    ]);
    let short = |digest: &Option<Digest>| {
        let digest = digest.as_ref().map(Digest::short);
        digest.unwrap_or("-").to_owned()
    };
    for image in &found.images {
        let sign = match image.change {
            Change::Added => "+",
            Change::Removed => "-",
            Change::Changed => "~",
        };
        table.row([
            sign.to_owned(),
            image.image.clone(),
            short(&image.old_digest),
            short(&image.new_digest),
            format_len(image.new_bytes),
            image.line.clone().unwrap_or_default(),
        ]);
    }
    if found.images.iter().all(|image| image.line.is_none()) {
        table.hide("LINE");
    }
    table
}

fn summary(found: &DiffOutcome) -> String {
    let n = |change| {
        let images = found.images.iter();
        images.filter(|image| image.change == change).count()
    };
    let mut text = format!(
        "{} added, {} removed, {} changed, {} unchanged",
        format_count(n(Change::Added), "image"),
        n(Change::Removed),
        n(Change::Changed),
        found.n_unchanged,
    );
    let count = |count: BlobCount| format!("{} of {}", count.blobs, format_len(count.bytes));
    let counts = [
        ("added", found.added),
        ("removed", found.removed),
        ("shared", Some(found.shared)),
    ];
    let counts: Vec<String> = counts
        .into_iter()
        .filter_map(|(what, found)| Some(format!("{} {what}", count(found?))))
        .collect();
    text.push_str("; layers and configs: ");
    text.push_str(&counts.join(", "));
    if let Some(len) = found.delta_bytes {
        text.push_str("; a delta would carry ");
        text.push_str(&format_len(len));
    }
    text
}
