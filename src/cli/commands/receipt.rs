//! `hod receipt`

use std::path::{Path, PathBuf};

use super::{CommandError, Exit, Session, outcome, push, settings};
use crate::bridge;
use crate::cli::args::ReceiptArgs;
use crate::cli::error::names_file;
use crate::cli::settings::{ClientFor, Reach, Side};
use crate::cli::ui::{ResultFormat, format_count};
use crate::fsx::{self, ResultFile};
use crate::hint::sentence;
use crate::oci::Registry;
use crate::ops::{self, Holder, OpsError, ReceiptOptions, RegistryHolder};
use crate::registry::{Purpose, RegistriesConf};

pub(super) async fn run(session: &Session<'_>, args: &ReceiptArgs) -> Result<Exit, CommandError> {
    settings::require_text_output(&args.output)?;
    let inputs = [&args.list[..], &[PathBuf::from(&args.holder)]].concat();
    settings::require_others(&[&args.output], &inputs)?;
    let list = if args.list.is_empty() {
        None
    } else {
        let hub = Registry::docker_hub();
        let lists = settings::ListInputs {
            paths: &args.list,
            sections: &args.section,
            ..settings::ListInputs::default()
        };
        Some(settings::read_lists(lists, &hub, session.reporter().as_ref()).await?)
    };
    let options = ReceiptOptions {
        holder: holder(session, args).await?,
        list,
    };
    let cx = session.remote(settings::retry_policy(&args.registry));
    let found = ops::receipt(&cx, &options).await?;
    session.progress.finish();
    let printer = session.printer;
    let bytes = if args.compact {
        found.receipt.to_compact().into_bytes()
    } else {
        found.receipt.to_json()
    };
    if fsx::is_stdout(&args.output) {
        // It is the result, in whichever form was asked for.
        printer.raw(&bytes)?;
    } else {
        ResultFile::create(&args.output)?.write(&bytes)?;
        if printer.format() == ResultFormat::Json {
            session.document(&found)?;
        }
    }
    for image in &found.absent {
        printer.note(&format!("{image}: not found"));
    }
    let unread = found.unread.iter();
    let texts: Vec<String> = unread
        .map(|unread| format!("left out: {}", unread.error))
        .collect();
    let unread = found.unread.iter().zip(&texts);
    let unread = unread.map(|(of, text)| (of.reason.clone(), of.image.as_str(), text.as_str()));
    for group in outcome::by_reason(unread) {
        printer.warning(&group.to_string());
    }
    if let Some(hint) = &found.hint {
        printer.note(&format!(
            "{} `hod pack --since` takes an earlier bundle in place of a receipt, too.",
            sentence(hint)
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
        args.holder,
    ));
    Ok(if found.unread.is_empty() {
        Exit::Done
    } else {
        Exit::SomeFailed
    })
}

/// A file or directory of this name takes precedence over a registry.
async fn holder(session: &Session<'_>, args: &ReceiptArgs) -> Result<Holder, CommandError> {
    let path = PathBuf::from(&args.holder);
    let there = path.clone();
    if bridge::run(move || fsx::try_stat(&there)).await?.is_some() {
        return Ok(Holder::Local(path));
    }
    if !names_registry(&args.holder) {
        return Err(OpsError::NoSource { path }.into());
    }
    let (registry, prefix) = push::target(&args.holder).map_err(|source| CommandError::Target {
        what: "registry",
        text: args.holder.clone(),
        source,
    })?;
    let purpose = ClientFor {
        reach: Reach {
            side: Side::Target,
            registries: vec![registry.clone()],
            lists: &args.list,
        },
        registries_conf: RegistriesConf::default(),
        purpose: Purpose::Look,
    };
    let client =
        settings::client(&args.registry, session.jobs, &session.reporter(), purpose).await?;
    Ok(Holder::Registry(Box::new(RegistryHolder {
        registry,
        client,
        renames: settings::rename_rules(&args.rename, prefix.clone()),
        prefix,
    })))
}

/// Whether a text is of the kind that names hosts, as in references.
fn names_registry(text: &str) -> bool {
    let is_path = text.starts_with(['.', '/']) || names_file(text);
    let first = Path::new(text)
        .iter()
        .next()
        .and_then(|first| first.to_str());
    !is_path && first.is_some_and(|first| first == "localhost" || first.contains(['.', ':']))
}
