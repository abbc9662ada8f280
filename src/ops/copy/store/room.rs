//! Checks that a store has enough space for the copy.

use std::sync::Arc;

use super::{StoreTarget, existing};
use crate::batch::{Parts, parts};
use crate::batch::{require_links, require_same_filesystem, require_space};
use crate::copy::target::CopyTarget as _;
use crate::input::OpenInput;
use crate::{Fewer, OpsError};
use hod_fsx::LinkMode;
use hod_oci::{Digest, sum_len};
use hod_store::Store;
use hod_transfer::{Keeping, Plan, Presence, Resolved};

/// The minimum space of a file on a disk: its data, or a link file of the store.
const BLOCK_LEN: u64 = 4096;

/// Whether other targets may use the same disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sharing {
    None,
    Possible,
}

/// Refuses impossible links, and copies without enough space. Returns the bytes that the copies
/// take; if the disk is not shared, the maximum.
pub(super) async fn require(
    target: &StoreTarget,
    sharing: Sharing,
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
            require_links(source.as_ref(), &plan, &to, mode)?;
            Ok(0)
        };
        return hod_bridge::run(look).await;
    }
    let fewer = match (target.is_whole(), input.input().list()) {
        (true, _) => Fewer::Never,
        (false, Some(_)) => Fewer::List,
        (false, None) => Fewer::Only,
    };
    let parts = parts(input.source.as_ref(), target.visibility);
    let (path, plan) = (target.path.clone(), Arc::clone(plan));
    hod_bridge::run(move || {
        // If everything fits, existing blobs need not be looked up.
        let all = taken_by(&plan, None, parts)?;
        if sharing == Sharing::None && require_space(&to, all, fewer).is_ok() {
            return Ok(all);
        }
        let store = existing(&path)?;
        let missing = taken_by(&plan, store.as_ref(), parts)?;
        require_space(&to, missing, fewer)?;
        Ok(missing)
    })
    .await
}

/// A length rounded up to blocks; saturates.
fn whole_blocks(len: u64) -> u64 {
    len.checked_next_multiple_of(BLOCK_LEN).unwrap_or(len)
}

/// The space that the plan requires in addition to `store`: files take whole blocks, and each blob
/// has link files.
fn taken_by(plan: &Plan, store: Option<&Store>, parts: Parts) -> Result<u64, OpsError> {
    // Whether it can be trusted is seen when its turn comes.
    let has = |digest: &Digest, size: u64| match store {
        Some(store) => Ok::<_, OpsError>(store.blob_len(digest)? == Some(size)),
        None => Ok(false),
    };
    let mut len = 0;
    let blobs = plan.blobs.iter();
    for blob in blobs.filter(|blob| blob.presence == Presence::Source) {
        let (digest, size) = (&blob.descriptor.digest, blob.descriptor.size);
        if !has(digest, size)? {
            let kept = match store {
                Some(store) if parts == Parts::Used => store.partial_len(digest)?,
                _ => 0,
            };
            let data = whole_blocks(size.saturating_sub(kept));
            len = sum_len([len, data, BLOCK_LEN]);
        }
    }
    for manifest in plan.images.iter().flat_map(Resolved::all_manifests) {
        let size = manifest.bytes().len() as u64;
        if !has(manifest.digest(), size)? {
            // The links of the revision, the tag and its history.
            len = sum_len([len, whole_blocks(size), 3 * BLOCK_LEN]);
        }
    }
    Ok(len)
}
