//! `hod export`

use std::path::PathBuf;

use clap::ValueEnum as _;
use tokio::sync::OnceCell;

use super::input::{LoginFor, Reading};
use super::outcome::Wording;
use super::{CommandError, Exit, Session, copy, input, settings};
use crate::cli::args::{ExportArgs, FormatArg, transport};
use crate::cli::results::Results;
use crate::oci::ForeignLayers;
use crate::ops::{CopyOptions, Input, SourceCheck};
use crate::transfer::{ChosenImage, Endpoint, Transport};

pub(super) async fn run(session: &Session<'_>, args: &ExportArgs) -> Result<Exit, CommandError> {
    let wording = Wording {
        verb: "export",
        done: "exported",
        bytes: "written",
        effect: args.run.effect(),
    };
    let (_, written, _) = output(args)?;
    let files = settings::RunFiles {
        inputs: copy::inputs(&args.registry, &args.source),
        lists: &args.only.only,
        outputs: vec![&written],
    };
    let results = Results::begin(wording.verb, &args.results, &files)?;
    let cx = session.remote(settings::retry_policy(&args.registry));
    copy::carry(session, (wording, cx), results, options(session, args)).await
}

async fn options(session: &Session<'_>, args: &ExportArgs) -> Result<CopyOptions, CommandError> {
    let (transport, output, image) = output(args)?;
    let target = copy::local(transport, (output, image), args.link.map(Into::into))?;
    let reading = Reading {
        registry: &args.registry,
        names: &args.names,
        only: &args.only,
        platforms: args.platforms.options(),
        referrers: args.referrers.mode(),
        foreign_layers: ForeignLayers::Leave,
        preflight: SourceCheck::unless(args.preflight.no_preflight),
        login: LoginFor::Source,
        beside: None,
        client: OnceCell::new(),
    };
    let from = reading.input(session, &args.source).await?;
    if args.link.is_some() && matches!(from, Input::Registries(_)) {
        return Err(CommandError::LinkNothing);
    }
    Ok(CopyOptions {
        from,
        targets: vec![target],
        renames: settings::rename_rules(&args.rename, None),
        referrers: args.referrers.mode(),
        effect: args.run.effect(),
        on_failure: args.run.on_failure(),
        lock: None,
    })
}

/// The format of the output, its path, and the name of the only image in it, if it says one.
fn output(args: &ExportArgs) -> Result<(Transport, PathBuf, Option<ChosenImage>), CommandError> {
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
        return Ok((transport, path, image));
    }
    settings::require_path(&args.output)?;
    let format = args.format.unwrap_or(FormatArg::Dir);
    Ok((format.into(), args.output.clone(), None))
}
