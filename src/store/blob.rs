//! Blobs: reading them by digest, and writing them so that only whole ones appear.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fsx::{self, Durability, FileRange, LinkMode, TempDir, TempFile, TempName};
use crate::oci::{Algorithm, Descriptor, Digest, DigestHasher, MANIFEST_LEN_MAX, Manifest};

use super::stamp::{Soundness, Stamp};
use super::{Store, StoreError, stamp};

/// Whether the store has a blob, and whether it can be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holding {
    /// Nothing, or a file of another length.
    Absent,
    /// A file of its length, against which nothing speaks.
    Sound,
    /// A file of its length that was changed, and has another digest now.
    Damaged { actual: Digest },
}

/// Number of bytes read at once for hashing.
pub(super) const READ_LEN: usize = 256 * 1024;

impl Store {
    /// The path of a blob's data; the blob need not exist.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.tree().blob(digest)
    }

    /// The length of a blob in bytes; `None` when it is not found.
    pub fn blob_len(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        let stat = fsx::try_stat(&self.blob_path(digest))?;
        Ok(stat.filter(|stat| stat.is_file).map(|stat| stat.len))
    }

    /// Returns whether the store has a blob. A file that was changed after it was verified is
    /// hashed, which blocks; otherwise only its length is compared.
    pub fn holding(&self, blob: &Descriptor) -> Result<Holding, StoreError> {
        let Some((range, stamp)) = self.open_stamped(&blob.digest)? else {
            return Ok(Holding::Absent);
        };
        if range.len != blob.size {
            return Ok(Holding::Absent);
        }
        if stamp != Stamp::Broken {
            return Ok(Holding::Sound);
        }
        Ok(match stamp::examine(&blob.digest, &range)? {
            Soundness::Sound => {
                self.note_verified(&blob.digest, &range);
                Holding::Sound
            }
            Soundness::Damaged { actual } => Holding::Damaged { actual },
        })
    }

    /// Whether a blob's file was changed after it was verified, and is to be hashed before anything
    /// relies on it.
    pub fn is_suspect(&self, digest: &Digest) -> Result<bool, StoreError> {
        let file = fsx::try_open(&self.blob_path(digest))?;
        Ok(file.is_some_and(|file| stamp::read(&file, digest) == Stamp::Broken))
    }

    /// Whether there is a file of `len` bytes that is not suspect, and need not be replaced.
    pub fn keeps(&self, digest: &Digest, len: u64) -> Result<bool, StoreError> {
        let opened = self.open_stamped(digest)?;
        Ok(opened.is_some_and(|(range, stamp)| range.len == len && stamp != Stamp::Broken))
    }

    /// Opens a blob; `None` when it is not found. Nothing is verified here: the reader must hash.
    pub fn open_blob(&self, digest: &Digest) -> Result<Option<FileRange>, StoreError> {
        let path = self.blob_path(digest);
        let opened = fsx::try_open_any(&path)?.filter(|(_, stat)| stat.is_file);
        Ok(opened.map(|(file, stat)| FileRange {
            file: Arc::new(file),
            path,
            offset: 0,
            len: stat.len,
        }))
    }

    /// Opens a blob, and reads its stamp.
    fn open_stamped(&self, digest: &Digest) -> Result<Option<(FileRange, Stamp)>, StoreError> {
        let path = self.blob_path(digest);
        let opened = fsx::try_open_any(&path)?.filter(|(_, stat)| stat.is_file);
        Ok(opened.map(|(file, stat)| {
            let stamp = stamp::read_as_of(&file, digest, || stat.modified);
            let range = FileRange {
                file: Arc::new(file),
                path,
                offset: 0,
                len: stat.len,
            };
            (range, stamp)
        }))
    }

    /// Reads a blob of at most `len_max` bytes, verified; `None` when it is not found.
    pub fn read_blob(&self, digest: &Digest, len_max: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.blob_path(digest);
        let Some(bytes) = fsx::try_read(&path, len_max)? else {
            return Ok(None);
        };
        if !digest.matches(&bytes) {
            return Err(StoreError::Corrupt {
                digest: digest.clone(),
                path,
            });
        }
        Ok(Some(bytes))
    }

    /// Reads a manifest by digest, verified; `None` when its bytes are not found.
    pub fn read_manifest(&self, digest: &Digest) -> Result<Option<Manifest>, StoreError> {
        let Some(bytes) = self.read_blob(digest, MANIFEST_LEN_MAX)? else {
            return Ok(None);
        };
        let manifest =
            Manifest::parse_as(bytes.into(), digest.clone(), None).map_err(|source| {
                StoreError::BadManifest {
                    digest: digest.clone(),
                    source,
                }
            })?;
        Ok(Some(manifest))
    }

    /// Starts a blob that is hashed with `algorithm` while it is written.
    pub fn blob_writer(&self, algorithm: Algorithm) -> Result<BlobWriter, StoreError> {
        Ok(BlobWriter {
            temp: TempFile::create_in(self.temp_path()?, "blob-")?,
            hasher: DigestHasher::new(algorithm),
            algorithm,
            len: 0,
            store: self.clone(),
        })
    }

    /// Writes a manifest's bytes as a blob, without linking it anywhere; idempotent, not synced.
    ///
    /// Other bytes in its place are replaced.
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<(), StoreError> {
        let path = self.blob_path(manifest.digest());
        if fsx::has_content(&path, manifest.bytes())? {
            return Ok(());
        }
        let mut temp = TempFile::create_in(self.temp_path()?, "manifest-")?;
        temp.write_all(manifest.bytes())?;
        let digest = manifest.digest();
        put(temp, (&path, digest), Durability::Deferred)
    }

    /// Has a manifest share the file `source`, which has its bytes, where that is possible;
    /// otherwise writes it as [`Store::write_manifest`] does.
    pub fn link_manifest(&self, manifest: &Manifest, source: &Path) -> Result<(), StoreError> {
        let path = self.blob_path(manifest.digest());
        fsx::require_real_dirs(self.tree().root(), &path)?;
        if fsx::try_stat(&path)?.is_none() {
            fsx::link_where_possible(source, &path, self.temp_path()?)?;
        }
        self.write_manifest(manifest)
    }

    /// Puts the file at `source`, which must contain `digest`, into the store; not synced.
    ///
    /// Returns whether it is new here. An existing file is kept, unless its length differs from the
    /// source's or it was changed after it was verified: then it is replaced.
    pub fn import_file(
        &self,
        source: &Path,
        digest: &Digest,
        mode: LinkMode,
    ) -> Result<bool, StoreError> {
        let temp_dir = self.temp_path()?;
        let path = self.blob_path(digest);
        fsx::require_real_dirs(self.tree().root(), &path)?;
        if fsx::link_file(source, &path, mode, temp_dir)? {
            return Ok(true);
        }
        if self.keeps(digest, fsx::stat(source)?.len)? {
            return Ok(false);
        }
        let aside = TempDir::create_in(temp_dir, "import-")?;
        let copy = aside.path().join("data");
        fsx::link_file(source, &copy, mode, aside.path())?;
        fsx::rename(&copy, &path)?;
        Ok(true)
    }
}

/// A blob on its way into the store; dropped uncommitted, it leaves nothing.
#[derive(Debug)]
pub struct BlobWriter {
    temp: TempFile,
    hasher: DigestHasher,
    algorithm: Algorithm,
    len: u64,
    store: Store,
}

impl BlobWriter {
    /// Appends `bytes`.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.temp.write_all(bytes)?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// The number of bytes written so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was written so far.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Reserves room for `len` bytes, so that a full disk shows before they are fetched.
    pub fn allocate(&self, len: u64) -> Result<(), StoreError> {
        Ok(self.temp.allocate(len)?)
    }

    /// Publishes the blob under `expected`, or leaves the store unchanged.
    ///
    /// Fails when the bytes have another digest, or are not `len`. A data file of the same length
    /// that is there already is left as it is, unless it was changed after it was verified. A digest
    /// of another algorithm than the writer's costs reading the bytes once more.
    pub fn commit(
        self,
        expected: &Digest,
        len: Option<u64>,
        durability: Durability,
    ) -> Result<(), StoreError> {
        let (store, actual_len) = (self.store.clone(), self.len);
        let temp = self.verified(expected, len)?;
        if store.keeps(expected, actual_len)? {
            return Ok(());
        }
        put(temp, (&store.blob_path(expected), expected), durability)
    }

    /// Verifies the blob as [`BlobWriter::commit`] does, and keeps it for a later
    /// [`StagedBlob::publish`].
    pub fn stage(self, expected: &Digest, len: Option<u64>) -> Result<StagedBlob, StoreError> {
        let (store, actual_len) = (self.store.clone(), self.len);
        let temp = self.verified(expected, len)?.close();
        Ok(StagedBlob {
            temp,
            digest: expected.clone(),
            len: actual_len,
            store,
        })
    }

    /// Returns the file when its content is right.
    fn verified(self, expected: &Digest, len: Option<u64>) -> Result<TempFile, StoreError> {
        if let Some(expected_len) = len.filter(|&len| len != self.len) {
            return Err(StoreError::LengthMismatch {
                digest: expected.clone(),
                expected: expected_len,
                actual: self.len,
            });
        }
        let actual = if expected.algorithm() == self.algorithm {
            self.hasher.finish()
        } else {
            hash_file(self.temp.path(), expected.algorithm(), &|_| ())?
        };
        if actual != *expected {
            return Err(StoreError::DigestMismatch {
                expected: expected.clone(),
                actual,
                len: self.len,
            });
        }
        Ok(self.temp)
    }
}

/// A verified blob that is not yet visible and holds no file open; dropped unpublished, it leaves
/// nothing.
#[derive(Debug)]
pub struct StagedBlob {
    temp: TempName,
    digest: Digest,
    len: u64,
    store: Store,
}

impl StagedBlob {
    /// Makes the blob visible, as [`BlobWriter::commit`] does.
    pub fn publish(self, durability: Durability) -> Result<(), StoreError> {
        if self.store.keeps(&self.digest, self.len)? {
            return Ok(());
        }
        let path = self.store.blob_path(&self.digest);
        put(self.temp.open()?, (&path, &self.digest), durability)
    }
}

/// Renames `temp`, which was verified to hold `digest`, to the data file `path`, whose directories
/// are created.
fn put(
    temp: TempFile,
    (path, digest): (&Path, &Digest),
    durability: Durability,
) -> Result<(), StoreError> {
    put_with(path, durability, || {
        temp.persist_with(path, durability, |file| stamp::set_on_new(file, digest))
    })
}

/// Has `persist` rename a file to the data file `path`, whose directories are created.
pub(super) fn put_with(
    path: &Path,
    durability: Durability,
    persist: impl FnOnce() -> Result<(), fsx::Error>,
) -> Result<(), StoreError> {
    let dirs: Vec<&Path> = path.ancestors().skip(1).take(4).collect();
    if let Some(root) = path.ancestors().nth(5) {
        fsx::require_real_dirs(root, path)?;
    }
    if let Some(dir) = dirs.first() {
        fsx::create_dir_all(dir)?;
    }
    persist()?;
    if durability == Durability::Synced {
        // `<hex>` is synced with the rename; `<hh>`, `<alg>` and `blobs` may be as new.
        for dir in dirs.into_iter().skip(1) {
            fsx::sync_dir(dir)?;
        }
    }
    Ok(())
}

/// Hashes a file, telling `on_bytes` of each piece.
fn hash_file(
    path: &Path,
    algorithm: Algorithm,
    on_bytes: &dyn Fn(u64),
) -> Result<Digest, fsx::Error> {
    hash_open((&fsx::open(path)?, path), algorithm, on_bytes)
}

/// Hashes an open file, telling `on_bytes` of each piece.
pub(super) fn hash_open(
    (file, path): (&fsx::File, &Path),
    algorithm: Algorithm,
    on_bytes: &dyn Fn(u64),
) -> Result<Digest, fsx::Error> {
    let mut hasher = DigestHasher::new(algorithm);
    let mut buffer = vec![0; READ_LEN];
    let mut at = 0;
    loop {
        let n = fsx::read_at(file, path, &mut buffer, at)?;
        if n == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(&buffer[..n]);
        at += n as u64;
        on_bytes(n as u64);
    }
}
