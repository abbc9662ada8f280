//! Files that a bundle carries besides the blobs.

use std::path::PathBuf;
use std::sync::Arc;

use super::options::WriteOptions;
use crate::error::BundleError;
use crate::hashing::{ReadFailure, read_through};
use hod_fsx::FileRange;
use hod_oci::Digest;
use hod_tarball::EntryPath;

/// A file other than a blob.
#[derive(Debug, Clone)]
pub struct BundleFile {
    pub path: EntryPath,
    pub content: FileContent,
    pub executable: bool,
    /// Whether every volume has it, as for small texts for people, or only one volume.
    pub is_everywhere: bool,
}

/// The content of a [`BundleFile`].
#[derive(Debug, Clone)]
pub enum FileContent {
    Bytes(Vec<u8>),
    /// A range of an open bundle, which must have this digest.
    Range(FileRange, Digest),
    /// A file that is opened when it is written, since the number of open files is limited.
    Path {
        path: PathBuf,
        /// Its length and digest when it was planned; a changed file is refused.
        len: u64,
        digest: Digest,
    },
}

impl FileContent {
    /// Returns its length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Range(range, _) => range.len,
            Self::Path { len, .. } => *len,
        }
    }

    /// Returns whether its length is 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn digest(&self) -> Digest {
        match self {
            Self::Bytes(bytes) => Digest::of(bytes),
            Self::Range(_, digest) | Self::Path { digest, .. } => digest.clone(),
        }
    }

    /// Reads content that is not in memory and passes it to `take`; fails if the file has changed
    /// since it was planned.
    pub(crate) fn read(
        &self,
        options: &WriteOptions,
        take: impl FnMut(&[u8]) -> Result<(), BundleError>,
    ) -> Result<(), BundleError> {
        let (Some(range), digest) = (self.open()?, self.digest()) else {
            return Ok(());
        };
        let changed = || BundleError::FileChanged {
            path: range.path.clone(),
        };
        if range.len != self.len() {
            return Err(changed());
        }
        let read_failure = |read_failure| match read_failure {
            ReadFailure::Read(source) => BundleError::ReadFile {
                path: range.path.clone(),
                source,
            },
            ReadFailure::Ends(_) => changed(),
            ReadFailure::Thread(source) => options.thread_error(source),
        };
        match read_through(&range, Some(digest.algorithm()), read_failure, take)? {
            Some(actual) if actual != digest => Err(changed()),
            _ => Ok(()),
        }
    }

    /// Opens content that is not in memory. The range has the current length of the file.
    pub(crate) fn open(&self) -> Result<Option<FileRange>, BundleError> {
        match self {
            Self::Bytes(_) => Ok(None),
            Self::Range(range, _) => Ok(Some(range.clone())),
            Self::Path { path, .. } => {
                let opened = hod_fsx::open(path).and_then(|file| {
                    let len = hod_fsx::len_of(&file, path)?;
                    Ok((file, len))
                });
                let (file, len) = opened.map_err(|source| BundleError::ReadFile {
                    path: path.clone(),
                    source,
                })?;
                Ok(Some(FileRange {
                    file: Arc::new(file),
                    path: path.clone(),
                    offset: 0,
                    len,
                }))
            }
        }
    }
}
