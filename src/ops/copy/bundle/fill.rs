//! Filling a bundle.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::try_join;

use super::outcome::{PackFacts, PackOutcome};
use super::{BundleTarget, Output, PackForecast, Reading, stale_volumes};
use crate::batch::Batch;
use crate::copy::target::Prepared;
use crate::{BatchOutcome, Context, OpsError, written};
use hod_bundle::{
    BundleManifest, Compression, Planned, VerificationCache, WriteOptions, WriteOutcome,
};
use hod_oci::{Digest, sum_len};
use hod_report::{BlobRoute, Event, Reporter};
use hod_transfer::{BundleSink, Feed, ReadAll, Source};

/// A completely planned bundle.
pub(super) struct Looked<'a> {
    pub(super) cx: &'a Context,
    pub(super) target: &'a BundleTarget,
    pub(super) batch: Batch,
    /// The number of bytes that it writes; for a compressed bundle, the maximum.
    pub(super) needed: u64,
    pub(super) output: Output,
    /// Until it is written.
    pub(super) planned: Option<Planned>,
    pub(super) cache: Arc<dyn VerificationCache>,
    pub(super) facts: PackFacts,
    /// The bytes of all blobs.
    len: u64,
    /// Files of the source that are not packed.
    left_files: Vec<String>,
    /// The files that it is made from.
    inputs: Vec<PathBuf>,
    pub(super) forecast: Option<PackForecast>,
    sink: Option<Arc<BundleSink>>,
    packed: Option<PackOutcome>,
}

impl<'a> Looked<'a> {
    pub(super) fn new(
        (cx, target): (&'a Context, &'a BundleTarget),
        (mut batch, planned, output): (Batch, Planned, Output),
        (source, left_files, inputs): (&dyn Source, Vec<String>, Vec<PathBuf>),
    ) -> Self {
        let manifest = planned.manifest();
        let facts = PackFacts {
            n_images: batch.plan.images.len(),
            n_blobs: manifest.blobs.len(),
            base_blobs: manifest.base.len(),
            base_bytes: sum_len(manifest.base.iter().map(|blob| blob.size)),
            shared_bytes: batch.plan.shared_len(),
        };
        let len = sum_len(manifest.blobs.iter().map(|blob| blob.size));
        let carried: HashSet<&Digest> = manifest.blobs.iter().map(|blob| &blob.digest).collect();
        batch.keep_blobs(|digest| carried.contains(digest));
        let cache = source.verification_cache();
        Self {
            cx,
            target,
            batch,
            needed: 0,
            output,
            planned: Some(planned),
            cache: match target.reading {
                Reading::Unverified => cache,
                Reading::All => Arc::new(ReadAll(cache)),
            },
            facts,
            len,
            left_files,
            inputs,
            forecast: None,
            sink: None,
            packed: None,
        }
    }

    pub(super) fn write_options(&self) -> WriteOptions {
        WriteOptions {
            output: self.target.output.clone(),
            compression: self.target.compression,
            jobs: self.cx.jobs,
            durability: self.target.durability,
            only_volume: self.target.only_volume,
        }
    }

    /// Moves all blobs and files.
    async fn run(&mut self, mut feed: Feed<'_>, sink: &Arc<BundleSink>) -> Result<(), OpsError> {
        self.cx.reporter.event(Event::Planned {
            n_images: self.facts.n_images,
            n_blobs: self.facts.n_blobs,
            len: self.len,
        });
        let files = async { Ok(sink.put_files().await?) };
        let moved = self
            .batch
            .run_as_one(self.cx, &mut feed, Arc::clone(sink) as _);
        let filled = try_join(moved, files).await;
        if let Some(error) = sink.failure() {
            return Err(error.into());
        }
        filled.map(|_| ())
    }

    /// Records the written bundle as the outcome, and warns of stale volumes.
    async fn tell(&mut self, written: WriteOutcome) -> Result<(), OpsError> {
        let (cx, target) = (self.cx, self.target);
        tell_manifests(cx.reporter.as_ref(), &written.manifest);
        if self.output == Output::Files {
            let n_volumes = target.volume_size.map(|_| written.manifest.n_volumes);
            stale_volumes::warn_of_stale_volumes(cx, &target.output, n_volumes, &self.inputs).await;
        }
        let (output, checksums) = (&target.output, target.checksums);
        let files =
            written::describe(&written, output, checksums, cx.jobs, target.durability).await?;
        let bytes = written.len();
        self.packed = Some(PackOutcome {
            path: target.output.clone(),
            files,
            n_volumes: written.manifest.n_volumes,
            id: written.manifest.id,
            signed_by: written.manifest.signed_by,
            facts: self.facts,
            bytes,
            tar_bytes: match target.compression {
                Compression::Raw => bytes,
                Compression::Zstd { .. } => written.tar_len,
            },
            left_files: self.left_files.clone(),
        });
        Ok(())
    }
}

#[async_trait(?Send)]
impl Prepared for Looked<'_> {
    async fn begin(&mut self) -> Result<(), OpsError> {
        let Some(planned) = self.planned.take() else {
            return Ok(());
        };
        let (cache, reporter) = (Arc::clone(&self.cache), Arc::clone(&self.cx.reporter));
        let sink = BundleSink::create(planned, self.write_options(), cache, reporter).await?;
        self.sink = Some(Arc::new(sink));
        Ok(())
    }

    fn space(&self) -> Option<(&Path, u64)> {
        (self.output == Output::Files).then_some((&self.target.output, self.needed))
    }

    fn batch(&mut self) -> &mut Batch {
        &mut self.batch
    }

    async fn fill(&mut self, feed: Feed<'_>) -> Result<(), OpsError> {
        let Some(sink) = self.sink.take() else {
            return Ok(());
        };
        self.run(feed, &sink).await?;
        let written = sink.finish().await?;
        self.tell(written).await?;
        self.batch.mark_done();
        self.batch.announce(self.cx);
        Ok(())
    }

    fn finish(self: Box<Self>) -> BatchOutcome {
        let mut outcome = self.batch.finish();
        outcome.is_closed = true;
        outcome.n_blobs = self.facts.n_blobs;
        outcome.shared_bytes = self.facts.shared_bytes;
        outcome.left_files = self.left_files;
        if let Some(forecast) = self.forecast {
            outcome.bytes = forecast.bytes;
            outcome.forecasts.push(forecast);
        }
        if let Some(packed) = self.packed {
            outcome.bytes = packed.bytes;
            outcome.bundles.push(packed);
        }
        outcome
    }
}

/// Reports every manifest as packed; the engine reports the other blobs.
pub(crate) fn tell_manifests(reporter: &dyn Reporter, packed: &BundleManifest) {
    for blob in packed.blobs.iter().filter(|blob| blob.is_manifest) {
        reporter.event(Event::BlobDone {
            digest: &blob.digest,
            len: blob.size,
            route: BlobRoute::Moved,
        });
    }
}
