//! `ls`: the images of a source and their sizes.

use serde::Serialize;

use super::input::Look;
use super::inventory::{Detail, Inventoried, Inventory};
use super::{Context, OpsError, SignatureFacts, UnreadImage, Verb};
use hod_bundle::{BundleManifest, Delta};
use hod_oci::{Digest, sum_len};

/// One image of a source.
#[derive(Debug, Clone, Serialize)]
pub struct ImageFacts {
    pub image: String,
    pub digest: Digest,
    pub media_type: String,
    /// The platforms of the children that are carried, or of the image itself.
    pub platforms: Vec<String>,
    /// The number of referrers (signatures, attestations, SBOMs) of the image and its parts.
    pub referrers: usize,
    /// Bytes of blobs and manifests that no other image here has, including referrers: the saving
    /// if the image is left out.
    pub own_bytes: u64,
    /// Bytes that other images here also have.
    pub shared_bytes: u64,
    /// The number of its blobs that a bundle does not contain, but requires at its target.
    pub base_blobs: usize,
    /// Their bytes, which count neither as own nor as shared.
    pub base_bytes: u64,
}

/// All images of a source.
#[derive(Debug, Clone, Serialize)]
pub struct ImagesOutcome {
    pub kind: &'static str,
    pub images: Vec<ImageFacts>,
    /// Bytes of all blobs and manifests, each counted once.
    pub total_bytes: u64,
    /// Bytes of those that several images have, each counted once.
    pub common_bytes: u64,
    /// Of a bundle that is read in place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volumes: Option<VolumeFacts>,
    /// Problems of the source as a whole: different images under one name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// Images that cannot be read or were not found, and why.
    pub damaged: Vec<UnreadImage>,
    /// The signature, if it is a signed bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<SignatureFacts>,
    /// The content required at the target, if it is a bundle that does not contain all of its
    /// images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta: Option<Delta>,
}

/// The volumes of a bundle.
#[derive(Debug, Clone, Serialize)]
pub struct VolumeFacts {
    pub count: u32,
    /// Those that were not found, counted from 1.
    pub missing: Vec<u32>,
}

/// In which order images are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageOrder {
    Name,
    /// By the space that leaving the image out would save, the largest first.
    Size,
}

/// Lists the images of a source.
///
/// Verifies only the index of a bundle; requests no layers from a registry.
pub fn images<'a>(cx: &'a Context, look: &'a Look, order: ImageOrder) -> Verb<'a, ImagesOutcome> {
    Box::pin(run(cx, look, order))
}

async fn run(cx: &Context, look: &Look, order: ImageOrder) -> Result<ImagesOutcome, OpsError> {
    let inventory = Inventory::take(cx, look, Detail::Platforms).await?;
    inventory.require_found()?;
    let users = inventory.users();
    let facts = |image: &Inventoried| {
        let mut facts = ImageFacts {
            image: image.name.clone(),
            digest: image.digest.clone(),
            media_type: image.media_type.clone(),
            platforms: image.platforms.clone(),
            referrers: image.n_referrers,
            own_bytes: 0,
            shared_bytes: 0,
            base_blobs: 0,
            base_bytes: 0,
        };
        for digest in image.parts() {
            let len = inventory.len_of(digest);
            let bytes = if inventory.base.contains_key(digest) {
                facts.base_blobs += 1;
                &mut facts.base_bytes
            } else if users[digest] == 1 {
                &mut facts.own_bytes
            } else {
                &mut facts.shared_bytes
            };
            *bytes = sum_len([*bytes, len]);
        }
        facts
    };
    let mut images: Vec<ImageFacts> = inventory.images.iter().map(facts).collect();
    if order == ImageOrder::Size {
        images.sort_by(|a, b| {
            let size = |image: &ImageFacts| (image.own_bytes, image.shared_bytes);
            size(b).cmp(&size(a)).then_with(|| a.image.cmp(&b.image))
        });
    }
    let held = users
        .iter()
        .filter(|(d, _)| inventory.held.contains_key(*d));
    let len = |(digest, _): (&&Digest, &usize)| inventory.len_of(digest);
    Ok(ImagesOutcome {
        kind: inventory.kind.as_str(),
        images,
        total_bytes: sum_len(held.clone().map(len)),
        common_bytes: sum_len(held.filter(|(_, n)| **n > 1).map(len)),
        volumes: inventory.source.as_bundle().map(|bundle| VolumeFacts {
            count: bundle.manifest().n_volumes,
            missing: bundle.missing_volumes(),
        }),
        signature: inventory.source.signed().and_then(SignatureFacts::of),
        delta: inventory.source.document().and_then(BundleManifest::delta),
        problems: inventory.problems,
        damaged: {
            let unread = inventory.absent.into_iter().chain(inventory.damaged);
            unread.map(|unread| unread.image).collect()
        },
    })
}
