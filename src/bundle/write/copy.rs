//! Copies blobs to their offsets in the volumes, any number at once.
//!
//! The kernel copies a blob that was verified before, and shares its blocks where the file system can.
//! Any other blob is hashed while it is copied. One blob is never copied by several threads: writers
//! of one file wait for each other in the kernel, so that it would be no faster (measured).

use std::collections::HashMap;
use std::sync::Mutex;

use super::cache::{CopyContext, VerificationCache};
use super::options::WriteOptions;
use crate::error::BundleError;
use crate::hashing::{BUFFER_LEN, ReadFailure, read_through};
use hod_fsx::{Durability, FileRange, RangeCopier, SourceRange, TempFile};
use hod_oci::{Algorithm, Digest, DigestHasher};

/// Number of bytes of a blob after which the kernel starts to write them to the disk.
const WRITEBACK_LEN: u64 = 8 * 1024 * 1024;

/// The indexes of a blob and of a part of it.
pub(crate) type PartId = (usize, usize);

/// The destination of a blob: one range of one volume, or a range for each part.
#[derive(Debug)]
pub(crate) struct BlobTarget {
    pub(crate) len: u64,
    /// In the order of the bytes, without gaps.
    pub(crate) slots: Vec<Slot>,
}

/// The destination of a range of a blob.
#[derive(Debug)]
pub(crate) struct Slot {
    /// In bytes.
    pub(crate) len: u64,
    /// The index of the output, and the offset in it; `None` if the bytes are only hashed, because
    /// that volume is not written.
    pub(crate) to: Option<(usize, u64)>,
    pub(crate) part: Option<PartId>,
}

/// The position up to which a blob was written.
#[derive(Debug)]
pub(crate) struct Cursor {
    slot: usize,
    /// Number of bytes written to that slot.
    done: u64,
    hasher: Option<DigestHasher>,
}

impl Cursor {
    pub(crate) fn new() -> Self {
        Self {
            slot: 0,
            done: 0,
            hasher: None,
        }
    }
}

/// Writes blobs to their destinations; may be used by several threads.
#[derive(Debug)]
pub(crate) struct Copier<'a> {
    pub(crate) outputs: Vec<&'a TempFile>,
    pub(crate) options: &'a WriteOptions,
    /// The digests of the parts so far.
    pub(crate) parts: &'a Mutex<HashMap<PartId, Digest>>,
}

/// Fails if a file does not have the length of its blob.
pub(crate) fn check_len(digest: &Digest, expected: u64, actual: u64) -> Result<(), BundleError> {
    if actual == expected {
        return Ok(());
    }
    let digest = digest.clone();
    Err(BundleError::BlobLength {
        digest,
        expected,
        actual,
    })
}

/// Fails if the content of a blob has another digest.
pub(crate) fn check_digest(digest: &Digest, actual: Digest) -> Result<(), BundleError> {
    if actual == *digest {
        return Ok(());
    }
    let digest = digest.clone();
    Err(BundleError::BlobDamaged { digest, actual })
}

/// Fails if the content of a blob has another digest; records the result in the cache.
pub(crate) fn conclude(
    cache: &dyn VerificationCache,
    digest: &Digest,
    range: &FileRange,
    actual: Digest,
) -> Result<(), BundleError> {
    let checked = check_digest(digest, actual);
    match &checked {
        Ok(()) => cache.record_verified(digest, range),
        Err(_) => cache.record_damaged(range),
    }
    checked
}

/// Returns the error for a blob of `len` bytes that could not be read to its end.
pub(crate) fn read_failure(
    options: &WriteOptions,
    digest: &Digest,
    len: u64,
) -> impl Fn(ReadFailure) -> BundleError {
    move |read_failure| {
        let digest = digest.clone();
        match read_failure {
            ReadFailure::Read(source) => BundleError::ReadBlob { digest, source },
            ReadFailure::Ends(actual) => BundleError::BlobLength {
                digest,
                expected: len,
                actual,
            },
            ReadFailure::Thread(source) => options.thread_error(source),
        }
    }
}

impl Copier<'_> {
    /// Copies a blob to its destination; fails if its content does not match its digest.
    pub(crate) fn put(
        &self,
        digest: &Digest,
        place: &BlobTarget,
        range: &FileRange,
        context: &CopyContext<'_>,
    ) -> Result<(), BundleError> {
        check_len(digest, place.len, range.len)?;
        // Reading a short blob is faster than asking the cache.
        let is_long = place.len > BUFFER_LEN as u64;
        let is_verified = is_long && context.cache.is_verified(digest, range);
        if is_verified
            && let [slot] = &place.slots[..]
            && let (Some((output, offset)), None) = (slot.to, slot.part)
        {
            return self.copy_verified(digest, output, offset, range, context);
        }
        let mut cursor = Cursor::new();
        let algorithm = (!is_verified).then(|| digest.algorithm());
        let read_failure = read_failure(self.options, digest, place.len);
        let actual = read_through(range, algorithm, read_failure, |bytes| {
            self.write(place, &mut cursor, bytes)?;
            context.report(bytes.len() as u64)
        })?;
        match actual {
            Some(actual) if is_long => conclude(context.cache, digest, range, actual),
            Some(actual) => check_digest(digest, actual),
            None => Ok(()),
        }
    }

    /// Writes the next bytes of a blob, which must not be more than it has left.
    pub(crate) fn write(
        &self,
        place: &BlobTarget,
        cursor: &mut Cursor,
        mut bytes: &[u8],
    ) -> Result<(), BundleError> {
        while let Some(slot) = place.slots.get(cursor.slot)
            && !bytes.is_empty()
        {
            let left = slot.len - cursor.done;
            let n = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
            let (now, rest) = bytes.split_at(n);
            if slot.part.is_some() {
                let sha256 = || DigestHasher::new(Algorithm::Sha256);
                cursor.hasher.get_or_insert_with(sha256).update(now);
            }
            if let Some((output, offset)) = slot.to {
                let output = self.outputs[output];
                let write = output.write_all_at(now, offset + cursor.done);
                write.map_err(|source| self.options.write_error(source))?;
            }
            let before = cursor.done;
            cursor.done += n as u64;
            if let Some((output, offset)) = slot.to
                && before / WRITEBACK_LEN < cursor.done / WRITEBACK_LEN
            {
                let start = before / WRITEBACK_LEN * WRITEBACK_LEN;
                self.begin_writeback(self.outputs[output], offset + start, WRITEBACK_LEN);
            }
            if cursor.done == slot.len {
                if let (Some(id), Some(hasher)) = (slot.part, cursor.hasher.take()) {
                    let mut parts = self.parts.lock().expect("no thread panics with the lock");
                    parts.insert(id, hasher.finish());
                }
                (cursor.slot, cursor.done) = (cursor.slot + 1, 0);
            }
            bytes = rest;
        }
        Ok(())
    }

    /// Copies a blob that was verified before.
    pub(crate) fn copy_verified(
        &self,
        digest: &Digest,
        output: usize,
        offset: u64,
        range: &FileRange,
        context: &CopyContext<'_>,
    ) -> Result<(), BundleError> {
        let output = self.outputs[output];
        let mut copier = RangeCopier::default();
        let mut done = 0;
        while done < range.len {
            let from = SourceRange {
                file: &range.file,
                path: &range.path,
                offset: range.offset + done,
                len: range.len - done,
            };
            let step = copier.step(from, output, offset + done);
            let n = step.map_err(|source| self.options.write_error(source))?;
            if n == 0 {
                return check_len(digest, range.len, done);
            }
            self.begin_writeback(output, offset + done, n);
            context.report(n)?;
            done += n;
        }
        Ok(())
    }

    fn begin_writeback(&self, output: &TempFile, offset: u64, len: u64) {
        if self.options.durability == Durability::Synced {
            output.begin_writeback(offset, len);
        }
    }
}
