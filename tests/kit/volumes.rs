//! Bundles in volumes, made of others through the library.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hod_bundle::{
    Bundle, BundleFile, Compression, FileContent, PackBlob, PackPlan, ReadOptions, WriteOptions,
};
use hod_fsx::{Durability, FileRange};
use hod_oci::Digest;

use super::bundles::{whole, write};

/// The plan by which the raw bundle at `path`, of one volume, was packed.
pub fn plan_of(path: &Path) -> PackPlan {
    let bundle = Bundle::open(path, &ReadOptions::default()).unwrap();
    let manifest = bundle.manifest();
    let mut archive = tar::Archive::new(hod_fsx::open(path).unwrap());
    let mut files = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let mut listed = manifest.files.iter();
        let Some(file) = listed.find(|file| file.path.as_str() == path) else {
            continue;
        };
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        files.push(BundleFile {
            path: file.path.clone(),
            content: FileContent::Bytes(bytes),
            executable: file.executable,
            is_everywhere: file.volume.is_none(),
        });
    }
    let blob = |blob: &hod_bundle::BundleBlob| PackBlob {
        digest: blob.digest.clone(),
        size: blob.size,
        is_manifest: blob.is_manifest,
    };
    PackPlan {
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        images: manifest.images.clone(),
        blobs: manifest.blobs.iter().map(blob).collect(),
        files,
        origins: manifest.origins.clone(),
        base: manifest.base.clone(),
        volume_size: None,
        signer: None,
        mtime: manifest.created,
        tool_version: manifest.tool_version.clone(),
    }
}

/// Packs as `plan` says, with the blobs that `open` has; returns the paths of the volumes.
pub fn pack(
    plan: &PackPlan,
    output: &Path,
    open: &(dyn Fn(&Digest) -> FileRange + Sync),
) -> Vec<PathBuf> {
    let is_compressed = output.extension().is_some_and(|name| name == "zst");
    let options = WriteOptions {
        output: output.to_owned(),
        compression: if is_compressed {
            Compression::Zstd { level: 3 }
        } else {
            Compression::Raw
        },
        jobs: 2,
        durability: Durability::Deferred,
        only_volume: None,
    };
    let written = write(plan, options, open);
    written.files.into_iter().map(|(path, _)| path).collect()
}

/// Packs what is in the raw bundle at `from` anew, into volumes of at most `size` bytes.
pub fn divide(from: &Path, output: &Path, size: u64) -> Vec<PathBuf> {
    let mut plan = plan_of(from);
    plan.volume_size = Some(size);
    let bundle = Arc::new(Bundle::open(from, &ReadOptions::default()).unwrap());
    pack(&plan, output, &|digest| whole(&bundle, digest))
}

/// All volumes one after the other.
pub fn joined(volumes: &[PathBuf]) -> Vec<u8> {
    let volumes = volumes.iter();
    volumes
        .flat_map(|path| hod_fsx::read(path, u64::MAX - 1).unwrap())
        .collect()
}
