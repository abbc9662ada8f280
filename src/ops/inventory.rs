//! What a source holds: every image with all that belongs to it, and what each of it weighs.
//!
//! A bundle says all of it in `hod/bundle.json`, so that nothing else is read of one; the images of
//! other sources are resolved.

mod document;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::batch::Batch;
use super::verify::ambiguous_name;
use super::{Catalog, Context, DamagedImage, ImageStatus, OpsError, SourceKind};
use crate::bridge;
use crate::oci::{
    Descriptor, Digest, ImageConfig, Manifest, Platform, ReferrerTagKind, RepositoryName, Tag,
};
use crate::transfer::{Location, OnFailure, Resolved, Source, platform_of};

/// The longest configuration that is read, in bytes.
pub(super) const CONFIG_LEN_MAX: u64 = 8 * 1024 * 1024;

/// The content of a source.
#[derive(Debug)]
pub(super) struct Inventory {
    pub(super) kind: SourceKind,
    pub(super) source: Arc<dyn Source>,
    /// Without those that are about others, which belong to these.
    pub(super) images: Vec<Inventoried>,
    /// Every manifest, config and layer of an existing image, with its length in bytes.
    pub(super) held: HashMap<Digest, u64>,
    /// The configs and layers that a bundle requires at its target.
    pub(super) base: HashMap<Digest, u64>,
    /// The manifests of a source whose images were resolved; empty for a bundle.
    manifests: HashMap<Digest, Manifest>,
    pub(super) damaged: Vec<DamagedImage>,
    /// Problems of the source as a whole.
    pub(super) problems: Vec<String>,
}

/// An image with all that belongs to it.
#[derive(Debug, Clone)]
pub(super) struct Inventoried {
    pub(super) name: String,
    pub(super) repository: RepositoryName,
    pub(super) tag: Option<Tag>,
    pub(super) digest: Digest,
    pub(super) media_type: String,
    pub(super) platforms: Vec<String>,
    pub(super) n_referrers: usize,
    /// The image itself, then its referrers.
    pub(super) groups: Vec<Group>,
}

/// An image, or a referrer.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// The tag that leads to a referrer.
    pub(super) referrer: Option<Tag>,
    /// The manifests from which all others can be reached.
    pub(super) tops: Vec<Digest>,
    pub(super) manifests: Vec<Digest>,
    pub(super) blobs: Vec<Digest>,
    /// The place of the blobs.
    pub(super) location: Location,
}

impl Inventoried {
    /// Every manifest, config and layer, once.
    pub(super) fn parts(&self) -> BTreeSet<&Digest> {
        let groups = self.groups.iter();
        groups
            .flat_map(|group| group.manifests.iter().chain(&group.blobs))
            .collect()
    }
}

impl Inventory {
    /// Takes stock of what is at `path`.
    pub(super) async fn take(cx: &Context, path: &Path) -> Result<Self, OpsError> {
        let catalog = Catalog::open_once(path, &cx.reading).await?;
        let inventory = if let Some(document) = catalog.source().document().cloned() {
            let (kind, source) = (catalog.kind(), catalog.shared_source());
            bridge::run(move || document::read(kind, (source, &document))).await
        } else {
            resolve(cx, &catalog).await?
        };
        if inventory.images.is_empty() && inventory.damaged.is_empty() {
            return Err(OpsError::NoImages {
                path: path.to_owned(),
            });
        }
        Ok(inventory)
    }

    /// The number of images that each part belongs to.
    pub(super) fn users(&self) -> HashMap<&Digest, usize> {
        let mut users = HashMap::new();
        for digest in self.images.iter().flat_map(Inventoried::parts) {
            *users.entry(digest).or_default() += 1;
        }
        users
    }

    /// The length of a part, there or in the base.
    pub(super) fn len_of(&self, digest: &Digest) -> u64 {
        let len = self.held.get(digest).or_else(|| self.base.get(digest));
        len.copied().unwrap_or_default()
    }

    /// Reads a manifest; `None` when it is not found. Blocks.
    pub(super) fn manifest(&self, digest: &Digest) -> Result<Option<Manifest>, OpsError> {
        match self.manifests.get(digest) {
            Some(manifest) => Ok(Some(manifest.clone())),
            None => Ok(self.source.read_listed(digest)?),
        }
    }
}

/// Takes stock by reading every manifest.
async fn resolve(cx: &Context, catalog: &Catalog) -> Result<Inventory, OpsError> {
    let (wanted, collisions) = catalog.survey().await?;
    let problems: Vec<String> = collisions.iter().map(ambiguous_name).collect();
    for problem in &problems {
        cx.warn(problem);
    }
    let mut batch = Batch::resolve(cx, catalog.source(), wanted, OnFailure::GoOn).await;
    read_platforms(catalog.source(), &mut batch).await;
    let mut inventory = Inventory {
        kind: catalog.kind(),
        source: catalog.shared_source(),
        images: Vec::with_capacity(batch.plan.images.len()),
        held: HashMap::new(),
        base: HashMap::new(),
        manifests: HashMap::new(),
        damaged: Vec::new(),
        problems,
    };
    for image in &batch.plan.images {
        for manifest in image.all_manifests() {
            let len = manifest.bytes().len() as u64;
            inventory.held.insert(manifest.digest().clone(), len);
            let digest = manifest.digest().clone();
            inventory.manifests.insert(digest, manifest.clone());
        }
        for (blob, _) in image.all_blobs() {
            inventory.held.insert(blob.digest.clone(), blob.size);
        }
        inventory.images.push(Inventoried {
            name: image.wanted.name.clone(),
            repository: image.wanted.destination.repository.clone(),
            tag: image.wanted.destination.tag.clone(),
            digest: image.top().digest().clone(),
            media_type: image.top().media_type().to_string(),
            platforms: image.platforms().iter().map(ToString::to_string).collect(),
            n_referrers: image.n_referrers(),
            groups: groups(image),
        });
    }
    for report in batch.reports() {
        if let ImageStatus::Failed { text, .. } = &report.status {
            inventory.damaged.push(DamagedImage {
                image: report.image.clone(),
                error: text.clone(),
                reason: None,
            });
        }
    }
    Ok(inventory)
}

fn groups(image: &Resolved) -> Vec<Group> {
    let digests =
        |manifests: &[Manifest]| manifests.iter().map(Manifest::digest).cloned().collect();
    let blobs = |blobs: &[Descriptor]| blobs.iter().map(|blob| blob.digest.clone()).collect();
    let mut groups = vec![Group {
        referrer: None,
        tops: vec![image.top().digest().clone()],
        manifests: digests(&image.manifests),
        blobs: blobs(&image.blobs),
        location: image.location.clone(),
    }];
    groups.extend(image.referrers.iter().map(|referrer| {
        Group {
            referrer: Some(referrer.tag.clone()),
            tops: match referrer.kind {
                ReferrerTagKind::Cosign => vec![referrer.top().digest().clone()],
                // The index that lists them is made where it is needed.
                ReferrerTagKind::Index => {
                    let entries = referrer.entries();
                    entries.iter().map(|entry| entry.digest().clone()).collect()
                }
            },
            manifests: digests(&referrer.manifests),
            blobs: blobs(&referrer.blobs),
            location: referrer
                .locations
                .first()
                .unwrap_or(&image.location)
                .clone(),
        }
    }));
    groups
}

/// Reads of each image of one manifest what its configuration says that it runs on, where it has one
/// that can be read.
pub(super) async fn read_platforms(source: &dyn Source, batch: &mut Batch) {
    let mut found = Vec::with_capacity(batch.plan.images.len());
    for image in &batch.plan.images {
        let platform = platform_of(source, &image.location, image.top()).await;
        // A configuration that cannot be read is complained of where it is carried.
        found.push(platform.ok().flatten());
    }
    batch.set_platforms(found);
}

/// The platform in an image's configuration. It is not trusted, and a bundle refuses texts that
/// cannot be printed.
fn platform_in(config: &bridge::FileRange) -> Option<Platform> {
    let platform = ImageConfig::parse(&read_range(config)?)?.platform;
    platform.is_printable().then_some(platform)
}

fn is_readable_config(config: &Descriptor) -> bool {
    config.media_type.is_image_config() && config.size <= CONFIG_LEN_MAX
}

/// Reads a short range, or not.
pub(super) fn read_range(range: &bridge::FileRange) -> Option<Vec<u8>> {
    let len = usize::try_from(range.len).ok()?;
    crate::fsx::read_range(&range.file, &range.path, range.offset, len).ok()
}
