//! What to pack, and in how many volumes.

use super::file::{BundleFile, FileContent};
use super::planned::{Planned, ROUNDS_MAX};
use super::split;
use crate::error::BundleError;
use crate::format::check::{blob_key, check, image_key};
use crate::format::volume::Volume;
use crate::format::{
    BaseBlob, BaseOrigin, BundleBlob, BundleFileEntry, BundleImage, BundleManifest, Placement,
};
use crate::sign::Signer;
use hod_oci::Digest;
use hod_tarball::ALIGNMENT;

/// The content of a bundle. Equal plans produce equal bytes, regardless of the order of their
/// lists.
#[derive(Debug, Clone)]
pub struct PackPlan {
    pub name: String,
    pub version: Option<String>,
    pub images: Vec<BundleImage>,
    /// Every manifest, and every config and layer that is not in the base, each once.
    pub blobs: Vec<PackBlob>,
    pub files: Vec<BundleFile>,
    /// The bundles, stores and registries that have the blobs of the base.
    pub origins: Vec<BaseOrigin>,
    /// Blobs that the target must have already.
    pub base: Vec<BaseBlob>,
    /// Maximum size of a volume in bytes; `None` for one volume of any length.
    pub volume_size: Option<u64>,
    /// The time of every member, in seconds since 1970.
    pub mtime: u64,
    /// The version of hod.
    pub tool_version: String,
    /// Signs the bundle, if given.
    pub signer: Option<Signer>,
}

/// A blob to pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackBlob {
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Whether it is a manifest, and not a config or layer.
    pub is_manifest: bool,
}

impl PackPlan {
    /// Sorts and checks the plan, divides it into volumes, and computes every offset.
    ///
    /// Reads no blob: the digests of parts are zeros until the bundle is written.
    pub fn lay_out(&self) -> Result<Planned, BundleError> {
        let (mut manifest, files) = self.sorted();
        split::assign_to_one(&mut manifest);
        check(&manifest)?;
        let planned = self.planned(manifest, files)?;
        let Some(volume_size) = self.volume_size else {
            return Ok(planned);
        };
        let single = &planned.volumes[0];
        if single.len() <= volume_size {
            return Ok(planned);
        }
        match self.divide(&planned, volume_size) {
            Err(BundleError::VolumeTooSmall { size, enough }) => Err(BundleError::VolumeTooSmall {
                size,
                enough: self.enough_size(&planned, enough)?,
            }),
            divided => divided,
        }
    }

    fn planned(
        &self,
        manifest: BundleManifest,
        files: Vec<FileContent>,
    ) -> Result<Planned, BundleError> {
        let mut planned = Planned::new(manifest, files)?;
        planned.is_divided = self.volume_size.is_some();
        planned.signer.clone_from(&self.signer);
        Ok(planned)
    }

    /// Divides the content of `planned`, which is one volume.
    fn divide(&self, planned: &Planned, volume_size: u64) -> Result<Planned, BundleError> {
        let single = &planned.volumes[0];
        // The lengths of the json files depend on the division. Start from their lengths in one
        // volume, which are nearly right, and increase them when they turn out too small.
        let mut common = single.common_len(&planned.manifest);
        for _ in 0..ROUNDS_MAX {
            let mut manifest = planned.manifest.clone();
            split::assign(&mut manifest, single, volume_size, common)?;
            let divided = self.planned(manifest, planned.files.clone())?;
            let largest = divided.volumes.iter().map(Volume::len).max();
            let excess = largest.unwrap_or_default().saturating_sub(volume_size);
            if excess == 0 {
                check(&divided.manifest)?;
                return Ok(divided);
            }
            common += excess.next_multiple_of(ALIGNMENT);
        }
        Err(BundleError::TooLarge)
    }

    /// Returns the first power of two of at least `at_least` that is large enough for a volume.
    ///
    /// Not the smallest size: there the index takes most of thousands of volumes, and each attempt
    /// lays out all of them.
    fn enough_size(&self, planned: &Planned, at_least: u64) -> Result<u64, BundleError> {
        let single = &planned.volumes[0];
        let at_least = at_least.max(2 * single.common_len(&planned.manifest));
        let mut size = at_least.next_power_of_two();
        while size < single.len() {
            match self.divide(planned, size) {
                Err(
                    BundleError::VolumeTooSmall { .. }
                    | BundleError::TooManyVolumes { .. }
                    | BundleError::TooLarge,
                ) => size *= 2,
                divided => return divided.map(|_| size),
            }
        }
        Ok(size)
    }

    fn sorted(&self) -> (BundleManifest, Vec<FileContent>) {
        let mut images = self.images.clone();
        images.sort_by(|a, b| image_key(a).cmp(&image_key(b)));
        let blob = |blob: &PackBlob| BundleBlob {
            digest: blob.digest.clone(),
            size: blob.size,
            is_manifest: blob.is_manifest,
            place: Placement::Everywhere,
        };
        let mut blobs: Vec<BundleBlob> = self.blobs.iter().map(blob).collect();
        blobs.sort_by(|a, b| blob_key(a).cmp(&blob_key(b)));
        let mut base = self.base.clone();
        base.sort_by(|a, b| a.digest.cmp(&b.digest));
        let mut files: Vec<&BundleFile> = self.files.iter().collect();
        files.sort_by_key(|file| file.path.as_str());
        let file = |file: &&BundleFile| BundleFileEntry {
            path: file.path.clone(),
            size: file.content.len(),
            digest: file.content.digest(),
            executable: file.executable,
            volume: (!file.is_everywhere).then_some(1),
        };
        let manifest = BundleManifest {
            // Filled in when all else is known.
            id: Digest::of(&[]),
            name: self.name.clone(),
            version: self.version.clone(),
            tool_version: self.tool_version.clone(),
            created: self.mtime,
            n_volumes: 1,
            signed_by: self.signer.as_ref().map(Signer::key_id),
            images,
            blobs,
            files: files.iter().map(file).collect(),
            origins: self.origins.clone(),
            base,
        };
        let files = files.iter().map(|file| file.content.clone()).collect();
        (manifest, files)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::ops::ControlFlow;
    use std::path::PathBuf;
    use std::sync::Mutex;

    use super::*;
    use crate::format::json::{self, Offsets};
    use crate::tests::sample::{Sample, sample};
    use crate::{BundleWriter, Compression, CopyContext, VerificationCache};
    use hod_fsx::FileRange;
    use hod_oci::MediaType;

    /// A plan of `n` artifacts of two small blobs.
    fn plan(n: usize, name_len: usize) -> PackPlan {
        let digest = |kind: &str, at: usize| Digest::of(format!("{kind}{at}").as_bytes());
        let blob = |kind: &str, at: usize| PackBlob {
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
            origins: Vec::new(),
            base: Vec::new(),
            volume_size: None,
            mtime: 0,
            tool_version: "1".to_owned(),
            signer: None,
        }
    }

    #[test]
    fn every_plan_can_be_laid_out() {
        let mut n_padded = 0;
        for n in [1, 7] {
            for name_len in 1..256 {
                let planned = plan(n, name_len).lay_out();
                let planned = planned.expect("it has a layout");
                let (read, offsets) = json::parse_bundle(&planned.bundle_json).expect("it reads");
                assert_eq!(read.id, planned.manifest.id);
                assert_eq!(Offsets::of(&read, &planned.volumes), offsets);
                json::parse_volume_identity(&planned.volume_jsons[0]).expect("it reads");
                n_padded += usize::from(planned.bundle_json.ends_with(b" "));
            }
        }
        // Those that had no end of changing each other.
        assert!(n_padded > 0, "the test meets what it is about");
    }

    /// A plan to carry a file in a bundle, and the file's path and text.
    fn with_file(text: &str) -> (Sample, PathBuf) {
        let mut sample = sample();
        let path = sample.path("file");
        let content = FileContent::Path {
            path: path.clone(),
            len: text.len() as u64,
            digest: Digest::of(text.as_bytes()),
        };
        sample.plan.files.push(BundleFile {
            path: "charts/chart".parse().unwrap(),
            content,
            executable: false,
            is_everywhere: false,
        });
        hod_fsx::write_file(&path, text.as_bytes()).unwrap();
        (sample, path)
    }

    /// Whether it is longer, shorter, or just other bytes.
    #[test]
    fn a_file_that_changed_since_it_was_looked_at_is_refused() {
        for (before, after) in [("chart", "charts"), ("chart", "char"), ("chart", "trash")] {
            for compression in [Compression::Raw, Compression::Zstd { level: 1 }] {
                let (sample, path) = with_file(before);
                sample.try_write("a.tar", compression, 2).unwrap();
                hod_fsx::write_file(&path, after.as_bytes()).unwrap();
                let error = sample.try_write("b.tar", compression, 2).unwrap_err();
                let is_seen =
                    matches!(&error, BundleError::FileChanged { path: at } if *at == path);
                assert!(is_seen, "{after}: {error}");
                assert!(hod_fsx::try_stat(&sample.path("b.tar")).unwrap().is_none());
            }
        }
    }

    /// A directory may be as long as the file was.
    #[test]
    fn a_file_that_is_none_any_more_is_named() {
        let dir_len = |sample: &Sample| {
            hod_fsx::create_dir_all(&sample.path("dir")).unwrap();
            usize::try_from(hod_fsx::stat(&sample.path("dir")).unwrap().len).unwrap()
        };
        let (other, _) = with_file("chart");
        for (len, becomes_dir) in [(5, false), (5, true), (dir_len(&other), true)] {
            for compression in [Compression::Raw, Compression::Zstd { level: 1 }] {
                let (sample, path) = with_file(&"x".repeat(len));
                hod_fsx::remove_file(&path).unwrap();
                if becomes_dir {
                    hod_fsx::create_dir_all(&path).unwrap();
                }
                let error = sample.try_write("a.tar", compression, 2).unwrap_err();
                let is_named = match &error {
                    BundleError::ReadFile { path: at, .. } => *at == path,
                    BundleError::FileChanged { path: at } => becomes_dir && *at == path,
                    _ => false,
                };
                assert!(is_named, "{len} {becomes_dir}: {error:?}");
            }
        }
    }

    /// Hears which files are asked for and noted.
    #[derive(Default)]
    struct Recording(Mutex<BTreeSet<PathBuf>>);

    impl Recording {
        fn note(&self, blob: &FileRange) {
            self.0.lock().unwrap().insert(blob.path.clone());
        }
    }

    impl VerificationCache for Recording {
        fn is_verified(&self, _: &Digest, blob: &FileRange) -> bool {
            self.note(blob);
            false
        }

        fn record_verified(&self, _: &Digest, blob: &FileRange) {
            self.note(blob);
        }

        fn record_damaged(&self, blob: &FileRange) {
            self.note(blob);
        }
    }

    /// Right or wrong, and long enough for it.
    #[test]
    fn nothing_is_noted_of_the_users_files() {
        for compression in [Compression::Raw, Compression::Zstd { level: 1 }] {
            let (sample, path) = with_file(&"x".repeat(1 << 20));
            let heard = Recording::default();
            let write = || {
                let context = CopyContext {
                    cache: &heard,
                    on_bytes: &|_| ControlFlow::Continue(()),
                };
                let options = sample.options("a.tar", (compression, 2));
                sample.put_all(
                    BundleWriter::create(sample.planned().unwrap(), options),
                    &context,
                )
            };
            write().unwrap();
            hod_fsx::write_file(&path, "y".repeat(1 << 20).as_bytes()).unwrap();
            write().unwrap_err();
            let heard = heard.0.lock().unwrap();
            let blobs = BTreeSet::from([sample.path("blobs")]);
            assert_eq!(*heard, blobs, "and not `{}`", path.display());
        }
    }
}
