//! A sink that requires blobs in a given order.

#![expect(
    clippy::disallowed_methods,
    reason = "`tokio::test` gives each test a runtime of its own"
)]

use std::sync::Mutex as Lock;

use async_trait::async_trait;

use super::*;
use crate::{
    Destination, IndexMode, Listed, Locate, Location, ReferrerMode, Resolved, SourceCaps, Wanted,
    resolve,
};
use hod_oci::{ContentMismatch, Descriptor, ForeignLayers, Manifest, PlatformChoice};
use hod_report::Silent;

/// A remote source of images with one blob each; it has none of the blobs.
#[derive(Debug)]
struct Remote;

/// The image whose blob has this length.
fn image(size: u8) -> Manifest {
    let digest = Digest::of(&[size]);
    let json = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{digest}","size":{size}}},"layers":[]}}"#
    );
    Manifest::parse(json.into_bytes().into(), None).unwrap()
}

async fn resolved(size: u8) -> Resolved {
    let repository = "ns/app".parse().unwrap();
    let wanted = Wanted {
        name: size.to_string(),
        locate: Locate::stored(&repository, image(size).digest()),
        platforms: PlatformChoice::All,
        index_mode: IndexMode::Keep,
        pinned: None,
        rewritten: None,
        referrers: ReferrerMode::Leave,
        foreign_layers: ForeignLayers::Leave,
        destination: Destination {
            repository,
            tag: Some(size.to_string().parse().unwrap()),
        },
    };
    resolve(&Remote, &wanted).await.unwrap()
}

#[async_trait]
impl Source for Remote {
    fn caps(&self) -> SourceCaps {
        SourceCaps::FAR
    }

    async fn list(&self) -> Result<Vec<Listed>, TransferError> {
        Ok(Vec::new())
    }

    async fn manifest(
        &self,
        _: &Location,
        descriptor: &Descriptor,
    ) -> Result<Option<Manifest>, TransferError> {
        let mut images = (1..=6).map(image);
        Ok(images.find(|image| *image.digest() == descriptor.digest))
    }

    async fn open_blob_from(
        &self,
        _: &Location,
        descriptor: &Descriptor,
        _: u64,
    ) -> Result<BlobContent, TransferError> {
        let digest = descriptor.digest.clone();
        Err(TransferError::BlobAbsent { digest })
    }
}

/// Takes the smallest blob first, and notes which it was handed.
#[derive(Debug, Default)]
struct Ordered {
    handed: Lock<Vec<u64>>,
    alone: Mutex<()>,
}

/// Arrives garbled once.
const GARBLED: u64 = 2;
/// Cannot be had.
const ABSENT: u64 = 4;

#[async_trait]
impl Sink for Ordered {
    async fn put(&self, content: &mut Content<'_>) -> Result<BlobRoute, TransferError> {
        let _alone = self.alone.try_lock().expect("one blob at a time");
        tokio::task::yield_now().await;
        let blob = &content.task.blob.descriptor;
        let (digest, size) = (blob.digest.clone(), blob.size);
        let n_before = {
            let mut handed = self.handed.lock().unwrap();
            handed.push(size);
            handed.iter().filter(|&&len| len == size).count() - 1
        };
        match size {
            ABSENT => Err(TransferError::BlobAbsent { digest }),
            GARBLED if n_before == 0 => Err(TransferError::Content(ContentMismatch::Digest {
                expected: digest.clone(),
                actual: digest,
                len: size,
            })),
            _ => Ok(BlobRoute::Moved),
        }
    }

    async fn publish(&self, _: &Arc<Plan>, images: Vec<usize>) -> Vec<(usize, ImageOutcome)> {
        images.into_iter().map(|at| (at, Ok(()))).collect()
    }

    fn order(&self, plan: &Plan) -> Option<Vec<usize>> {
        Some((0..plan.blobs.len()).rev().collect())
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_is_handed_blobs_in_its_order() {
    let mut images = Vec::new();
    for size in 1..=6 {
        images.push(resolved(size).await);
    }
    // Its blobs are in the order of their sizes, the largest first.
    let mut plan = Plan::new(images);
    plan.blobs[1].presence = Presence::Nowhere;
    let sink = Arc::new(Ordered::default());
    let transfer = Transfer {
        source: Arc::new(Remote),
        share: None,
        sink: sink.clone(),
        reporter: Arc::new(Silent),
        jobs: 4,
        on_failure: OnFailure::GoOn,
        retry: RetryPolicy::default(),
        timings: Arc::default(),
    };
    let outcomes = transfer.run(&Arc::new(plan)).await;
    let handed = sink.handed.lock().unwrap().clone();
    assert_eq!(handed, [1, GARBLED, GARBLED, 3, ABSENT, 6]);
    let done: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(done, [true, true, true, false, false, true]);
}
