//! Filling layouts.

use std::path::Path;

use async_trait::async_trait;

use super::format::{Filler, Looked};
use crate::batch::{Batch, WouldMove};
use crate::copy::target::Prepared;
use crate::{BatchOutcome, OpsError};
use hod_transfer::Feed;

/// The same with what fills it.
pub(super) struct Ready<'a> {
    pub(super) looked: Looked<'a>,
    pub(super) filler: Box<dyn Filler>,
    /// The bytes that it takes on the disk.
    pub(super) needed: u64,
    pub(super) would_move: Option<WouldMove>,
}

#[async_trait(?Send)]
impl Prepared for Ready<'_> {
    async fn begin(&mut self) -> Result<(), OpsError> {
        self.filler.begin(&mut self.looked).await
    }

    fn space(&self) -> Option<(&Path, u64)> {
        Some((&self.looked.target.path, self.needed))
    }

    fn batch(&mut self) -> &mut Batch {
        &mut self.looked.batch
    }

    async fn fill(&mut self, mut feed: Feed<'_>) -> Result<(), OpsError> {
        let looked = &mut self.looked;
        if looked.batch.plan.is_empty() || looked.batch.must_stop() {
            return Ok(());
        }
        let filled = self.filler.fill(looked, &mut feed).await;
        if filled.is_err() {
            // Results of single images are not reported.
            looked.batch.withdraw();
            return filled;
        }
        looked
            .batch
            .check_the_rest(looked.cx, feed.source().as_ref())
            .await;
        Ok(())
    }

    fn finish(self: Box<Self>) -> BatchOutcome {
        let mut outcome = self.looked.batch.finish();
        outcome.would_move = self.would_move;
        outcome.is_closed = self.looked.target.format.is_archive();
        outcome
    }
}
