//! Verifies archives and layouts of other tools, whose formats have no separate verifier: each
//! image is resolved, and each of its blobs hashed.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use futures_util::StreamExt as _;

use super::content::hash;
use super::{VerifyOutcome, ambiguous_name};
use crate::batch::Batch;
use crate::{Catalog, Context, ImageStatus, OpsError};
use hod_layout::{Collection, LayoutError};
use hod_oci::Digest;
use hod_report::chain;
use hod_report::{Event, Reporter};
use hod_transfer::BlobHolder;
use hod_transfer::{OnFailure, Plan, PlannedBlob, SizeClaim, Source, TransferError};

pub(super) async fn verify(
    cx: &Context,
    catalog: &Catalog,
    collection: &Arc<Collection>,
) -> Result<VerifyOutcome, OpsError> {
    let surveyed = catalog.survey_all().await?;
    let batch = Batch::resolve(cx, catalog.source(), surveyed.wanted, OnFailure::GoOn).await;
    let failed = |(image, text): (&str, &str)| format!("{image}: {text}");
    let reports = batch.reports().iter();
    let mut problems: Vec<String> = reports
        .filter_map(|report| match &report.status {
            ImageStatus::Failed { text, .. } => Some(failed((&report.image, text))),
            _ => None,
        })
        .collect();
    problems.extend(surveyed.collisions.iter().map(ambiguous_name));
    let results = if collection.is_sequential() {
        let (collection, plan) = (Arc::clone(collection), Arc::clone(&batch.plan));
        let reporter = Arc::clone(&cx.reporter);
        hod_bridge::run(move || hash_in_order(&collection, &plan, &reporter)).await?
    } else {
        hash_in_place(cx, catalog.source(), &batch.plan).await
    };
    let (mut n_blobs, mut bytes) = (0, 0);
    for (blob, result) in batch.plan.blobs.iter().zip(results) {
        n_blobs += 1;
        if result.is_ok() {
            bytes += blob.descriptor.size;
        }
        if let Err(error) = result {
            let image = &batch.plan.images[blob.images[0]].wanted.name;
            let member = collection.member_of(&blob.descriptor.digest);
            let text = format!("{} (`{}`)", chain(&error), member.escape_debug());
            problems.push(failed((image, &text)));
        }
    }
    Ok(VerifyOutcome {
        n_images: batch.reports().len(),
        n_blobs,
        bytes,
        problems,
        ..VerifyOutcome::new(catalog.kind())
    })
}

async fn hash_in_place(
    cx: &Context,
    source: &dyn Source,
    plan: &Plan,
) -> Vec<Result<(), TransferError>> {
    futures_util::stream::iter(&plan.blobs)
        .map(|blob| hash(cx, source, &blob.from[0], &blob.descriptor))
        .buffered(cx.jobs)
        .collect()
        .await
}

/// Hashes the blobs of the plan in the order of the archive.
fn hash_in_order(
    collection: &Collection,
    plan: &Plan,
    reporter: &Arc<dyn Reporter>,
) -> Result<Vec<Result<(), TransferError>>, LayoutError> {
    let mut waiting: HashSet<&Digest> = plan.blobs.iter().map(digest_of).collect();
    let mut found: HashMap<Digest, (Digest, u64)> = HashMap::new();
    let mut failure = None;
    let read = collection.read_blobs(&mut |digest, content| {
        if !waiting.remove(digest) {
            return ControlFlow::Continue(());
        }
        let hashed = Digest::of_all(digest.algorithm(), |buffer| {
            let n = content.read(buffer)?;
            reporter.event(Event::BytesMoved { len: n as u64 });
            Ok::<_, std::io::Error>(n)
        });
        match hashed {
            Ok(hashed) => {
                found.insert(digest.clone(), hashed);
            }
            Err(source) => {
                let digest = digest.clone();
                failure = Some(TransferError::StreamRead { digest, source });
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    });
    read?;
    let result = |blob: &PlannedBlob| {
        let expected = digest_of(blob);
        let Some((actual, len)) = found.get(expected) else {
            let digest = expected.clone();
            return Err(failure
                .take()
                .unwrap_or(TransferError::BlobAbsent { digest }));
        };
        if *len != blob.descriptor.size {
            return Err(TransferError::BlobLength {
                digest: expected.clone(),
                claim: SizeClaim::SomeManifest,
                expected: blob.descriptor.size,
                actual: *len,
            });
        }
        if actual == expected {
            return Ok(());
        }
        Err(TransferError::DamagedSource {
            paths: vec![collection.path().to_owned()],
            holder: BlobHolder::Other,
            digest: expected.clone(),
            actual: actual.clone(),
        })
    };
    Ok(plan.blobs.iter().map(result).collect())
}

fn digest_of(blob: &PlannedBlob) -> &Digest {
    &blob.descriptor.digest
}
