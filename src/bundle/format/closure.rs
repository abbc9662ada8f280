//! Checks that a bundle contains everything that the manifests of its images reference.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use super::manifest::{BundleImage, BundleManifest};
use crate::error::{BundleError, ImageProblem};
use hod_oci::{Digest, Manifest, MediaType};

/// The references in the manifests of a bundle, collected while they are read.
#[derive(Debug)]
pub(crate) struct Closure<'a> {
    manifest: &'a BundleManifest,
    /// Of each image's top manifest.
    media_types: HashMap<&'a Digest, &'a MediaType>,
    read: HashMap<Digest, References>,
}

#[derive(Debug)]
struct References {
    media_type: MediaType,
    children: Vec<(Digest, u64)>,
    blobs: Vec<(Digest, u64)>,
}

/// The result of [`Closure::check`].
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) problems: Vec<BundleError>,
    /// Content that is permitted to be absent.
    pub(crate) notes: Vec<String>,
}

impl<'a> Closure<'a> {
    pub(crate) fn new(manifest: &'a BundleManifest) -> Self {
        let images = manifest.images.iter();
        Self {
            manifest,
            media_types: images.map(|i| (&i.digest, &i.media_type)).collect(),
            read: HashMap::new(),
        }
    }

    /// Adds the manifest with this digest, which `bytes` must have.
    pub(crate) fn add(&mut self, digest: &Digest, bytes: Vec<u8>) -> Result<(), BundleError> {
        let manifest = parse_manifest(digest, bytes, self.media_types.get(digest).copied())?;
        let pair = |d: &hod_oci::Descriptor| (d.digest.clone(), d.size);
        let references = References {
            media_type: manifest.media_type().clone(),
            children: manifest.children().iter().map(pair).collect(),
            blobs: manifest.stored_blobs().map(pair).collect(),
        };
        self.read.insert(digest.clone(), references);
        Ok(())
    }

    /// Compares the listed blobs of every image with those that its manifests reference.
    ///
    /// An index may lack some of its children, when only some platforms are carried, but not all.
    pub(crate) fn check(&self) -> Findings {
        let blobs = self.manifest.blobs.iter();
        let base = self.manifest.base.iter().map(|b| (&b.digest, b.size));
        let sizes: HashMap<&Digest, u64> = blobs.map(|b| (&b.digest, b.size)).chain(base).collect();
        let mut findings = Findings::default();
        for image in &self.manifest.images {
            self.check_image(image, &sizes, &mut findings);
        }
        findings
    }

    fn check_image(
        &self,
        image: &BundleImage,
        sizes: &HashMap<&Digest, u64>,
        findings: &mut Findings,
    ) {
        let manifests: HashSet<&Digest> = image.manifests.iter().collect();
        let blobs: HashSet<&Digest> = image.blobs.iter().collect();
        let mut problems = Vec::new();
        let mut n_absent = 0;
        let mut n_children = 0;
        for digest in &image.manifests {
            // Not read for a reason that is reported already.
            let Some(references) = self.read.get(digest) else {
                continue;
            };
            if *digest == image.digest && references.media_type != image.media_type {
                let media_type = image.media_type.as_str().escape_debug().to_string();
                problems.push(ImageProblem::MediaType { media_type });
            }
            let is_here = |child: &&(Digest, u64)| manifests.contains(&child.0);
            let n_here = references.children.iter().filter(is_here).count();
            if n_here == 0 && !references.children.is_empty() {
                let digest = digest.clone();
                problems.push(ImageProblem::EmptyIndex { digest });
            }
            n_children += references.children.len();
            n_absent += references.children.len() - n_here;
            let children = references.children.iter().filter(is_here);
            for (needed, expected) in children.chain(&references.blobs) {
                let is_listed = manifests.contains(needed) || blobs.contains(needed);
                match sizes.get(needed).filter(|_| is_listed) {
                    None => problems.push(ImageProblem::Absent {
                        digest: needed.clone(),
                    }),
                    Some(actual) if actual != expected => problems.push(ImageProblem::Length {
                        digest: needed.clone(),
                        expected: *expected,
                        actual: *actual,
                    }),
                    Some(_) => {}
                }
            }
        }
        if n_absent > 0 && problems.is_empty() {
            findings.notes.push(format!(
                "image `{}` has {} of the {n_children} manifests of its index",
                image.name(),
                n_children - n_absent,
            ));
        }
        let name = image.name();
        let errors = problems.into_iter().map(|problem| BundleError::Image {
            image: name.clone(),
            problem,
        });
        findings.problems.extend(errors);
    }
}

/// Parses a manifest whose bytes are known to have the digest.
pub(crate) fn parse_manifest(
    digest: &Digest,
    bytes: Vec<u8>,
    declared: Option<&MediaType>,
) -> Result<Manifest, BundleError> {
    Manifest::parse_as(Bytes::from(bytes), digest.clone(), declared).map_err(|source| {
        BundleError::Manifest {
            digest: digest.clone(),
            source,
        }
    })
}
