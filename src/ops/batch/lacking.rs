//! The blobs of a plan that a store lacks.

use std::sync::Arc;

use futures_util::StreamExt as _;

use super::{Batch, WouldMove};
use crate::OpsError;
use hod_oci::sum_len;
use hod_store::{Holding, Store, StoreError};
use hod_transfer::{PlannedBlob, Source, Visibility};

/// Number of blobs of the source checked at once.
const CHECKED_AT_ONCE: usize = 16;

/// How parts of blobs that earlier runs left in a store are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parts {
    /// They are continued.
    Used,
    /// The whole blobs are written again.
    Ignored,
}

/// How parts in a store that is filled from `source` are used.
pub(crate) fn parts(source: &dyn Source, visibility: Visibility) -> Parts {
    if source.is_remote() && visibility == Visibility::Growing {
        Parts::Used
    } else {
        Parts::Ignored
    }
}

impl Batch {
    /// Determines, for a dry run, which blobs `store` lacks, or has damaged; a store that does not
    /// exist yet is empty. Notes images that would fail since `source` cannot provide one of their
    /// blobs. Hashes files that were changed after they were verified.
    pub(crate) async fn forecast(
        &mut self,
        source: &dyn Source,
        store: Option<Store>,
        visibility: Visibility,
    ) -> Result<WouldMove, OpsError> {
        let plan = Arc::clone(&self.plan);
        let parts = parts(source, visibility);
        let lacking = hod_bridge::run(move || {
            let blobs = plan.blobs.iter().enumerate();
            let lacking = blobs.filter_map(|(at, blob)| {
                let lacks = lacks(store.as_ref(), blob, parts).transpose()?;
                Some(lacks.map(|bytes| (at, bytes)))
            });
            lacking.collect::<Result<Vec<(usize, u64)>, StoreError>>()
        });
        let lacking = lacking.await?;
        let would_move = WouldMove {
            blobs: lacking.len(),
            bytes: sum_len(lacking.iter().map(|(_, bytes)| *bytes)),
        };
        let plan = Arc::clone(&self.plan);
        let blobs = lacking.into_iter().map(|(at, _)| &plan.blobs[at]);
        let checked = futures_util::stream::iter(blobs)
            .map(|blob| async move { (blob, source.check_blob(blob).await) })
            .buffered(CHECKED_AT_ONCE);
        let checked: Vec<_> = checked.collect().await;
        for (blob, checked) in checked {
            if let Err(error) = checked {
                self.mark_failed(&blob.images, error);
            }
        }
        Ok(would_move)
    }
}

/// The number of bytes of a blob that a store would get; `None` when it has the blob.
fn lacks(
    store: Option<&Store>,
    blob: &PlannedBlob,
    parts: Parts,
) -> Result<Option<u64>, StoreError> {
    let blob = &blob.descriptor;
    let Some(store) = store else {
        return Ok(Some(blob.size));
    };
    if store.holding(blob)? == Holding::Sound {
        return Ok(None);
    }
    let kept = match parts {
        Parts::Used => store.partial_len(&blob.digest)?,
        Parts::Ignored => 0,
    };
    Ok(Some(blob.size.saturating_sub(kept)))
}
