//! Layouts at exactly the path that the user names.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hod_fsx::Durability;
use hod_layout::{
    BlobWriter, DirWriter, LayoutError, OciArchivePlan, OciArchiveWriter, OciDirWriter,
};
use hod_oci::{Digest, Manifest};
use hod_report::BlobRoute;
use hod_transfer::{Content, ImageOutcome, OciSink as ArchiveSink, Plan, Sink, TransferError};

use super::moving::{Copied, plan, run_plan, unnamed};
use crate::failure::Done;
use crate::oci_index;
use crate::wording;

/// Writes `dir:` layouts, one for each image of a plan, in its order.
#[derive(Debug)]
pub(crate) struct DirSink(Vec<Mutex<Option<Arc<DirWriter>>>>);

/// Writes one image into an OCI layout.
#[derive(Debug)]
pub(super) struct OciSink {
    writer: Mutex<Option<Arc<OciDirWriter>>>,
    name: Option<String>,
    /// The directory that has the blobs, by algorithm, in place of the layout.
    shared_blobs: Option<PathBuf>,
}

impl DirSink {
    pub(crate) fn new(writers: Vec<DirWriter>) -> Self {
        let writers = writers.into_iter();
        Self(
            writers
                .map(|writer| Mutex::new(Some(Arc::new(writer))))
                .collect(),
        )
    }
}

/// The writer of a layout that is not finished.
fn writer_of<W>(writer: &Mutex<Option<Arc<W>>>) -> Result<Arc<W>, TransferError> {
    let writer = writer.lock().expect("no panic while copying");
    writer.clone().ok_or(TransferError::Stopped)
}

/// Takes the writer when all blobs are written.
fn take<W>(writer: &Mutex<Option<Arc<W>>>) -> Result<W, TransferError> {
    let taken = writer.lock().expect("no panic while copying").take();
    taken
        .and_then(Arc::into_inner)
        .ok_or(TransferError::Stopped)
}

#[async_trait]
impl Sink for DirSink {
    async fn put(&self, content: &mut Content<'_>) -> Result<BlobRoute, TransferError> {
        let blob = content.blob();
        let mut writers = Vec::with_capacity(blob.images.len());
        for &at in &blob.images {
            writers.push(writer_of(&self.0[at])?);
        }
        let Some(first) = writers.first().cloned() else {
            return Ok(BlobRoute::Present);
        };
        let blob = blob.descriptor.clone();
        let digest = blob.digest.clone();
        let route = pour(content, move || first.blob_writer(&blob)).await?;
        // Other images have it too.
        hod_bridge::run(move || {
            let (first, others) = writers.split_first().expect("there is a first");
            let mut others = others.iter();
            others.try_for_each(|other| other.share_blob(first, &digest))
        })
        .await?;
        Ok(route)
    }

    async fn publish(&self, plan: &Arc<Plan>, images: Vec<usize>) -> Vec<(usize, ImageOutcome)> {
        let mut outcomes = Vec::with_capacity(images.len());
        for at in images {
            let (plan, writer) = (Arc::clone(plan), take(&self.0[at]));
            let finished = hod_bridge::run(move || {
                let mut writer = writer?;
                let image = &plan.images[at];
                let (top, children) = image.manifests.split_last().expect("an image has one");
                for child in children {
                    writer.add_child(child, None)?;
                }
                writer.add_manifest_top(top, None)?;
                writer.commit(Durability::Synced)?;
                Ok::<_, TransferError>(())
            });
            outcomes.push((at, finished.await.map_err(Arc::new)));
        }
        outcomes
    }
}

impl OciSink {
    /// Starts to write into the layout at `path`.
    pub(super) async fn create(
        path: &Path,
        name: Option<String>,
        shared_blobs: Option<&Path>,
    ) -> Done<Self> {
        let path = path.to_owned();
        let created = hod_bridge::run(move || OciDirWriter::create(&path)).await;
        let writer = created.map_err(|error| wording::of_layout(&error))?;
        Ok(Self {
            writer: Mutex::new(Some(Arc::new(writer))),
            name,
            shared_blobs: shared_blobs.map(Path::to_owned),
        })
    }
}

#[async_trait]
impl Sink for OciSink {
    async fn put(&self, content: &mut Content<'_>) -> Result<BlobRoute, TransferError> {
        let blob = content.blob().descriptor.clone();
        if let Some(dir) = self.shared_blobs.clone() {
            let path = shared_path(&dir, &blob.digest);
            let known = path.clone();
            let is_there = hod_bridge::run(move || hod_fsx::try_stat(&known)).await?;
            if is_there.is_some_and(|stat| stat.is_file && stat.len == blob.size) {
                return Ok(BlobRoute::Present);
            }
            return pour(content, move || BlobWriter::at(&path, &blob)).await;
        }
        let writer = writer_of(&self.writer)?;
        pour(content, move || writer.blob_writer(&blob)).await
    }

    async fn publish(&self, plan: &Arc<Plan>, images: Vec<usize>) -> Vec<(usize, ImageOutcome)> {
        let mut outcomes = Vec::with_capacity(images.len());
        for at in images {
            let (plan, writer) = (Arc::clone(plan), take(&self.writer));
            let (name, shared) = (self.name.clone(), self.shared_blobs.clone());
            let finished = hod_bridge::run(move || {
                let writer = writer?;
                let image = &plan.images[at];
                for manifest in &image.manifests {
                    match &shared {
                        Some(dir) => write_shared(dir, manifest)?,
                        None => writer.add_manifest(manifest, None)?,
                    }
                }
                let index =
                    |old: Option<&[u8]>| oci_index::with_image(old, name.as_deref(), image.top());
                writer.commit_index(index, Durability::Synced)?;
                Ok::<_, TransferError>(())
            });
            outcomes.push((at, finished.await.map_err(Arc::new)));
        }
        outcomes
    }
}

fn shared_path(dir: &Path, digest: &Digest) -> PathBuf {
    dir.join(digest.algorithm().as_str()).join(digest.hex())
}

fn write_shared(dir: &Path, manifest: &Manifest) -> Result<(), LayoutError> {
    let path = shared_path(dir, manifest.digest());
    let mut blob = BlobWriter::at(&path, manifest.digest())?;
    blob.write(manifest.bytes())?;
    blob.commit()
}

async fn pour(
    content: &mut Content<'_>,
    start: impl FnOnce() -> Result<BlobWriter, LayoutError> + Send + 'static,
) -> Result<BlobRoute, TransferError> {
    let poured = content.pour(move |pieces| {
        let mut blob = start()?;
        pieces.each(|bytes| blob.write(bytes))?;
        Ok(blob.commit()?)
    });
    poured.await?;
    Ok(BlobRoute::Moved)
}

/// Writes an archive of a new layout; one that is there is replaced.
pub(super) async fn write_oci_archive(path: &Path, name: Option<&str>, image: Copied) -> Done {
    let top = image.manifests.last().expect("an image has a manifest");
    let index = oci_index::with_image(None, name, top);
    let (source, plan) = plan(image, unnamed());
    let archive = OciArchivePlan {
        index: Some(index),
        ..ArchiveSink::archive_plan(&plan, 0)
    };
    let destination = path.to_owned();
    let created = hod_bridge::run(move || OciArchiveWriter::create(&destination, &archive)).await;
    let sink = Arc::new(ArchiveSink::archive(
        created.map_err(|error| wording::of_layout(&error))?,
    ));
    run_plan(Arc::clone(&sink) as Arc<dyn Sink>, source, &plan).await?;
    let finished = hod_bridge::run(move || sink.finish(Durability::Synced)).await;
    finished.map_err(|error| wording::of_layout(&error))?;
    Ok(())
}
