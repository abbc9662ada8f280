//! `hod receipt`

use super::input::{self, Reading};
use super::outcome;
use super::session::Session;
use crate::cli::Exit;
use crate::cli::args::ReceiptArgs;
use crate::cli::error::CommandError;
use crate::cli::settings;
use crate::cli::settings::{ClientFor, Reach, ResultKind, Side};
use crate::cli::ui::{ResultFormat, format_count};
use hod_fsx::ResultFile;
use hod_ops::{Holder, PlatformOptions, ReceiptOptions, RegistryHolder};
use hod_registry::{Purpose, RegistriesConf};
use hod_transfer::Endpoint;

pub(super) async fn run(session: &Session<'_>, args: &ReceiptArgs) -> Result<Exit, CommandError> {
    settings::require_result(&args.output, ResultKind::Receipt)?;
    let inputs = [&args.look.only.only[..], std::slice::from_ref(&args.holder)].concat();
    settings::require_others(&[&args.output], &inputs)?;
    let options = ReceiptOptions {
        holder: holder(session, args).await?,
    };
    let cx = session.remote(settings::retry_policy(&args.look.registry));
    let found = hod_ops::receipt(&cx, &options).await?;
    session.progress.finish();
    let exit = Exit::of_unread(&found.unread);
    let printer = session.printer;
    let bytes = if args.compact {
        found.receipt.to_compact().into_bytes()
    } else {
        found.receipt.to_json()
    };
    if hod_fsx::is_stdout(&args.output) {
        // It is the result, in whichever form was asked for.
        printer.raw(&bytes)?;
    } else {
        ResultFile::create(&args.output)?.write(&bytes)?;
        if printer.format() == ResultFormat::Json {
            session.document_of(&found, exit, found.hint.as_deref())?;
        }
    }
    for image in &found.absent {
        printer.warning(&format!("{image}: not found"));
    }
    if found.n_images == 0 && found.absent.is_empty() && found.unread.is_empty() {
        printer.warning(&format!(
            "no images found in {}: the receipt is empty. This is normal before the first delivery; \
             otherwise, check the name.",
            args.holder.display()
        ));
    }
    outcome::warn_of_unread(session, "left out", &found.unread);
    if let Some(hint) = &found.hint {
        printer.note(&format!(
            "{hint} `hod pack --since` also takes an earlier bundle instead of a receipt.",
        ));
    }
    printer.message(&format!(
        "{} in {} of {}",
        format_count(found.n_digests, "digest"),
        if found.n_repositories == 1 {
            "1 repository".to_owned()
        } else {
            format!("{} repositories", found.n_repositories)
        },
        args.holder.display(),
    ));
    Ok(exit)
}

/// The holder of the images. A registry is asked with the login of a target.
async fn holder(session: &Session<'_>, args: &ReceiptArgs) -> Result<Holder, CommandError> {
    let look = &args.look;
    let Endpoint::Registry { registry, prefix } = input::endpoint(&args.holder)? else {
        let reading = Reading::looking(look, PlatformOptions::default());
        let look = reading.look(session, &args.holder).await?;
        return Ok(Holder::Source(look));
    };
    if look.names.registry.is_some() {
        let word = args.holder.clone();
        return Err(CommandError::SourceOfNothing { word });
    }
    let list = settings::only_list(&look.only, session.reporter().as_ref()).await?;
    if list.is_none() {
        settings::require_no_section(&look.only)?;
        let renames = settings::rename_rules(&look.rename, None);
        if renames.if_any().is_some() {
            return Err(CommandError::RenameWithoutList);
        }
    }
    let purpose = ClientFor {
        reach: Reach {
            side: Side::Target,
            registries: vec![registry.clone()],
            lists: &look.only.only,
            settings: &[],
            given: &[],
        },
        registries_conf: RegistriesConf::default(),
        purpose: Purpose::Look,
    };
    let client =
        settings::client(&look.registry, session.jobs, &session.reporter(), purpose).await?;
    Ok(Holder::Registry(Box::new(RegistryHolder {
        registry,
        client,
        list,
        renames: settings::rename_rules(&look.rename, prefix.clone()),
        prefix,
        referrers: look.referrers.mode(),
    })))
}
