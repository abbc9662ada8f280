//! `hod pull`

use super::outcome::{self, Wording};
use super::{CommandError, Exit, Session, settings};
use crate::cli::args::{IndexArg, PullArgs};
use crate::oci::{Platform, PlatformChoice};
use crate::ops::{self, Effect, PullOptions};
use crate::transfer::{IndexMode, OnFailure};

pub(super) async fn run(session: &Session<'_>, args: &PullArgs) -> Result<Exit, CommandError> {
    let list = settings::image_list(&args.list, &args.source)?;
    let here = || PlatformChoice::These(vec![Platform::new("linux", std::env::consts::ARCH)]);
    let options = PullOptions {
        list,
        store: args.store.clone(),
        client: settings::client(&args.registry, &session.reporter())?,
        source: args.source.clone(),
        platforms: args.platform.clone().unwrap_or_else(here),
        index_mode: match args.index {
            None => IndexMode::Fitting,
            Some(IndexArg::Rewrite) => IndexMode::Rewrite,
            Some(IndexArg::Keep) => IndexMode::Keep,
        },
        lock: args.lock.clone(),
        effect: if args.dry_run {
            Effect::DryRun
        } else {
            Effect::Real
        },
        on_failure: if args.fail_fast {
            OnFailure::Stop
        } else {
            OnFailure::GoOn
        },
    };
    let cx = session.remote(settings::retry_policy(&args.registry));
    let found = ops::pull(&cx, &options).await?;
    outcome::print(
        session,
        Wording {
            verb: "pull",
            done: "pulled",
        },
        &found,
    )
}
