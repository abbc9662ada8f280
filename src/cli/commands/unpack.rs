//! `hod unpack`

use super::outcome::Wording;
use super::session::Session;
use super::{copy, input};
use crate::cli::Exit;
use crate::cli::args::UnpackArgs;
use crate::cli::error::CommandError;
use crate::cli::results::Results;
use crate::cli::settings;
use hod_ops::{CopyOptions, StoreTarget};
use hod_transfer::{OnFailure, Visibility};

pub(super) async fn run(session: &Session<'_>, args: &UnpackArgs) -> Result<Exit, CommandError> {
    let wording = Wording {
        verb: "unpack",
        done: "unpacked",
        bytes: "written",
        mode: args.run.mode(),
    };
    let files = settings::RunFiles {
        inputs: vec![&args.bundle],
        lists: &args.only.only,
        ..settings::RunFiles::default()
    };
    let results = Results::begin(wording.verb, &args.results, &files)?;
    let cx = session.local();
    copy::carry(session, wording, cx, results, options(session, args)).await
}

async fn options(session: &Session<'_>, args: &UnpackArgs) -> Result<CopyOptions, CommandError> {
    let store = StoreTarget {
        visibility: Visibility::AllOrNothing,
        ..StoreTarget::lasting(args.output.clone())
    };
    Ok(CopyOptions {
        from: input::local(
            session,
            args.bundle.clone(),
            &args.only,
            args.platforms.options(),
            args.referrers.mode(),
        )
        .await?,
        targets: vec![Box::new(store)],
        renames: settings::rename_rules(&args.rename, None),
        referrers: args.referrers.mode(),
        mode: args.run.mode(),
        // All or nothing.
        on_failure: OnFailure::Stop,
        policy: None,
        lock: None,
        sync: None,
    })
}
