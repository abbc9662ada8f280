//! `hod export`

use clap::ValueEnum as _;
use tokio::sync::OnceCell;

use super::input::{LoginFor, Reading};
use super::outcome::Wording;
use super::{CommandError, Exit, Session, copy, settings};
use crate::cli::args::{ExportArgs, FormatArg, transport};
use crate::cli::results::Results;
use crate::oci::ForeignLayers;
use crate::ops::{CopyOptions, SourceCheck};

pub(super) async fn run(session: &Session<'_>, args: &ExportArgs) -> Result<Exit, CommandError> {
    let wording = Wording {
        verb: "export",
        done: "exported",
        bytes: "written",
        effect: args.run.effect(),
    };
    let files = settings::RunFiles {
        inputs: copy::inputs(&args.registry, &args.source),
        lists: &args.only.only,
        outputs: vec![&args.output],
    };
    let results = Results::begin(wording.verb, &args.results, &files)?;
    let cx = session.remote(settings::retry_policy(&args.registry));
    copy::carry(session, (wording, cx), results, options(session, args)).await
}

async fn options(session: &Session<'_>, args: &ExportArgs) -> Result<CopyOptions, CommandError> {
    let said = transport::split(&args.output).filter(|(said, _)| match args.format {
        Some(format) => *said == format.into(),
        None => FormatArg::value_variants()
            .iter()
            .any(|format| *said == (*format).into()),
    });
    let (transport, output) = if let Some(said) = said {
        said
    } else {
        settings::require_path(&args.output)?;
        let format = args.format.unwrap_or(FormatArg::Dir);
        (format.into(), args.output.clone())
    };
    let target = copy::local(transport, (output, None), args.link.map(Into::into))?;
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
    Ok(CopyOptions {
        from: reading.input(session, &args.source).await?,
        targets: vec![target],
        renames: settings::rename_rules(&args.rename, None),
        referrers: args.referrers.mode(),
        effect: args.run.effect(),
        on_failure: args.run.on_failure(),
        lock: None,
    })
}
