//! A directory of `dir:` layouts as a sink: `export`.

use std::path::Path;
use std::sync::{Arc, Mutex};

use super::Content;
use crate::bridge;
use crate::fsx::{Durability, LinkMode};
use crate::layout::DirWriter;
use crate::oci::Digest;
use crate::report::{BlobRoute, Event, Reporter};
use crate::transfer::source::BlobStream;
use crate::transfer::{Plan, Resolved, TransferError};

/// Writes each image as a layout at `<output>/<repository>:<tag>`.
#[derive(Debug)]
pub struct LayoutSink {
    link: LinkMode,
    /// The layouts being built, by the image's position in the plan.
    writers: Mutex<Vec<Option<Arc<DirWriter>>>>,
}

/// The name of an image's layout below the output directory, as skopeo's `sync` names it.
fn layout_name(image: &Resolved) -> String {
    let destination = &image.wanted.destination;
    match &destination.tag {
        Some(tag) => format!("{}:{tag}", destination.repository),
        None => format!("{}@{}", destination.repository, image.top().digest()),
    }
}

impl LayoutSink {
    /// Starts a layout for every image of `plan`; nothing is visible before its image is complete.
    pub fn create(output: &Path, link: LinkMode, plan: &Plan) -> Result<Self, TransferError> {
        let mut writers = Vec::with_capacity(plan.images.len());
        for image in &plan.images {
            let writer = DirWriter::create(&output.join(layout_name(image)))?;
            writers.push(Some(Arc::new(writer)));
        }
        Ok(Self {
            link,
            writers: Mutex::new(writers),
        })
    }

    fn writers_of(&self, images: &[usize]) -> Vec<Arc<DirWriter>> {
        let writers = self.writers.lock().expect("no panic while exporting");
        images
            .iter()
            .filter_map(|&at| writers[at].clone())
            .collect()
    }

    pub(super) async fn put_blob(
        &self,
        content: &mut Content<'_>,
    ) -> Result<BlobRoute, TransferError> {
        let digest = content.handover.blob.descriptor.digest.clone();
        let writers = self.writers_of(&content.handover.blob.images);
        let Some(first) = writers.first().cloned() else {
            return Ok(BlobRoute::Present);
        };
        let route = match content.file() {
            Some(source) if self.link != LinkMode::Copy => {
                // Opened first, so that a missing blob and a wrong length are named as such.
                content.open().await?;
                let (writer, digest, mode) = (first, digest.clone(), self.link);
                bridge::run(move || writer.link_blob(&source, &digest, mode)).await?;
                BlobRoute::Linked
            }
            _ => {
                let stream = content.open().await?.into_stream();
                write(
                    stream,
                    first,
                    digest.clone(),
                    Arc::clone(content.handover.reporter),
                )
                .await?;
                BlobRoute::Moved
            }
        };
        // Layouts of one output share their blobs, whatever the source could do.
        bridge::run(move || share(&writers, &digest)).await?;
        Ok(route)
    }

    pub(super) async fn publish(
        &self,
        plan: &Arc<Plan>,
        images: Vec<usize>,
    ) -> Vec<(usize, Result<(), Arc<TransferError>>)> {
        let mut results = Vec::with_capacity(images.len());
        for at in images {
            let writer = self.writers.lock().expect("no panic while exporting")[at].take();
            let plan = Arc::clone(plan);
            let result = bridge::run(move || match writer {
                Some(writer) => finish(writer, &plan.images[at]),
                None => Ok(()),
            });
            results.push((at, result.await.map_err(Arc::new)));
        }
        results
    }
}

/// Gives the blob of the first layout a place in the others.
fn share(writers: &[Arc<DirWriter>], digest: &Digest) -> Result<(), TransferError> {
    if let Some((first, others)) = writers.split_first() {
        let source = first.blob_path(digest);
        for other in others {
            other.link_blob(&source, digest, LinkMode::Hard)?;
        }
    }
    Ok(())
}

async fn write(
    stream: BlobStream,
    layout: Arc<DirWriter>,
    digest: Digest,
    reporter: Arc<dyn Reporter>,
) -> Result<(), TransferError> {
    bridge::pipe_to_blocking(stream, move |chunks| {
        let mut writer = layout.blob_writer(&digest)?;
        for chunk in chunks {
            let chunk = chunk?;
            writer.write(&chunk)?;
            reporter.event(Event::BytesMoved {
                len: chunk.len() as u64,
            });
        }
        Ok(writer.commit()?)
    })
    .await
}

fn finish(writer: Arc<DirWriter>, image: &Resolved) -> Result<(), TransferError> {
    // Whoever put a blob here was done before the image was ready to be published.
    let mut writer = Arc::into_inner(writer).expect("an image is published after its blobs");
    let (top, children) = image
        .manifests
        .split_last()
        .expect("an image has its own manifest");
    for child in children {
        writer.add_child(child)?;
    }
    writer.add_manifest_top(top)?;
    writer.commit(Durability::Synced)?;
    Ok(())
}
