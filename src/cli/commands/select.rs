//! `hod select`

use super::outcome::{self, Asked, Wording};
use super::{CommandError, Exit, Session, locked, settings};
use crate::cli::args::SelectArgs;
use crate::cli::results::Results;
use crate::oci::Registry;
use crate::ops::{self, Effect, Others, SelectOptions};

pub(super) async fn run(session: &Session<'_>, args: &SelectArgs) -> Result<Exit, CommandError> {
    let wording = Wording {
        verb: "select",
        done: "selected",
        bytes: "transferred",
        effect: Effect::of(args.dry_run),
    };
    let files = settings::RunFiles {
        lists: &args.list.lists,
        ..settings::RunFiles::default()
    };
    let results = Results::begin(wording.verb, &args.results, &files)?;
    let options = match session.interruptible(options(session, args)).await {
        Ok(options) => options,
        Err(error) => {
            let asked = Asked::nothing(results);
            return outcome::finish(session, wording, Err(error), asked).await;
        }
    };
    let cx = session.local();
    let found = session.interruptible(ops::select(&cx, &options)).await;
    let asked = Asked {
        results,
        list: Some(&options.list),
        source: None,
        target: None,
    };
    outcome::finish(session, wording, found, asked).await
}

async fn options(session: &Session<'_>, args: &SelectArgs) -> Result<SelectOptions, CommandError> {
    settings::require_given("--store", &args.store)?;
    let (hub, reporter) = (Registry::docker_hub(), session.reporter());
    let options = SelectOptions {
        list: settings::image_list(&args.list, &hub, reporter.as_ref()).await?,
        store: args.store.clone(),
        output: args.output.clone(),
        link: args.link.into(),
        renames: settings::rename_rules(&args.rename, None),
        referrers: args.referrers.mode(),
        platforms: args.platforms.options(),
        others: match (args.add, args.replace) {
            (true, _) => Others::Keep,
            (_, true) => Others::Remove,
            _ => Others::Refuse,
        },
        effect: Effect::of(args.dry_run),
    };
    let flags = locked::Flags::local(&options.platforms, options.referrers);
    locked::require_agreement(&options.list, &flags)?;
    Ok(options)
}
