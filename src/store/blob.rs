//! Blobs: reading them by digest, and writing them so that only whole ones appear.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hod_fsx::{Durability, FileRange, LinkMode, TempDir, TempFile, TempName, VerifiedWriter};
use hod_oci::{Descriptor, Digest, MANIFEST_LEN_MAX, Manifest, Verifier};

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

impl Store {
    /// The path of a blob's data; the blob need not exist.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.tree().blob(digest)
    }

    /// The length of a blob in bytes; `None` when it is not found.
    pub fn blob_len(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        let stat = hod_fsx::try_stat(&self.blob_path(digest))?;
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
                self.record_verified(&blob.digest, &range);
                Holding::Sound
            }
            Soundness::Damaged { actual } => Holding::Damaged { actual },
        })
    }

    /// Returns true if a file of `len` bytes exists that is not suspect and need not be replaced.
    pub fn keeps(&self, digest: &Digest, len: u64) -> Result<bool, StoreError> {
        let opened = self.open_stamped(digest)?;
        Ok(opened.is_some_and(|(range, stamp)| range.len == len && stamp != Stamp::Broken))
    }

    /// Opens a blob; `None` when it is not found. The reader of its bytes must verify them.
    pub fn open_unverified(&self, digest: &Digest) -> Result<Option<FileRange>, StoreError> {
        let path = self.blob_path(digest);
        let opened = hod_fsx::try_open_any(&path)?.filter(|(_, stat)| stat.is_file);
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
        let opened = hod_fsx::try_open_any(&path)?.filter(|(_, stat)| stat.is_file);
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
        let Some(bytes) = hod_fsx::try_read(&path, len_max)? else {
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

    /// Starts a blob with an expected digest and, if a descriptor has one, an expected length.
    pub fn blob_writer(&self, expected: impl Into<Verifier>) -> Result<BlobWriter, StoreError> {
        let temp = TempFile::create_in(self.temp_path()?, "blob-")?;
        Ok(BlobWriter {
            writer: VerifiedWriter::new(temp, expected),
            store: self.clone(),
        })
    }

    /// Writes a manifest's bytes as a blob, without linking it anywhere; idempotent, not synced.
    ///
    /// Other bytes in its place are replaced.
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<(), StoreError> {
        if self.has_bytes_of(manifest)? {
            return Ok(());
        }
        let path = self.blob_path(manifest.digest());
        let mut temp = TempFile::create_in(self.temp_path()?, "manifest-")?;
        temp.write_all(manifest.bytes())?;
        let digest = manifest.digest();
        put(temp, &path, digest, Durability::Deferred)
    }

    /// Links a manifest to the file that `find` returns, if it has the same bytes and a link is
    /// possible; otherwise writes it as [`Store::write_manifest`] does.
    pub fn link_manifest(
        &self,
        manifest: &Manifest,
        find: impl FnOnce() -> Option<PathBuf>,
    ) -> Result<(), StoreError> {
        if self.has_bytes_of(manifest)? {
            return Ok(());
        }
        if let Some(source) = find() {
            let path = self.blob_path(manifest.digest());
            hod_fsx::require_real_dirs(self.tree().root(), &path)?;
            if hod_fsx::try_stat(&path)?.is_none() {
                hod_fsx::link_where_possible(&source, &path, self.temp_path()?)?;
            }
        }
        self.write_manifest(manifest)
    }

    fn has_bytes_of(&self, manifest: &Manifest) -> Result<bool, StoreError> {
        let path = self.blob_path(manifest.digest());
        Ok(hod_fsx::has_content(&path, manifest.bytes())?)
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
        hod_fsx::require_real_dirs(self.tree().root(), &path)?;
        if hod_fsx::link_file(source, &path, mode, temp_dir)? {
            return Ok(true);
        }
        if self.keeps(digest, hod_fsx::stat(source)?.len)? {
            return Ok(false);
        }
        let aside = TempDir::create_in(temp_dir, "import-")?;
        let copy = aside.path().join("data");
        hod_fsx::link_file(source, &copy, mode, aside.path())?;
        hod_fsx::rename(&copy, &path)?;
        Ok(true)
    }
}

/// A blob on its way into the store; dropped uncommitted, it leaves nothing.
#[derive(Debug)]
pub struct BlobWriter {
    writer: VerifiedWriter<TempFile>,
    store: Store,
}

impl BlobWriter {
    /// Appends `bytes`.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        Ok(self.writer.write(bytes)?)
    }

    /// Publishes the blob, or leaves the store unchanged if it does not have the expected digest
    /// and length.
    ///
    /// An existing data file of the same length is kept, unless it was changed after it was
    /// verified.
    pub fn commit(self, durability: Durability) -> Result<(), StoreError> {
        let (digest, len) = self.content();
        self.store
            .put_verified(self.writer.finish()?, &digest, len, durability)
    }

    /// Verifies the blob as [`BlobWriter::commit`] does, and keeps it for a later
    /// [`StagedBlob::publish`].
    pub fn stage(self) -> Result<StagedBlob, StoreError> {
        let (digest, len) = self.content();
        Ok(StagedBlob {
            temp: self.writer.finish()?.close(),
            digest,
            len,
            store: self.store,
        })
    }

    fn content(&self) -> (Digest, u64) {
        let verifier = self.writer.verifier();
        (verifier.expected().clone(), verifier.len())
    }
}

impl Store {
    /// Publishes a file that was verified to hold `digest`, unless there is a sound one.
    pub(super) fn put_verified(
        &self,
        temp: TempFile,
        digest: &Digest,
        len: u64,
        durability: Durability,
    ) -> Result<(), StoreError> {
        if self.keeps(digest, len)? {
            return Ok(());
        }
        put(temp, &self.blob_path(digest), digest, durability)
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
        self.store
            .put_verified(self.temp.open()?, &self.digest, self.len, durability)
    }
}

/// Renames `temp`, which was verified to hold `digest`, to the data file `path`, whose directories
/// are created.
fn put(
    temp: TempFile,
    path: &Path,
    digest: &Digest,
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
    persist: impl FnOnce() -> Result<(), hod_fsx::Error>,
) -> Result<(), StoreError> {
    let dirs: Vec<&Path> = path.ancestors().skip(1).take(4).collect();
    if let Some(root) = path.ancestors().nth(5) {
        hod_fsx::require_real_dirs(root, path)?;
    }
    if let Some(dir) = dirs.first() {
        hod_fsx::create_dir_all(dir)?;
    }
    persist()?;
    if durability == Durability::Synced {
        // `<hex>` is synced with the rename; `<hh>`, `<alg>` and `blobs` may be as new.
        for dir in dirs.into_iter().skip(1) {
            hod_fsx::sync_dir(dir)?;
        }
    }
    Ok(())
}
