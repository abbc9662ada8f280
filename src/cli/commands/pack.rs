//! `hod pack`

use std::path::Path;

use super::outcome::{self, Asked, Wording};
use super::{CommandError, Exit, Session, settings};
use crate::bundle::Compression;
use crate::cli::args::PackArgs;
use crate::cli::results::Results;
use crate::cli::ui::{ResultFormat, format_count, format_len};
use crate::fsx::Durability;
use crate::oci::Registry;
use crate::ops::{self, BatchOutcome, PackOptions, PackOutcome, Reading};
use crate::report::Reporter;

pub(super) async fn run(session: &Session<'_>, args: &PackArgs) -> Result<Exit, CommandError> {
    let results = Results::begin("pack", &args.results)?;
    let options = match options(args, session.reporter().as_ref()) {
        Ok(options) => options,
        Err(error) => {
            let asked = Asked::nothing(results);
            let none = Wording {
                verb: "pack",
                done: "packed",
            };
            return outcome::finish(session, none, Err(error), asked);
        }
    };
    let packed = ops::pack(&session.local(), &options).await;
    let packed = packed.map_err(CommandError::from);
    let batch = packed.as_ref().map(|packed| BatchOutcome {
        images: packed.images.clone(),
        n_blobs: packed.n_blobs,
        bytes: packed.bytes,
        shared_bytes: packed.shared_bytes,
        next_volumes: Vec::new(),
        projects: Vec::new(),
    });
    let asked = Asked {
        results,
        list: options.list.as_ref(),
        source: Some(&options.source),
        target: None,
    };
    let written = outcome::write(session, batch.as_ref().map_err(|error| *error), asked);
    print(session, &packed?)?;
    written.map(|()| Exit::Done)
}

fn options(args: &PackArgs, reporter: &dyn Reporter) -> Result<PackOptions, CommandError> {
    // Before the lists, of which one may be stdin.
    let signer = settings::signer(&args.sign, &args.inputs, reporter)?;
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
    Ok(PackOptions {
        source,
        list,
        since: args.since.clone(),
        output: args.output.clone(),
        renames: settings::rename_rules(&args.rename, None),
        referrers: args.referrers.mode(),
        compression: compression(&args.output)?,
        volume_size: args.volume_size,
        only_volume: args.only_volume,
        name: args.name.clone(),
        version: args.bundle_version.clone(),
        signer,
        mtime: settings::source_date_epoch()?,
        carry: args.carry.options(),
        durability: if args.fsync {
            Durability::Synced
        } else {
            Durability::Deferred
        },
        reading: if args.rehash {
            Reading::All
        } else {
            Reading::Unverified
        },
    })
}

fn print(session: &Session<'_>, packed: &PackOutcome) -> Result<(), CommandError> {
    session.progress.finish();
    let printer = session.printer;
    match printer.format() {
        ResultFormat::Json => printer.document(packed)?,
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
    let left_out = if packed.base_blobs > 0 {
        let n = format_count(packed.base_blobs, "blob");
        let len = format_len(packed.base_bytes);
        format!("; {n} ({len}) left out, which the target must have")
    } else {
        String::new()
    };
    printer.message(&format!(
        "packed {}: {}, {} saved by sharing{left_out}{gain}",
        format_count(packed.n_images, "image"),
        session.progress.totals().summary(0),
        format_len(packed.shared_bytes),
    ));
    Ok(())
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
