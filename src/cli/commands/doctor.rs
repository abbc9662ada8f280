//! `hod doctor`

use super::session::Session;
use super::target::RegistryPath;
use crate::cli::Exit;
use crate::cli::args::DoctorArgs;
use crate::cli::error::CommandError;
use crate::cli::settings;
use crate::cli::settings::{ClientFor, Reach, Side, UseConf};
use crate::cli::ui::{Align, ResultFormat, Table};
use hod_ops::{DoctorOptions, ObservationStatus};
use hod_registry::Purpose;

pub(super) async fn run(session: &Session<'_>, args: &DoctorArgs) -> Result<Exit, CommandError> {
    let RegistryPath {
        registry,
        prefix: repository,
    } = super::login::registry_name(&args.registry)?;
    let purpose = ClientFor {
        reach: Reach {
            side: Side::Either,
            registries: vec![registry.clone()],
            lists: &[],
            settings: &[],
            given: &[],
        },
        registries_conf: settings::registries_conf(UseConf::unless(args.no_registries_conf))?,
        purpose: Purpose::Look,
    };
    let options = DoctorOptions {
        client: settings::client(&args.reach, session.jobs, &session.reporter(), purpose).await?,
        registry,
        repository,
    };
    let cx = session.remote(settings::retry_policy(&args.reach));
    let found = hod_ops::doctor(&cx, &options).await?;
    session.progress.finish();
    let exit = if found.usable {
        Exit::Done
    } else {
        Exit::Failed
    };
    let printer = session.printer;
    match printer.format() {
        ResultFormat::Json => session.document_of(&found, exit, None)?,
        ResultFormat::Text => {
            let mut table = Table::new([
                ("CHECK", Align::Left),
                ("", Align::Left),
                ("FOUND", Align::Left),
            ]);
            for finding in &found.findings {
                let status = match finding.status {
                    ObservationStatus::Set => "",
                    ObservationStatus::Ok => "ok",
                    ObservationStatus::Warning => "warning",
                    ObservationStatus::Failed => "FAILED",
                };
                table.row([
                    finding.check.to_owned(),
                    status.to_owned(),
                    finding.text.clone(),
                ]);
            }
            printer.block(table)?;
        }
    }
    for finding in &found.findings {
        if let Some(hint) = &finding.hint {
            printer.message(&format!("{}: {}", finding.check, hint));
        }
    }
    let registry = &found.registry;
    if !found.usable {
        printer.message(&format!("`{registry}` cannot be used with these settings"));
        return Ok(exit);
    }
    printer.message(&match found.pushable {
        Some(false) => {
            format!(
                "`{registry}` can be reached; `hod push {}` would fail",
                args.registry
            )
        }
        Some(true) | None => format!("`{registry}` can be used"),
    });
    Ok(exit)
}
