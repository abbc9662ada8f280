//! Takes the inventory of a bundle from its own description.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::super::SourceKind;
use super::content::{Group, Inventoried, Inventory, is_readable_config, platform_in};
use hod_bundle::{Bundle, BundleImage, BundleManifest};
use hod_oci::{Digest, ManifestBody, ReferrerTag, ReferrerTagKind, RepositoryName};
use hod_transfer::{Location, Source};

/// Builds the inventory of a bundle. Blocks; reads only the configs of images whose platform is not
/// stated.
pub(super) fn read(
    kind: SourceKind,
    source: Arc<dyn Source>,
    document: &BundleManifest,
) -> Inventory {
    let bundle = source.as_bundle().map(Arc::as_ref);
    let sizes = document.blobs.iter();
    let held: HashMap<Digest, u64> = sizes.map(|blob| (blob.digest.clone(), blob.size)).collect();
    let base = document.base.iter();
    let base = base.map(|blob| (blob.digest.clone(), blob.size)).collect();
    let images = families(document)
        .into_iter()
        .map(|family| inventoried(document, &family, bundle))
        .collect();
    Inventory {
        kind,
        images,
        held,
        base,
        manifests: HashMap::new(),
        absent: Vec::new(),
        damaged: Vec::new(),
        problems: Vec::new(),
        source,
    }
}

/// The positions of an image and of those that are about it, by their tags.
type Family = Vec<usize>;

/// Groups images with their referrers; a referrer belongs to every image that it refers to.
fn families(document: &BundleManifest) -> Vec<Family> {
    let images = &document.images;
    // From a manifest of a repository to the images that have it.
    let mut members: HashMap<(&RepositoryName, &Digest), Vec<usize>> = HashMap::new();
    for (at, image) in images.iter().enumerate() {
        for digest in &image.manifests {
            let of = members.entry((&image.repository, digest)).or_default();
            of.push(at);
        }
    }
    let mut about: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut is_root = vec![true; images.len()];
    for (at, image) in images.iter().enumerate() {
        let Some(form) = image.tag.as_ref().and_then(ReferrerTag::parse) else {
            continue;
        };
        let subjects: Vec<usize> = match form.subject() {
            Some(subject) => {
                let found = members.get(&(&image.repository, &subject));
                found.into_iter().flatten().copied().collect()
            }
            // The tag contains a truncated digest.
            None => members
                .iter()
                .filter(|((name, digest), _)| *name == &image.repository && form.is_about(digest))
                .flat_map(|(_, of)| of.iter().copied())
                .collect(),
        };
        for of in subjects.into_iter().filter(|&of| of != at) {
            about.entry(of).or_default().push(at);
            is_root[at] = false;
        }
    }
    let mut families = Vec::new();
    for root in (0..images.len()).filter(|&at| is_root[at]) {
        let (mut family, mut seen) = (vec![root], BTreeSet::from([root]));
        let mut next = 0;
        while let Some(of) = family.get(next) {
            for &at in about.get(of).into_iter().flatten() {
                if seen.insert(at) {
                    family.push(at);
                }
            }
            next += 1;
        }
        families.push(family);
    }
    families
}

fn inventoried(
    document: &BundleManifest,
    family: &[usize],
    bundle: Option<&Bundle>,
) -> Inventoried {
    let members = family.iter().map(|&at| &document.images[at]);
    let image = &document.images[family[0]];
    let mut groups: Vec<Group> = members.clone().map(group).collect();
    groups[0].referrer = None;
    let platforms: Vec<String> = image.platforms.iter().map(ToString::to_string).collect();
    Inventoried {
        name: image.name(),
        repository: image.repository.clone(),
        tag: image.tag.clone(),
        digest: image.digest.clone(),
        media_type: image.media_type.to_string(),
        platforms: match bundle {
            Some(bundle) if platforms.is_empty() => {
                config_platform(bundle, image).into_iter().collect()
            }
            _ => platforms,
        },
        n_referrers: members.skip(1).map(n_referrers).sum(),
        groups,
    }
}

fn group(image: &BundleImage) -> Group {
    Group {
        referrer: image.tag.clone(),
        tops: vec![image.digest.clone()],
        manifests: image.manifests.clone(),
        blobs: image.blobs.clone(),
        location: Location::Pool,
    }
}

/// The number of referrers that an image represents, by its tag: an index lists all except itself.
fn n_referrers(image: &BundleImage) -> usize {
    let form = image.tag.as_ref().and_then(ReferrerTag::parse);
    match form.map(|form| form.kind) {
        Some(ReferrerTagKind::Index) => image.manifests.len().saturating_sub(1),
        _ => 1,
    }
}

/// The platform in the configuration of an image with one manifest, for bundles that do not state
/// it: older ones, or those with an artifact.
fn config_platform(bundle: &Bundle, image: &BundleImage) -> Option<String> {
    let manifest = bundle.read_manifest(&image.digest).ok()??;
    let ManifestBody::Image(body) = manifest.body() else {
        return None;
    };
    if !is_readable_config(&body.config) {
        return None;
    }
    let ranges = bundle.open_blob(&body.config.digest)?;
    let [range] = ranges.as_slice() else {
        return None;
    };
    platform_in(range).map(|platform| platform.to_string())
}
