//! `hod sync`

mod synced_images;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Parser as _;

use super::copy::{self, targets};
use super::filling::Filling;
use super::input::{LoginFor, Reading};
use super::outcome::{self, Asked, Wording};
use super::session::Session;
use super::target::RegistryPath;
use crate::cli::Exit;
use crate::cli::args::{Cli, Command, SyncArgs};
use crate::cli::error::CommandError;
use crate::cli::interrupt::Interrupt;
use crate::cli::results::Results;
use crate::cli::settings::{self, ListUse, ResultKind};
use crate::cli::ui::{Printer, PrinterOptions, ProgressReporter, Verbosity};
use hod_bundle::ReadOptions;
use hod_list::{BadLines, ForeignFormat, ListLine, RegistrySettings, TargetUse};
use hod_oci::{PlatformChoice, Registry};
use hod_ops::{BatchOutcome, Context, CopyOptions, Input, SourceCheck, SyncMode};
use hod_registry::Drain;
use hod_report::{Event, Reporter};
use hod_transfer::{IndexMode, OnFailure};

/// Number of large blobs that image-syncer's command line moves at once, if it does not say it.
const JOBS: usize = 6;

pub(super) async fn run(session: &Session<'_>, args: &SyncArgs) -> Result<Exit, CommandError> {
    let wording = Wording {
        verb: "sync",
        done: "synced",
        bytes: "transferred",
        mode: args.run.mode(),
    };
    let (source, words) = args.ends();
    let outputs = targets::outputs(&words);
    let written = args.syncer.output_success_images.as_deref();
    let auth = args.syncer.auth.as_deref();
    let files = settings::RunFiles {
        inputs: copy::inputs(&args.registry, &source, args.policy.inputs())
            .into_iter()
            .chain(auth)
            .collect(),
        lists: &args.only.only,
        outputs: outputs
            .iter()
            .map(PathBuf::as_path)
            .chain(written)
            .collect(),
    };
    let results = Results::begin(wording.verb, &args.results, &files)?;
    if let Some(path) = written {
        settings::require_result(path, ResultKind::Images)?;
        settings::require_others(&[path], &[source])?;
    }
    let cx = context(session, args);
    let options = match session.interruptible(options(session, args)).await {
        Ok(options) => options,
        Err(error) => {
            let asked = Asked::nothing(results);
            return outcome::finish(session, wording, Err(error), asked).await;
        }
    };
    let mut found = session
        .interruptible(hod_ops::copy(&cx, &options))
        .await
        .and_then(copy::require_possible);
    if let (Ok(outcome), Some(path)) = (&found, written)
        && let Err(error) = write_synced(args, &options, outcome, path).await
    {
        found = Err(error);
    }
    outcome::finish(session, wording, found, copy::asked(&options, results)).await
}

/// Parses a command line of `hod sync`.
pub(in crate::cli) fn parse(words: &[String]) -> Result<SyncArgs, String> {
    let cli = Cli::try_parse_from(words).map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        first.trim_start_matches("error: ").to_owned()
    })?;
    match cli.command {
        Command::Sync(args) => Ok(*args),
        _ => Err("not a command line of `hod sync`".to_owned()),
    }
}

/// Syncs for another program's command line: `log` takes all events, and nothing is printed.
pub(in crate::cli) async fn logged(
    args: &SyncArgs,
    interrupt: &Interrupt,
    log: Arc<dyn Reporter>,
) -> Result<BatchOutcome, CommandError> {
    let printer = Printer::for_process(PrinterOptions {
        verbosity: Verbosity::Quiet,
        ..PrinterOptions::default()
    });
    let session = Session {
        printer: &printer,
        progress: Arc::new(ProgressReporter::new(&printer)),
        log: Some(log),
        jobs: args.syncer.proc.map_or(JOBS, usize::from),
        drain: Drain::default(),
        interrupt,
        reading: ReadOptions::default(),
    };
    let written = args.syncer.output_success_images.as_deref();
    if let Some(path) = written {
        settings::require_result(path, ResultKind::Images)?;
        settings::require_others(&[path], &[args.ends().0])?;
    }
    let cx = context(&session, args);
    let options = session.interruptible(options(&session, args)).await?;
    let outcome = session.interruptible(hod_ops::copy(&cx, &options)).await?;
    if let Some(path) = written {
        write_synced(args, &options, &outcome, path).await?;
    }
    Ok(outcome)
}

/// The context of a sync.
fn context(session: &Session<'_>, args: &SyncArgs) -> Context {
    let cx = session.remote(settings::retry_policy(&args.registry));
    Context {
        jobs: args.syncer.proc.map_or(cx.jobs, usize::from),
        ..cx
    }
}

/// Writes the images that were transferred.
async fn write_synced(
    args: &SyncArgs,
    options: &CopyOptions,
    outcome: &BatchOutcome,
    path: &Path,
) -> Result<(), CommandError> {
    let format = args.syncer.output_images_format;
    let target = match options.targets.as_slice() {
        [single] => single.registry(),
        _ => None,
    };
    let text = synced_images::render(outcome, target, format);
    let path = path.to_owned();
    hod_bridge::run(move || {
        let written = hod_fsx::overwrite(&path, text.as_bytes());
        written.map_err(|source| CommandError::Results { path, source })
    })
    .await
}

/// What to copy, and where to.
async fn options(session: &Session<'_>, args: &SyncArgs) -> Result<CopyOptions, CommandError> {
    let (source, words) = args.ends();
    let renames = settings::rename_rules(&args.rename, None);
    if words.is_empty() && renames.clone().if_any().is_some() {
        return Err(CommandError::Arguments {
            text: "names are not changed where the file says where images go".to_owned(),
            tip: Some("name a destination behind the file, or leave out the flag".to_owned()),
        });
    }
    let given = match &args.syncer.auth {
        Some(path) => settings::syncer_logins(path).await?,
        None => Vec::new(),
    };
    let from = input(session, args, (&source, &words), &given).await?;
    // In a file for `--config`, logins and images are one's own alike.
    let given = match &from {
        Input::Registries(registries) if args.syncer.config.is_some() => {
            registries.list.registries.clone()
        }
        _ => given,
    };
    let read = [&args.only.only[..], std::slice::from_ref(&source)].concat();
    let filling = Filling {
        read: &read,
        registry: &args.registry,
        upload: &args.upload,
        preflight: &args.preflight,
        recheck: args.recheck.mode(),
        given: &given,
    };
    let (targets, sync) = if words.is_empty() {
        let registries = listed_registries(&source, &from)?;
        (
            filling.targets(session, registries).await?,
            SyncMode::Listed,
        )
    } else {
        let targets = targets::targets(session, &words, &filling, None).await?;
        (targets, SyncMode::ByRules)
    };
    Ok(CopyOptions {
        from,
        targets,
        renames,
        referrers: args.referrers.mode(),
        mode: args.run.mode(),
        on_failure: args.run.on_failure(),
        policy: settings::trust_policy(&args.policy, &args.registry, &session.reporter())?,
        lock: None,
        sync: Some(sync),
    })
}

/// The images, and the destinations that their lines name if no words do.
async fn input(
    session: &Session<'_>,
    args: &SyncArgs,
    (source, words): (&Path, &[String]),
    given: &[RegistrySettings],
) -> Result<Input, CommandError> {
    let mut platforms = args.platforms.options();
    if let Some(filter) = PlatformChoice::filter(&args.syncer.os, &args.syncer.arch) {
        platforms.platforms = Some(filter);
        platforms.index.get_or_insert(IndexMode::Rewrite);
    }
    let is_syncer = args.syncer.images.is_some() || args.syncer.config.is_some();
    let has_registry = words.is_empty() || targets::has_registry(words);
    let reading = Reading {
        foreign_layers: args.foreign_layers.mode(),
        login: if has_registry {
            LoginFor::Target
        } else {
            LoginFor::Source
        },
        lists: ListUse {
            targets: if words.is_empty() {
                TargetUse::Keep
            } else {
                TargetUse::Name
            },
            bad_lines: match args.run.on_failure() {
                OnFailure::GoOn => BadLines::Keep,
                OnFailure::Stop => BadLines::Refuse,
            },
            format: is_syncer.then_some(ForeignFormat::ImageSyncer),
        },
        given,
        trusts_lists: args.syncer.config.is_some(),
        ..Reading::new(
            &args.registry,
            &args.names,
            &args.only,
            platforms,
            args.referrers.mode(),
            SourceCheck::Skip,
        )
    };
    let mut from = if is_syncer {
        let words = [source.to_owned()];
        reading.registries(session, &words).await?
    } else if words.is_empty() && source == Path::new("-") {
        // Only the lines of a list name destinations.
        reading.input(session, Path::new("@-")).await?
    } else {
        reading.input(session, source).await?
    };
    if let Input::Registries(registries) = &mut from {
        if words.is_empty() {
            let default = args.syncer.default_target.as_ref();
            registries.list = registries.list.clone().with_targets(default)?;
        }
        let formats = &registries.list.formats;
        if formats.contains(&ForeignFormat::ImageSyncer) && registries.platforms.platforms.is_none()
        {
            session.reporter().event(Event::Note {
                text: "indexes keep their bytes and digests; image-syncer writes them anew",
            });
        }
    }
    Ok(from)
}

/// The registries that the lines of a list name as destinations, each once.
fn listed_registries(source: &Path, from: &Input) -> Result<Vec<RegistryPath>, CommandError> {
    let lines = match from {
        Input::Registries(registries) => registries.list.lines.as_slice(),
        Input::Local { .. } => &[],
    };
    let targets = lines
        .iter()
        .map(ListLine::stem)
        .flat_map(|entry| &entry.targets);
    let mut registries: Vec<Registry> = Vec::new();
    for target in targets {
        if !registries.contains(&target.registry) {
            registries.push(target.registry.clone());
        }
    }
    if registries.is_empty() {
        return Err(CommandError::SyncNowhere {
            word: source.display().to_string(),
        });
    }
    let path = |registry| RegistryPath {
        registry,
        prefix: None,
    };
    Ok(registries.into_iter().map(path).collect())
}
