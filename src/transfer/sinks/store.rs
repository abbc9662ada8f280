//! A store as a sink: `pull`, `select` and `unpack`.

mod options;
mod partial;
mod publications;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
pub use options::{ReferrerTags, StoreSinkOptions};
pub use publications::publications;
use publications::write_images;

use super::take_over::{LinkChoice, ManifestFiles, require_sound};
use crate::{
    Batching, Content, ImageOutcome, Plan, PlannedBlob, Sink, SizeClaim, Source, TransferError,
    Visibility,
};
use hod_fsx::LinkMode;
use hod_oci::Digest;
use hod_report::BlobRoute;
use hod_store::{Holding, StagedBlob, Store};

/// Takes images into a store.
#[derive(Debug)]
pub struct StoreSink {
    store: Store,
    options: StoreSinkOptions,
    manifests: ManifestFiles,
    /// Verified blobs that wait for the whole to be verified.
    staged: Mutex<Vec<StagedBlob>>,
    /// Blobs whose files were found to be damaged, and are to be replaced.
    damaged: Mutex<HashSet<Digest>>,
}

#[async_trait]
impl Sink for StoreSink {
    async fn has(&self, blob: &PlannedBlob) -> Result<bool, TransferError> {
        let (store, wanted) = (self.store.clone(), blob.descriptor.clone());
        let holding = hod_bridge::run(move || store.holding(&wanted)).await?;
        if let Holding::Damaged { .. } = holding {
            let digest = blob.descriptor.digest.clone();
            self.damaged().insert(digest);
        }
        Ok(holding == Holding::Sound)
    }

    async fn put(&self, content: &mut Content<'_>) -> Result<BlobRoute, TransferError> {
        let route = self.put(content).await?;
        let digest = &content.task.blob.descriptor.digest;
        Ok(match route {
            BlobRoute::Moved | BlobRoute::Linked if self.damaged().remove(digest) => {
                BlobRoute::Replaced
            }
            route => route,
        })
    }

    async fn publish(&self, plan: &Arc<Plan>, images: Vec<usize>) -> Vec<(usize, ImageOutcome)> {
        if self.options.visibility == Visibility::AllOrNothing {
            return images.into_iter().map(|at| (at, Ok(()))).collect();
        }
        let (store, plan) = (self.store.clone(), Arc::clone(plan));
        let (options, files) = (self.options, self.manifests.clone());
        hod_bridge::run(move || {
            if images.len() > 1 && write_images(&store, &files, &plan, &images, options).is_ok() {
                return images.into_iter().map(|at| (at, Ok(()))).collect();
            }
            // One by one, so that each image has its own error.
            let write = |at| write_images(&store, &files, &plan, &[at], options).map_err(Arc::new);
            images.into_iter().map(|at| (at, write(at))).collect()
        })
        .await
    }

    fn batching(&self) -> Batching {
        Batching::Together
    }

    fn visibility(&self) -> Visibility {
        self.options.visibility
    }
}

impl StoreSink {
    /// Creates a sink for a created store, which links or copies files of `source`.
    pub fn new(store: Store, options: StoreSinkOptions, source: &Arc<dyn Source>) -> Self {
        let link = options.link.unwrap_or(LinkMode::Copy);
        Self {
            store,
            options,
            manifests: ManifestFiles::of(source, LinkChoice::Only(link)),
            staged: Mutex::new(Vec::new()),
            damaged: Mutex::default(),
        }
    }

    fn damaged(&self) -> std::sync::MutexGuard<'_, HashSet<Digest>> {
        self.damaged.lock().expect("no panic while looking up")
    }

    async fn put(&self, content: &mut Content<'_>) -> Result<BlobRoute, TransferError> {
        if let (Some(mode @ (LinkMode::Hard | LinkMode::Reflink)), Some(path)) =
            (self.options.link, content.file())
        {
            return self.link(content, path, mode).await;
        }
        let is_growing = self.options.visibility == Visibility::Growing;
        if is_growing
            && partial::is_worth_keeping(content)
            && let Some(route) = partial::put(&self.store, content, self.options.durability).await?
        {
            return Ok(route);
        }
        let (store, options) = (self.store.clone(), self.options);
        let descriptor = content.task.blob.descriptor.clone();
        let poured = content.pour(move |pieces| {
            let mut writer = store.blob_writer(&descriptor)?;
            pieces.each(|bytes| writer.write(bytes))?;
            Ok(match options.visibility {
                Visibility::Growing => {
                    writer.commit(options.durability)?;
                    None
                }
                Visibility::AllOrNothing => Some(writer.stage()?),
            })
        });
        let staged = poured.await?;
        let mut all = self.staged.lock().expect("no panic while staging");
        all.extend(staged);
        Ok(BlobRoute::Moved)
    }

    async fn link(
        &self,
        content: &mut Content<'_>,
        path: std::path::PathBuf,
        mode: LinkMode,
    ) -> Result<BlobRoute, TransferError> {
        let store = self.store.clone();
        let descriptor = content.task.blob.descriptor.clone();
        let holder = content.task.source.caps().holder;
        let is_new = hod_bridge::run(move || {
            let digest = &descriptor.digest;
            let absent = || TransferError::BlobAbsent {
                digest: digest.clone(),
            };
            let stat = hod_fsx::try_stat(&path)?.ok_or_else(absent)?;
            if stat.len != descriptor.size {
                return Err(TransferError::BlobLength {
                    digest: digest.clone(),
                    claim: SizeClaim::SomeManifest,
                    expected: descriptor.size,
                    actual: stat.len,
                });
            }
            require_sound(digest, &path, holder)?;
            Ok(store.import_file(&path, digest, mode)?)
        })
        .await?;
        Ok(if is_new {
            BlobRoute::Linked
        } else {
            BlobRoute::Present
        })
    }

    /// Publishes all that was staged, and then all images of `plan`.
    ///
    /// A kill in between leaves blobs that nothing names, and never half an image.
    pub async fn reveal(&self, plan: &Arc<Plan>) -> Result<(), TransferError> {
        let staged = std::mem::take(&mut *self.staged.lock().expect("no panic while staging"));
        let (store, plan) = (self.store.clone(), Arc::clone(plan));
        let (options, files) = (self.options, self.manifests.clone());
        hod_bridge::run(move || {
            for blob in staged {
                blob.publish(options.durability)?;
            }
            let all: Vec<usize> = (0..plan.images.len()).collect();
            write_images(&store, &files, &plan, &all, options)
        })
        .await
    }
}
