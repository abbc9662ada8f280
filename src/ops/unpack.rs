//! `unpack`: bundle → store.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::base;
use super::batch::{Batch, require_space};
use super::carry::Carry;
use super::catalog::require_store_path;
use super::indirect;
use super::platforms::{self, PlatformOptions};
use super::{BatchOutcome, Catalog, Context, Fewer, OpsError, SourceKind};
use crate::bridge;
use crate::fsx::{self, Durability};
use crate::list::RenameRules;
use crate::report::amount::format_count;
use crate::store::{Made, Store};
use crate::transfer::{
    Ended, OnFailure, ReferrerMode, ReferrerTags, Source, StoreSink, StoreSinkOptions,
    TransferError, Visibility,
};

/// Number of attempts to remove the files that a refused bundle left, and the delay between them.
const DISCARD_TRIES: u32 = 100;
const DISCARD_PAUSE: Duration = Duration::from_millis(20);

/// The bundle to unpack, and the destination.
#[derive(Debug)]
pub struct UnpackOptions {
    pub bundle: PathBuf,
    pub output: PathBuf,
    pub platforms: PlatformOptions,
}

/// Unpacks a bundle into a store, new or existing.
///
/// Every byte is verified while it is written, and nothing becomes visible before all of it is
/// verified: a bundle that is damaged or hostile leaves the output as it was.
pub async fn unpack(cx: &Context, options: &UnpackOptions) -> Result<BatchOutcome, OpsError> {
    require_store_path(&options.output)?;
    let catalog = Catalog::open_once(&options.bundle, &cx.reading).await?;
    if !matches!(
        catalog.kind(),
        SourceKind::Bundle
            | SourceKind::CompressedBundle
            | SourceKind::PipedBundle
            | SourceKind::Collection(_)
    ) {
        let kind = catalog.kind();
        return Err(OpsError::WrongSource {
            verb: "unpack",
            path: options.bundle.clone(),
            kind,
        });
    }
    // Before anything is created: all that is not a blob is as this program wrote it.
    if let Some(bundle) = catalog.source().as_bundle() {
        let bundle = Arc::clone(bundle);
        bundle.require_complete()?;
        bridge::run(move || bundle.check_all_but_blobs()).await?;
    }
    let wanted = catalog
        .wanted(
            None,
            &RenameRules::default(),
            &Carry::local(&options.platforms, ReferrerMode::Carry),
        )
        .await?;
    let mut batch = Batch::resolve(cx, catalog.source(), wanted, OnFailure::Stop).await;
    platforms::check(cx, catalog.source(), &mut batch, options.platforms.mismatch).await;
    if let Some(error) = batch.first_failure() {
        return Err(error.into());
    }
    platforms::warn_of_partial(cx, &batch, platforms::NOT_KEPT);
    let at = (existing_store(&options.output)?, options.output.as_path());
    let from = (catalog.source(), options.bundle.as_path());
    base::await_at_store(from, at, &mut batch).await?;
    require_space(&options.output, batch.plan.carried_len(), Fewer::Never)?;
    indirect::require_real(&options.output, &batch.plan, OnFailure::Stop).await?;
    let (store, made) = cx.open_store(&options.output, Store::create_new).await?;
    let result = fill(cx, &catalog, &mut batch, store).await;
    if result.is_err() {
        discard(cx, made).await;
    }
    result?;
    let left_files = files_besides(catalog.source());
    if !left_files.is_empty() {
        cx.note(&format!(
            "{} that the bundle carries besides images {} left in it: `tar -xf BUNDLE PATH` takes one \
             out, and its `README.txt` lists them",
            format_count(left_files.len(), "file"),
            if left_files.len() == 1 { "was" } else { "were" },
        ));
    }
    Ok(BatchOutcome {
        left_files,
        ..batch.finish()
    })
}

/// The user's files in a bundle, which have no place in a store; hod itself and generated texts are
/// left out.
pub(super) fn files_besides(source: &dyn Source) -> Vec<String> {
    let files = source.document().into_iter().flat_map(|doc| &doc.files);
    files
        .filter(|file| file.volume.is_some() && !file.path.as_str().starts_with("hod/"))
        .map(|file| file.path.to_string())
        .collect()
}

/// The store, if it exists.
fn existing_store(path: &Path) -> Result<Option<Store>, OpsError> {
    if fsx::try_stat(path)?.is_some() && Store::detect(path)? {
        return Ok(Some(Store::open(path)?));
    }
    Ok(None)
}

/// Removes the directories that this run made and that are still empty.
///
/// Threads that were interrupted in the middle of a blob have the store open for a moment more.
/// If it stays open, another process has found it and uses it, and it is left. A failure is not
/// worth more than a warning: the one that led here is the user's concern.
async fn discard(cx: &Context, mut made: Made) {
    for _ in 0..DISCARD_TRIES {
        let discarded;
        (made, discarded) = bridge::run(move || {
            let discarded = made.discard();
            (made, discarded)
        })
        .await;
        match discarded {
            Ok(true) => return,
            Ok(false) => tokio::time::sleep(DISCARD_PAUSE).await,
            Err(error) => {
                cx.warn(&format!("empty directories stay in the output: {error}"));
                return;
            }
        }
    }
}

async fn fill(
    cx: &Context,
    catalog: &Catalog,
    batch: &mut Batch,
    store: Store,
) -> Result<(), OpsError> {
    let sink_options = StoreSinkOptions {
        link: None,
        durability: Durability::Synced,
        visibility: Visibility::AllOrNothing,
        referrers: ReferrerTags::Joined,
    };
    let sink = Arc::new(StoreSink::new(store, sink_options));
    batch.run(cx, catalog.shared_source(), sink.clone()).await;
    if let Some(error) = batch.first_failure() {
        return Err(error.into());
    }
    // Data after the last blob is part of the bundle, too.
    if let Ended::Told(error) | Ended::Untold(error) = catalog.source().end().await {
        return Err(TransferError::Stream(error).into());
    }
    cx.stage("publishing images");
    Ok(sink.reveal(&batch.plan).await?)
}
