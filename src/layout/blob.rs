//! A blob on its way into a layout, a directory or an archive.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::LayoutError;
use super::oci::{ArchiveMember, OciArchiveWriter};
use hod_fsx::{Append, Durability, TempFile, VerifiedWriter};
use hod_oci::{Descriptor, Verifier};

/// A blob on its way into a layout; one that is not committed is not in it.
#[derive(Debug)]
pub struct BlobWriter(VerifiedWriter<BlobOutput>);

/// Where it goes.
#[derive(Debug)]
pub(super) enum BlobOutput {
    /// To a file, by this name when it is right.
    File(TempFile, PathBuf),
    /// To its place in an archive, which counts it when it is right.
    Member(ArchiveMember),
}

impl Append for BlobOutput {
    fn append(&mut self, bytes: &[u8]) -> Result<(), hod_fsx::Error> {
        match self {
            Self::File(file, _) => file.write_all(bytes),
            Self::Member(member) => member.append(bytes),
        }
    }
}

impl BlobWriter {
    pub(super) fn new(place: BlobOutput, expected: impl Into<Verifier>) -> Self {
        Self(VerifiedWriter::new(place, expected))
    }

    /// Begins a blob that the plan of the archive has, of the length that it has there.
    pub fn in_archive(archive: &Arc<OciArchiveWriter>, blob: &Descriptor) -> Self {
        let member = ArchiveMember::new(archive, &blob.digest);
        Self::new(BlobOutput::Member(member), blob)
    }

    /// Begins a blob that becomes the file `path`, whose directory is created.
    pub fn at(path: &Path, expected: impl Into<Verifier>) -> Result<Self, LayoutError> {
        let dir = hod_fsx::dir_of(path);
        hod_fsx::create_dir_all(dir)?;
        let temp = hod_fsx::TempFile::create_in(dir, "blob-")?;
        Ok(Self::new(BlobOutput::File(temp, path.to_owned()), expected))
    }

    /// Appends `bytes`.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), LayoutError> {
        Ok(self.0.write(bytes)?)
    }

    /// Keeps the blob if it has the expected digest and length.
    pub fn commit(self) -> Result<(), LayoutError> {
        match self.0.finish()? {
            BlobOutput::File(file, path) => file.persist(&path, Durability::Deferred)?,
            BlobOutput::Member(member) => member.keep(),
        }
        Ok(())
    }
}
