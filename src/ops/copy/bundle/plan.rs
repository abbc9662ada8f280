//! Plans the content of a bundle from the resolved images.

use std::collections::{BTreeSet, HashSet};

use super::BundleTarget;
use super::extra_files::ExtraFiles;
use crate::OpsError;
use crate::baseline::Baseline;
use crate::batch::Batch;
use hod_bundle::{
    BaseOrigin, BundleError, BundleFile, BundleImage, Compression, PackBlob, PackPlan, Planned,
};
use hod_oci::{Digest, Manifest, RepositoryName, Tag, sum_len};
use hod_template::{BundleKind, Facts, ImageFacts};
use hod_transfer::{Referrer, Resolved};

/// The name of a bundle that has none, and goes to a stream.
const UNNAMED: &str = "bundle";

/// The file name of the output without its extension, and the kind that the extension states.
fn file_kind(target: &BundleTarget) -> (String, BundleKind) {
    let name = target.output.file_name().unwrap_or_default();
    let name = name.to_string_lossy();
    let stem = name
        .strip_suffix(".tar.zst")
        .or_else(|| name.strip_suffix(".tar"));
    let Some(stem) = stem else {
        // A stream has no name; its reader most likely stores it under the name of the bundle.
        let name = target.name.as_deref().unwrap_or(UNNAMED);
        return (name.to_owned(), BundleKind::One);
    };
    let kind = match target.compression {
        Compression::Raw => BundleKind::One,
        Compression::Zstd { .. } => BundleKind::Compressed,
    };
    (stem.to_owned(), kind)
}

pub(super) fn pack_plan(
    target: &BundleTarget,
    batch: &Batch,
    baseline: &Baseline,
    extra: &ExtraFiles,
) -> Result<Planned, OpsError> {
    let mut images: Vec<BundleImage> = batch.plan.images.iter().map(bundle_image).collect();
    let mut tagged: BTreeSet<(RepositoryName, Tag)> = images
        .iter()
        .filter_map(|image| Some((image.repository.clone(), image.tag.clone()?)))
        .collect();
    let mut manifests: Vec<Manifest> = Vec::new();
    for image in &batch.plan.images {
        manifests.extend(image.manifests.iter().cloned());
        for referrer in &image.referrers {
            // Images may have it in common, and it may be listed as an image itself.
            let repository = &image.wanted.destination.repository;
            if tagged.insert((repository.clone(), referrer.tag.clone())) {
                images.push(bundle_referrer(repository, referrer));
                manifests.extend(referrer.with_top());
            }
        }
    }
    let used: HashSet<&Digest> = images.iter().flat_map(|image| &image.blobs).collect();
    let mut blobs: Vec<PackBlob> = Vec::new();
    for manifest in &manifests {
        let size = manifest.bytes().len() as u64;
        blobs.push(PackBlob {
            digest: manifest.digest().clone(),
            size,
            is_manifest: true,
        });
    }
    blobs.sort_by(|a, b| a.digest.cmp(&b.digest));
    blobs.dedup_by(|a, b| a.digest == b.digest);
    let planned = batch.plan.blobs.iter();
    let planned = planned.filter(|blob| used.contains(&blob.descriptor.digest));
    blobs.extend(planned.map(|blob| PackBlob {
        digest: blob.descriptor.digest.clone(),
        size: blob.descriptor.size,
        is_manifest: false,
    }));
    let divided = baseline.divide(blobs);
    let (stem, kind) = file_kind(target);
    let name = target.name.clone().unwrap_or_else(|| stem.clone());
    let mut list: Vec<String> = batch
        .plan
        .images
        .iter()
        .map(|image| list_line(image) + "\n")
        .collect();
    list.sort();
    // Like the rest of the bundle, in an order independent of the list's.
    let mut images_facts: Vec<ImageFacts> = batch.plan.images.iter().map(image_facts).collect();
    images_facts.sort_by(|a, b| a.name.cmp(&b.name));
    let (n_blobs, n_base) = (divided.blobs.len(), divided.base.len());
    let len = sum_len(divided.blobs.iter().map(|blob| blob.size));
    let base_titles: Vec<String> = divided.origins.iter().map(BaseOrigin::title).collect();
    let facts = |kind| Facts {
        name: name.clone(),
        version: target.version.clone(),
        stem: stem.clone(),
        kind,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        images: images_facts.clone(),
        n_blobs,
        len,
        n_base,
        base: base_titles.clone(),
        tools: extra.tools.clone(),
        files: extra.files.clone(),
        set: extra.set.clone(),
    };
    let own = [("images-list.txt", list.concat())];
    let plan = PackPlan {
        name: name.clone(),
        version: target.version.clone(),
        images,
        blobs: divided.blobs,
        files: Vec::new(),
        origins: divided.origins,
        base: divided.base,
        volume_size: target.volume_size,
        mtime: target.mtime,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        signer: target.signer.clone(),
    };
    let planned = with_files(&plan, kind, |kind| extra.files(&facts(kind), &own))?;
    let bytes = |manifest: &Manifest| (manifest.digest().clone(), manifest.bytes().clone());
    Ok(planned.with_manifests(manifests.iter().map(bytes)))
}

/// Lays the plan out with the files that `files` returns for a kind of bundle, and the lists for
/// `sha256sum -c`.
///
/// The number of volumes depends on their content, which includes the texts that state it.
pub(crate) fn with_files(
    plan: &PackPlan,
    kind: BundleKind,
    files: impl Fn(BundleKind) -> Result<Vec<BundleFile>, OpsError>,
) -> Result<Planned, OpsError> {
    let fill = |kind| {
        let mut plan = plan.clone();
        plan.files.extend(files(kind)?);
        let sums = hod_bundle::checksum_files(&plan);
        plan.files.extend(sums);
        plan.lay_out().map_err(|error| match error {
            BundleError::Text { field } if matches!(field, "name" | "version") => {
                OpsError::BundleText { field }
            }
            error => error.into(),
        })
    };
    let planned = fill(kind)?;
    if planned.manifest().n_volumes > 1 {
        return fill(BundleKind::Volumes);
    }
    Ok(planned)
}

/// The image as a line of a list that finds it in this bundle.
fn list_line(image: &Resolved) -> String {
    let destination = &image.wanted.destination;
    match &destination.tag {
        Some(tag) => format!("{}:{tag}", destination.repository),
        None => format!("{}@{}", destination.repository, image.top().digest()),
    }
}

fn bundle_image(image: &Resolved) -> BundleImage {
    let top = image.top();
    BundleImage {
        repository: image.wanted.destination.repository.clone(),
        tag: image.wanted.destination.tag.clone(),
        digest: top.digest().clone(),
        media_type: top.media_type().clone(),
        manifests: image
            .manifests
            .iter()
            .map(Manifest::digest)
            .cloned()
            .collect(),
        platforms: image.platforms(),
        blobs: image.blobs.iter().map(|blob| blob.digest.clone()).collect(),
    }
}

/// A referrer is an image like any other in a bundle, known by its tag.
fn bundle_referrer(repository: &RepositoryName, referrer: &Referrer) -> BundleImage {
    let manifests = referrer.with_top();
    let top = referrer.top();
    BundleImage {
        repository: repository.clone(),
        tag: Some(referrer.tag.clone()),
        digest: top.digest().clone(),
        media_type: top.media_type().clone(),
        manifests: manifests.iter().map(Manifest::digest).cloned().collect(),
        platforms: Vec::new(),
        blobs: referrer
            .blobs
            .iter()
            .map(|blob| blob.digest.clone())
            .collect(),
    }
}

fn image_facts(image: &Resolved) -> ImageFacts {
    ImageFacts {
        name: list_line(image),
        digest: image.top().digest().clone(),
        len: sum_len(image.blobs.iter().map(|blob| blob.size)),
    }
}
