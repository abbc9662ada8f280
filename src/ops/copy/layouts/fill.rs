//! Filling layouts.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::archive;
use super::docker::Configs;
use super::{LayoutFormat, LayoutTarget};
use crate::bridge;
use crate::fsx::Durability;
use crate::layout::OciDirWriter;
use crate::ops::batch::{Batch, WouldMove};
use crate::ops::copy::CopyOptions;
use crate::ops::copy::target::{Feed, Prepared};
use crate::ops::{BatchOutcome, Context, OpsError};
use crate::transfer::{LayoutSink, LinkChoice, OciSink, OnFailure, Source};

/// A layout or archive that was looked at.
pub(super) struct Looked<'a> {
    pub(super) cx: &'a Context,
    pub(super) target: &'a LayoutTarget,
    pub(super) options: &'a CopyOptions,
    pub(super) source: Arc<dyn Source>,
    pub(super) batch: Batch,
    /// The bytes of the disk that it takes.
    pub(super) needed: u64,
    pub(super) link: LinkChoice,
    /// Of the images of a `docker save` archive.
    pub(super) configs: Configs,
    /// The directory of layouts, which are started.
    pub(super) dir: Option<LayoutSink>,
    pub(super) would_move: Option<WouldMove>,
}

impl Looked<'_> {
    async fn run(&mut self, feed: &mut Feed<'_>) -> Result<(), OpsError> {
        match self.target.format {
            LayoutFormat::Dir => {
                if let Some(dir) = self.dir.take() {
                    let (source, sink) = feed.ends(Arc::new(dir));
                    self.batch.run(self.cx, source, sink).await;
                }
                Ok(())
            }
            LayoutFormat::Oci => self.fill_layout(feed).await,
            LayoutFormat::OciArchive | LayoutFormat::DockerArchive => {
                archive::fill(self, feed).await
            }
        }
    }

    async fn fill_layout(&mut self, feed: &mut Feed<'_>) -> Result<(), OpsError> {
        let path = self.target.path.clone();
        let writer = bridge::run(move || OciDirWriter::create(&path)).await?;
        let sink = OciSink::directory(writer, self.link, feed.origin());
        let sink = Arc::new(sink);
        let (source, ends_in) = feed.ends(sink.clone());
        self.batch.run(self.cx, source, ends_in).await;
        if self.options.on_failure == OnFailure::Stop && self.batch.has_failures() {
            self.batch.withdraw();
            return Ok(());
        }
        bridge::run(move || sink.finish(Durability::Synced)).await?;
        self.batch.announce(self.cx);
        Ok(())
    }
}

#[async_trait(?Send)]
impl Prepared for Looked<'_> {
    /// Starts the layouts of a directory; an image whose place is taken fails alone.
    async fn begin(&mut self) -> Result<(), OpsError> {
        if self.target.format == LayoutFormat::Dir && !self.batch.plan.is_empty() {
            let dir = LayoutSink::create(&self.target.path, self.link, &self.source)?;
            self.batch.narrow(self.cx, |image| dir.add(image));
            self.dir = Some(dir);
        }
        Ok(())
    }

    fn space(&self) -> Option<(&Path, u64)> {
        Some((&self.target.path, self.needed))
    }

    fn batch(&mut self) -> &mut Batch {
        &mut self.batch
    }

    async fn fill(&mut self, mut feed: Feed<'_>) -> Result<(), OpsError> {
        if self.batch.plan.is_empty() || self.batch.must_stop() {
            return Ok(());
        }
        let filled = self.run(&mut feed).await;
        if filled.is_err() {
            // What was done for single images is not to be seen.
            self.batch.withdraw();
            return filled;
        }
        self.batch.check_the_rest(self.cx, feed.source()).await;
        Ok(())
    }

    fn finish(self: Box<Self>) -> BatchOutcome {
        let mut outcome = self.batch.finish();
        outcome.would_move = self.would_move;
        outcome.is_closed = self.target.format.is_archive();
        outcome
    }
}
