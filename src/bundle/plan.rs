//! What to pack, and whether it makes sense: the same rules for a plan and for a bundle that is read.

use std::collections::{HashMap, HashSet};

use super::entry_path::EntryPath;
use super::error::{BlobProblem, BundleError, ImageProblem};
use super::format::{self, BundleBlob, BundleFileEntry, BundleImage, BundleManifest};
use super::volume::{self, Volume};
use crate::oci::{Digest, MANIFEST_LEN_MAX, MediaTypeKind};

/// The longest name, version and the like, in bytes.
const TEXT_LEN_MAX: usize = 255;
/// How often the lengths of the json files may change each other, mostly by digits of offsets.
const ROUNDS_MAX: usize = 64;
/// How often they may become smaller by it, too.
const ROUNDS_FREE: usize = 8;

/// All that goes into a bundle; equal plans make equal bytes, whatever the order of what they list.
#[derive(Debug, Clone)]
pub struct PackPlan {
    pub name: String,
    pub version: Option<String>,
    pub images: Vec<BundleImage>,
    /// Every manifest, config and layer of the images, each once.
    pub blobs: Vec<BundleBlob>,
    pub files: Vec<BundleFile>,
    /// The time of every member, in seconds since 1970.
    pub mtime: u64,
    /// The version of hod that packs.
    pub tool_version: String,
}

/// A small file that goes into a bundle for people to use.
#[derive(Debug, Clone)]
pub struct BundleFile {
    pub path: EntryPath,
    pub bytes: Vec<u8>,
    pub executable: bool,
}

/// A bundle of which every byte but the blobs' is known.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) manifest: BundleManifest,
    pub(super) volume: Volume,
    pub(super) volume_json: Vec<u8>,
    pub(super) bundle_json: Vec<u8>,
    /// In the order of the manifest's files.
    pub(super) files: Vec<Vec<u8>>,
}

impl PackPlan {
    /// Sorts and checks the plan, and computes every offset.
    pub(super) fn lay_out(&self) -> Result<Planned, BundleError> {
        let mut images = self.images.clone();
        images.sort_by(|a, b| image_key(a).cmp(&image_key(b)));
        let mut blobs = self.blobs.clone();
        blobs.sort_by(|a, b| blob_key(a).cmp(&blob_key(b)));
        let mut files: Vec<&BundleFile> = self.files.iter().collect();
        files.sort_by_key(|file| file.path.as_str());
        let mut manifest = BundleManifest {
            // Filled in when all else is known.
            id: Digest::of(&[]),
            name: self.name.clone(),
            version: self.version.clone(),
            tool_version: self.tool_version.clone(),
            created: self.mtime,
            images,
            blobs,
            files: files
                .iter()
                .map(|file| BundleFileEntry {
                    path: file.path.clone(),
                    size: file.bytes.len() as u64,
                    digest: Digest::of(&file.bytes),
                    executable: file.executable,
                })
                .collect(),
        };
        check(&manifest)?;
        let files = files.iter().map(|file| file.bytes.clone()).collect();
        // The offsets in the two json files depend on how long these are, and these on the offsets.
        let mut lens = (0, 0);
        for round in 0..ROUNDS_MAX {
            let volume = Volume::new(&manifest, lens)?;
            // A longer file may make an offset smaller, where the padding before a blob cannot have
            // just any length. Then they would change each other for ever, and may only grow.
            let len_min = if round < ROUNDS_FREE { (0, 0) } else { lens };
            let (id, bundle_json) = format::render_bundle(&manifest, &volume, len_min.1)?;
            manifest.id = id;
            let bundle_digest = (&Digest::of(&bundle_json), len_min.0);
            let volume_json = format::render_volume(&manifest, &volume, bundle_digest)?;
            let now = (volume_json.len() as u64, bundle_json.len() as u64);
            if now == lens {
                return Ok(Planned {
                    manifest,
                    volume,
                    volume_json,
                    bundle_json,
                    files,
                });
            }
            lens = now;
        }
        Err(BundleError::TooLarge)
    }
}

/// Sorted by repository, tag and digest; images without a tag come first.
fn image_key(image: &BundleImage) -> (&str, Option<&str>, &Digest) {
    (
        image.repository.as_str(),
        image.tag.as_ref().map(crate::oci::Tag::as_str),
        &image.digest,
    )
}

/// Manifests first, so that one pass knows what is to come.
fn blob_key(blob: &BundleBlob) -> (bool, &Digest) {
    (!blob.is_manifest, &blob.digest)
}

/// Checks that the images need exactly the blobs that are listed, and that all is in its order.
///
/// Links and sizes inside the manifests are another matter: see [`super::closure`].
pub(super) fn check(manifest: &BundleManifest) -> Result<(), BundleError> {
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
        let problem = super::error::MemberProblem::OutOfOrder;
        return Err(BundleError::member(file.path.as_str(), problem));
    }
    for pair in manifest.blobs.windows(2) {
        if blob_key(&pair[0]) >= blob_key(&pair[1]) {
            return Err(blob_problem(&pair[1], BlobProblem::Order));
        }
    }
    for pair in manifest.images.windows(2) {
        if image_key(&pair[0]) >= image_key(&pair[1]) {
            return Err(image_problem(&pair[1], ImageProblem::Order));
        }
    }
    check_images(manifest)
}

fn check_text(field: &'static str, text: Option<&String>) -> Result<(), BundleError> {
    match text.map(String::as_str) {
        None => Ok(()),
        Some("") => Err(BundleError::Text { field }),
        Some(text) => check_printable(field, text),
    }
}

/// Whatever a bundle says of itself may be shown on a terminal.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::MediaType;

    /// A plan of `n` artifacts of two small blobs.
    fn plan(n: usize, name_len: usize) -> PackPlan {
        let digest = |kind: &str, at: usize| Digest::of(format!("{kind}{at}").as_bytes());
        let blob = |kind: &str, at: usize| BundleBlob {
            digest: digest(kind, at),
            size: 300,
            is_manifest: kind == "manifest",
        };
        let image = |at: usize| BundleImage {
            repository: format!("app/a{at}").parse().expect("a name"),
            tag: Some("1".parse().expect("a tag")),
            digest: digest("manifest", at),
            media_type: MediaType::new(MediaType::OCI_MANIFEST),
            manifests: vec![digest("manifest", at)],
            platforms: Vec::new(),
            blobs: vec![digest("config", at), digest("layer", at)],
        };
        let kinds = ["manifest", "config", "layer"];
        PackPlan {
            name: "x".repeat(name_len),
            version: None,
            images: (0..n).map(image).collect(),
            blobs: kinds
                .iter()
                .flat_map(|kind| (0..n).map(|at| blob(kind, at)))
                .collect(),
            files: Vec::new(),
            mtime: 0,
            tool_version: "1".to_owned(),
        }
    }

    #[test]
    fn every_plan_can_be_laid_out() {
        let mut n_padded = 0;
        for n in [1, 7] {
            for name_len in 140..165 {
                let planned = plan(n, name_len).lay_out();
                let planned = planned.expect("it has a layout");
                let (read, offsets) = format::parse_bundle(&planned.bundle_json).expect("it reads");
                assert_eq!(read.id, planned.manifest.id);
                assert!(planned.volume.blob_offsets().eq(offsets));
                format::check_volume_count(&planned.volume_json).expect("it reads");
                n_padded += usize::from(planned.bundle_json.ends_with(b" "));
            }
        }
        // Those that had no end of changing each other.
        assert!(n_padded > 0, "the test meets what it is about");
    }
}
