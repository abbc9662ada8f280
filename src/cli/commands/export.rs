//! `hod export`

use super::outcome::Wording;
use super::{CommandError, Exit, Session, copy, input, settings};
use crate::cli::args::ExportArgs;
use crate::cli::results::Results;
use crate::ops::CopyOptions;

pub(super) async fn run(session: &Session<'_>, args: &ExportArgs) -> Result<Exit, CommandError> {
    let wording = Wording {
        verb: "export",
        done: "exported",
        bytes: "written",
        effect: args.run.effect(),
    };
    let files = settings::RunFiles {
        inputs: vec![&args.source],
        lists: &args.only.only,
        outputs: vec![&args.output],
    };
    let results = Results::begin(wording.verb, &args.results, &files)?;
    let cx = session.local();
    copy::carry(session, (wording, cx), results, options(session, args)).await
}

async fn options(session: &Session<'_>, args: &ExportArgs) -> Result<CopyOptions, CommandError> {
    settings::require_path(&args.output)?;
    let link = args.link.map(Into::into);
    let target = copy::layout(args.format.into(), args.output.clone(), link)?;
    let how = (args.platforms.options(), args.referrers.mode());
    Ok(CopyOptions {
        from: input::local(session, (args.source.clone(), &args.only), how).await?,
        targets: vec![Box::new(target)],
        renames: settings::rename_rules(&args.rename, None),
        referrers: args.referrers.mode(),
        effect: args.run.effect(),
        on_failure: args.run.on_failure(),
        lock: None,
    })
}
