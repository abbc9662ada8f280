//! `hod export`

use std::path::PathBuf;

use clap::ValueEnum as _;

use super::input::Reading;
use super::outcome::Wording;
use super::session::Session;
use super::{copy, input};
use crate::cli::Exit;
use crate::cli::args::{ExportArgs, FormatArg, transport};
use crate::cli::error::CommandError;
use crate::cli::results::Results;
use crate::cli::settings;
use hod_ops::{CopyOptions, Input, SourceCheck};
use hod_transfer::{ChosenImage, Endpoint, Transport};

pub(super) async fn run(session: &Session<'_>, args: &ExportArgs) -> Result<Exit, CommandError> {
    let wording = Wording {
        verb: "export",
        done: "exported",
        bytes: "written",
        mode: args.run.mode(),
    };
    let output = Output::of(args)?;
    let files = settings::RunFiles {
        inputs: copy::inputs(&args.registry, &args.source, std::iter::empty()),
        lists: &args.only.only,
        outputs: vec![&output.path],
    };
    let results = Results::begin(wording.verb, &args.results, &files)?;
    let cx = session.remote(settings::retry_policy(&args.registry));
    copy::carry(
        session,
        wording,
        cx,
        results,
        options(session, args, output),
    )
    .await
}

async fn options(
    session: &Session<'_>,
    args: &ExportArgs,
    output: Output,
) -> Result<CopyOptions, CommandError> {
    let link = args.link.map(Into::into);
    let target = copy::local(output.transport, output.path, output.image, link)?;
    let reading = Reading::new(
        &args.registry,
        &args.names,
        &args.only,
        args.platforms.options(),
        args.referrers.mode(),
        SourceCheck::unless(args.preflight.no_preflight),
    );
    let from = reading.input(session, &args.source).await?;
    if args.link.is_some() && matches!(from, Input::Registries(_)) {
        return Err(CommandError::LinkNothing);
    }
    Ok(CopyOptions {
        from,
        targets: vec![target],
        renames: settings::rename_rules(&args.rename, None),
        referrers: args.referrers.mode(),
        mode: args.run.mode(),
        on_failure: args.run.on_failure(),
        policy: None,
        lock: None,
        sync: None,
    })
}

/// The output of an export.
struct Output {
    transport: Transport,
    path: PathBuf,
    /// The name of the only image in the output, if given.
    image: Option<ChosenImage>,
}

impl Output {
    fn of(args: &ExportArgs) -> Result<Self, CommandError> {
        let is_wanted = |said: Transport| match args.format {
            Some(format) => said == format.into(),
            None => FormatArg::value_variants()
                .iter()
                .any(|format| said == (*format).into()),
        };
        if transport::split(&args.output).is_some_and(|(said, _)| is_wanted(said))
            && let Endpoint::Local {
                transport,
                path,
                image,
            } = input::endpoint(&args.output)?
        {
            return Ok(Self {
                transport,
                path,
                image,
            });
        }
        settings::require_path(&args.output)?;
        Ok(Self {
            transport: args.format.unwrap_or(FormatArg::Dir).into(),
            path: args.output.clone(),
            image: None,
        })
    }
}
