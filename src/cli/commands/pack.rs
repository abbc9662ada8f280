//! `hod pack`

mod forecast;

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::bundle::bundle;
use super::outcome::{self, Asked, Wording};
use super::session::Session;
use super::written::{self, left_out};
use super::{copy, input, locked};
use crate::cli::Exit;
use crate::cli::args::PackArgs;
use crate::cli::error::CommandError;
use crate::cli::results::Results;
use crate::cli::settings;
use crate::cli::ui::{ResultFormat, format_count, format_len};
use hod_fsx::Durability;
use hod_oci::Registry;
use hod_ops::{
    BatchOutcome, BundleTarget, CopyOptions, ImageReport, Input, OpsError, PackOutcome, Reading,
    RunMode,
};
use hod_transfer::Stated;

const WORDING: Wording = Wording {
    verb: "pack",
    done: "packed",
    bytes: "written",
    mode: RunMode::Real,
};

pub(super) async fn run(session: &Session<'_>, args: &PackArgs) -> Result<Exit, CommandError> {
    let key = args.sign.sign.as_deref().map(Path::new);
    let files = settings::RunFiles {
        inputs: key
            .into_iter()
            .chain(args.since.iter().map(PathBuf::as_path))
            .collect(),
        lists: &args.inputs,
        outputs: vec![&args.output],
    };
    let results = Results::begin(WORDING.verb, &args.results, &files)?;
    let wording = Wording {
        mode: RunMode::of(args.dry_run),
        ..WORDING
    };
    let options = async {
        let options = options(session, args).await?;
        require_stdout(session, args)?;
        Ok::<_, CommandError>(options)
    };
    let options = match session.interruptible(options).await {
        Ok(options) => options,
        Err(error) => {
            let asked = Asked::nothing(results);
            return outcome::finish(session, wording, Err(error), asked).await;
        }
    };
    let cx = session.local();
    let mut found = session.interruptible(hod_ops::copy(&cx, &options)).await;
    let asked = copy::asked(&options, results);
    // A forecast is printed even if packing would be refused.
    if let Ok(outcome) = &mut found
        && let Some(forecast) = outcome.forecasts.first_mut()
    {
        forecast::print(session, forecast, &args.output)?;
        if let Some(refusal) = forecast.refusal.take() {
            found = Err(refusal.into());
        }
    }
    let found = match found {
        Ok(found) => found,
        Err(error) => return outcome::finish(session, wording, Err(error), asked).await,
    };
    if found.bundles.is_empty() && found.forecasts.is_empty() {
        // No image could be packed.
        return outcome::finish(session, wording, Ok(found), asked).await;
    }
    let written = outcome::write(session, Ok(&found), asked).await;
    let exit = Exit::of_batch(&found);
    let advice = outcome::advice(exit, wording.mode, &found);
    if let Some(packed) = found.bundles.first() {
        let end = End {
            exit,
            advice: advice.as_deref(),
            unwritten: written.as_ref().err(),
        };
        print(session, &found, packed, &end, args.only_volume)?;
    }
    outcome::print_failures(session, wording, &found, advice.as_deref());
    written.map(|()| exit)
}

/// Refuses options that conflict with a bundle on stdout.
fn require_stdout(session: &Session<'_>, args: &PackArgs) -> Result<(), CommandError> {
    if !hod_fsx::is_stdout(&args.output) {
        return Ok(());
    }
    let is_json = session.printer.format() == ResultFormat::Json;
    let (flag, problem) = if is_json && !args.dry_run {
        ("--json", "would write, too")
    } else if args.written.checksums {
        ("--checksums", "has no file to hash")
    } else if args.volume_size.is_some() {
        ("--volume-size", "cannot make several files")
    } else {
        return Ok(());
    };
    Err(CommandError::PackStdout { flag, problem })
}

/// Refuses flags that name a missing file or directory.
fn require_inputs(args: &PackArgs, store: Option<&Path>) -> Result<(), CommandError> {
    if let Some(store) = store {
        settings::require_given("--store", store)?;
    }
    for path in &args.since {
        settings::require_given("--since", path)?;
    }
    for path in &args.carry.tool {
        settings::require_given("--tool", path)?;
    }
    for path in args.carry.file_sources() {
        settings::require_given("--file", path)?;
    }
    if let Some(dir) = &args.carry.template_dir {
        settings::require_directory("--template-dir", dir)?;
    }
    Ok(())
}

async fn options(session: &Session<'_>, args: &PackArgs) -> Result<CopyOptions, CommandError> {
    let (store, stated) = match &args.store {
        Some(store) => {
            let (path, stated) = input::stated(store.clone())?;
            (Some(path), stated)
        }
        None => (None, Stated::default()),
    };
    require_inputs(args, store.as_deref())?;
    // Before the lists, because one of them may be stdin.
    let signer = settings::signer(&args.sign, &args.inputs, session.reporter().as_ref()).await?;
    let ((source, stated), list) = match (store, &args.inputs[..]) {
        (Some(store), lists) => {
            let lists = settings::ListInputs {
                paths: lists,
                sections: &args.section,
                ..settings::ListInputs::default()
            };
            let (hub, reporter) = (Registry::docker_hub(), session.reporter());
            let list = settings::read_lists(lists, &hub, reporter.as_ref()).await?;
            ((store, stated), Some(list))
        }
        (None, [tree]) if settings::is_list(tree)? => {
            let path = tree.clone();
            return Err(OpsError::ListWithoutStore { path }.into());
        }
        (None, [tree]) => (input::stated(tree.clone())?, None),
        (None, _) => return Err(CommandError::ManyTrees),
    };
    let (platforms, referrers) = (args.platforms.options(), args.referrers.mode());
    if let Some(list) = &list {
        locked::require_agreement(list, &locked::Flags::local(&platforms, referrers))?;
    }
    let bundle = BundleTarget {
        baseline: args.since.clone(),
        volume_size: args.volume_size,
        only_volume: args.only_volume,
        name: args.name.clone(),
        version: args.bundle_version.clone(),
        signer,
        carry: args.carry.options(),
        durability: if args.fsync {
            Durability::Synced
        } else {
            Durability::Deferred
        },
        reading: if args.rehash {
            Reading::All
        } else {
            Reading::Unverified
        },
        existing: args.written.existing(),
        checksums: args.written.checksums(),
        ..bundle(&args.output)?
    };
    Ok(CopyOptions {
        from: Input::Local {
            path: source,
            stated: Box::new(stated),
            list,
            platforms,
        },
        targets: vec![Box::new(bundle)],
        renames: settings::rename_rules(&args.rename, None),
        referrers,
        mode: RunMode::of(args.dry_run),
        on_failure: args.failing.on_failure(),
        policy: None,
        lock: None,
        sync: None,
    })
}

/// How a run ended.
struct End<'a> {
    exit: Exit,
    advice: Option<&'a str>,
    /// Why its reports could not be written.
    unwritten: Option<&'a CommandError>,
}

/// The document of a bundle.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    packed: &'a PackOutcome,
    /// The images that are not in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<&'a ImageReport>,
}

fn print(
    session: &Session<'_>,
    outcome: &BatchOutcome,
    packed: &PackOutcome,
    end: &End<'_>,
    only_volume: Option<u32>,
) -> Result<(), CommandError> {
    session.progress.finish();
    let printer = session.printer;
    match printer.format() {
        ResultFormat::Json => {
            let images = outcome.images.iter();
            let images = images.filter(|image| image.status.error().is_some());
            let document = Document {
                packed,
                images: images.collect(),
            };
            session.document_with_files(&document, end.unwritten, end.exit, end.advice)?;
        }
        // The path of the bundle.
        ResultFormat::Text if hod_fsx::is_stream(&packed.path).unwrap_or(false) => {}
        ResultFormat::Text => {
            written::print(session, &packed.files, &packed.id, packed.signed_by)?;
        }
    }
    if let Some(volume) = only_volume {
        printer.message(&format!(
            "packed volume {volume} of {}: {}",
            packed.n_volumes,
            format_len(packed.bytes),
        ));
        return Ok(());
    }
    let gain = if packed.bytes < packed.tar_bytes {
        let percent = 100 - packed.bytes.saturating_mul(100) / packed.tar_bytes;
        format!("; compression saved {percent} %, because layers are compressed already")
    } else {
        String::new()
    };
    let left_out = left_out(packed.facts.base_blobs, packed.facts.base_bytes);
    printer.message(&format!(
        "packed {}: {}, {} saved by sharing{left_out}{gain}",
        format_count(packed.facts.n_images, "image"),
        session.progress.totals().summary("written", 0),
        format_len(packed.facts.shared_bytes),
    ));
    Ok(())
}
