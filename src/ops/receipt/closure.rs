//! All that a registry has of an image, by the manifests that name it.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, TryStreamExt as _};

use hod_oci::{Digest, Manifest, MediaTypeKind};
use hod_registry::{Client, ManifestRef, ReferrerFinder, RegistryError, Repo};

/// Maximum nesting of indexes, and of referrers of referrers.
const DEPTH_MAX: usize = 8;
/// Maximum number of manifests of one image, and of its referrers.
const MANIFESTS_MAX: usize = 1000;
/// Number of manifests of one image looked up at once.
const LOOKUPS_AT_ONCE: usize = 8;

/// An image with everything that belongs to it.
#[derive(Debug, Default)]
pub(super) struct Closure {
    pub(super) manifests: BTreeSet<Digest>,
    /// Configs and layers with their lengths from the manifests.
    pub(super) blobs: BTreeMap<Digest, u64>,
}

/// All manifests of an image that its registry has, and the configs and layers that they name; none
/// when it does not have the image. Children that an index names and that are not there are not
/// claimed.
pub(super) async fn closure(
    client: &Client,
    repo: &Repo,
    at: &ManifestRef,
) -> Result<Closure, RegistryError> {
    let mut found = Closure::default();
    let Some(top) = client.manifests.fetch(repo, at).await? else {
        return Ok(found);
    };
    let mut level: Vec<Manifest> = vec![top];
    let mut n_manifests = 1;
    for _ in 0..=DEPTH_MAX {
        let mut below = Vec::new();
        for manifest in &level {
            found.manifests.insert(manifest.digest().clone());
            let blobs = manifest.stored_blobs();
            found
                .blobs
                .extend(blobs.map(|blob| (blob.digest.clone(), blob.size)));
            below.extend(manifest.children().iter().cloned());
        }
        let mut next = Vec::new();
        for child in below {
            // Build caches list layers in an index.
            let is_blob = child.media_type.kind() == MediaTypeKind::Blob;
            if found.manifests.contains(&child.digest) || n_manifests >= MANIFESTS_MAX {
                continue;
            }
            if is_blob && !child.media_type.as_str().is_empty() {
                found.blobs.insert(child.digest.clone(), child.size);
                continue;
            }
            n_manifests += 1;
            let at = ManifestRef::Digest(child.digest.clone());
            next.extend(client.manifests.fetch(repo, &at).await?);
        }
        if next.is_empty() {
            break;
        }
        level = next;
    }
    Ok(found)
}

/// The referrers (signatures, attestations, SBOMs) of an image and of its parts, recursively.
pub(super) async fn about(
    client: &Client,
    finder: &ReferrerFinder,
    repo: &Repo,
    image: &Closure,
) -> Result<Closure, RegistryError> {
    let mut found = Closure::default();
    let mut subjects: Vec<Digest> = image.manifests.iter().cloned().collect();
    for _ in 0..DEPTH_MAX {
        let ways: Vec<Vec<ManifestRef>> = futures_util::stream::iter(&subjects)
            .map(|subject| ways_to(finder, repo, subject))
            .buffered(LOOKUPS_AT_ONCE)
            .try_collect()
            .await?;
        let mut next = Vec::new();
        for at in ways.into_iter().flatten() {
            let is_known = matches!(&at, ManifestRef::Digest(d) if found.manifests.contains(d));
            if is_known || found.manifests.len() >= MANIFESTS_MAX {
                continue;
            }
            let more = closure(client, repo, &at).await?;
            for manifest in more.manifests {
                if !image.manifests.contains(&manifest) && found.manifests.insert(manifest.clone())
                {
                    next.push(manifest);
                }
            }
            found.blobs.extend(more.blobs);
        }
        if next.is_empty() {
            break;
        }
        subjects = next;
    }
    Ok(found)
}

/// The referrers of one manifest, and the tags that lead to them.
async fn ways_to(
    finder: &ReferrerFinder,
    repo: &Repo,
    subject: &Digest,
) -> Result<Vec<ManifestRef>, RegistryError> {
    let listed = finder.list(repo, subject).await?;
    let tags = finder.cosign_tags(repo, subject).await?;
    let listed = listed.into_iter().map(ManifestRef::Digest);
    Ok(listed
        .chain(tags.into_iter().map(ManifestRef::Tag))
        .collect())
}
