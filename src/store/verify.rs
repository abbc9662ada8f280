//! Verifies a store: hashes every byte again, reads every link, and checks that every image is
//! complete.
//!
//! Independent of the code that writes: it walks the directories itself and does not use the paths
//! of `layout`.

mod closure;
mod problem;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

pub use problem::{LinkFault, Problem};

use super::{Store, StoreError, stamp};
use hod_oci::Digest;
use problem::Findings;
use tree::BlobFile;

/// The result of verifying a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyOutcome {
    pub n_blobs: usize,
    /// Number of tags and of untagged top-level manifests.
    pub n_images: usize,
    /// The bytes that were hashed.
    pub len: u64,
    /// Problems that make a registry fail or an image incomplete; sorted, without duplicates.
    pub problems: Vec<Problem>,
    /// Unusual but harmless findings.
    pub notes: Vec<String>,
}

/// Verifies all of a store with `jobs` threads, and calls `on_bytes` for each piece hashed.
///
/// Fails only when the tree cannot be walked; everything wrong in it is in the outcome. Changes
/// nothing but stamps (see `stamp.rs`). While another process publishes or deletes, it may report a
/// state in between.
pub fn verify(
    store: &Store,
    jobs: usize,
    on_bytes: &(dyn Fn(u64) + Sync),
) -> Result<VerifyOutcome, StoreError> {
    let mut findings = Findings::default();
    // Links before blobs, because a concurrent publication adds its blobs first.
    let repositories = tree::scan_repositories(&store.tree().repositories(), &mut findings)?;
    let blobs = tree::scan_blobs(&store.tree().blobs(), &mut findings)?;

    let mut queue: Vec<(&Digest, &BlobFile)> = blobs.iter().collect();
    // The largest first, so that the last blob does not keep one thread busy alone.
    queue.sort_by_key(|(_, blob)| std::cmp::Reverse(blob.len));
    let n_hashed = AtomicU64::new(0);
    let count = |n: u64| {
        n_hashed.fetch_add(n, Ordering::Relaxed);
        on_bytes(n);
    };
    let damage = hash_all(
        &queue,
        |digest, blob| check_blob(store, digest, blob, &count),
        jobs,
    );
    let damaged: BTreeSet<&Digest> = damage.iter().map(|(digest, _)| *digest).collect();

    let n_images = closure::check(&repositories, &blobs, &damaged, &mut findings);
    findings
        .problems
        .extend(damage.into_iter().map(|(_, problem)| problem));
    findings.problems.sort_unstable();
    findings.problems.dedup();
    Ok(VerifyOutcome {
        n_blobs: blobs.len(),
        n_images,
        len: n_hashed.into_inner(),
        problems: findings.problems,
        notes: findings.notes,
    })
}

/// Checks all blobs of `queue` and returns those that do not have the digest in their path.
fn hash_all<'a>(
    queue: &[(&'a Digest, &'a BlobFile)],
    check: impl Fn(&Digest, &BlobFile) -> Option<Problem> + Sync,
    jobs: usize,
) -> Vec<(&'a Digest, Problem)> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut damage = Vec::new();
        while let Some(&(digest, blob)) = queue.get(next.fetch_add(1, Ordering::Relaxed)) {
            damage.extend(check(digest, blob).map(|problem| (digest, problem)));
        }
        damage
    };
    std::thread::scope(|scope| {
        // If the system cannot start more threads, the existing ones do the work.
        let workers: Vec<_> = (1..jobs.clamp(1, queue.len().max(1)))
            .map_while(|_| hod_bridge::spawn_scoped(scope, work).ok())
            .collect();
        let mut damage = work();
        for worker in workers {
            let found = worker.join();
            damage.extend(found.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        damage
    })
}

fn check_blob(
    store: &Store,
    digest: &Digest,
    blob: &BlobFile,
    on_bytes: &dyn Fn(u64),
) -> Option<Problem> {
    let hashed = hod_fsx::open(&blob.path).and_then(|file| {
        let (actual, _) = hod_fsx::digest_of(&file, &blob.path, digest.algorithm(), on_bytes)?;
        Ok((file, actual))
    });
    match hashed {
        Ok((file, actual)) if actual == *digest => {
            stamp::record_verified(store.path(), &file, digest);
            None
        }
        Ok((file, actual)) => {
            stamp::record_damaged(store.path(), &file);
            Some(Problem::DamagedBlob {
                path: blob.path.clone(),
                digest: digest.clone(),
                actual,
            })
        }
        Err(error) => Some(Problem::unreadable(&blob.path, &error)),
    }
}
