//! `hod pack`

use std::path::Path;

use super::{CommandError, Exit, Session, settings};
use crate::bundle::Compression;
use crate::cli::args::PackArgs;
use crate::cli::ui::{ResultFormat, format_count, format_len};
use crate::fsx::Durability;
use crate::oci::Registry;
use crate::ops::{self, PackOptions};

pub(super) async fn run(session: &Session<'_>, args: &PackArgs) -> Result<Exit, CommandError> {
    let (source, list) = match (&args.store, &args.inputs[..]) {
        (Some(store), lists) => (
            store.clone(),
            Some(settings::read_lists(
                lists,
                &args.section,
                &Registry::docker_hub(),
            )?),
        ),
        (None, [tree]) => (tree.clone(), None),
        (None, _) => return Err(CommandError::ManyTrees),
    };
    let options = PackOptions {
        source,
        list,
        output: args.output.clone(),
        renames: settings::rename_rules(&args.rename, None),
        referrers: args.referrers.mode(),
        compression: compression(&args.output)?,
        name: args.name.clone(),
        version: args.bundle_version.clone(),
        mtime: settings::source_date_epoch()?,
        durability: if args.fsync {
            Durability::Synced
        } else {
            Durability::Deferred
        },
    };
    let packed = ops::pack(&session.local(), &options).await?;
    session.progress.finish();
    let printer = session.printer;
    match printer.format() {
        ResultFormat::Json => printer.document(&packed)?,
        ResultFormat::Text => {
            printer.result(format_args!("{} {}", packed.path.display(), packed.id))?;
        }
    }
    let gain = if packed.bytes < packed.tar_bytes {
        let percent = 100 - packed.bytes.saturating_mul(100) / packed.tar_bytes;
        format!("; compressing saved {percent} %, since layers are compressed already")
    } else {
        String::new()
    };
    printer.message(&format!(
        "packed {}: {}, {} saved by sharing{gain}",
        format_count(packed.n_images, "image"),
        session.progress.totals().summary(0),
        format_len(packed.shared_bytes),
    ));
    Ok(Exit::Done)
}

fn compression(output: &Path) -> Result<Compression, CommandError> {
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    if name.ends_with(".tar") {
        Ok(Compression::Raw)
    } else if name.ends_with(".tar.zst") {
        Ok(Compression::Zstd { level: 3 })
    } else {
        Err(CommandError::BundleName {
            path: output.to_owned(),
        })
    }
}
