//! Blobs whose digest is only known when all of their bytes have come.

use hod_fsx::{Durability, TempFile};
use hod_oci::{Algorithm, ContentMismatch, Digest, DigestHasher};

use super::{Store, StoreError};

/// A blob on its way into the store that is hashed while it is written; dropped uncommitted, it
/// leaves nothing.
#[derive(Debug)]
pub struct Upload {
    temp: TempFile,
    hasher: DigestHasher,
    algorithm: Algorithm,
    len: u64,
    store: Store,
}

impl Store {
    /// Starts a blob whose digest is most likely of this algorithm.
    pub fn upload(&self, algorithm: Algorithm) -> Result<Upload, StoreError> {
        Ok(Upload {
            temp: TempFile::create_in(self.temp_path()?, "blob-")?,
            hasher: DigestHasher::new(algorithm),
            algorithm,
            len: 0,
            store: self.clone(),
        })
    }
}

impl Upload {
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

    /// Publishes the blob under `expected` as [`super::BlobWriter::commit`] does.
    ///
    /// A digest of another algorithm than the one that was thought likely costs reading the bytes
    /// once more.
    pub fn commit(self, expected: &Digest, durability: Durability) -> Result<(), StoreError> {
        let actual = if expected.algorithm() == self.algorithm {
            self.hasher.finish()
        } else {
            let path = self.temp.path();
            let file = hod_fsx::open(path)?;
            hod_fsx::digest_of(&file, path, expected.algorithm(), &|_| ())?.0
        };
        if actual != *expected {
            let mismatch = ContentMismatch::Digest {
                expected: expected.clone(),
                actual,
                len: self.len,
            };
            return Err(mismatch.into());
        }
        self.store
            .put_verified(self.temp, expected, self.len, durability)
    }
}
