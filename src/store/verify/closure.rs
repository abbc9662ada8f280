//! Checks that every image is complete, by the links of its repository.

use std::collections::{BTreeMap, BTreeSet};

use hod_oci::{
    Descriptor, Digest, MANIFEST_LEN_MAX, Manifest, MediaTypeKind, ReferrerTag, RepositoryName,
};
use hod_report::amount::{format_count, format_len};

use super::problem::{Findings, Problem};
use super::tree::{BlobFile, RepositoryLinks};

/// Checks all repositories and returns the number of images.
///
/// The `damaged` blobs were reported already and are skipped.
pub(super) fn check(
    repositories: &BTreeMap<RepositoryName, RepositoryLinks>,
    blobs: &BTreeMap<Digest, BlobFile>,
    damaged: &BTreeSet<&Digest>,
    findings: &mut Findings,
) -> usize {
    let mut check = Check {
        blobs,
        damaged,
        revisions: repositories
            .values()
            .flat_map(|links| &links.revisions)
            .collect(),
        needed: BTreeSet::new(),
        findings,
    };
    let mut n_images = 0;
    let (mut n_dangling, mut n_without_history) = (0, 0);
    for (name, links) in repositories {
        n_images += check.repository(name, links);
        n_dangling += links
            .layers
            .iter()
            .filter(|&d| !blobs.contains_key(d))
            .count();
        n_without_history += links
            .tags
            .values()
            .filter(|tag| tag.current.as_ref().is_some_and(|d| !tag.past.contains(d)))
            .count();
    }
    let unneeded: Vec<u64> = blobs
        .iter()
        .filter(|(digest, _)| !check.needed.contains(*digest))
        .map(|(_, blob)| blob.len)
        .collect();
    let mut note = |n: usize, noun: &str, text: &str| {
        if n > 0 {
            let count = format_count(n, noun);
            findings.notes.push(format!("{count} {text}"));
        }
    };
    note(
        n_dangling,
        "layer link",
        "without data, as after garbage collection",
    );
    note(n_without_history, "tag", "without history");
    let len = format_len(unneeded.iter().sum());
    note(
        unneeded.len(),
        "blob",
        &format!("({len}) not used by any image"),
    );
    n_images
}

struct Check<'a> {
    blobs: &'a BTreeMap<Digest, BlobFile>,
    damaged: &'a BTreeSet<&'a Digest>,
    /// The manifests that belong to any repository.
    revisions: BTreeSet<&'a Digest>,
    /// The digests that any manifest of any repository needs.
    needed: BTreeSet<Digest>,
    findings: &'a mut Findings,
}

impl Check<'_> {
    /// Checks one repository and returns how many images it has.
    fn repository(&mut self, name: &RepositoryName, links: &RepositoryLinks) -> usize {
        if !links.has_layers_dir {
            let note = format!("`{name}` has no `_layers`, so registry 2.8 does not list it");
            self.findings.notes.push(note);
        }
        let mut rootless = links.revisions.clone();
        let mut n_images = 0;
        for (tag, of_tag) in &links.tags {
            for digest in of_tag.past.iter().chain(&of_tag.current) {
                rootless.remove(digest);
            }
            if !of_tag.has_current {
                self.report(Problem::EmptyTag {
                    repository: name.clone(),
                    tag: tag.clone(),
                });
            }
            let Some(digest) = &of_tag.current else {
                continue;
            };
            // A referrer belongs to its image and is not counted as one.
            let form = ReferrerTag::parse(tag);
            let is_referrer = form.is_some_and(|form| match form.subject() {
                Some(subject) => links.revisions.contains(&subject),
                None => links.revisions.iter().any(|d| form.is_about(d)),
            });
            n_images += usize::from(!is_referrer);
            if !links.revisions.contains(digest) {
                self.report(Problem::TagWithoutRevision {
                    repository: name.clone(),
                    tag: tag.clone(),
                    digest: digest.clone(),
                });
            }
        }
        for digest in &links.revisions {
            self.needed.insert(digest.clone());
            let Some(manifest) = self.read(name, digest) else {
                continue;
            };
            for child in manifest.children() {
                rootless.remove(&child.digest);
            }
            let subject = manifest.subject().map(|subject| &subject.digest);
            if subject.is_some_and(|subject| links.revisions.contains(subject)) {
                rootless.remove(digest);
            }
            self.children(name, links, &manifest);
            for blob in manifest.stored_blobs() {
                self.blob(name, links, &manifest, blob);
            }
            // Foreign layers may be there.
            let blobs = manifest.blobs().map(|blob| blob.digest.clone());
            self.needed.extend(blobs);
        }
        n_images + rootless.len()
    }

    /// Reads a manifest whose bytes were found to be right; `None`, reported, when that fails.
    fn read(&mut self, name: &RepositoryName, digest: &Digest) -> Option<Manifest> {
        let Some(blob) = self.blobs.get(digest) else {
            self.report(Problem::MissingManifest {
                repository: name.clone(),
                digest: digest.clone(),
            });
            return None;
        };
        if self.damaged.contains(digest) {
            return None;
        }
        if blob.len > MANIFEST_LEN_MAX {
            self.report(Problem::BadManifest {
                digest: digest.clone(),
                reason: format!("it is {} bytes", blob.len),
            });
            return None;
        }
        let bytes = match hod_fsx::read(&blob.path, MANIFEST_LEN_MAX) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.report(Problem::unreadable(&blob.path, &error));
                return None;
            }
        };
        match Manifest::parse_as(bytes.into(), digest.clone(), None) {
            Ok(manifest) => Some(manifest),
            Err(error) => {
                self.report(Problem::BadManifest {
                    digest: digest.clone(),
                    reason: error.to_string(),
                });
                None
            }
        }
    }

    /// Checks that all children of an index are present, or at least one and no trace of the
    /// others. A child that was deleted from the repository counts as absent.
    fn children(&mut self, name: &RepositoryName, links: &RepositoryLinks, index: &Manifest) {
        let (mut n_present, mut n_absent, mut n_deleted) = (0, 0, 0);
        for child in index.children() {
            if links.revisions.contains(&child.digest) {
                // Its bytes are checked as those of a revision.
                n_present += 1;
                self.size(index, child);
            } else if is_blob(child) && links.layers.contains(&child.digest) {
                n_present += 1;
                self.blob(name, links, index, child);
            } else if links.revision_dirs.contains(&child.digest) {
                n_absent += 1;
                n_deleted += 1;
            } else if self.is_lost(child) {
                n_present += 1;
                self.report(Problem::MissingRevisionLink {
                    repository: name.clone(),
                    index: index.digest().clone(),
                    child: child.digest.clone(),
                });
            } else {
                n_absent += 1;
            }
        }
        if n_absent > 0 && n_present + n_deleted == 0 {
            self.report(Problem::NoChildren {
                repository: name.clone(),
                digest: index.digest().clone(),
            });
        } else if n_absent > 0 {
            let (digest, n) = (index.digest(), n_absent + n_present);
            let note = format!(
                "index `{digest}` of `{name}` is sparse: {n_present} of {n} manifests found"
            );
            self.findings.notes.push(note);
        }
    }

    /// Whether a manifest that is not linked has bytes here that belong to no other repository, so
    /// that they can only have been this one's.
    fn is_lost(&self, child: &Descriptor) -> bool {
        self.blobs.contains_key(&child.digest) && !self.revisions.contains(&child.digest)
    }

    /// Checks a blob that a manifest needs.
    fn blob(
        &mut self,
        name: &RepositoryName,
        links: &RepositoryLinks,
        manifest: &Manifest,
        blob: &Descriptor,
    ) {
        self.needed.insert(blob.digest.clone());
        let (repository, digest) = (name.clone(), blob.digest.clone());
        let manifest_digest = manifest.digest().clone();
        if !self.blobs.contains_key(&digest) {
            self.report(Problem::MissingBlob {
                repository,
                manifest: manifest_digest,
                digest,
            });
        } else if !links.layers.contains(&digest) {
            self.report(Problem::MissingLayerLink {
                repository,
                manifest: manifest_digest,
                digest,
            });
        }
        self.size(manifest, blob);
    }

    /// Checks the length of a blob in a manifest.
    fn size(&mut self, manifest: &Manifest, blob: &Descriptor) {
        let Some(file) = self.blobs.get(&blob.digest) else {
            return;
        };
        if file.len != blob.size && !self.damaged.contains(&blob.digest) {
            self.report(Problem::WrongSize {
                manifest: manifest.digest().clone(),
                digest: blob.digest.clone(),
                expected: blob.size,
                actual: file.len,
            });
        }
    }

    fn report(&mut self, problem: Problem) {
        self.findings.problems.push(problem);
    }
}

/// Whether an index's entry is a blob and not a manifest, as in build caches.
fn is_blob(child: &Descriptor) -> bool {
    child.media_type.kind() == MediaTypeKind::Blob && !child.media_type.as_str().is_empty()
}
