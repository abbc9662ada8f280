//! `verify`: checks that everything is present and matches its digest.

mod collection;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt as _;
use serde::Serialize;

use super::batch::Batch;
use super::{Catalog, Context, ImageStatus, OpsError, SignatureFacts, SourceKind};
use crate::bridge;
use crate::bundle::{self, Bundle, BundleVerifyOutcome, Delta};
use crate::fsx;
use crate::list::Collision;
use crate::oci::DigestHasher;
use crate::report::Event;
use crate::report::amount::{format_count, format_missing, format_volumes};
use crate::store;
use crate::transfer::{OnFailure, PlannedBlob, Source, TransferError};

/// The source to verify.
#[derive(Debug)]
pub struct VerifyOptions {
    pub source: PathBuf,
    pub extent: Extent,
}

/// The volumes of a bundle that must be present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Every volume.
    Whole,
    /// One volume, or more.
    Partial,
}

/// The result.
#[derive(Debug, Clone, Serialize)]
pub struct VerifyOutcome {
    pub kind: SourceKind,
    pub n_images: usize,
    pub n_blobs: usize,
    /// Bytes that were hashed.
    pub bytes: u64,
    /// Everything that is wrong; empty when the source is whole.
    pub problems: Vec<String>,
    /// Unusual but harmless findings.
    pub notes: Vec<String>,
    /// The volumes that were found, if some are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volumes: Option<FoundVolumes>,
    /// The signature, if it is a signed bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<SignatureFacts>,
    /// The content required at the target, if it is a bundle that does not contain all of its
    /// images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta: Option<Delta>,
}

/// The volumes of a bundle of which some are missing.
#[derive(Debug, Clone, Serialize)]
pub struct FoundVolumes {
    pub n_volumes: u32,
    /// Counted from 1; never empty.
    pub missing: Vec<u32>,
    pub n_images: usize,
    /// The number of images that need none of the missing volumes.
    pub n_complete_images: usize,
}

impl VerifyOutcome {
    /// Counts missing volumes as a problem unless a part was to be verified.
    fn judged(mut self, extent: Extent) -> Self {
        if let Some(volumes) = &self.volumes {
            let text = volumes.to_string();
            match extent {
                Extent::Whole => self.problems.push(text),
                Extent::Partial => self.notes.push(text),
            }
        }
        self
    }

    /// The missing volumes, if they should have been present and there are no other problems.
    pub fn only_missing(&self) -> Option<String> {
        let volumes = self.volumes.as_ref()?;
        (self.problems == [volumes.to_string()])
            .then(|| format_missing(&volumes.missing, volumes.n_volumes))
    }
}

impl fmt::Display for FoundVolumes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_missing = u32::try_from(self.missing.len()).expect("at most a few thousand");
        let verb = if n_missing == 1 { "is" } else { "are" };
        write!(
            f,
            "{} of {} volumes found; {} {verb} missing; {} of {} complete here",
            self.n_volumes - n_missing,
            self.n_volumes,
            format_volumes(&self.missing),
            self.n_complete_images,
            format_count(self.n_images, "image"),
        )
    }
}

/// Hashes every blob again, and checks that every image is complete and every link exact.
///
/// Reads only. Problems are the outcome, not an error.
pub async fn verify(cx: &Context, options: &VerifyOptions) -> Result<VerifyOutcome, OpsError> {
    let path = options.source.clone();
    if fsx::is_stdin(&path) {
        return Ok(verify_piped(cx).await?.judged(options.extent));
    }
    let (from, reading) = (path.clone(), cx.reading.clone());
    let collection = bridge::run(move || Catalog::open_collection(&from, &reading)).await?;
    if let Some(catalog) = collection
        && let Some(collection) = catalog.source().as_collection()
    {
        return collection::verify(cx, (&catalog, collection)).await;
    }
    // A damaged bundle cannot always be opened, and is to be verified all the same.
    let from = path.clone();
    if let Some(kind) = bridge::run(move || Bundle::detect(&from)).await? {
        let kind = match kind {
            bundle::BundleKind::Raw => SourceKind::Bundle,
            bundle::BundleKind::Zstd => SourceKind::CompressedBundle,
        };
        let found = verify_bundle(cx, path, kind).await?;
        return Ok(found.judged(options.extent));
    }
    let catalog = Catalog::open_once(&path, &cx.reading).await?;
    match catalog.source().as_store() {
        Some(store) => verify_store(cx, (&catalog, store.clone())).await,
        None => verify_layouts(cx, &catalog).await,
    }
}

/// Two names that only a registry distinguishes, unlike Harbor for example, are not a problem here.
async fn verify_store(
    cx: &Context,
    (catalog, store): (&Catalog, store::Store),
) -> Result<VerifyOutcome, OpsError> {
    let (jobs, reporter) = (cx.jobs, Arc::clone(&cx.reporter));
    let found = bridge::run(move || {
        store::verify(&store, jobs, &|len| {
            reporter.event(Event::BytesMoved { len });
        })
    })
    .await?;
    let mut notes = found.notes;
    // A tree that cannot be listed has problems enough, which were found above.
    if let Ok((_, collisions)) = catalog.survey().await {
        notes.extend(collisions.iter().map(ambiguous_name));
    }
    Ok(VerifyOutcome {
        kind: SourceKind::Store,
        n_images: found.n_images,
        n_blobs: found.n_blobs,
        bytes: found.len,
        problems: found.problems.iter().map(ToString::to_string).collect(),
        notes,
        volumes: None,
        signature: None,
        delta: None,
    })
}

async fn verify_bundle(
    cx: &Context,
    path: PathBuf,
    kind: SourceKind,
) -> Result<VerifyOutcome, OpsError> {
    let (jobs, reporter) = (cx.jobs, Arc::clone(&cx.reporter));
    let reading = cx.reading.clone();
    let found = bridge::run(move || {
        let options = bundle::VerifyOptions {
            read: &reading,
            jobs,
            on_bytes: &|len| reporter.event(Event::BytesMoved { len }),
        };
        bundle::verify(&path, &options)
    })
    .await?;
    Ok(of_bundle(found, kind))
}

async fn verify_piped(cx: &Context) -> Result<VerifyOutcome, OpsError> {
    let reporter = Arc::clone(&cx.reporter);
    let (stdin, reading) = (fsx::stdin()?, cx.reading.clone());
    let found = bridge::run_apart(move || {
        let options = bundle::VerifyOptions {
            read: &reading,
            jobs: 1,
            on_bytes: &|len| reporter.event(Event::BytesMoved { len }),
        };
        bundle::verify_once(stdin, Path::new(fsx::STDIN), &options)
    });
    let found = found.await.map_err(|source| {
        let path = Path::new(fsx::STDIN);
        fsx::Error::new("read", path, source)
    })?;
    Ok(of_bundle(found?, SourceKind::PipedBundle))
}

fn of_bundle(found: BundleVerifyOutcome, kind: SourceKind) -> VerifyOutcome {
    VerifyOutcome {
        kind,
        n_images: found.n_images,
        n_blobs: found.n_blobs,
        bytes: found.len,
        problems: found.problems,
        notes: found.notes,
        volumes: found.partial.map(|partial| FoundVolumes {
            n_volumes: partial.n_volumes,
            missing: partial.missing,
            n_images: found.n_images,
            n_complete_images: partial.n_complete,
        }),
        signature: found.signed.and_then(SignatureFacts::of),
        delta: found.delta,
    }
}

/// Layouts have no separate verifier: each image is resolved, and each blob hashed.
async fn verify_layouts(cx: &Context, catalog: &Catalog) -> Result<VerifyOutcome, OpsError> {
    let (wanted, collisions) = catalog.survey().await?;
    let batch = Batch::resolve(cx, catalog.source(), wanted, OnFailure::GoOn).await;
    let mut problems: Vec<String> = batch
        .reports()
        .iter()
        .filter_map(|report| match &report.status {
            ImageStatus::Failed { text, .. } => Some(format!("{}: {text}", report.image)),
            _ => None,
        })
        .collect();
    problems.extend(collisions.iter().map(ambiguous_name));
    // Layouts may share a blob's bytes or have copies: each copy is hashed.
    let copies = batch.plan.blobs.iter().flat_map(|blob| {
        blob.from.iter().map(|location| PlannedBlob {
            from: vec![location.clone()],
            ..blob.clone()
        })
    });
    let results: Vec<(PlannedBlob, Result<(), TransferError>)> = futures_util::stream::iter(copies)
        .map(|blob| async move {
            let result = hash(cx, catalog.source(), &blob).await;
            (blob, result)
        })
        .buffered(cx.jobs)
        .collect()
        .await;
    let (mut n_blobs, mut bytes) = (0, 0);
    for (blob, result) in results {
        n_blobs += 1;
        bytes += blob.descriptor.size;
        if let Err(error) = result {
            let image = &batch.plan.images[blob.images[0]].wanted.name;
            problems.push(format!("{image}: {error}"));
        }
    }
    Ok(VerifyOutcome {
        kind: catalog.kind(),
        n_images: batch.reports().len(),
        n_blobs,
        bytes,
        problems,
        notes: Vec::new(),
        volumes: None,
        signature: None,
        delta: None,
    })
}

/// The message about different images with one name.
pub(super) fn ambiguous_name(collision: &Collision) -> String {
    format!("one name for different images: {collision}")
}

async fn hash(cx: &Context, source: &dyn Source, blob: &PlannedBlob) -> Result<(), TransferError> {
    let expected = blob.descriptor.digest.clone();
    let content = source.open_blob(&blob.from[0], &blob.descriptor).await?;
    let reporter = Arc::clone(&cx.reporter);
    bridge::pipe_to_blocking(content.into_stream(), move |chunks| {
        let mut hasher = DigestHasher::new(expected.algorithm());
        let mut len = 0;
        for chunk in chunks {
            let chunk = chunk?;
            hasher.update(&chunk);
            len += chunk.len() as u64;
            reporter.event(Event::BytesMoved {
                len: chunk.len() as u64,
            });
        }
        let actual = hasher.finish();
        if actual == expected {
            return Ok(());
        }
        Err(TransferError::DigestMismatch {
            expected,
            actual,
            len,
        })
    })
    .await
    .map_err(|error| source.blame(&blob.from[0], &blob.descriptor.digest, error))
}
