//! `hod push`

use std::path::Path;

use super::filling::Filling;
use super::input::{LoginFor, Reading};
use super::outcome::Wording;
use super::session::Session;
use super::{copy, input};
use crate::cli::Exit;
use crate::cli::args::PushArgs;
use crate::cli::error::CommandError;
use crate::cli::results::Results;
use crate::cli::settings;
use hod_ops::{CopyOptions, SourceCheck};

pub(super) async fn run(session: &Session<'_>, args: &PushArgs) -> Result<Exit, CommandError> {
    let wording = Wording {
        verb: "push",
        done: "pushed",
        bytes: "transferred",
        mode: args.run.mode(),
    };
    let files = settings::RunFiles {
        inputs: copy::inputs(&args.registry, &args.source, args.policy.inputs()),
        lists: &args.only.only,
        outputs: Vec::new(),
    };
    let results = Results::begin(wording.verb, &args.results, &files)?;
    let cx = session.remote(settings::retry_policy(&args.registry));
    copy::carry(session, wording, cx, results, options(session, args)).await
}

async fn options(session: &Session<'_>, args: &PushArgs) -> Result<CopyOptions, CommandError> {
    require_source_first(args)?;
    let named = input::place(&args.target).map_err(|source| CommandError::Target {
        what: "push target",
        text: args.target.clone(),
        source,
    })?;
    let read = [&args.only.only[..], std::slice::from_ref(&args.source)].concat();
    let filling = Filling {
        read: &read,
        registry: &args.registry,
        upload: &args.upload,
        preflight: &args.preflight,
        recheck: args.recheck.mode(),
        given: &[],
    };
    let reading = Reading {
        login: LoginFor::Target,
        ..Reading::new(
            &args.registry,
            &args.names,
            &args.only,
            args.platforms.options(),
            args.referrers.mode(),
            SourceCheck::unless(args.preflight.no_preflight),
        )
    };
    Ok(CopyOptions {
        targets: filling.targets(session, vec![named]).await?,
        from: reading.input(session, &args.source).await?,
        renames: settings::rename_rules(&args.rename, None),
        referrers: args.referrers.mode(),
        mode: args.run.mode(),
        on_failure: args.run.on_failure(),
        policy: settings::trust_policy(&args.policy, &args.registry, &session.reporter())?,
        lock: None,
        sync: None,
    })
}

/// Refuses a source and a target that were given the other way round.
fn require_source_first(args: &PushArgs) -> Result<(), CommandError> {
    let is_there = |path: &Path| hod_fsx::try_stat(path).is_ok_and(|stat| stat.is_some());
    match args.source.to_str() {
        Some(text) if super::target::target(text).is_ok() => {
            let is_swapped = !is_there(&args.source) && is_there(Path::new(&args.target));
            if is_swapped && !hod_fsx::is_stdin(&args.source) {
                return Err(CommandError::RegistryAsSource {
                    registry: text.to_owned(),
                    source_path: args.target.clone(),
                });
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
