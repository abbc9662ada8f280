//! `ls`: what a source holds, and what each image costs.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::batch::Batch;
use super::{Catalog, Context, ImageStatus, OpsError};
use crate::bridge;
use crate::list::RenameRules;
use crate::oci::{Digest, ImageConfig, Manifest, ManifestBody, sum_len};
use crate::transfer::{BlobContent, OnFailure, ReferrerMode, Resolved, Source};

/// The longest configuration that is read for its platform, in bytes.
const CONFIG_LEN_MAX: u64 = 8 * 1024 * 1024;

/// One image of a source.
#[derive(Debug, Clone, Serialize)]
pub struct ImageFacts {
    pub image: String,
    pub digest: Digest,
    pub media_type: String,
    /// The platforms of the children that are carried, or of the image itself.
    pub platforms: Vec<String>,
    /// How many signatures, attestations, SBOMs and the like are about it or its parts.
    pub referrers: usize,
    /// Bytes of blobs and manifests that no other image here has, those of referrers included.
    pub own_bytes: u64,
    /// Bytes that other images here have too.
    pub shared_bytes: u64,
}

/// All images of a source.
#[derive(Debug, Clone, Serialize)]
pub struct ImagesOutcome {
    pub kind: &'static str,
    pub images: Vec<ImageFacts>,
    /// Bytes of all blobs and manifests, each counted once.
    pub total_bytes: u64,
    /// Images that cannot be read, and why.
    pub damaged: Vec<DamagedImage>,
}

/// An image that cannot be read.
#[derive(Debug, Clone, Serialize)]
pub struct DamagedImage {
    pub image: String,
    pub error: String,
}

/// Lists the images of a store, tree, bundle or directory of layouts.
pub async fn images(cx: &Context, source: &Path) -> Result<ImagesOutcome, OpsError> {
    let catalog = Catalog::open(source, &cx.reading)?;
    let wanted = catalog.wanted(None, &RenameRules::default(), ReferrerMode::Carry)?;
    let batch = Batch::resolve(cx, catalog.source(), wanted, OnFailure::GoOn).await;
    let mut users: BTreeMap<Digest, (u64, usize)> = BTreeMap::new();
    for image in &batch.plan.images {
        for (digest, len) in parts(image) {
            users.entry(digest).or_insert((len, 0)).1 += 1;
        }
    }
    let mut images = Vec::with_capacity(batch.plan.images.len());
    for image in &batch.plan.images {
        let (mut own_bytes, mut shared_bytes) = (0, 0);
        for (digest, len) in parts(image) {
            match users.get(&digest) {
                Some((_, 1)) => own_bytes = sum_len([own_bytes, len]),
                _ => shared_bytes = sum_len([shared_bytes, len]),
            }
        }
        images.push(ImageFacts {
            image: image.wanted.name.clone(),
            digest: image.top().digest().clone(),
            media_type: image.top().media_type().to_string(),
            referrers: image.n_referrers(),
            platforms: platforms(catalog.source(), image).await,
            own_bytes,
            shared_bytes,
        });
    }
    let damaged = batch
        .reports()
        .iter()
        .filter_map(|report| match &report.status {
            ImageStatus::Failed { text, .. } => Some(DamagedImage {
                image: report.image.clone(),
                error: text.clone(),
            }),
            _ => None,
        })
        .collect();
    Ok(ImagesOutcome {
        kind: catalog.kind().as_str(),
        images,
        total_bytes: sum_len(users.values().map(|(len, _)| *len)),
        damaged,
    })
}

/// Each once.
fn parts(image: &Resolved) -> BTreeMap<Digest, u64> {
    let manifest = |manifest: &Manifest| (manifest.digest().clone(), manifest.bytes().len() as u64);
    let blobs = image
        .all_blobs()
        .map(|(blob, _)| (blob.digest.clone(), blob.size));
    image.all_manifests().map(manifest).chain(blobs).collect()
}

/// The platforms that the index names, or the configuration; none for an artifact.
async fn platforms(source: &Source, image: &Resolved) -> Vec<String> {
    if let ManifestBody::Image(manifest) = image.top().body() {
        if !manifest.config.media_type.is_image_config() || manifest.config.size > CONFIG_LEN_MAX {
            return Vec::new();
        }
        let content = source.open_blob(&image.location, &manifest.config).await;
        let Ok(BlobContent::File(range)) = content else {
            return Vec::new();
        };
        let config = bridge::run(move || {
            let len = usize::try_from(range.len).unwrap_or_default();
            let bytes = crate::fsx::read_range(&range.file, &range.path, range.offset, len).ok()?;
            ImageConfig::parse(&bytes)
        });
        return config
            .await
            .map(|config| config.platform.to_string())
            .into_iter()
            .collect();
    }
    image.platforms().iter().map(ToString::to_string).collect()
}
