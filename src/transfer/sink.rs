//! Sinks: targets of images. A blob is put once, and an image is published when it is complete. The
//! adapters are in `sinks`.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Content, ImageOutcome, Plan, PlannedBlob, TransferError};
use hod_report::BlobRoute;

/// How many images a sink publishes in one go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batching {
    /// All that are ready: syncing a disk costs the same for one and for many.
    Together,
    /// Each by itself, as soon as it is ready.
    Apart,
}

/// When what arrived can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Each blob at once, each image when it is complete: a later run continues.
    Growing,
    /// Nothing before `StoreSink::reveal`: all or nothing.
    AllOrNothing,
}

/// A target of images.
#[async_trait]
pub trait Sink: std::fmt::Debug + Send + Sync + 'static {
    /// Whether the blob is wherever it must be, without moving anything.
    ///
    /// A sink that would have to ask somebody answers no: asking is the first step of
    /// [`Sink::put`].
    async fn has(&self, _: &PlannedBlob) -> Result<bool, TransferError> {
        Ok(false)
    }

    /// Puts a blob into the repositories of its images; one attempt, which can be repeated with the
    /// same content.
    async fn put(&self, content: &mut Content<'_>) -> Result<BlobRoute, TransferError>;

    /// Makes images visible whose blobs are all there; one result for each position in `images`.
    async fn publish(&self, plan: &Arc<Plan>, images: Vec<usize>) -> Vec<(usize, ImageOutcome)>;

    fn batching(&self) -> Batching {
        Batching::Apart
    }

    /// When published images can be seen.
    fn visibility(&self) -> Visibility {
        Visibility::Growing
    }

    /// The order in which the sink requires the blobs of `plan`, as positions, each once; blobs are
    /// then put one at a time. `None` if it accepts blobs at once and in any order.
    ///
    /// After a permanent failure the next blob follows; a retried blob starts from the beginning
    /// unless [`Sink::put`] resumes it.
    fn order(&self, _: &Plan) -> Option<Vec<usize>> {
        None
    }
}
