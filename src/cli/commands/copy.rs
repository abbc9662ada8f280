//! `hod copy`, and the common part of the verbs that are its presets.

mod local;
pub(super) mod targets;

use std::path::{Path, PathBuf};

pub(super) use self::local::local;
use super::filling::Filling;
use super::input::{LoginFor, Reading};
use super::outcome::{self, Asked, Wording};
use super::session::Session;
use crate::cli::Exit;
use crate::cli::args::{CopyArgs, RegistryArgs};
use crate::cli::error::CommandError;
use crate::cli::results::Results;
use crate::cli::settings;
use hod_fsx::LinkMode;
use hod_ops::{BatchOutcome, Context, CopyOptions, Input, SourceCheck};

pub(super) async fn run(session: &Session<'_>, args: &CopyArgs) -> Result<Exit, CommandError> {
    let wording = Wording {
        verb: "copy",
        done: "copied",
        bytes: "transferred",
        mode: args.run.mode(),
    };
    let outputs = targets::outputs(&args.targets);
    let files = settings::RunFiles {
        inputs: inputs(
            &args.registry,
            Path::new(&args.source),
            args.policy.inputs(),
        ),
        lists: &args.only.only,
        outputs: outputs.iter().map(PathBuf::as_path).collect(),
    };
    let results = Results::begin(wording.verb, &args.results, &files)?;
    let cx = session.remote(settings::retry_policy(&args.registry));
    carry(session, wording, cx, results, options(session, args)).await
}

/// The further inputs of a verb.
pub(super) fn inputs<'a>(
    registry: &'a RegistryArgs,
    source: &'a Path,
    others: impl Iterator<Item = &'a Path>,
) -> Vec<&'a Path> {
    let ca = registry.ca.iter().map(PathBuf::as_path);
    let read = ca.chain(registry.authfile.as_deref());
    read.chain(others).chain([source]).collect()
}

/// Copies as `options` requests, and reports the result.
pub(super) async fn carry(
    session: &Session<'_>,
    wording: Wording,
    cx: Context,
    results: Results,
    options: impl Future<Output = Result<CopyOptions, CommandError>>,
) -> Result<Exit, CommandError> {
    let options = match session.interruptible(options).await {
        Ok(options) => options,
        Err(error) => {
            let asked = Asked::nothing(results);
            return outcome::finish(session, wording, Err(error), asked).await;
        }
    };
    let found = session.interruptible(hod_ops::copy(&cx, &options)).await;
    let found = found.and_then(require_possible);
    outcome::finish(session, wording, found, asked(&options, results)).await
}

/// Fails if a dry run found problems.
pub(super) fn require_possible(mut outcome: BatchOutcome) -> Result<BatchOutcome, CommandError> {
    let mut forecasts = outcome.forecasts.iter_mut();
    match forecasts.find_map(|forecast| forecast.refusal.take()) {
        Some(refusal) => Err(refusal.into()),
        None => Ok(outcome),
    }
}

/// The part of the request that the results of a run show.
pub(super) fn asked(options: &CopyOptions, results: Results) -> Asked<'_> {
    Asked {
        results,
        list: options.from.list(),
        source: options.from.path(),
        target: match options.targets.as_slice() {
            [single] => single.registry(),
            _ => None,
        },
        n_targets: options.targets.len(),
    }
}

async fn options(session: &Session<'_>, args: &CopyArgs) -> Result<CopyOptions, CommandError> {
    let read = [&args.only.only[..], &[PathBuf::from(&args.source)]].concat();
    let filling = Filling {
        read: &read,
        registry: &args.registry,
        upload: &args.upload,
        preflight: &args.preflight,
        recheck: args.recheck.mode(),
        given: &[],
    };
    let link = args.link.map(LinkMode::from);
    let targets = targets::targets(session, &args.targets, &filling, link).await?;
    if args.link.is_some() && targets.iter().all(|target| target.registry().is_some()) {
        return Err(CommandError::LinkNothing);
    }
    let reading = Reading {
        foreign_layers: args.foreign_layers.mode(),
        login: if targets::has_registry(&args.targets) {
            LoginFor::Target
        } else {
            LoginFor::Source
        },
        ..Reading::new(
            &args.registry,
            &args.names,
            &args.only,
            args.platforms.options(),
            args.referrers.mode(),
            SourceCheck::unless(args.preflight.no_preflight),
        )
    };
    let from = reading.input(session, Path::new(&args.source)).await?;
    if args.link.is_some() && matches!(from, Input::Registries(_)) {
        return Err(CommandError::LinkNothing);
    }
    Ok(CopyOptions {
        from,
        targets,
        renames: settings::rename_rules(&args.rename, None),
        referrers: args.referrers.mode(),
        mode: args.run.mode(),
        on_failure: args.run.on_failure(),
        policy: settings::trust_policy(&args.policy, &args.registry, &session.reporter())?,
        lock: None,
        sync: None,
    })
}
