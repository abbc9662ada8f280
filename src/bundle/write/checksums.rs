//! `SHA256SUMS` and similar lists of a bundle's content, for `sha256sum -c` after extraction.

use std::collections::BTreeMap;

use super::file::{BundleFile, FileContent};
use super::plan::PackPlan;
use crate::format::paths::blob_path;
use hod_oci::Algorithm;
use hod_tarball::EntryPath;

/// Lists the blobs and files of a plan by the algorithm of their digests, each with its path in the
/// tree; a blob in parts with the path of the file that `cat` joins. Link files are left out: they
/// only name digests. Empty lists are not created.
///
/// Call it last: the lists contain neither each other nor files that are added later.
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
