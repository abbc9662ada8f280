//! Whether a store has room for what is copied to it.

use std::sync::Arc;

use super::{StoreTarget, existing};
use crate::bridge;
use crate::fsx::LinkMode;
use crate::oci::sum_len;
use crate::ops::batch::{Parts, parts};
use crate::ops::batch::{require_links, require_same_filesystem, require_space};
use crate::ops::copy::target::CopyTarget as _;
use crate::ops::input::OpenInput;
use crate::ops::{Fewer, OpsError};
use crate::transfer::{Keeping, Plan, Presence, Resolved};

/// What a file takes of a disk at least, as its data or as a link file of the store.
const BLOCK_LEN: u64 = 4096;

/// Refuses when links are wanted that cannot be made, or when there is no space for copies; returns
/// how many bytes these take.
pub(super) async fn require(
    target: &StoreTarget,
    input: &OpenInput<'_>,
    plan: &Arc<Plan>,
) -> Result<u64, OpsError> {
    let (from, to) = (input.path().to_owned(), target.path.clone());
    let links = target.link != LinkMode::Copy && input.source.caps().keeping == Keeping::Files;
    if links {
        let (source, plan, mode) = (Arc::clone(&input.source), Arc::clone(plan), target.link);
        let look = move || {
            if mode == LinkMode::Hard {
                require_same_filesystem(&from, &to, plan.len())?;
            }
            require_links((source.as_ref(), &plan), &to, mode)?;
            Ok(0)
        };
        return bridge::run(look).await;
    }
    let fewer = match (target.is_whole(), input.input().list()) {
        (true, _) => Fewer::Never,
        (false, Some(_)) => Fewer::List,
        (false, None) => Fewer::Only,
    };
    let parts = parts(input.source.as_ref(), target.visibility);
    let missing_len = missing_len(target, plan, parts).await?;
    bridge::run(move || require_space(&to, missing_len, fewer)).await?;
    Ok(missing_len)
}

/// A length rounded up to blocks; one that no disk has stays as it is, and does not fit.
fn whole_blocks(len: u64) -> u64 {
    len.checked_next_multiple_of(BLOCK_LEN).unwrap_or(len)
}

/// What the plan takes of the disk of the store, which lacks it: files take whole blocks, and each
/// blob has link files.
async fn missing_len(
    target: &StoreTarget,
    plan: &Arc<Plan>,
    parts: Parts,
) -> Result<u64, OpsError> {
    let (path, plan) = (target.path.clone(), Arc::clone(plan));
    bridge::run(move || {
        let store = existing(&path)?;
        let mut len = 0;
        let blobs = plan.blobs.iter();
        for blob in blobs.filter(|blob| blob.presence == Presence::Source) {
            let (digest, size) = (&blob.descriptor.digest, blob.descriptor.size);
            let has = match &store {
                // Whether it can be trusted is seen when its turn comes.
                Some(store) => store.blob_len(digest)? == Some(size),
                None => false,
            };
            if !has {
                let kept = match &store {
                    Some(store) if parts == Parts::Used => {
                        store.partial_len(&blob.descriptor.digest)?
                    }
                    _ => 0,
                };
                let data = whole_blocks(size.saturating_sub(kept));
                len = sum_len([len, data, BLOCK_LEN]);
            }
        }
        for manifest in plan.images.iter().flat_map(Resolved::all_manifests) {
            let size = manifest.bytes().len() as u64;
            let has = match &store {
                Some(store) => store.blob_len(manifest.digest())? == Some(size),
                None => false,
            };
            if !has {
                // The revision, the tag and what the tag had before.
                len = sum_len([len, whole_blocks(size), 3 * BLOCK_LEN]);
            }
        }
        Ok(len)
    })
    .await
}
