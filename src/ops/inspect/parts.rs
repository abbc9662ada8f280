//! The manifests of an image in the order in which its index lists them.

use std::collections::{HashMap, HashSet};

use hod_oci::{Descriptor, Digest, Manifest, ManifestBody, MediaTypeKind, Platform};
use hod_transfer::{Resolved, is_about_another};

/// A manifest of an image: itself, or what its index lists.
pub(super) struct Part {
    pub(super) descriptor: Descriptor,
    pub(super) platform: Option<Platform>,
    /// `None` if the source does not have it.
    pub(super) manifest: Option<Manifest>,
    pub(super) is_index: bool,
    /// Whether it is an attestation of another one, as its index says.
    pub(super) is_about_another: bool,
}

impl Part {
    /// The platform, or the digest of a manifest without one.
    pub(super) fn name(&self) -> String {
        match &self.platform {
            Some(platform) => platform.to_string(),
            None => self.descriptor.digest.to_string(),
        }
    }
}

/// The manifests below the top, each once and without nested indexes; the top itself, if it is not
/// an index.
pub(super) fn below(resolved: &Resolved) -> Vec<Part> {
    let known = resolved.manifests.iter();
    let known: HashMap<&Digest, &Manifest> = known
        .map(|manifest| (manifest.digest(), manifest))
        .collect();
    let top = resolved.top();
    if let ManifestBody::Image(_) = top.body() {
        return vec![Part {
            descriptor: top.descriptor(),
            platform: resolved.platform.clone(),
            manifest: Some(top.clone()),
            is_index: false,
            is_about_another: false,
        }];
    }
    let mut parts = Vec::new();
    // Every manifest was read once, so that this ends even where indexes list each other.
    let mut seen = HashSet::from([top.digest()]);
    let mut rest: Vec<&Descriptor> = top.children().iter().rev().collect();
    while let Some(child) = rest.pop() {
        if !seen.insert(&child.digest) {
            continue;
        }
        let manifest = known.get(&child.digest).copied();
        if let Some(manifest) = manifest
            && let ManifestBody::Index(_) = manifest.body()
        {
            rest.extend(manifest.children().iter().rev());
            continue;
        }
        let platform = child.platform.clone();
        parts.push(Part {
            platform: platform.filter(|platform| !platform.is_unknown() && platform.is_printable()),
            manifest: manifest.cloned(),
            is_index: child.media_type.kind() == MediaTypeKind::Index,
            is_about_another: is_about_another(child),
            descriptor: child.clone(),
        });
    }
    parts
}
