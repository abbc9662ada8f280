//! The start of some blobs, written to see how long a bundle takes.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{BlobContent, Content, ImageOutcome, Plan, Sink, TransferError};
use hod_bundle::{CopyContext, Sampler, VerificationCache};
use hod_oci::Digest;
use hod_report::BlobRoute;

/// How many bytes of a blob are written, and to which offset.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub len: u64,
    pub offset: u64,
}

/// Takes the start of blobs.
pub struct SampleSink {
    pub sampler: Arc<Sampler>,
    pub samples: HashMap<Digest, Sample>,
    pub cache: Arc<dyn VerificationCache>,
}

impl std::fmt::Debug for SampleSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SampleSink")
            .field("samples", &self.samples)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Sink for SampleSink {
    async fn put(&self, content: &mut Content<'_>) -> Result<BlobRoute, TransferError> {
        let digest = content.task.blob.descriptor.digest.clone();
        // A blob that another bundle has in several volumes is not in one file, and not measured.
        if let (Some(&sample), BlobContent::File(mut range)) =
            (self.samples.get(&digest), content.open().await?)
        {
            let (sampler, cache) = (Arc::clone(&self.sampler), Arc::clone(&self.cache));
            range.len = range.len.min(sample.len);
            let put = move |stop: hod_bridge::Stop| {
                let copying = CopyContext {
                    cache: cache.as_ref(),
                    on_bytes: &|_| stop.flow(),
                };
                sampler.put(&digest, &range, sample.offset, &copying)
            };
            hod_bridge::run_stoppable(put).await?;
        }
        Ok(BlobRoute::Moved)
    }

    async fn publish(&self, _: &Arc<Plan>, images: Vec<usize>) -> Vec<(usize, ImageOutcome)> {
        images.into_iter().map(|at| (at, Ok(()))).collect()
    }
}
