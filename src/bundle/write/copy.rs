//! Putting blobs into their places in a raw bundle, any number at once.
//!
//! A blob that is known to be right is copied by the kernel, which shares its blocks on file systems
//! that can; any other is hashed as it passes. Ranges of one blob are not copied by several threads:
//! writers of one file wait for each other in the kernel, so that nothing is gained (measured).

use std::collections::HashMap;
use std::sync::Mutex;

use super::cache::{CopyContext, VerificationCache};
use super::options::WriteOptions;
use crate::error::BundleError;
use crate::hashing::{BUFFER_LEN, Unread, read_through};
use hod_fsx::{Durability, FileRange, RangeCopier, SourceRange, TempFile};
use hod_oci::{Algorithm, Digest, DigestHasher};

/// Number of bytes of a blob after which the kernel is told to start writing them to the disk.
const WRITEBACK_LEN: u64 = 8 * 1024 * 1024;

/// The indexes of a blob and of a part of it.
pub(crate) type PartId = (usize, usize);

/// Where the bytes of a blob go: to one place, or part by part to several volumes.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) len: u64,
    /// In the order of the bytes, without gaps.
    pub(crate) slots: Vec<Slot>,
}

/// Where a range of a blob goes.
#[derive(Debug)]
pub(crate) struct Slot {
    /// In bytes.
    pub(crate) len: u64,
    /// The position of the output, and the offset in it; `None` where the bytes are only hashed,
    /// since the volume is not written.
    pub(crate) to: Option<(usize, u64)>,
    pub(crate) part: Option<PartId>,
}

/// How far a blob has come, byte by byte.
#[derive(Debug)]
pub(crate) struct Cursor {
    slot: usize,
    /// Bytes in the slot.
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

/// Writes to the places of blobs, from any number of threads.
#[derive(Debug)]
pub(crate) struct Copier<'a> {
    pub(crate) outputs: Vec<&'a TempFile>,
    pub(crate) options: &'a WriteOptions,
    /// The digests of the parts so far.
    pub(crate) parts: &'a Mutex<HashMap<PartId, Digest>>,
}

/// Refuses a range that does not have the length of its blob.
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

/// Refuses bytes that are not what their digest names.
pub(crate) fn check_digest(digest: &Digest, actual: Digest) -> Result<(), BundleError> {
    if actual == *digest {
        return Ok(());
    }
    let digest = digest.clone();
    Err(BundleError::BlobDamaged { digest, actual })
}

/// Refuses a blob whose digest is wrong, and records the result.
pub(crate) fn conclude(
    cache: &dyn VerificationCache,
    (digest, range): (&Digest, &FileRange),
    actual: Digest,
) -> Result<(), BundleError> {
    let checked = check_digest(digest, actual);
    match &checked {
        Ok(()) => cache.note_verified(digest, range),
        Err(_) => cache.note_damaged(range),
    }
    checked
}

/// The error of a blob of `len` bytes that cannot be read to its end.
pub(crate) fn unread(
    options: &WriteOptions,
    (digest, len): (&Digest, u64),
) -> impl Fn(Unread) -> BundleError {
    move |unread| {
        let digest = digest.clone();
        match unread {
            Unread::Read(source) => BundleError::ReadBlob { digest, source },
            Unread::Ends(actual) => BundleError::BlobLength {
                digest,
                expected: len,
                actual,
            },
            Unread::Thread(source) => options.thread_error(source),
        }
    }
}

impl Copier<'_> {
    /// Copies a blob to its place, and refuses it if it is not what its digest names.
    pub(crate) fn put(
        &self,
        (digest, place): (&Digest, &Place),
        range: &FileRange,
        context: &CopyContext<'_>,
    ) -> Result<(), BundleError> {
        check_len(digest, place.len, range.len)?;
        // A short blob is read in less time than it takes to ask.
        let is_long = place.len > BUFFER_LEN as u64;
        let is_verified = is_long && context.cache.is_verified(digest, range);
        if is_verified
            && let [slot] = &place.slots[..]
            && let (Some(to), None) = (slot.to, slot.part)
        {
            return self.copy_unread((digest, to), range, context);
        }
        let mut cursor = Cursor::new();
        let algorithm = (!is_verified).then(|| digest.algorithm());
        let unread = unread(self.options, (digest, place.len));
        let actual = read_through(range, algorithm, unread, |bytes| {
            self.write(place, &mut cursor, bytes)?;
            context.report(bytes.len() as u64)
        })?;
        match actual {
            Some(actual) if is_long => conclude(context.cache, (digest, range), actual),
            Some(actual) => check_digest(digest, actual),
            None => Ok(()),
        }
    }

    /// Writes the next bytes of a blob, which has no more than these.
    pub(crate) fn write(
        &self,
        place: &Place,
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

    /// Copies a blob that is known to be right.
    pub(crate) fn copy_unread(
        &self,
        (digest, (output, offset)): (&Digest, (usize, u64)),
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
            let step = copier.step(from, (output, offset + done));
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
