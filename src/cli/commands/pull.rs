//! `hod pull`

use std::path::PathBuf;

use super::input::Reading;
use super::outcome::Wording;
use super::session::Session;
use super::{copy, locked};
use crate::cli::Exit;
use crate::cli::args::PullArgs;
use crate::cli::error::CommandError;
use crate::cli::results::Results;
use crate::cli::settings;
use hod_oci::{Platform, PlatformChoice};
use hod_ops::{CopyOptions, Input, SourceCheck, StoreTarget};

pub(super) async fn run(session: &Session<'_>, args: &PullArgs) -> Result<Exit, CommandError> {
    let wording = Wording {
        verb: "pull",
        done: "pulled",
        bytes: "transferred",
        mode: args.run.mode(),
    };
    let ca = args.registry.ca.iter().map(PathBuf::as_path);
    let files = settings::RunFiles {
        inputs: ca
            .chain(args.registry.authfile.as_deref())
            .chain(args.policy.inputs())
            .collect(),
        lists: &args.list.lists,
        outputs: args.lock.as_deref().into_iter().collect(),
    };
    let results = Results::begin(wording.verb, &args.results, &files)?;
    let cx = session.remote(settings::retry_policy(&args.registry));
    copy::carry(session, wording, cx, results, options(session, args)).await
}

async fn options(session: &Session<'_>, args: &PullArgs) -> Result<CopyOptions, CommandError> {
    let only = args.list.narrowed();
    let reading = Reading {
        foreign_layers: args.foreign_layers.mode(),
        ..Reading::new(
            &args.registry,
            &args.names,
            &only,
            args.platforms.options(),
            args.referrers.mode(),
            SourceCheck::unless(args.preflight.no_preflight),
        )
    };
    if let Some(lock) = &args.lock {
        settings::require_result(lock, settings::ResultKind::Lock)?;
        settings::require_others(&[lock.as_path()], &args.list.lists)?;
        if let Some(named) = reading.named_source()? {
            locked::require_nameable(&named.registry)?;
        }
    }
    let mut from = reading.registries(session, &args.list.lists).await?;
    if let Input::Registries(registries) = &mut from {
        let here = || PlatformChoice::These(vec![Platform::new("linux", std::env::consts::ARCH)]);
        registries.platforms.platforms.get_or_insert_with(here);
    }
    Ok(CopyOptions {
        from,
        targets: vec![Box::new(StoreTarget::lasting(args.store.clone()))],
        renames: settings::rename_rules(&args.rename, None),
        referrers: args.referrers.mode(),
        mode: args.run.mode(),
        on_failure: args.run.on_failure(),
        policy: settings::trust_policy(&args.policy, &args.registry, &session.reporter())?,
        lock: args.lock.clone(),
        sync: None,
    })
}
