//! A directory of `dir:` layouts as a sink.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::take_over::{LinkChoice, ManifestFiles};
use crate::{
    Content, ImageOutcome, Location, Plan, Referrer, Resolved, Sink, Source, TransferError,
};
use hod_fsx::{Durability, MadeDirs};
use hod_layout::{DirWriter, LayoutError};
use hod_oci::{Descriptor, Digest, Manifest};
use hod_report::BlobRoute;

/// Writes each image as a layout at `<output>/<repository>:<tag>`, with its referrers beside it.
#[derive(Debug)]
pub struct LayoutSink {
    output: PathBuf,
    link: LinkChoice,
    manifests: ManifestFiles,
    /// The layouts being built, by name; images may have referrers in common.
    layouts: Mutex<HashMap<String, Building>>,
    /// Dropped after those.
    parents: Mutex<Parents>,
}

/// A layout that is being built.
#[derive(Debug)]
struct Building {
    top: Digest,
    writer: Arc<DirWriter>,
}

/// The directories above the layouts that this run created, which are removed if they stay empty.
#[derive(Debug, Default)]
struct Parents(MadeDirs);

impl Drop for Parents {
    fn drop(&mut self) {
        // An additional empty directory does no harm.
        let _ = self.0.remove_empty();
    }
}

/// The name of a layout below the output directory, as in `skopeo sync`, and its content.
struct Layout {
    name: String,
    top: Manifest,
    children: Vec<Manifest>,
    blobs: Vec<Descriptor>,
    /// Its location in the source.
    locations: Vec<Location>,
}

impl Layout {
    fn of_image(image: &Resolved) -> Self {
        let destination = &image.wanted.destination;
        let name = match &destination.tag {
            Some(tag) => format!("{}:{tag}", destination.repository),
            None => format!("{}@{}", destination.repository, image.top().digest()),
        };
        Self {
            locations: vec![image.location.clone()],
            ..Self::new(name, image.top().clone(), &image.manifests, &image.blobs)
        }
    }

    fn of_referrer(image: &Resolved, referrer: &Referrer) -> Self {
        let repository = &image.wanted.destination.repository;
        let name = format!("{repository}:{}", referrer.tag);
        Self {
            locations: referrer.locations.clone(),
            ..Self::new(name, referrer.top(), &referrer.manifests, &referrer.blobs)
        }
    }

    fn new(name: String, top: Manifest, manifests: &[Manifest], blobs: &[Descriptor]) -> Self {
        let children = manifests
            .iter()
            .filter(|child| child.digest() != top.digest());
        Self {
            name,
            children: children.cloned().collect(),
            top,
            blobs: blobs.to_vec(),
            locations: Vec::new(),
        }
    }

    /// The image's own last.
    fn all(image: &Resolved) -> impl Iterator<Item = Self> {
        let referrers = image.referrers.iter();
        referrers
            .map(|referrer| Self::of_referrer(image, referrer))
            .chain(std::iter::once_with(|| Self::of_image(image)))
    }
}

#[async_trait]
impl Sink for LayoutSink {
    async fn put(&self, content: &mut Content<'_>) -> Result<BlobRoute, TransferError> {
        let digest = content.task.blob.descriptor.digest.clone();
        let task = content.task;
        let writers = self.writers_of(task.plan, &task.blob.images, &digest);
        let Some(first) = writers.first().cloned() else {
            return Ok(BlobRoute::Present);
        };
        let (writer, linked) = (Arc::clone(&first), digest.clone());
        let link = move |source: &Path, mode| writer.link_blob(source, &linked, mode).map(|_| ());
        let route = if self.link.take_over(content, link).await? {
            BlobRoute::Linked
        } else {
            let descriptor = content.task.blob.descriptor.clone();
            let poured = content.pour(move |pieces| {
                let mut writer = first.blob_writer(&descriptor)?;
                pieces.each(|bytes| writer.write(bytes))?;
                Ok(writer.commit()?)
            });
            poured.await?;
            BlobRoute::Moved
        };
        // Layouts of one output share their blobs, whatever the source could do.
        hod_bridge::run(move || share(&writers, &digest)).await?;
        Ok(route)
    }

    async fn publish(&self, plan: &Arc<Plan>, images: Vec<usize>) -> Vec<(usize, ImageOutcome)> {
        let mut results = Vec::with_capacity(images.len());
        for at in images {
            let layouts: Vec<(Arc<DirWriter>, Layout)> = {
                let mut building = self.layouts.lock().expect("no panic while exporting");
                // A missing writer was finished with another image.
                let layouts = Layout::all(&plan.images[at]);
                let take = |layout: Layout| Some((building.remove(&layout.name)?.writer, layout));
                layouts.filter_map(take).collect()
            };
            let files = self.manifests.clone();
            let result = hod_bridge::run(move || {
                layouts
                    .into_iter()
                    .try_for_each(|(writer, layout)| finish(writer, &layout, &files))
            });
            results.push((at, result.await.map_err(Arc::new)));
        }
        results
    }
}

impl LayoutSink {
    /// A sink that writes below `output`, which is created; `link` determines how files of `source`
    /// are placed.
    pub fn create(
        output: &Path,
        link: LinkChoice,
        source: &Arc<dyn Source>,
    ) -> Result<Self, TransferError> {
        let mut parents = Parents::default();
        parents.0.make(output)?;
        Ok(Self {
            output: output.to_owned(),
            link,
            manifests: ManifestFiles::of(source, link),
            layouts: Mutex::default(),
            parents: Mutex::new(parents),
        })
    }

    /// Starts the layouts of an image that is to be published; nothing is visible before it is
    /// complete. Fails for this image alone, and starts none of them then.
    pub fn add(&self, image: &Resolved) -> Result<(), TransferError> {
        let mut layouts = self.layouts.lock().expect("no panic while exporting");
        let mut new = Vec::new();
        for layout in Layout::all(image) {
            let top = layout.top.digest().clone();
            match layouts.get(&layout.name) {
                Some(building) if building.top == top => {}
                Some(building) => {
                    return Err(TransferError::NameTaken {
                        name: layout.name,
                        digest: top,
                        other: building.top.clone(),
                    });
                }
                None => {
                    let path = self.output.join(&layout.name);
                    hod_fsx::require_real_dirs(&self.output, &path)?;
                    let mut parents = self.parents.lock().expect("no panic while exporting");
                    parents.0.make(path.parent().unwrap_or(&self.output))?;
                    let writer = Arc::new(DirWriter::create(&path)?);
                    new.push((layout.name, Building { top, writer }));
                }
            }
        }
        layouts.extend(new);
        Ok(())
    }

    /// The layouts of these images that have the blob.
    fn writers_of(&self, plan: &Plan, images: &[usize], digest: &Digest) -> Vec<Arc<DirWriter>> {
        let layouts = self.layouts.lock().expect("no panic while exporting");
        let mut names: Vec<String> = Vec::new();
        for &at in images {
            for layout in Layout::all(&plan.images[at]) {
                let has_it = layout.blobs.iter().any(|blob| blob.digest == *digest);
                if has_it && !names.contains(&layout.name) {
                    names.push(layout.name);
                }
            }
        }
        names
            .iter()
            .filter_map(|name| Some(Arc::clone(&layouts.get(name)?.writer)))
            .collect()
    }
}

/// Gives the blob of the first layout a place in the others.
fn share(writers: &[Arc<DirWriter>], digest: &Digest) -> Result<(), TransferError> {
    if let Some((first, others)) = writers.split_first() {
        for other in others {
            other.share_blob(first, digest)?;
        }
    }
    Ok(())
}

fn finish(
    writer: Arc<DirWriter>,
    layout: &Layout,
    files: &ManifestFiles,
) -> Result<(), TransferError> {
    let file = |manifest: &Manifest| files.find(&layout.locations, manifest);
    // All writers of blobs have finished before the image can be published.
    let path = writer.destination().to_owned();
    let mut writer = Arc::into_inner(writer).ok_or(LayoutError::Busy { path })?;
    for child in &layout.children {
        writer.add_child(child, file(child).as_deref())?;
    }
    writer.add_manifest_top(&layout.top, file(&layout.top).as_deref())?;
    writer.commit(Durability::Synced)?;
    Ok(())
}
