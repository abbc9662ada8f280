//! An OCI layout as a sink, a directory or an archive.

use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::take_over::{LinkChoice, ManifestFiles};
use crate::{
    Content, ImageOutcome, Location, Plan, Resolved, Sink, Source, TransferError, Visibility,
};
use hod_fsx::Durability;
use hod_layout::{
    BlobWriter, LayoutError, OciArchivePlan, OciArchiveWriter, OciDirWriter, OciEntry,
};
use hod_oci::{Descriptor, Manifest};
use hod_report::BlobRoute;

/// Puts all images into one layout, which appears when [`OciSink::finish`] is called.
#[derive(Debug)]
pub struct OciSink {
    target: Target,
    /// The images that are complete.
    done: Mutex<Vec<OciEntry>>,
}

#[derive(Debug)]
enum Target {
    Directory {
        writer: Mutex<Option<Arc<OciDirWriter>>>,
        link: LinkChoice,
        manifests: ManifestFiles,
    },
    Archive(Mutex<Option<Arc<OciArchiveWriter>>>),
}

type Starter = Box<dyn FnOnce() -> Result<BlobWriter, LayoutError> + Send>;

#[async_trait]
impl Sink for OciSink {
    fn visibility(&self) -> Visibility {
        Visibility::AllOrNothing
    }

    async fn put(&self, content: &mut Content<'_>) -> Result<BlobRoute, TransferError> {
        let descriptor = content.task.blob.descriptor.clone();
        if let Target::Directory { writer, link, .. } = &self.target {
            let (writer, digest) = (shared(writer)?, descriptor.digest.clone());
            let place = move |source: &Path, mode| writer.link_blob(source, &digest, mode);
            if link.take_over(content, place).await? {
                return Ok(BlobRoute::Linked);
            }
        }
        let start = self.starter(&descriptor)?;
        let poured = content.pour(move |pieces| {
            let mut blob = start()?;
            pieces.each(|bytes| blob.write(bytes))?;
            Ok(blob.commit()?)
        });
        poured.await?;
        Ok(BlobRoute::Moved)
    }

    async fn publish(&self, plan: &Arc<Plan>, images: Vec<usize>) -> Vec<(usize, ImageOutcome)> {
        let mut results = Vec::with_capacity(images.len());
        for at in images {
            let result = self.add_image(plan, at).await;
            if result.is_ok() {
                let mut done = self.done.lock().expect("no panic while exporting");
                done.extend(entries(&plan.images[at]));
            }
            results.push((at, result.map_err(Arc::new)));
        }
        results
    }
}

impl OciSink {
    /// Fills a directory; `link` determines how files of `source` are placed.
    pub fn directory(writer: OciDirWriter, link: LinkChoice, source: &Arc<dyn Source>) -> Self {
        Self::of(Target::Directory {
            writer: Mutex::new(Some(Arc::new(writer))),
            link,
            manifests: ManifestFiles::of(source, link),
        })
    }

    /// Fills an archive that was planned for the same images.
    pub fn archive(writer: OciArchiveWriter) -> Self {
        Self::of(Target::Archive(Mutex::new(Some(Arc::new(writer)))))
    }

    fn of(target: Target) -> Self {
        Self {
            target,
            done: Mutex::default(),
        }
    }

    /// The content of an archive of these images.
    pub fn archive_plan(plan: &Plan, mtime: u64) -> OciArchivePlan {
        let manifests = plan.images.iter().flat_map(manifests);
        OciArchivePlan {
            images: plan.images.iter().flat_map(entries).collect(),
            index: None,
            manifests: manifests.collect(),
            blobs: plan.blobs.iter().map(|b| b.descriptor.clone()).collect(),
            mtime,
        }
    }

    /// Makes the layout visible, with the images that are complete; returns how many these are.
    ///
    /// Blocks. Without any, or when somebody still writes, nothing is made.
    pub fn finish(&self, durability: Durability) -> Result<usize, LayoutError> {
        let done = std::mem::take(&mut *self.done.lock().expect("no panic while exporting"));
        if done.is_empty() {
            return Ok(0);
        }
        match &self.target {
            Target::Directory { writer, .. } => {
                if let Some(writer) = take(writer) {
                    writer.commit(&done, durability)?;
                }
            }
            Target::Archive(writer) => {
                if let Some(writer) = take(writer) {
                    writer.commit(durability)?;
                }
            }
        }
        Ok(done.len())
    }

    /// What starts a blob. Blocks when it is called.
    fn starter(&self, blob: &Descriptor) -> Result<Starter, TransferError> {
        let blob = blob.clone();
        Ok(match &self.target {
            Target::Directory { writer, .. } => {
                let writer = shared(writer)?;
                Box::new(move || writer.blob_writer(&blob))
            }
            Target::Archive(writer) => {
                let writer = shared(writer)?;
                Box::new(move || Ok(hod_layout::BlobWriter::in_archive(&writer, &blob)))
            }
        })
    }

    /// Writes the manifests of an image after its blobs.
    async fn add_image(&self, plan: &Arc<Plan>, at: usize) -> Result<(), TransferError> {
        // An archive had all manifests when it was started.
        if let Target::Directory {
            writer,
            manifests: files,
            ..
        } = &self.target
        {
            let (writer, plan, files) = (shared(writer)?, Arc::clone(plan), files.clone());
            let add = move |(manifest, locations): (Manifest, &[Location])| {
                let file = files.find(locations, &manifest);
                writer.add_manifest(&manifest, file.as_deref())
            };
            hod_bridge::run(move || placed_manifests(&plan.images[at]).try_for_each(add)).await?;
        }
        Ok(())
    }
}

/// The writer while it is not finished.
fn shared<W>(writer: &Mutex<Option<Arc<W>>>) -> Result<Arc<W>, TransferError> {
    let writer = writer.lock().expect("no panic while exporting");
    writer.clone().ok_or(TransferError::Stopped)
}

/// The writer, if it is not in use.
fn take<W>(writer: &Mutex<Option<Arc<W>>>) -> Option<W> {
    let writer = writer.lock().expect("no panic while exporting").take();
    writer.and_then(Arc::into_inner)
}

/// All manifests of an image and of its referrers.
fn manifests(image: &Resolved) -> impl Iterator<Item = Manifest> {
    placed_manifests(image).map(|(manifest, _)| manifest)
}

/// The same with the places of the source that may have each.
fn placed_manifests(image: &Resolved) -> impl Iterator<Item = (Manifest, &[Location])> {
    let own = image.manifests.iter().cloned();
    let own = own.map(|manifest| (manifest, std::slice::from_ref(&image.location)));
    own.chain(image.referrers.iter().flat_map(|referrer| {
        let manifests = referrer.with_top().into_iter();
        manifests.map(|manifest| (manifest, referrer.locations.as_slice()))
    }))
}

/// The entries of an image and of its referrers.
fn entries(image: &Resolved) -> impl Iterator<Item = OciEntry> {
    let destination = &image.wanted.destination;
    let own = OciEntry::new(
        &destination.repository,
        destination.tag.as_ref(),
        image.top(),
    );
    let referrers = image.referrers.iter().map(|referrer| {
        let tag = Some(&referrer.tag);
        OciEntry::new(&destination.repository, tag, &referrer.top())
    });
    std::iter::once(own).chain(referrers)
}
