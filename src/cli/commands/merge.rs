//! `hod bundle merge`

use super::session::Session;
use super::written;
use crate::cli::Exit;
use crate::cli::args::{BundleVerb, BundleVerbArgs, MergeArgs, PreferArg};
use crate::cli::error::CommandError;
use crate::cli::settings;
use crate::cli::ui::{ResultFormat, format_count, format_len};
use hod_fsx::Durability;
use hod_ops::{MergeOptions, Prefer};

pub(super) async fn run(
    session: &Session<'_>,
    args: &BundleVerbArgs,
) -> Result<Exit, CommandError> {
    match &args.verb {
        BundleVerb::Merge(args) => merge(session, args).await,
    }
}

async fn merge(session: &Session<'_>, args: &MergeArgs) -> Result<Exit, CommandError> {
    if args.output.extension().is_none_or(|end| end != "tar") {
        return Err(CommandError::MergedName {
            path: args.output.clone(),
        });
    }
    settings::require_file(&args.output)?;
    let signer = settings::signer(&args.sign, &args.bundles, session.reporter().as_ref()).await?;
    let options = MergeOptions {
        signer,
        sources: args.bundles.clone(),
        output: args.output.clone(),
        prefer: args.prefer.map(|prefer| match prefer {
            PreferArg::First => Prefer::First,
            PreferArg::Last => Prefer::Last,
        }),
        volume_size: args.volume_size,
        name: args.name.clone(),
        version: args.bundle_version.clone(),
        mtime: settings::source_date_epoch()?,
        durability: if args.fsync {
            Durability::Synced
        } else {
            Durability::Deferred
        },
        existing: args.written.existing(),
        checksums: args.written.checksums(),
    };
    let merged = hod_ops::merge(&session.local(), &options).await?;
    session.progress.finish();
    let printer = session.printer;
    match printer.format() {
        ResultFormat::Json => session.document(&merged)?,
        ResultFormat::Text => {
            written::print(session, &merged.files, &merged.id, merged.signed_by)?;
        }
    }
    let base = if merged.base_blobs > 0 {
        let n = format_count(merged.base_blobs, "blob");
        let len = format_len(merged.base_bytes);
        format!("; the target must have {n} ({len}) that none of them contains")
    } else {
        String::new()
    };
    printer.message(&format!(
        "merged {} with {}: {}{base}",
        format_count(args.bundles.len(), "bundle"),
        format_count(merged.n_images, "image"),
        session.progress.totals().summary("written", 0),
    ));
    Ok(Exit::Done)
}
