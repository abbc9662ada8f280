//! Putting blobs into their places in a raw bundle, any number at once.
//!
//! A blob that is known to be right is copied by the kernel, which shares its blocks on file systems
//! that can; any other is hashed as it passes. Ranges of one blob are not copied by several threads:
//! writers of one file wait for each other in the kernel, so that nothing is gained (measured).

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Mutex;

use super::error::BundleError;
use super::hashing::{BUFFER_LEN, Unread, read_through};
use super::writer::WriteOptions;
use hod_fsx::{Durability, FileRange, RangeCopier, SourceRange, TempFile};
use hod_oci::{Algorithm, Digest, DigestHasher};

/// Number of bytes of a blob after which the kernel is told to start writing them to the disk.
const WRITEBACK_LEN: u64 = 8 * 1024 * 1024;

/// What is known about the blobs to be packed, before and after they are read. It is not used for
/// the user's own files.
pub trait Knowledge: Send + Sync {
    /// Whether the blob is known to be what its digest names, so that it need not be read.
    fn is_verified(&self, digest: &Digest, blob: &FileRange) -> bool;

    /// Hears that the blob was read, and is what its digest names.
    fn note_verified(&self, digest: &Digest, blob: &FileRange);

    /// Hears that the blob was read, and is something else.
    fn note_damaged(&self, blob: &FileRange);
}

/// Nothing is known, and nothing learned: every blob is read.
#[derive(Debug, Clone, Copy)]
pub struct NoKnowledge;

impl Knowledge for NoKnowledge {
    fn is_verified(&self, _digest: &Digest, _blob: &FileRange) -> bool {
        false
    }

    fn note_verified(&self, _digest: &Digest, _blob: &FileRange) {}

    fn note_damaged(&self, _blob: &FileRange) {}
}

/// How bytes are put into a bundle.
#[derive(Clone, Copy)]
pub struct Putting<'a> {
    /// Which blobs need not be read.
    pub knowledge: &'a dyn Knowledge,
    /// Hears of every byte of a blob that was written; may end the work.
    pub on_bytes: &'a (dyn Fn(u64) -> ControlFlow<()> + Sync),
}

impl std::fmt::Debug for Putting<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Putting").finish_non_exhaustive()
    }
}

impl Putting<'_> {
    /// Tells of `len` bytes more, and fails when the work is to end.
    pub(super) fn told(&self, len: u64) -> Result<(), BundleError> {
        match (self.on_bytes)(len) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(BundleError::Stopped),
        }
    }
}

/// The indexes of a blob and of a part of it.
pub(super) type PartId = (usize, usize);

/// Where the bytes of a blob go: to one place, or part by part to several volumes.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) len: u64,
    /// In the order of the bytes, without gaps.
    pub(super) slots: Vec<Slot>,
}

/// Where a range of a blob goes.
#[derive(Debug)]
pub(super) struct Slot {
    /// In bytes.
    pub(super) len: u64,
    /// The position of the output, and the offset in it; `None` where the bytes are only hashed,
    /// since the volume is not written.
    pub(super) to: Option<(usize, u64)>,
    pub(super) part: Option<PartId>,
}

/// How far a blob has come, byte by byte.
#[derive(Debug)]
pub(super) struct Cursor {
    slot: usize,
    /// Bytes in the slot.
    done: u64,
    hasher: Option<DigestHasher>,
}

impl Cursor {
    pub(super) fn new() -> Self {
        Self {
            slot: 0,
            done: 0,
            hasher: None,
        }
    }
}

/// Writes to the places of blobs, from any number of threads.
#[derive(Debug)]
pub(super) struct Copier<'a> {
    pub(super) outputs: Vec<&'a TempFile>,
    pub(super) options: &'a WriteOptions,
    /// The digests of the parts so far.
    pub(super) parts: &'a Mutex<HashMap<PartId, Digest>>,
}

/// Refuses a range that does not have the length of its blob.
pub(super) fn check_len(digest: &Digest, expected: u64, actual: u64) -> Result<(), BundleError> {
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
pub(super) fn check_digest(digest: &Digest, actual: Digest) -> Result<(), BundleError> {
    if actual == *digest {
        return Ok(());
    }
    let digest = digest.clone();
    Err(BundleError::BlobDamaged { digest, actual })
}

/// Refuses a blob whose digest is wrong, and records the result.
pub(super) fn conclude(
    knowledge: &dyn Knowledge,
    (digest, range): (&Digest, &FileRange),
    actual: Digest,
) -> Result<(), BundleError> {
    let checked = check_digest(digest, actual);
    match &checked {
        Ok(()) => knowledge.note_verified(digest, range),
        Err(_) => knowledge.note_damaged(range),
    }
    checked
}

/// The error of a blob of `len` bytes that cannot be read to its end.
pub(super) fn unread(
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
    pub(super) fn put(
        &self,
        (digest, place): (&Digest, &Place),
        range: &FileRange,
        putting: &Putting<'_>,
    ) -> Result<(), BundleError> {
        check_len(digest, place.len, range.len)?;
        // A short blob is read in less time than it takes to ask.
        let is_long = place.len > BUFFER_LEN as u64;
        let is_verified = is_long && putting.knowledge.is_verified(digest, range);
        if is_verified
            && let [slot] = &place.slots[..]
            && let (Some(to), None) = (slot.to, slot.part)
        {
            return self.copy_unread((digest, to), range, putting);
        }
        let mut cursor = Cursor::new();
        let algorithm = (!is_verified).then(|| digest.algorithm());
        let unread = unread(self.options, (digest, place.len));
        let actual = read_through(range, algorithm, unread, |bytes| {
            self.write(place, &mut cursor, bytes)?;
            putting.told(bytes.len() as u64)
        })?;
        match actual {
            Some(actual) if is_long => conclude(putting.knowledge, (digest, range), actual),
            Some(actual) => check_digest(digest, actual),
            None => Ok(()),
        }
    }

    /// Writes the next bytes of a blob, which has no more than these.
    pub(super) fn write(
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
    pub(super) fn copy_unread(
        &self,
        (digest, (output, offset)): (&Digest, (usize, u64)),
        range: &FileRange,
        putting: &Putting<'_>,
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
            putting.told(n)?;
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
