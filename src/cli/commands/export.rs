//! `hod export`

use super::outcome::{self, Wording};
use super::{CommandError, Exit, Session, settings};
use crate::cli::args::ExportArgs;
use crate::ops::{self, ExportOptions};
use crate::transfer::OnFailure;

pub(super) async fn run(session: &Session<'_>, args: &ExportArgs) -> Result<Exit, CommandError> {
    let options = ExportOptions {
        source: args.source.clone(),
        output: args.output.clone(),
        list: settings::only_list(&args.only)?,
        renames: settings::rename_rules(&args.rename, None),
        referrers: args.referrers.mode(),
        link: args.link.map(Into::into),
        on_failure: if args.fail_fast {
            OnFailure::Stop
        } else {
            OnFailure::GoOn
        },
    };
    let found = ops::export(&session.local(), &options).await?;
    outcome::print(
        session,
        Wording {
            verb: "export",
            done: "exported",
        },
        &found,
    )
}
