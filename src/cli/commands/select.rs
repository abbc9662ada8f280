//! `hod select`

use super::outcome::Wording;
use super::session::Session;
use super::{copy, input, locked};
use crate::cli::Exit;
use crate::cli::args::SelectArgs;
use crate::cli::error::CommandError;
use crate::cli::results::Results;
use crate::cli::settings;
use hod_fsx::Durability;
use hod_oci::Registry;
use hod_ops::{CopyOptions, Input, Others, StoreTarget};

pub(super) async fn run(session: &Session<'_>, args: &SelectArgs) -> Result<Exit, CommandError> {
    let wording = Wording {
        verb: "select",
        done: "selected",
        bytes: "transferred",
        mode: args.run.mode(),
    };
    let files = settings::RunFiles {
        lists: &args.list.lists,
        ..settings::RunFiles::default()
    };
    let results = Results::begin(wording.verb, &args.results, &files)?;
    let cx = session.local();
    copy::carry(session, wording, cx, results, options(session, args)).await
}

async fn options(session: &Session<'_>, args: &SelectArgs) -> Result<CopyOptions, CommandError> {
    let (store, stated) = input::stated(args.store.clone())?;
    settings::require_given("--store", &store)?;
    let (hub, reporter) = (Registry::docker_hub(), session.reporter());
    let list = settings::image_list(&args.list, &hub, reporter.as_ref()).await?;
    let platforms = args.platforms.options();
    let referrers = args.referrers.mode();
    locked::require_agreement(&list, &locked::Flags::local(&platforms, referrers))?;
    let tree = StoreTarget {
        link: args.link.into(),
        // A tree can be made again in no time.
        durability: Durability::Deferred,
        others: match (args.add, args.replace) {
            (true, _) => Others::Keep,
            (_, true) => Others::Remove,
            _ => Others::Refuse,
        },
        ..StoreTarget::lasting(args.output.clone())
    };
    Ok(CopyOptions {
        from: Input::Local {
            path: store,
            stated: Box::new(stated),
            list: Some(list),
            platforms,
        },
        targets: vec![Box::new(tree)],
        renames: settings::rename_rules(&args.rename, None),
        referrers,
        mode: args.run.mode(),
        on_failure: args.run.on_failure(),
        policy: None,
        lock: None,
        sync: None,
    })
}
