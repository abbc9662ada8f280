//! Sinks: where images go. A blob is put once, and an image published when all of it is there.

mod layouts;
mod oci;
mod registry;
mod store;
mod take_over;

use std::sync::Arc;

pub use layouts::LayoutSink;
pub use oci::OciSink;
pub use registry::RegistrySink;
pub use store::{ReferrerTags, StoreSink, StoreSinkOptions, Visibility, publications};
pub use take_over::LinkChoice;

use super::{BlobContent, Location, Plan, PlannedBlob, Presence, Source, TransferError};
use crate::oci::RepositoryName;
use crate::registry::Failure;
use crate::report::{BlobRoute, Event, Reporter};
use crate::store::PartialBlob;

/// Where images go. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Sink {
    Store(Arc<StoreSink>),
    Registry(Arc<RegistrySink>),
    Layouts(Arc<LayoutSink>),
    Oci(Arc<OciSink>),
}

/// How many images a sink publishes in one go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Batching {
    /// All that are ready: syncing a disk costs the same for one and for many.
    Together,
    /// Each by itself, as soon as it is ready.
    Apart,
}

/// One blob on its way: where it is, who waits for it, and whom to tell.
#[derive(Clone, Copy)]
pub(super) struct Handover<'a> {
    pub(super) source: &'a Source,
    pub(super) plan: &'a Plan,
    pub(super) blob: &'a PlannedBlob,
    pub(super) reporter: &'a Arc<dyn Reporter>,
}

impl<'a> Handover<'a> {
    /// The images that need the blob in a repository, by position in the plan.
    fn images_in(&self, repository: &'a RepositoryName) -> impl Iterator<Item = usize> + use<'a> {
        let plan = self.plan;
        let is_in = move |at: &usize| plan.images[*at].wanted.destination.repository == *repository;
        self.blob.images.iter().copied().filter(is_in)
    }
}

impl Sink {
    /// Whether the blob is wherever it must be, without moving anything.
    ///
    /// A registry answers no without asking: asking is the first step of [`Sink::put_blob`].
    pub(super) async fn has_blob(&self, blob: &PlannedBlob) -> Result<bool, TransferError> {
        match self {
            Self::Store(sink) => sink.has_blob(blob).await,
            Self::Registry(_) | Self::Layouts(_) | Self::Oci(_) => Ok(false),
        }
    }

    /// Puts a blob where its images need it; one attempt, which may be repeated with the same
    /// content.
    pub(super) async fn put_blob(
        &self,
        content: &mut Content<'_>,
    ) -> Result<BlobRoute, TransferError> {
        let put = match self {
            Self::Store(sink) => sink.put_blob(content).await,
            Self::Registry(sink) => sink.put_blob(content).await,
            Self::Layouts(sink) => sink.put_blob(content).await,
            Self::Oci(sink) => sink.put_blob(content).await,
        };
        put.map_err(|error| content.blame(error))
    }

    /// Makes images visible whose blobs are all there; one result for each position in `images`.
    pub(super) async fn publish(
        &self,
        plan: &Arc<Plan>,
        images: Vec<usize>,
    ) -> Vec<(usize, Result<(), Arc<TransferError>>)> {
        match self {
            Self::Store(sink) => sink.publish(plan, images).await,
            Self::Registry(sink) => sink.publish(plan, images).await,
            Self::Layouts(sink) => sink.publish(plan, images).await,
            Self::Oci(sink) => sink.publish(plan, images).await,
        }
    }

    pub(super) fn batching(&self) -> Batching {
        match self {
            Self::Store(_) => Batching::Together,
            Self::Registry(_) | Self::Layouts(_) | Self::Oci(_) => Batching::Apart,
        }
    }
}

/// A blob's content, opened when a sink asks for it.
pub(super) struct Content<'a> {
    pub(super) handover: Handover<'a>,
    given: Option<BlobContent>,
    once: bool,
    /// What a failed attempt left for the next.
    pub(super) partial: Option<Box<PartialBlob>>,
    /// How many bytes an earlier run left.
    pub(super) kept: u64,
    /// How many bytes are at the sink to stay, whatever becomes of the attempt that is under way.
    pub(super) progress: u64,
}

impl<'a> Content<'a> {
    /// The content of a blob: `given`, which comes once, or else opened anew in each attempt.
    pub(super) fn new(handover: Handover<'a>, given: Option<BlobContent>) -> Self {
        Self {
            handover,
            once: given.is_some(),
            given,
            partial: None,
            kept: 0,
            progress: 0,
        }
    }

    /// Whether it comes over a network and can be opened in the middle.
    pub(super) fn is_resumable(&self) -> bool {
        !self.once && self.handover.source.is_remote()
    }

    /// Opens the content; a second time too, unless the source can be read only once.
    pub(super) async fn open(&mut self) -> Result<BlobContent, TransferError> {
        self.open_from(0).await
    }

    /// Opens the content from the byte `from` on.
    pub(super) async fn open_from(&mut self, from: u64) -> Result<BlobContent, TransferError> {
        let Handover { source, blob, .. } = self.handover;
        if blob.presence != Presence::Source {
            let digest = blob.descriptor.digest.clone();
            return Err(TransferError::BaseLost { digest });
        }
        if self.once {
            let digest = blob.descriptor.digest.clone();
            return self.given.take().ok_or(TransferError::ReadOnce { digest });
        }
        let mut last = TransferError::BlobAbsent {
            digest: blob.descriptor.digest.clone(),
        };
        for location in &blob.from {
            let opened = source.open_blob_from(location, &blob.descriptor, from);
            match opened.await {
                Ok(content) => return Ok(content),
                // Another repository may still have it; a tired server is left to the retries.
                Err(error) => match error.failure(source) {
                    Failure::Passing { .. } | Failure::Limited { .. } => return Err(error),
                    Failure::Lasting | Failure::Garbled => last = error,
                },
            }
        }
        Err(last)
    }

    /// The path of a file that is the blob and nothing else.
    pub(super) fn file(&self) -> Option<std::path::PathBuf> {
        let Handover { source, blob, .. } = self.handover;
        let location: &Location = blob.from.first()?;
        if self.once {
            None
        } else {
            source.blob_file(location, &blob.descriptor.digest)
        }
    }

    fn blame(&self, error: TransferError) -> TransferError {
        let Handover { source, blob, .. } = self.handover;
        match blob.from.first() {
            Some(location) => source.blame(location, &blob.descriptor.digest, error),
            None => error,
        }
    }

    pub(super) fn lost(&self, len: u64) {
        if len > 0 {
            self.handover.reporter.event(Event::BytesLost { len });
        }
    }
}
