//! A `docker save` archive as a sink: its layers one after the other, decompressed on the way.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;

use crate::{Content, ImageOutcome, Plan, Sink, TransferError, Visibility};
use hod_fsx::Durability;
use hod_layout::{DockerImage, DockerLayer, DockerWriter, LayoutError};
use hod_oci::Digest;
use hod_report::BlobRoute;

/// Writes one archive, which appears when [`DockerSink::finish`] is called.
#[derive(Debug)]
pub struct DockerSink {
    /// The images of the plan, in its order.
    images: Vec<DockerImage>,
    /// `None` when it is finished.
    writer: Arc<Mutex<Option<DockerWriter>>>,
    /// Layers whose unpacked content does not have the diff ID of their image.
    wrong: Mutex<Vec<(DockerLayer, Arc<TransferError>)>>,
}

#[async_trait]
impl Sink for DockerSink {
    fn visibility(&self) -> Visibility {
        Visibility::AllOrNothing
    }

    async fn put(&self, content: &mut Content<'_>) -> Result<BlobRoute, TransferError> {
        let blob = &content.task.blob.descriptor;
        let layers = match &*writer(&self.writer) {
            Some(writer) => writer.layers_of(blob),
            None => return Err(TransferError::Stopped),
        };
        if layers.is_empty() {
            // A configuration, which the archive was started with, or a layer that unpacks to the
            // same as one that is written.
            return Ok(BlobRoute::Present);
        }
        for layer in layers {
            match self.write(content, layer.clone()).await {
                Ok(()) => {}
                Err(error @ TransferError::Layout(LayoutError::DiffIdMismatch { .. })) => {
                    // The blob is valid: only the images with the wrong diff ID fail.
                    let mut wrong = self.wrong.lock().expect("no panic with the lock");
                    wrong.push((layer, Arc::new(error)));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(BlobRoute::Moved)
    }

    async fn publish(&self, _: &Arc<Plan>, images: Vec<usize>) -> Vec<(usize, ImageOutcome)> {
        let wrong = self.wrong.lock().expect("no panic with the lock");
        let outcome = |at: usize| {
            let of_image = |(layer, _): &&(DockerLayer, _)| self.images[at].has_layer(layer);
            match wrong.iter().find(of_image) {
                Some((_, error)) => Err(Arc::clone(error)),
                None => Ok(()),
            }
        };
        images.into_iter().map(|at| (at, outcome(at))).collect()
    }

    fn order(&self, plan: &Plan) -> Option<Vec<usize>> {
        let mut ranks: HashMap<Digest, usize> = HashMap::new();
        if let Some(writer) = &*writer(&self.writer) {
            for (rank, layer) in writer.layers().into_iter().enumerate() {
                ranks.entry(layer.stored.digest).or_insert(rank);
            }
        }
        let mut order: Vec<usize> = (0..plan.blobs.len()).collect();
        order.sort_by_key(|&at| ranks.get(&plan.blobs[at].descriptor.digest));
        Some(order)
    }
}

impl DockerSink {
    /// Starts an archive of these images, in the order of the plan. Blocks.
    pub fn create(
        output: &Path,
        images: Vec<DockerImage>,
        mtime: u64,
    ) -> Result<Self, LayoutError> {
        let writer = DockerWriter::create(output, images.clone(), mtime)?;
        Ok(Self {
            images,
            writer: Arc::new(Mutex::new(Some(writer))),
            wrong: Mutex::default(),
        })
    }

    /// Publishes the archive after all layers were written. Blocks.
    pub fn finish(&self, durability: Durability) -> Result<(), LayoutError> {
        let taken = writer(&self.writer).take();
        if let Some(writer) = taken {
            writer.commit(durability)?;
        }
        Ok(())
    }

    async fn write(
        &self,
        content: &mut Content<'_>,
        layer: DockerLayer,
    ) -> Result<(), TransferError> {
        let shared = Arc::clone(&self.writer);
        let poured = content.pour(move |pieces| {
            let mut writer = writer(&shared);
            let writer = writer.as_mut().ok_or(TransferError::Stopped)?;
            let written = writer.write_layer(&layer, &mut *pieces);
            match pieces.take_failure() {
                Some(error) => Err(error),
                None => Ok(written?),
            }
        });
        poured.await
    }
}

fn writer(shared: &Mutex<Option<DockerWriter>>) -> MutexGuard<'_, Option<DockerWriter>> {
    shared.lock().expect("no panic while writing")
}
