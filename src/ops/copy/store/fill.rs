//! Filling a store.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::replace::Replacement;
use super::{Others, StoreTarget};
use crate::batch::{Batch, WouldMove};
use crate::copy::target::{CopyOptions, CopyTarget as _, Prepared};
use crate::{BatchOutcome, Context, OpsError, platforms};
use hod_fsx::LinkMode;
use hod_report::amount::format_count;
use hod_store::{CreatedDirs, Store};
use hod_transfer::{
    Ended, Feed, Plan, ReferrerTags, Source, StoreSink, StoreSinkOptions, TransferError,
};

/// Number of attempts to remove the files that a refused input left, and the delay between them.
const DISCARD_TRIES: u32 = 100;
const DISCARD_PAUSE: Duration = Duration::from_millis(20);

/// A store that was looked at.
pub(super) struct Looked<'a> {
    pub(super) cx: &'a Context,
    pub(super) target: &'a StoreTarget,
    pub(super) options: &'a CopyOptions,
    pub(super) batch: Batch,
    /// The bytes that it takes on the disk; the maximum, if it is the only target.
    pub(super) needed: u64,
    /// The number of other images in the store.
    pub(super) n_others: usize,
    pub(super) would_move: Option<WouldMove>,
    pub(super) replacement: Option<Replacement<'a>>,
    store: Option<Store>,
    /// The directories created for a store that is filled completely or not at all.
    made: Option<CreatedDirs>,
    /// Files of the source that have no place in a store.
    left_files: Vec<String>,
}

impl<'a> Looked<'a> {
    pub(super) fn new(
        cx: &'a Context,
        (target, options): (&'a StoreTarget, &'a CopyOptions),
        batch: Batch,
    ) -> Self {
        Self {
            cx,
            target,
            options,
            batch,
            needed: 0,
            n_others: 0,
            would_move: None,
            replacement: None,
            store: None,
            made: None,
            left_files: Vec::new(),
        }
    }

    /// Opens the store, or makes it.
    async fn open(&mut self) -> Result<(), OpsError> {
        let (cx, path) = (self.cx, &self.target.path);
        if let Some(replacement) = &mut self.replacement {
            let opened = cx.open_store(path, Store::create_alone).await;
            let (tree, made) = opened?;
            if let Err(error) = replacement.check(&self.batch.plan, &tree).await {
                drop(tree);
                discard(cx, made).await;
                return Err(error);
            }
            self.store = Some(tree);
        } else if self.target.is_whole() {
            let (store, made) = cx.open_store(path, Store::create_new).await?;
            (self.store, self.made) = (Some(store), Some(made));
        } else {
            self.store = Some(cx.open_store(path, Store::create).await?);
        }
        Ok(())
    }

    async fn run(&mut self, mut feed: Feed<'_>, store: Store) -> Result<(), OpsError> {
        let referrers = match self.target.others {
            Others::Remove => ReferrerTags::Carried,
            Others::Refuse | Others::Keep => ReferrerTags::Joined,
        };
        let sink_options = StoreSinkOptions {
            link: Some(self.target.link).filter(|link| *link != LinkMode::Copy),
            durability: self.target.durability,
            visibility: self.target.visibility,
            referrers,
        };
        let sink = Arc::new(StoreSink::new(store.clone(), sink_options, feed.source()));
        self.batch.run(self.cx, &mut feed, sink.clone()).await;
        let source = feed.source().as_ref();
        if self.target.is_whole() {
            self.reveal(source, &sink).await?;
        } else {
            self.batch.check_the_rest(self.cx, source).await;
        }
        if source.is_remote() {
            keep_originals(self.cx, &store, &self.batch.plan).await;
        }
        if self.target.checks_platforms(&self.options.from) {
            let mismatch = self.options.from.platforms().mismatch;
            platforms::check(self.cx, &store, &mut self.batch, mismatch).await;
        }
        self.leave_files(source);
        Ok(())
    }

    /// Publishes all images, if all are complete.
    async fn reveal(&self, source: &dyn Source, sink: &StoreSink) -> Result<(), OpsError> {
        if let Some(error) = self.batch.first_failure() {
            return Err(error.into());
        }
        // Data after the last blob is part of the bundle, too.
        if let Ended::Told(error) | Ended::Untold(error) = source.end().await {
            return Err(TransferError::Stream(error).into());
        }
        self.cx.stage("publishing images");
        sink.reveal(&self.batch.plan).await?;
        self.batch.announce(self.cx);
        Ok(())
    }

    fn leave_files(&mut self, source: &dyn Source) {
        self.left_files = files_besides(source);
        if self.left_files.is_empty() {
            return;
        }
        self.cx.note(&format!(
            "did not unpack {} of the bundle: `tar -xf BUNDLE PATH` extracts one; `README.txt` in \
             the bundle lists them",
            format_count(self.left_files.len(), "extra file"),
        ));
    }

    /// Notes the images from earlier runs.
    fn tell_rest(&self, store: &Store) -> Result<(), OpsError> {
        if self.n_others == 0 {
            return Ok(());
        }
        let n_all = format_count(store.images()?.images.len(), "image");
        let path = self.target.path.display();
        self.cx.note(&format!(
            "`{path}` now has {n_all}, {} of them from earlier runs",
            self.n_others
        ));
        Ok(())
    }
}

#[async_trait(?Send)]
impl Prepared for Looked<'_> {
    async fn begin(&mut self) -> Result<(), OpsError> {
        if self.batch.plan.is_empty() {
            return Ok(());
        }
        self.open().await
    }

    fn space(&self) -> Option<(&Path, u64)> {
        Some((&self.target.path, self.needed))
    }

    fn batch(&mut self) -> &mut Batch {
        &mut self.batch
    }

    async fn fill(&mut self, feed: Feed<'_>) -> Result<(), OpsError> {
        let Some(store) = self.store.clone() else {
            return Ok(());
        };
        let filled = self.run(feed, store.clone()).await;
        if let (Err(_), Some(made)) = (&filled, self.made.take()) {
            drop((store, self.store.take()));
            discard(self.cx, made).await;
            return filled;
        }
        filled?;
        match &mut self.replacement {
            Some(replacement) => replacement.finish(&self.batch).await,
            None => self.tell_rest(&store),
        }
    }

    fn finish(self: Box<Self>) -> BatchOutcome {
        let mut outcome = self.batch.finish();
        outcome.would_move = self.would_move;
        outcome.left_files = self.left_files;
        if let Some(replacement) = self.replacement {
            replacement.add_to(&mut outcome);
        }
        outcome
    }
}

/// The user's files in a bundle, which have no place in a store; hod itself and generated texts are
/// left out.
pub(crate) fn files_besides(source: &dyn Source) -> Vec<String> {
    let files = source.document().into_iter().flat_map(|doc| &doc.files);
    files
        .filter(|file| file.volume.is_some() && !file.path.as_str().starts_with("hod/"))
        .map(|file| file.path.to_string())
        .collect()
}

/// Stores the original indexes of partly carried images, so that the next run need not fetch them.
async fn keep_originals(cx: &Context, store: &Store, plan: &Arc<Plan>) {
    let (store, plan) = (store.clone(), Arc::clone(plan));
    let result = hod_bridge::run(move || {
        let originals = plan
            .images
            .iter()
            .filter_map(|image| image.original_manifest.as_ref());
        for original in originals {
            store.keep_original(original)?;
        }
        Ok::<_, OpsError>(())
    })
    .await;
    if let Err(error) = result {
        cx.warn(&format!(
            "the next run will fetch some manifests again: {error}"
        ));
    }
}

/// Removes the directories that this run made and that are still empty.
///
/// Threads that were interrupted in the middle of a blob have the store open for a moment more.
/// If it stays open, another process has found it and uses it, and it is left. A failure is not
/// worth more than a warning: the one that led here is the user's concern.
async fn discard(cx: &Context, mut made: CreatedDirs) {
    for _ in 0..DISCARD_TRIES {
        let discarded;
        (made, discarded) = hod_bridge::run(move || {
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
