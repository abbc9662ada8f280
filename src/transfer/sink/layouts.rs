//! A directory of `dir:` layouts as a sink: `export`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::{Content, LinkChoice};
use crate::bridge;
use crate::fsx::{Durability, MadeDirs};
use crate::layout::DirWriter;
use crate::oci::{Descriptor, Digest, Manifest};
use crate::report::{BlobRoute, Event, Reporter};
use crate::transfer::source::BlobStream;
use crate::transfer::{Plan, Referrer, Resolved, TransferError};

/// Writes each image as a layout at `<output>/<repository>:<tag>`, and what is about it beside it.
#[derive(Debug)]
pub struct LayoutSink {
    link: LinkChoice,
    /// The layouts being built, by name; images may have referrers in common.
    writers: Mutex<HashMap<String, Arc<DirWriter>>>,
    /// Dropped after those.
    _parents: Parents,
}

/// The directories above the layouts that this run made, which it removes where they stay empty.
#[derive(Debug, Default)]
struct Parents(MadeDirs);

impl Drop for Parents {
    fn drop(&mut self) {
        // An empty directory more is no harm.
        let _ = self.0.remove_empty();
    }
}

/// A layout's name below the output directory, as skopeo's `sync` names it, and what is in it.
struct Layout {
    name: String,
    /// Children before parents.
    manifests: Vec<Manifest>,
    blobs: Vec<Descriptor>,
}

impl Layout {
    fn of_image(image: &Resolved) -> Self {
        let destination = &image.wanted.destination;
        Self {
            name: match &destination.tag {
                Some(tag) => format!("{}:{tag}", destination.repository),
                None => format!("{}@{}", destination.repository, image.top().digest()),
            },
            manifests: image.manifests.clone(),
            blobs: image.blobs.clone(),
        }
    }

    fn of_referrer(image: &Resolved, referrer: &Referrer) -> Self {
        let repository = &image.wanted.destination.repository;
        Self {
            name: format!("{repository}:{}", referrer.tag),
            manifests: referrer.with_top(),
            blobs: referrer.blobs.clone(),
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

impl LayoutSink {
    /// Starts a layout for every image of `plan`; nothing is visible before its image is complete.
    pub fn create(output: &Path, link: LinkChoice, plan: &Plan) -> Result<Self, TransferError> {
        let mut parents = Parents::default();
        let mut writers = HashMap::new();
        for layout in plan.images.iter().flat_map(Layout::all) {
            if let Entry::Vacant(new) = writers.entry(layout.name) {
                let path = output.join(new.key());
                parents.0.make(path.parent().unwrap_or(output))?;
                let writer = DirWriter::create(&path)?;
                new.insert(Arc::new(writer));
            }
        }
        Ok(Self {
            link,
            writers: Mutex::new(writers),
            _parents: parents,
        })
    }

    /// The layouts of these images that have the blob.
    fn writers_of(&self, plan: &Plan, images: &[usize], digest: &Digest) -> Vec<Arc<DirWriter>> {
        let writers = self.writers.lock().expect("no panic while exporting");
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
            .filter_map(|name| writers.get(name).cloned())
            .collect()
    }

    pub(super) async fn put_blob(
        &self,
        content: &mut Content<'_>,
    ) -> Result<BlobRoute, TransferError> {
        let digest = content.handover.blob.descriptor.digest.clone();
        let handover = content.handover;
        let writers = self.writers_of(handover.plan, &handover.blob.images, &digest);
        let Some(first) = writers.first().cloned() else {
            return Ok(BlobRoute::Present);
        };
        let (writer, linked) = (Arc::clone(&first), digest.clone());
        let link = move |source: &Path, mode| writer.link_blob(source, &linked, mode).map(|_| ());
        let route = if self.link.take_over(content, link).await? {
            BlobRoute::Linked
        } else {
            let stream = content.open().await?.into_stream();
            let reporter = Arc::clone(content.handover.reporter);
            write(stream, first, digest.clone(), reporter).await?;
            BlobRoute::Moved
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
            let layouts: Vec<(Arc<DirWriter>, Layout)> = {
                let mut writers = self.writers.lock().expect("no panic while exporting");
                // One that is gone was finished with another image.
                let layouts = Layout::all(&plan.images[at]);
                let take = |layout: Layout| Some((writers.remove(&layout.name)?, layout));
                layouts.filter_map(take).collect()
            };
            let result = bridge::run(move || {
                layouts
                    .into_iter()
                    .try_for_each(|(writer, layout)| finish(writer, &layout.manifests))
            });
            results.push((at, result.await.map_err(Arc::new)));
        }
        results
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

fn finish(writer: Arc<DirWriter>, manifests: &[Manifest]) -> Result<(), TransferError> {
    // Whoever put a blob here was done before the image was ready to be published.
    let mut writer = Arc::into_inner(writer).expect("an image is published after its blobs");
    let (top, children) = manifests
        .split_last()
        .expect("an image has its own manifest");
    for child in children {
        writer.add_child(child)?;
    }
    writer.add_manifest_top(top)?;
    writer.commit(Durability::Synced)?;
    Ok(())
}
