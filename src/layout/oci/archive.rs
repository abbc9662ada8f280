//! An OCI layout in a tar.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::entry::{OldIndex, index};
use super::{INDEX, MARKER, MARKER_TEXT, OciEntry, blob_member};
use crate::LayoutError;
use hod_fsx::Durability;
use hod_oci::{Descriptor, Digest, Manifest};
use hod_tarball::{EntryPath, PlannedTar};

/// The content of an archive to be written.
#[derive(Debug)]
pub struct OciArchivePlan {
    pub images: Vec<OciEntry>,
    /// The `index.json`; by default, it is made of `images`.
    pub index: Option<Vec<u8>>,
    /// Each once, or more often.
    pub manifests: Vec<Manifest>,
    pub blobs: Vec<Descriptor>,
    /// The time of every member, in seconds since 1970.
    pub mtime: u64,
}

/// An archive that is being built, which appears at its destination when it is complete.
///
/// Blobs may be written from several threads, in any order; the bytes are the same in the end.
#[derive(Debug)]
pub struct OciArchiveWriter {
    tar: PlannedTar,
    path: std::path::PathBuf,
    /// Blobs that are not written yet.
    missing: Mutex<BTreeSet<Digest>>,
}

/// The place of a blob in an archive.
#[derive(Debug)]
pub(crate) struct ArchiveMember {
    writer: Arc<OciArchiveWriter>,
    path: EntryPath,
    digest: Digest,
    /// How much was written.
    at: u64,
}

impl OciArchivePlan {
    /// The length of the archive in bytes.
    pub fn archive_len(&self) -> u64 {
        PlannedTar::len_of(&self.members().0)
    }

    /// The members with their lengths, and the index.
    fn members(&self) -> (BTreeMap<EntryPath, u64>, Vec<u8>) {
        let made = || index(&self.images, &OldIndex::default());
        let index = self.index.clone().unwrap_or_else(made);
        let mut members = BTreeMap::from([
            (entry_path(MARKER), MARKER_TEXT.len() as u64),
            (entry_path(INDEX), index.len() as u64),
        ]);
        for manifest in &self.manifests {
            let member = entry_path(&blob_member(manifest.digest()));
            members.insert(member, manifest.bytes().len() as u64);
        }
        for blob in &self.blobs {
            members.insert(entry_path(&blob_member(&blob.digest)), blob.size);
        }
        (members, index)
    }
}

impl OciArchiveWriter {
    /// Starts an archive that becomes `destination`, whose directory must exist; an existing file
    /// is replaced.
    pub fn create(destination: &Path, plan: &OciArchivePlan) -> Result<Self, LayoutError> {
        let (members, index) = plan.members();
        let tar = PlannedTar::create(destination, &members, plan.mtime)?;
        tar.write_at(&entry_path(MARKER), MARKER_TEXT, 0)?;
        tar.write_at(&entry_path(INDEX), &index, 0)?;
        for manifest in &plan.manifests {
            let member = entry_path(&blob_member(manifest.digest()));
            tar.write_at(&member, manifest.bytes(), 0)?;
        }
        let missing = plan.blobs.iter().map(|blob| blob.digest.clone());
        Ok(Self {
            tar,
            path: destination.to_owned(),
            missing: Mutex::new(missing.collect()),
        })
    }

    /// Publishes the archive, if it is complete.
    pub fn commit(self, durability: Durability) -> Result<(), LayoutError> {
        let missing = self.missing.into_inner().expect("no panic while exporting");
        if let Some(digest) = missing.into_iter().next() {
            let path = self.path;
            return Err(LayoutError::Incomplete { path, digest });
        }
        self.tar.commit(durability)?;
        Ok(())
    }
}

impl ArchiveMember {
    pub(crate) fn new(archive: &Arc<OciArchiveWriter>, digest: &Digest) -> Self {
        Self {
            writer: Arc::clone(archive),
            path: entry_path(&blob_member(digest)),
            digest: digest.clone(),
            at: 0,
        }
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), hod_fsx::Error> {
        self.writer.tar.write_at(&self.path, bytes, self.at)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Counts the blob as written.
    pub(crate) fn keep(self) {
        let missing = self.writer.missing.lock();
        missing
            .expect("no panic while exporting")
            .remove(&self.digest);
    }
}

fn entry_path(text: &str) -> EntryPath {
    text.parse().expect("names of a layout are plain paths")
}
