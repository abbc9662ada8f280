//! `SHA256SUMS` and the like: what a bundle holds, for plain `sha256sum -c` where it was untarred.

use std::collections::BTreeMap;

use super::file::{BundleFile, FileContent};
use super::plan::PackPlan;
use crate::format::paths::blob_path;
use hod_oci::Algorithm;
use hod_tarball::EntryPath;

/// Lists the blobs and files of a plan by the algorithm of their digests, each where it lies in the
/// tree; a blob in parts as the file that `cat` joins them to. Link files are left out: they only
/// name digests. A list is made where there is something for it.
///
/// To be called last: the lists do not list each other, nor what is added later.
pub fn checksum_files(plan: &PackPlan) -> Vec<BundleFile> {
    let mut lists: BTreeMap<&str, BTreeMap<String, String>> = BTreeMap::new();
    let blobs = plan.blobs.iter();
    let blobs = blobs.map(|blob| (blob_path(&blob.digest), blob.digest.clone()));
    let files = plan.files.iter();
    let files = files.map(|file| (file.path.to_string(), file.content.digest()));
    for (path, digest) in blobs.chain(files) {
        let name = match digest.algorithm() {
            Algorithm::Sha256 => "SHA256SUMS",
            Algorithm::Sha384 => "SHA384SUMS",
            Algorithm::Sha512 => "SHA512SUMS",
        };
        let sums = lists.entry(name).or_default();
        sums.insert(path, digest.hex().to_owned());
    }
    let lists = lists.into_iter();
    lists
        .map(|(name, sums)| {
            let lines = sums.iter().map(|(path, hex)| format!("{hex}  {path}\n"));
            let path: EntryPath = name.parse().expect("a plain file name is a valid path");
            BundleFile {
                path,
                content: FileContent::Bytes(lines.collect::<String>().into_bytes()),
                executable: false,
                is_everywhere: true,
            }
        })
        .collect()
}
