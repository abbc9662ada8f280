//! `hod delete`

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tokio::sync::OnceCell;

use super::input::{self, LoginFor, Reading};
use super::outcome::{self, Asked, Wording};
use super::session::Session;
use crate::cli::Exit;
use crate::cli::args::DeleteArgs;
use crate::cli::error::CommandError;
use crate::cli::results::Results;
use crate::cli::settings;
use crate::cli::terminal::{self, Echo};
use crate::cli::ui::{ResultFormat, format_count};
use hod_list::{ImageList, ListLine};
use hod_oci::{ForeignLayers, ReferrerMode};
use hod_ops::{
    Context, DeleteOptions, DeleteOutcome, DeletePlan, DeleteWhat, DeletedImage, ImageStatus,
    Input, MissingImages, PlatformOptions, Registries, RunMode, SourceCheck,
};
use hod_report::Diagnose as _;
use hod_transfer::Endpoint;

#[derive(Serialize)]
struct Document<'a> {
    verb: &'static str,
    #[serde(flatten)]
    outcome: &'a DeleteOutcome,
}

pub(super) async fn run(session: &Session<'_>, args: &DeleteArgs) -> Result<Exit, CommandError> {
    let wording = Wording {
        verb: "delete",
        done: "deleted",
        bytes: "",
        mode: RunMode::of(args.confirm.dry_run),
    };
    let ca = args.reach.ca.iter().map(PathBuf::as_path);
    let lists = [&args.images[..], &args.only.only].concat();
    let files = settings::RunFiles {
        inputs: ca.chain(args.reach.authfile.as_deref()).collect(),
        lists: &lists,
        outputs: Vec::new(),
    };
    let results = Results::begin(wording.verb, &args.results(), &files)?;
    let cx = session.remote(settings::retry_policy(&args.reach));
    let mut list = None;
    let found = work(session, args, &cx, &mut list).await;
    finish(session, wording, found, (results, list.as_ref())).await
}

/// Looks everything up, asks, and deletes.
async fn work(
    session: &Session<'_>,
    args: &DeleteArgs,
    cx: &Context,
    list: &mut Option<ImageList>,
) -> Result<DeleteOutcome, CommandError> {
    let registries = session.interruptible(registries(session, args)).await?;
    *list = Some(registries.list.clone());
    let options = DeleteOptions {
        registries,
        what: if args.tag_only {
            DeleteWhat::Tags
        } else {
            DeleteWhat::Manifests
        },
        missing: if args.missing_ok {
            MissingImages::Ignore
        } else {
            MissingImages::Fail
        },
    };
    let plan = session
        .interruptible(hod_ops::plan_delete(cx, &options))
        .await?;
    if args.confirm.dry_run || plan.is_empty() {
        return Ok(plan.outcome);
    }
    if !args.confirm.yes {
        session
            .interruptible(confirm(session, &plan, options.what))
            .await?;
    }
    session
        .interruptible(hod_ops::delete(cx, &options, plan))
        .await
}

/// Shows what would be deleted and asks whether to go on.
async fn confirm(
    session: &Session<'_>,
    plan: &DeletePlan,
    what: DeleteWhat,
) -> Result<(), CommandError> {
    session.progress.finish();
    let printer = session.printer;
    let planned = plan.outcome.images.iter();
    let planned = planned.filter(|image| matches!(image.status, ImageStatus::Planned));
    for image in planned {
        printer.log(&line(image));
    }
    let n = plan.outcome.n_deleted;
    let what = match what {
        DeleteWhat::Manifests => format_count(n, "manifest"),
        DeleteWhat::Tags => format_count(n, "tag"),
    };
    if !std::io::stdin().is_terminal() {
        return Err(CommandError::NotConfirmed { what });
    }
    printer.log(&format!("Delete {what}? [y/N]"));
    let answer = hod_bridge::run(move || terminal::read_line(Echo::Shown)).await;
    let answer = answer.map_err(CommandError::AnswerRead)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(CommandError::NotConfirmed { what }),
    }
}

/// The images to delete, each at a registry that the user named.
async fn registries(
    session: &Session<'_>,
    args: &DeleteArgs,
) -> Result<Box<Registries>, CommandError> {
    for word in &args.images {
        match input::endpoint(word) {
            Ok(Endpoint::Registry { .. }) if args.only.only.is_empty() => {
                let registry = word.display().to_string();
                return Err(CommandError::DeleteAll { registry });
            }
            Ok(Endpoint::Local { path, .. }) => return Err(CommandError::DeleteLocal { path }),
            Ok(Endpoint::Path(path)) if is_source(&path)? => {
                return Err(CommandError::DeleteLocal { path });
            }
            // Whatever is wrong is reported when it is read.
            _ => {}
        }
    }
    let names = args.names();
    let reading = Reading {
        registry: &args.reach,
        names: &names,
        only: &args.only,
        platforms: PlatformOptions::default(),
        referrers: ReferrerMode::Leave,
        foreign_layers: ForeignLayers::Leave,
        preflight: SourceCheck::Skip,
        login: LoginFor::Deleting,
        lists: settings::ListUse::default(),
        given: &[],
        trusts_lists: false,
        renames: settings::rename_rules(&args.rename, None).if_any(),
        beside: None,
        client: OnceCell::new(),
    };
    if reading.renames.is_some() && args.only.only.is_empty() {
        return Err(CommandError::RenameWithoutList);
    }
    let Input::Registries(mut registries) = reading.registries(session, &args.images).await? else {
        unreachable!("images of registries are read at registries");
    };
    let mut stems = registries.list.lines.iter().map(ListLine::stem);
    if names.registry.is_none()
        && let Some(entry) = stems.find(|entry| entry.reference.registry.is_none())
    {
        let image = entry.reference.to_string();
        return Err(CommandError::DeleteWhere { image });
    }
    registries.client = registries.client.for_delete();
    Ok(registries)
}

/// Whether a path has images, and is not a list of them.
fn is_source(path: &Path) -> Result<bool, CommandError> {
    let exists = hod_fsx::try_stat(path)?.is_some();
    Ok(exists && !hod_fsx::is_stdin(path) && !settings::is_list(path)?)
}

/// An image with its digest, and the tags that go with it.
fn line(image: &DeletedImage) -> String {
    let digest = image.digest.as_ref();
    let digest = digest
        .map(|digest| format!(" {digest}"))
        .unwrap_or_default();
    let also = match image.also_tags.as_slice() {
        [] => String::new(),
        [tag] => format!(" (and tag {tag})"),
        tags => {
            let tags: Vec<&str> = tags.iter().map(hod_oci::Tag::as_str).collect();
            format!(" (and tags {})", tags.join(", "))
        }
    };
    format!("{}{digest}{also}", image.image)
}

/// Writes the files that were asked for, then prints.
async fn finish(
    session: &Session<'_>,
    wording: Wording,
    found: Result<DeleteOutcome, CommandError>,
    (results, list): (Results, Option<&ImageList>),
) -> Result<Exit, CommandError> {
    session.progress.finish();
    let batch = found.as_ref().map(DeleteOutcome::batch);
    let asked = Asked {
        list,
        ..Asked::nothing(results)
    };
    let exit = found.as_ref().map_or(Exit::Done, Exit::of_deletion);
    let written = outcome::write(session, batch.as_ref().map_err(|error| *error), asked).await;
    let (Ok(found), Ok(batch)) = (&found, batch) else {
        if let Err(other) = written {
            let hint = other.diagnose().hint;
            session.printer.error(&other, hint.as_deref());
        }
        return found.map(|_| Exit::Done);
    };
    let hints = outcome::hints(&batch).join("\n");
    let hint = Some(hints.as_str()).filter(|hint| !hint.is_empty());
    match session.printer.format() {
        ResultFormat::Json => {
            let document = Document {
                verb: wording.verb,
                outcome: found,
            };
            session.document_with_files(&document, written.as_ref().err(), exit, hint)?;
        }
        ResultFormat::Text => {
            let mut stdout = session.printer.stdout();
            let done = found
                .images
                .iter()
                .filter(|image| matches!(image.status, ImageStatus::Done | ImageStatus::Planned));
            for image in done {
                stdout.line(line(image));
            }
            stdout.finish()?;
        }
    }
    if exit == Exit::Done {
        session.printer.message(&summary(wording, found));
    } else {
        outcome::print_failures(session, wording, &batch, hint);
    }
    written.map(|()| exit)
}

fn summary(wording: Wording, found: &DeleteOutcome) -> String {
    let is_absent = |image: &&DeletedImage| matches!(image.status, ImageStatus::Unchanged);
    let n_absent = found.images.iter().filter(is_absent).count();
    let n = format_count(found.images.len() - n_absent, "image");
    let mut said = match wording.mode {
        RunMode::Real => format!("deleted {n}"),
        RunMode::DryRun => format!("{n} would be deleted"),
    };
    if n_absent > 0 {
        said = format!("{said}; {} not found", format_count(n_absent, "image"));
    }
    said
}
