//! `hod diff`

use std::path::Path;

use super::input::{self, Reading};
use super::session::Session;
use crate::cli::Exit;
use crate::cli::args::DiffArgs;
use crate::cli::error::CommandError;
use crate::cli::settings;
use crate::cli::ui::{Align, ResultFormat, Table, format_count, format_len};
use hod_list::RenameRules;
use hod_oci::{Digest, Registry};
use hod_ops::{BlobCount, Change, Compared, DiffOptions, DiffOutcome, DiffSide, UnreadImage};
use hod_transfer::Endpoint;

pub(super) async fn run(session: &Session<'_>, args: &DiffArgs) -> Result<Exit, CommandError> {
    let renames = settings::rename_rules(&args.look.rename, None).if_any();
    let mut list = if args.list.is_empty() {
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
    let cx = session.remote(settings::retry_policy(&args.look.registry));
    if let (Some(list), Some(rules)) = (&mut list, &renames) {
        input::rename(list, rules)?;
    }
    let mut reading = Reading::looking(&args.look, args.look.platforms.options());
    let is_old_renamed = has_final_names(&args.old)? && !has_final_names(&args.new)?;
    let mut sides = Vec::with_capacity(2);
    for (word, beside, is_renamed) in [
        (&args.old, &args.new, is_old_renamed),
        (&args.new, &args.old, !is_old_renamed),
    ] {
        reading.beside = Some(beside);
        // A push target already has the new names; a list finds images under them.
        let is_sought = is_renamed && !args.look.only.only.is_empty();
        reading.renames = renames.clone().filter(|_| is_sought);
        let renames = renames.clone().filter(|_| !is_renamed);
        sides.push(compared(session, &reading, word, renames).await?);
    }
    let [old, new] = sides.try_into().expect("one for each argument");
    let options = DiffOptions { old, new, list };
    let found = hod_ops::diff(&cx, &options).await?;
    session.progress.finish();
    let sides = [&found.old, &found.new];
    let of_side = |side: &&'_ DiffSide| [&side.damaged[..], &side.absent].concat();
    let not_compared: Vec<UnreadImage> = sides.iter().flat_map(of_side).collect();
    let exit = match Exit::of_unread(&not_compared) {
        Exit::Done if args.exit_code && !found.is_same() => Exit::Failed,
        exit => exit,
    };
    let printer = session.printer;
    match printer.format() {
        ResultFormat::Json => session.document_of(&found, exit, None)?,
        ResultFormat::Text => {
            let table = table(&found);
            if !table.is_empty() {
                printer.block(table)?;
            }
        }
    }
    let summary = match not_compared.len() {
        0 => summary(&found),
        n => format!(
            "{}; {} not compared",
            summary(&found),
            format_count(n, "image")
        ),
    };
    printer.message(&summary);
    for image in &not_compared {
        printer.warning(&format!("{}: {}", image.image, image.error));
    }
    Ok(exit)
}

/// An argument: a receipt, or images.
async fn compared(
    session: &Session<'_>,
    reading: &Reading<'_>,
    word: &Path,
    renames: Option<RenameRules>,
) -> Result<Compared, CommandError> {
    if hod_ops::is_receipt(word)? {
        if renames.is_some() {
            let path = word.to_owned();
            return Err(CommandError::RenamedReceipt { path });
        }
        return Ok(Compared::Receipt(word.to_owned()));
    }
    let look = reading.look(session, word).await?;
    let look = Box::new(look);
    Ok(Compared::Images { look, renames })
}

/// Whether images have the names of a push there.
fn has_final_names(word: &Path) -> Result<bool, CommandError> {
    let is_registry = matches!(input::endpoint(word)?, Endpoint::Registry { .. });
    Ok(is_registry || hod_ops::is_receipt(word)?)
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
        text.push_str("; a delta would be ");
        text.push_str(&format_len(len));
    }
    text
}
