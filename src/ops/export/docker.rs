//! `export --format docker-archive`: layers one after the other, decompressed on the way.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;

use super::{Batch, ExportOptions, OpsError};
use crate::bridge::{self, Chunks};
use crate::fsx::Durability;
use crate::layout::{DockerImage, DockerLayer, DockerWriter, LayoutError, NoDockerImage};
use crate::oci::Digest;
use crate::ops::batch::require_space;
use crate::ops::{Catalog, Context, Fewer};
use crate::report::amount::format_count;
use crate::report::{BlobRoute, Event};
use crate::transfer::{Location, OnFailure, Resolved, Source, TransferError};

/// The longest configuration that is carried, in bytes.
const CONFIG_LEN_MAX: u64 = 8 * 1024 * 1024;

/// Writes the images that such an archive can hold; the others fail individually.
///
/// A damaged layer is detected while it is written; the archive is then started again without the
/// images that use it.
pub(super) async fn write(
    cx: &Context,
    options: &ExportOptions,
    (catalog, batch): (&Catalog, &mut Batch),
) -> Result<(), OpsError> {
    let source = catalog.source();
    let mut images = images(cx, source, batch).await;
    loop {
        if images.is_empty() || options.on_failure == OnFailure::Stop && batch.has_failures() {
            return Ok(());
        }
        let written = write_archive(cx, options, (source, batch), images.clone());
        let Some(bad) = written.await? else {
            batch.mark_done();
            return Ok(());
        };
        let error = Arc::new(bad.error);
        let mut made = std::mem::take(&mut images).into_iter();
        batch.narrow(cx, |_| match made.next() {
            Some(image) if !image.has_layer(&bad.layer) => {
                images.push(image);
                Ok(())
            }
            _ => Err(Arc::clone(&error)),
        });
    }
}

/// A layer that cannot be in the archive, and why.
struct BadLayer {
    layer: DockerLayer,
    error: TransferError,
}

/// Writes an archive of these images; fails if one of their layers is damaged.
async fn write_archive(
    cx: &Context,
    options: &ExportOptions,
    (source, batch): (&dyn Source, &Batch),
    images: Vec<DockerImage>,
) -> Result<Option<BadLayer>, OpsError> {
    // Layers grow when they are decompressed, by an unknown amount.
    require_space(&options.output, batch.plan.len(), Fewer::Only)?;
    let locations = locations(&batch.plan.images);
    let (output, mtime) = (options.output.clone(), options.mtime);
    let create = bridge::run(move || DockerWriter::create(&output, images, mtime));
    let mut writer = create.await?;
    let layers = writer.layers();
    cx.reporter.event(Event::Planned {
        n_images: batch.plan.images.len(),
        n_blobs: layers.len(),
        len: crate::oci::sum_len(layers.iter().map(|layer| layer.stored.size)),
    });
    for layer in layers {
        let (digest, len) = (layer.stored.digest.clone(), layer.stored.size);
        let location = locations.get(&digest);
        writer = match write_layer(cx, (source, location), writer, layer.clone()).await {
            Ok(writer) => writer,
            // The output is readable by everyone.
            Err(TransferError::Layout(LayoutError::File(error))) => return Err(error.into()),
            Err(error) => return Ok(Some(BadLayer { layer, error })),
        };
        cx.reporter.event(Event::BlobDone {
            digest: &digest,
            len,
            route: BlobRoute::Moved,
        });
    }
    bridge::run(move || writer.commit(Durability::Synced)).await?;
    Ok(None)
}

async fn write_layer(
    cx: &Context,
    (source, location): (&dyn Source, Option<&Location>),
    mut writer: DockerWriter,
    layer: DockerLayer,
) -> Result<DockerWriter, TransferError> {
    let absent = || TransferError::BlobAbsent {
        digest: layer.stored.digest.clone(),
    };
    let location = location.ok_or_else(absent)?;
    let stored = layer.stored.clone();
    let content = source.open_blob(location, &stored).await?;
    let reporter = Arc::clone(&cx.reporter);
    let stream = content.into_stream().inspect(move |chunk| {
        if let Ok(chunk) = chunk {
            let len = chunk.len() as u64;
            reporter.event(Event::BytesMoved { len });
        }
    });
    bridge::pipe_to_blocking(stream, move |chunks| {
        let content = ChunkReader {
            chunks,
            rest: Bytes::new(),
        };
        writer.write_layer(&layer, content)?;
        Ok(writer)
    })
    .await
    .map_err(|error| source.blame(location, &stored.digest, error))
}

/// The images with their configurations; those that are refused are out of the plan.
async fn images(cx: &Context, source: &dyn Source, batch: &mut Batch) -> Vec<DockerImage> {
    let mut made = Vec::with_capacity(batch.plan.images.len());
    for image in &batch.plan.images {
        made.push(docker_image(source, image).await);
    }
    let (mut made, mut images, mut n_left) = (made.into_iter(), Vec::new(), 0);
    batch.narrow(cx, |image| {
        images.push(made.next().expect("one for each image")?);
        n_left += image.n_referrers();
        image.referrers.clear();
        Ok::<_, TransferError>(())
    });
    if n_left > 0 {
        cx.note(&format!(
            "{} left behind: a `docker save` archive has no place for signatures and the like",
            format_count(n_left, "referrer")
        ));
    }
    if !images.is_empty() {
        cx.note(
            "a `docker save` archive holds configurations and unpacked layers, and no manifests: \
             images have other digests when they come out of it",
        );
    }
    images
}

async fn docker_image(source: &dyn Source, image: &Resolved) -> Result<DockerImage, TransferError> {
    let destination = &image.wanted.destination;
    let config = DockerImage::config_of(image.top())?;
    if let Some(layer) = image.foreign.first() {
        let digest = layer.digest.clone();
        return Err(NoDockerImage::Foreign { digest }.into());
    }
    let absent = || TransferError::BlobAbsent {
        digest: config.digest.clone(),
    };
    if config.size > CONFIG_LEN_MAX {
        return Err(NoDockerImage::Config.into());
    }
    let content = source.open_blob(&image.location, config).await?;
    let mut stream = content.into_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk?);
    }
    if !config.digest.matches(&bytes) {
        let error = TransferError::DigestMismatch {
            expected: config.digest.clone(),
            actual: Digest::of(&bytes),
            len: bytes.len() as u64,
        };
        return Err(source.blame(&image.location, &config.digest, error));
    }
    if bytes.is_empty() {
        return Err(absent());
    }
    let name = (&destination.repository, destination.tag.as_ref());
    Ok(DockerImage::new(name, image.top(), bytes)?)
}

fn locations(images: &[Resolved]) -> HashMap<Digest, Location> {
    let blobs = images.iter().flat_map(|image| {
        let blobs = image.blobs.iter();
        blobs.map(|blob| (blob.digest.clone(), image.location.clone()))
    });
    blobs.collect()
}

/// Reads a stream of chunks.
struct ChunkReader {
    chunks: Chunks<TransferError>,
    rest: Bytes,
}

impl Read for ChunkReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.chunks.next() {
                None => return Ok(0),
                Some(chunk) => self.rest = chunk.map_err(io::Error::other)?,
            }
        }
        let n = buffer.len().min(self.rest.len());
        buffer[..n].copy_from_slice(&self.rest.split_to(n));
        Ok(n)
    }
}
