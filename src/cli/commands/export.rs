//! `hod export`

use super::outcome::{self, Asked, Wording};
use super::{CommandError, Exit, Session, locked, settings};
use crate::cli::args::ExportArgs;
use crate::cli::results::Results;
use crate::fsx;
use crate::ops::{self, Effect, ExportFormat, ExportOptions};

pub(super) async fn run(session: &Session<'_>, args: &ExportArgs) -> Result<Exit, CommandError> {
    let wording = Wording {
        verb: "export",
        done: "exported",
        bytes: "written",
        effect: Effect::Real,
    };
    let files = settings::RunFiles {
        inputs: vec![&args.source],
        lists: &args.only.only,
        outputs: vec![&args.output],
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
    let found = session.interruptible(ops::export(&cx, &options)).await;
    let asked = Asked {
        results,
        list: options.list.as_ref(),
        source: Some(&options.source),
        target: None,
    };
    outcome::finish(session, wording, found, asked).await
}

async fn options(session: &Session<'_>, args: &ExportArgs) -> Result<ExportOptions, CommandError> {
    settings::require_one_stdin(&args.source, &args.only)?;
    let format = args.format.into();
    settings::require_path(&args.output)?;
    if fsx::is_stdout(&args.output) {
        return Err(CommandError::OutputStream {
            path: args.output.clone(),
        });
    }
    if matches!(
        format,
        ExportFormat::OciArchive | ExportFormat::DockerArchive
    ) {
        settings::require_file(&args.output)?;
    }
    let options = ExportOptions {
        source: args.source.clone(),
        output: args.output.clone(),
        format,
        mtime: settings::source_date_epoch()?,
        list: settings::only_list(&args.only, session.reporter().as_ref()).await?,
        renames: settings::rename_rules(&args.rename, None),
        referrers: args.referrers.mode(),
        platforms: args.platforms.options(),
        link: args.link.map(Into::into),
        on_failure: args.run.on_failure(),
    };
    let flags = locked::Flags::local(&options.platforms, options.referrers);
    if let Some(list) = &options.list {
        locked::require_agreement(list, &flags)?;
    }
    Ok(options)
}
