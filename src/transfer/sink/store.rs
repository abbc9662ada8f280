//! A store as a sink: `pull`, `select` and `unpack`.

mod partial;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::Content;
use crate::bridge::{self, FileRange};
use crate::bundle::BlobHolder;
use crate::fsx::{self, Durability, LinkMode};
use crate::oci::{Descriptor, Digest, Manifest, ReferrerEntry, ReferrerTagKind};
use crate::report::{BlobRoute, Event};
use crate::store::{self, Holding, Publication, Soundness, StagedBlob, Store};
use crate::transfer::referrers::make_index;
use crate::transfer::{BlobContent, Plan, PlannedBlob, Referrer, SizeClaim, TransferError};

/// Takes images into a store.
#[derive(Debug)]
pub struct StoreSink {
    store: Store,
    options: StoreSinkOptions,
    /// Verified blobs that wait for the whole to be verified.
    staged: Mutex<Vec<StagedBlob>>,
    /// Blobs whose files were found to be damaged, and are to be replaced.
    damaged: Mutex<HashSet<Digest>>,
}

/// How a store takes images.
#[derive(Debug, Clone, Copy)]
pub struct StoreSinkOptions {
    /// How blobs that are files are taken over; `None` copies and verifies them.
    pub link: Option<LinkMode>,
    pub durability: Durability,
    pub visibility: Visibility,
}

/// When what arrived can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Each blob at once, each image when it is complete: a later run continues.
    Growing,
    /// Nothing before [`StoreSink::reveal`]: all or nothing.
    AllOrNothing,
}

impl StoreSink {
    /// Makes a sink of a created store.
    pub fn new(store: Store, options: StoreSinkOptions) -> Self {
        Self {
            store,
            options,
            staged: Mutex::new(Vec::new()),
            damaged: Mutex::default(),
        }
    }

    pub(in crate::transfer) async fn has_blob(
        &self,
        blob: &PlannedBlob,
    ) -> Result<bool, TransferError> {
        let (store, wanted) = (self.store.clone(), blob.descriptor.clone());
        let holding = bridge::run(move || store.holding(&wanted)).await?;
        if let Holding::Damaged { .. } = holding {
            let digest = blob.descriptor.digest.clone();
            self.damaged().insert(digest);
        }
        Ok(holding == Holding::Sound)
    }

    fn damaged(&self) -> std::sync::MutexGuard<'_, HashSet<Digest>> {
        self.damaged.lock().expect("no panic while looking up")
    }

    pub(super) async fn put_blob(
        &self,
        content: &mut Content<'_>,
    ) -> Result<BlobRoute, TransferError> {
        let route = self.put(content).await?;
        let digest = &content.handover.blob.descriptor.digest;
        Ok(match route {
            BlobRoute::Moved | BlobRoute::Linked if self.damaged().remove(digest) => {
                BlobRoute::Replaced
            }
            route => route,
        })
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
        let descriptor = content.handover.blob.descriptor.clone();
        let opened = content.open().await?;
        let store = self.store.clone();
        let moved = Arc::new(AtomicU64::new(0));
        let reporter = Arc::clone(content.handover.reporter);
        let counted = Arc::clone(&moved);
        let count = move |len: u64| {
            counted.fetch_add(len, Ordering::Relaxed);
            reporter.event(Event::BytesMoved { len });
        };
        let options = self.options;
        let finish = move |writer: crate::store::BlobWriter| {
            let (digest, len) = (&descriptor.digest, Some(descriptor.size));
            match options.visibility {
                Visibility::Growing => writer
                    .commit(digest, len, options.durability)
                    .map(|()| None),
                Visibility::AllOrNothing => writer.stage(digest, len).map(Some),
            }
        };
        let algorithm = content.handover.blob.descriptor.digest.algorithm();
        let size = content.handover.blob.descriptor.size;
        let result = match opened {
            BlobContent::Stream(stream) => {
                bridge::pipe_to_blocking(stream, move |chunks| {
                    let mut writer = store.blob_writer(algorithm)?;
                    for chunk in chunks {
                        let chunk = chunk?;
                        writer.write(&chunk)?;
                        count(chunk.len() as u64);
                        if writer.len() > size {
                            break;
                        }
                    }
                    Ok::<_, TransferError>(finish(writer)?)
                })
                .await
            }
            BlobContent::File(range) => {
                bridge::run_stoppable(move |stop| {
                    let mut writer = store.blob_writer(algorithm)?;
                    let mut buffer = vec![0; bridge::CHUNK_LEN];
                    let mut at = 0;
                    while at < range.len && !stop.is_set() {
                        let want = usize::try_from(range.len - at).unwrap_or(usize::MAX);
                        let want = want.min(buffer.len());
                        let offset = range.offset + at;
                        let n =
                            fsx::read_at(&range.file, &range.path, &mut buffer[..want], offset)?;
                        if n == 0 {
                            break;
                        }
                        writer.write(&buffer[..n])?;
                        count(n as u64);
                        at += n as u64;
                    }
                    Ok::<_, TransferError>(finish(writer)?)
                })
                .await
            }
        };
        match result {
            Ok(staged) => {
                self.staged
                    .lock()
                    .expect("no panic while staging")
                    .extend(staged);
                Ok(BlobRoute::Moved)
            }
            Err(error) => {
                content.lost(moved.load(Ordering::Relaxed));
                Err(error)
            }
        }
    }

    async fn link(
        &self,
        content: &mut Content<'_>,
        path: std::path::PathBuf,
        mode: LinkMode,
    ) -> Result<BlobRoute, TransferError> {
        let store = self.store.clone();
        let descriptor = content.handover.blob.descriptor.clone();
        let holder = content.handover.source.holder();
        let is_new = bridge::run(move || {
            let digest = &descriptor.digest;
            let absent = || TransferError::BlobAbsent {
                digest: digest.clone(),
            };
            let stat = fsx::try_stat(&path)?.ok_or_else(absent)?;
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

    pub(super) async fn publish(
        &self,
        plan: &Arc<Plan>,
        images: Vec<usize>,
    ) -> Vec<(usize, Result<(), Arc<TransferError>>)> {
        if self.options.visibility == Visibility::AllOrNothing {
            return images.into_iter().map(|at| (at, Ok(()))).collect();
        }
        let (store, plan) = (self.store.clone(), Arc::clone(plan));
        let durability = self.options.durability;
        let batch = images.clone();
        let result = bridge::run(move || write_images(&store, &plan, &batch, durability)).await;
        let result = result.map_err(Arc::new);
        images.into_iter().map(|at| (at, result.clone())).collect()
    }

    /// Publishes all that was staged, and then all images of `plan`.
    ///
    /// A kill in between leaves blobs that nothing names, and never half an image.
    pub async fn reveal(&self, plan: &Arc<Plan>) -> Result<(), TransferError> {
        let staged = std::mem::take(&mut *self.staged.lock().expect("no panic while staging"));
        let (store, plan) = (self.store.clone(), Arc::clone(plan));
        let durability = self.options.durability;
        bridge::run(move || {
            for blob in staged {
                blob.publish(durability)?;
            }
            let all: Vec<usize> = (0..plan.images.len()).collect();
            write_images(&store, &plan, &all, durability)
        })
        .await
    }
}

/// Hashes a file that is to be linked and was changed after it was verified.
pub(super) fn require_sound(
    digest: &Digest,
    path: &Path,
    holder: BlobHolder,
) -> Result<(), TransferError> {
    let range = FileRange {
        file: Arc::new(fsx::open(path)?),
        path: path.to_owned(),
        offset: 0,
        len: 0,
    };
    match store::examine(digest, &range)? {
        Soundness::Sound => Ok(()),
        Soundness::Damaged { actual } => Err(TransferError::DamagedSource {
            paths: vec![range.path],
            holder,
            digest: digest.clone(),
            actual,
        }),
    }
}

fn write_images(
    store: &Store,
    plan: &Plan,
    images: &[usize],
    durability: Durability,
) -> Result<(), TransferError> {
    let digests = |blobs: &[Descriptor]| blobs.iter().map(|blob| blob.digest.clone()).collect();
    let mut publications = Vec::with_capacity(images.len());
    let mut subjects = HashMap::new();
    for &at in images {
        let image = &plan.images[at];
        let destination = &image.wanted.destination;
        // Before the image, so that its tag is the last.
        for referrer in &image.referrers {
            let known = match subjects.entry(&destination.repository) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(store.subjects(&destination.repository)?),
            };
            let (top, manifests) = referrer_manifests(store, known, referrer)?;
            for manifest in &manifests {
                store.write_manifest(manifest)?;
            }
            publications.push(Publication {
                repository: destination.repository.clone(),
                tag: Some(referrer.tag.clone()),
                top,
                manifests: manifests.iter().map(|m| m.digest().clone()).collect(),
                blobs: digests(&referrer.blobs),
            });
        }
        for manifest in &image.manifests {
            store.write_manifest(manifest)?;
        }
        publications.push(Publication {
            repository: destination.repository.clone(),
            tag: destination.tag.clone(),
            top: image.top().digest().clone(),
            manifests: image
                .manifests
                .iter()
                .map(Manifest::digest)
                .cloned()
                .collect(),
            blobs: digests(&image.blobs),
        });
    }
    store.publish(&publications, durability)?;
    Ok(())
}

/// The manifests of a referrer, with the top last: an index lists what the repository has about
/// the same subject, too.
fn referrer_manifests(
    store: &Store,
    known: &[(Digest, Digest)],
    referrer: &Referrer,
) -> Result<(Digest, Vec<Manifest>), TransferError> {
    if referrer.kind == ReferrerTagKind::Cosign {
        return Ok((referrer.top().digest().clone(), referrer.manifests.clone()));
    }
    let mut entries = referrer.entries();
    for (digest, _) in known.iter().filter(|(_, about)| *about == referrer.subject) {
        if let Some(manifest) = store.read_manifest(digest)? {
            entries.push(ReferrerEntry::of(&manifest));
        }
    }
    let index = make_index(entries);
    let top = index.digest().clone();
    let mut manifests = referrer.manifests.clone();
    manifests.push(index);
    Ok((top, manifests))
}
