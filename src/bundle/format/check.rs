//! Checks that the description of a bundle is consistent, both when it is written and when it is
//! read.

use std::collections::{HashMap, HashSet};

use super::manifest::{
    BaseBlob, BundleBlob, BundleImage, BundleManifest, Held, N_VOLUMES_MAX, Placement,
};
use super::volume;
use crate::error::{BlobProblem, BundleError, ImageProblem, MemberProblem};
use hod_oci::{Digest, MANIFEST_LEN_MAX, MediaTypeKind, sum_len};

/// Maximum length of a name, a version and similar texts, in bytes.
const TEXT_LEN_MAX: usize = 255;

/// Sorted by repository, tag and digest; images without a tag come first.
pub(crate) fn image_key(image: &BundleImage) -> (&str, Option<&str>, &Digest) {
    (
        image.repository.as_str(),
        image.tag.as_ref().map(hod_oci::Tag::as_str),
        &image.digest,
    )
}

/// Manifests first, so that a reader in one pass has them before the other blobs.
pub(crate) fn blob_key(blob: &BundleBlob) -> (bool, &Digest) {
    (!blob.is_manifest, &blob.digest)
}

/// Checks that the images require exactly the listed blobs, and that all lists are sorted.
///
/// References in the manifests are checked by [`super::closure`].
pub(crate) fn check(manifest: &BundleManifest) -> Result<(), BundleError> {
    check_text("name", Some(&manifest.name))?;
    check_text("version", manifest.version.as_ref())?;
    check_text("tool version", Some(&manifest.tool_version))?;
    for platform in manifest.images.iter().flat_map(|image| &image.platforms) {
        // Artifacts may leave any of it empty.
        check_printable("platform", &platform.os)?;
        check_printable("platform", &platform.architecture)?;
        for text in [&platform.variant, &platform.os_version] {
            check_printable("platform", text.as_deref().unwrap_or_default())?;
        }
    }
    volume::check_files(manifest)?;
    let sorted = manifest.files.is_sorted_by(|a, b| a.path < b.path);
    if let (false, Some(file)) = (sorted, manifest.files.first()) {
        let problem = MemberProblem::OutOfOrder;
        return Err(BundleError::member(file.path.as_str(), problem));
    }
    for pair in manifest.blobs.windows(2) {
        if blob_key(&pair[0]) >= blob_key(&pair[1]) {
            return Err(blob_problem(&pair[1], BlobProblem::Order));
        }
    }
    check_places(manifest)?;
    check_base(manifest)?;
    for pair in manifest.images.windows(2) {
        if image_key(&pair[0]) >= image_key(&pair[1]) {
            return Err(image_problem(&pair[1], ImageProblem::Order));
        }
    }
    check_images(manifest)
}

/// Checks that the volume of every blob and file exists, and that parts are in the order that
/// reading in one pass requires.
fn check_places(manifest: &BundleManifest) -> Result<(), BundleError> {
    let volumes = 1..=manifest.n_volumes;
    if !(1..=N_VOLUMES_MAX).contains(&manifest.n_volumes) {
        let problem = MemberProblem::VolumeCount {
            n: manifest.n_volumes,
            n_max: N_VOLUMES_MAX,
        };
        return Err(BundleError::member("hod/bundle.json", problem));
    }
    for file in &manifest.files {
        if file.volume.is_some_and(|volume| !volumes.contains(&volume)) {
            let problem = MemberProblem::Volume;
            return Err(BundleError::member(file.path.as_str(), problem));
        }
    }
    // The volumes that a blob continues from, those that one continues into, and those that have
    // whole blobs.
    let (mut out, mut into, mut whole) = (HashSet::new(), HashSet::new(), HashSet::new());
    for blob in &manifest.blobs {
        let is_good = match &blob.place {
            Placement::Everywhere => blob.is_manifest,
            Placement::Volume(volume) => {
                whole.insert(*volume);
                !blob.is_manifest && volumes.contains(volume)
            }
            Placement::Parts(parts) => {
                let mut is_good = !blob.is_manifest
                    && parts.len() > 1
                    && sum_len(parts.iter().map(|part| part.size)) == blob.size;
                for pair in parts.windows(2) {
                    is_good &= pair[0].volume.checked_add(1) == Some(pair[1].volume)
                        && out.insert(pair[0].volume)
                        && into.insert(pair[1].volume);
                }
                is_good && parts.iter().all(|part| volumes.contains(&part.volume))
            }
        };
        if !is_good {
            return Err(blob_problem(blob, BlobProblem::Placement));
        }
    }
    // A volume in the middle of a blob has no other blobs.
    for blob in &manifest.blobs {
        let parts = blob.parts();
        let middle = parts.get(1..parts.len().saturating_sub(1));
        if middle
            .unwrap_or_default()
            .iter()
            .any(|part| whole.contains(&part.volume))
        {
            return Err(blob_problem(blob, BlobProblem::Placement));
        }
    }
    Ok(())
}

fn check_base(manifest: &BundleManifest) -> Result<(), BundleError> {
    for origin in &manifest.origins {
        check_text("origin", Some(&origin.name))?;
        check_text("origin", origin.version.as_ref())?;
    }
    for pair in manifest.base.windows(2) {
        if pair[0].digest >= pair[1].digest {
            return Err(base_problem(&pair[1], BlobProblem::Order));
        }
    }
    for blob in &manifest.base {
        let is_known = |held: &Held| held.origin < manifest.origins.len();
        if !blob.held.iter().all(is_known) {
            return Err(base_problem(blob, BlobProblem::UnknownOrigin));
        }
    }
    Ok(())
}

fn base_problem(blob: &BaseBlob, problem: BlobProblem) -> BundleError {
    BundleError::Blob {
        digest: blob.digest.clone(),
        problem,
    }
}

fn check_text(field: &'static str, text: Option<&String>) -> Result<(), BundleError> {
    match text.map(String::as_str) {
        None => Ok(()),
        Some("") => Err(BundleError::Text { field }),
        Some(text) => check_printable(field, text),
    }
}

/// Texts of a bundle may be shown on a terminal.
fn check_printable(field: &'static str, text: &str) -> Result<(), BundleError> {
    if text.len() > TEXT_LEN_MAX || text.chars().any(char::is_control) {
        return Err(BundleError::Text { field });
    }
    Ok(())
}

fn check_images(manifest: &BundleManifest) -> Result<(), BundleError> {
    let mut roles: HashMap<&Digest, bool> = HashMap::new();
    for blob in &manifest.blobs {
        // The same digest twice, once in each role.
        if roles.insert(&blob.digest, blob.is_manifest).is_some() {
            return Err(blob_problem(blob, BlobProblem::Order));
        }
    }
    for blob in &manifest.base {
        if roles.insert(&blob.digest, false).is_some() {
            return Err(base_problem(blob, BlobProblem::Order));
        }
    }
    let mut as_manifest: HashSet<&Digest> = HashSet::new();
    let mut used: HashSet<&Digest> = HashSet::new();
    for image in &manifest.images {
        if image.manifests.last() != Some(&image.digest) {
            return Err(image_problem(image, ImageProblem::TopNotLast));
        }
        if !matches!(
            image.media_type.kind(),
            MediaTypeKind::Image | MediaTypeKind::Index
        ) {
            let media_type = image.media_type.as_str().escape_debug().to_string();
            return Err(image_problem(image, ImageProblem::MediaType { media_type }));
        }
        for digest in image.manifests.iter().chain(&image.blobs) {
            if !roles.contains_key(digest) {
                let digest = digest.clone();
                return Err(image_problem(image, ImageProblem::Absent { digest }));
            }
            used.insert(digest);
        }
        as_manifest.extend(&image.manifests);
    }
    for blob in &manifest.base {
        if !used.contains(&blob.digest) {
            return Err(base_problem(blob, BlobProblem::Unused));
        }
        if as_manifest.contains(&blob.digest) {
            return Err(base_problem(blob, BlobProblem::Role));
        }
    }
    for blob in &manifest.blobs {
        if !used.contains(&blob.digest) {
            return Err(blob_problem(blob, BlobProblem::Unused));
        }
        if blob.is_manifest != as_manifest.contains(&blob.digest) {
            return Err(blob_problem(blob, BlobProblem::Role));
        }
        if blob.is_manifest && blob.size > MANIFEST_LEN_MAX {
            let len = blob.size;
            return Err(blob_problem(blob, BlobProblem::ManifestTooLong { len }));
        }
    }
    Ok(())
}

fn blob_problem(blob: &BundleBlob, problem: BlobProblem) -> BundleError {
    BundleError::Blob {
        digest: blob.digest.clone(),
        problem,
    }
}

fn image_problem(image: &BundleImage, problem: ImageProblem) -> BundleError {
    BundleError::Image {
        image: image.name(),
        problem,
    }
}
