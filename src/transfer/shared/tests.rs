//! Two targets, one fetch: with a source that counts how often each byte is read, and sinks that
//! take, refuse or dawdle.

#![expect(
    clippy::disallowed_methods,
    reason = "`tokio::test` gives each test a runtime of its own"
)]

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use async_trait::async_trait;

use super::*;
use crate::{Listed, PlannedBlob, SourceCaps};
use hod_oci::{Manifest, MediaType};

const CHUNK: usize = 1000;
const N_CHUNKS: usize = 64;

/// A remote source with one blob, which can break off once.
#[derive(Debug, Default)]
struct Counting {
    n_opened: AtomicUsize,
    n_bytes: AtomicU64,
    /// After how many chunks the first reading fails; never if zero.
    breaks_after: usize,
}

fn blob() -> (Descriptor, Vec<u8>) {
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(CHUNK * N_CHUNKS).collect();
    let digest = Digest::of(&bytes);
    let descriptor = Descriptor::new(MediaType::new(""), digest, bytes.len() as u64);
    (descriptor, bytes)
}

#[derive(Debug)]
struct Shared(Arc<Counting>);

#[async_trait]
impl Source for Shared {
    fn caps(&self) -> SourceCaps {
        SourceCaps::FAR
    }

    async fn list(&self) -> Result<Vec<Listed>, TransferError> {
        Ok(Vec::new())
    }

    async fn manifest(
        &self,
        _: &Location,
        _: &Descriptor,
    ) -> Result<Option<Manifest>, TransferError> {
        Ok(None)
    }

    async fn open_blob_from(
        &self,
        _: &Location,
        descriptor: &Descriptor,
        from: u64,
    ) -> Result<BlobContent, TransferError> {
        let counting = Arc::clone(&self.0);
        let n_before = counting.n_opened.fetch_add(1, Ordering::Relaxed);
        let breaks_after = (n_before == 0).then_some(counting.breaks_after);
        let breaks_after = breaks_after.filter(|&n| n > 0);
        let (_, bytes) = blob();
        let rest = bytes[usize::try_from(from).unwrap()..].to_vec();
        let digest = descriptor.digest.clone();
        let chunks: Vec<Bytes> = rest.chunks(CHUNK).map(Bytes::copy_from_slice).collect();
        let items = chunks.into_iter().enumerate().map(move |(at, chunk)| {
            if breaks_after == Some(at) {
                let source = std::io::Error::other("cut");
                let digest = digest.clone();
                return Err(TransferError::StreamRead { digest, source });
            }
            let len = chunk.len() as u64;
            counting.n_bytes.fetch_add(len, Ordering::Relaxed);
            Ok(chunk)
        });
        Ok(BlobContent::Stream(
            Box::pin(futures_util::stream::iter(items)),
            Origins::default(),
        ))
    }
}

fn plan() -> Arc<Plan> {
    let (descriptor, _) = blob();
    let mut plan = Plan::new(Vec::new());
    plan.blobs.push(PlannedBlob {
        descriptor,
        from: vec![Location::Pool],
        images: Vec::new(),
        presence: crate::Presence::Source,
    });
    Arc::new(plan)
}

/// The shares of two targets in one source that fails after this number of chunks.
fn two(breaks_after: usize) -> (Arc<Counting>, Arc<SharedFetch>, [Share; 2]) {
    let counting = Arc::new(Counting {
        breaks_after,
        ..Counting::default()
    });
    let inner = Arc::new(Shared(Arc::clone(&counting)));
    let shared = SharedFetch::new(inner, &[plan(), plan()]);
    let targets = [shared.of_target(0), shared.of_target(1)];
    (counting, shared, targets)
}

async fn read(share: &Share, pause: Duration) -> Vec<u8> {
    let (descriptor, _) = blob();
    let content = share.open_from(&Location::Pool, &descriptor, 0).await;
    let mut stream = content.unwrap().into_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk.unwrap());
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
    assert!(stream.next().await.is_none(), "it stays at its end");
    bytes
}

#[tokio::test(start_paused = true)]
async fn targets_that_keep_pace_share_one_fetch() {
    let (counting, _, [a, b]) = two(0);
    let (of_a, of_b) = tokio::join!(read(&a, Duration::ZERO), read(&b, Duration::from_millis(1)));
    let (_, bytes) = blob();
    assert!(of_a == bytes && of_b == bytes);
    assert_eq!(counting.n_opened.load(Ordering::Relaxed), 1);
    assert_eq!(counting.n_bytes.load(Ordering::Relaxed), bytes.len() as u64);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_dawdles_fetches_the_rest_for_itself() {
    let (counting, _, [a, b]) = two(0);
    let began = tokio::time::Instant::now();
    let fast = async {
        let bytes = read(&a, Duration::ZERO).await;
        (bytes, began.elapsed())
    };
    let (fast, slow) = tokio::join!(fast, read(&b, Duration::from_secs(1)));
    let (_, bytes) = blob();
    assert!(fast.0 == bytes && slow == bytes);
    assert!(fast.1 <= JOIN_WAIT + LAG_MAX * 2, "{:?}", fast.1);
    assert_eq!(counting.n_opened.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_does_not_come_is_waited_for_once() {
    let (counting, shared, [a, b]) = two(0);
    let began = tokio::time::Instant::now();
    let (_, bytes) = blob();
    assert!(read(&a, Duration::ZERO).await == bytes);
    assert!(began.elapsed() <= JOIN_WAIT);
    assert!(shared.state().behind.contains(&1));
    assert!(read(&b, Duration::ZERO).await == bytes);
    assert_eq!(counting.n_opened.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_has_the_blob_is_not_waited_for() {
    let (counting, shared, [a, _]) = two(0);
    let began = tokio::time::Instant::now();
    let (descriptor, bytes) = blob();
    shared.forget(1, &descriptor.digest);
    assert!(read(&a, Duration::ZERO).await == bytes);
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(counting.n_opened.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reading_that_breaks_off_is_continued_by_each() {
    let (counting, _, [a, b]) = two(20);
    let (of_a, of_b) = tokio::join!(read(&a, Duration::ZERO), read(&b, Duration::ZERO));
    let (_, bytes) = blob();
    assert!(of_a == bytes && of_b == bytes);
    assert_eq!(counting.n_opened.load(Ordering::Relaxed), 3);
    let twice = 2 * bytes.len() as u64 - (20 * CHUNK) as u64;
    assert_eq!(counting.n_bytes.load(Ordering::Relaxed), twice);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_given_up_leaves_the_others_their_bytes() {
    let (counting, _, [a, b]) = two(0);
    let (descriptor, bytes) = blob();
    let place = Location::Pool;
    let given_up = a.open_from(&place, &descriptor, 0);
    let ((), of_b) = tokio::join!(
        async { drop(given_up.await.unwrap()) },
        read(&b, Duration::ZERO)
    );
    assert!(of_b == bytes);
    assert_eq!(counting.n_opened.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_fetches_for_itself_waits_for_none_and_is_not_waited_for() {
    let (counting, _, [a, b]) = two(0);
    let (_, bytes) = blob();
    let began = tokio::time::Instant::now();
    b.forget_all();
    assert!(read(&a, Duration::ZERO).await == bytes);
    assert!(read(&b, Duration::ZERO).await == bytes);
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(counting.n_opened.load(Ordering::Relaxed), 2);
}
