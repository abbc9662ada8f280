//! Copying the blobs to their places in a raw bundle, several at once.
//!
//! A blob that is known to be right is copied by the kernel, which shares its blocks on file systems
//! that can; any other is hashed as it passes. Ranges of one blob are not copied by several threads:
//! writers of one file wait for each other in the kernel, so that nothing is gained (measured).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::error::BundleError;
use super::hashing::{BUFFER_LEN, HashThread};
use super::pieces::Pieces;
use super::plan::FileContent;
use super::writer::{OpenBlob, WriteOptions};
use crate::bridge::{self, FileRange};
use crate::fsx::{self, Durability, RangeCopier, TempFile};
use crate::oci::{Algorithm, Digest, DigestHasher};

/// Number of bytes of a blob after which the kernel is told to start writing them to the disk.
const WRITEBACK_LEN: u64 = 8 * 1024 * 1024;

/// What is known about the blobs to be packed, before and after they are read. It is not used for
/// the user's own files.
pub trait Knowledge: Sync {
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

/// A blob and where its bytes go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) digest: &'a Digest,
    pub(super) len: u64,
    pub(super) offset: u64,
    /// The source of the bytes of a member that is not a blob of the source.
    pub(super) content: Option<&'a FileContent>,
}

impl Place<'_> {
    /// Whether it is a file of the user's, which others may write to at any time.
    pub(super) fn is_file(self) -> bool {
        matches!(self.content, Some(FileContent::Path { .. }))
    }

    /// Opens what has the bytes.
    pub(super) fn open<E: From<BundleError>>(self, open: &OpenBlob<'_, E>) -> Result<Pieces, E> {
        let pieces = self.content.map(FileContent::open).transpose()?;
        pieces.flatten().map_or_else(|| open(self.digest), Ok)
    }
}

/// A unit of work for one thread.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work<'a> {
    /// The blob, and where its bytes or those of its part go.
    pub(super) place: Place<'a>,
    /// `None` when the bytes are only hashed.
    pub(super) output: Option<&'a TempFile>,
    pub(super) part: Option<Part>,
    /// Whether only the first of the blob's bytes are in its place, to see how long that takes.
    pub(super) is_sample: bool,
}

/// The indexes of a blob and of a part of it.
pub(super) type PartId = (usize, usize);

/// A part of a blob.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// By what its digest is asked for.
    pub(super) id: PartId,
    /// Where in the blob it starts.
    pub(super) start: u64,
    /// In bytes.
    pub(super) len: u64,
}

impl Work<'_> {
    fn len(&self) -> u64 {
        self.part.map_or(self.place.len, |part| part.len)
    }
}

/// Copies every blob and part to its place; stops at the first that fails, and returns why. Returns
/// the digests of the parts.
pub(super) fn copy_blobs<E: From<BundleError> + Send>(
    mut works: Vec<Work<'_>>,
    open: &OpenBlob<'_, E>,
    options: &WriteOptions<'_>,
) -> Result<HashMap<PartId, Digest>, E> {
    // Largest first, so that a large blob at the end does not keep one thread busy alone.
    works.sort_by_key(|work| std::cmp::Reverse(work.len()));
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let failure: Mutex<Option<E>> = Mutex::new(None);
    let parts = Mutex::new(HashMap::new());
    let fail = |error: E| {
        stop.store(true, Ordering::Relaxed);
        let mut failure = failure.lock().expect("no thread panics with the lock");
        failure.get_or_insert(error);
    };
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.clamp(1, works.len().max(1)) {
            let started = bridge::spawn_scoped(scope, || {
                let hashing = match HashThread::start(scope) {
                    Ok(hashing) => hashing,
                    Err(error) => return fail(options.thread_error(error).into()),
                };
                let mut copier = Copier {
                    hashing,
                    unread: RangeCopier::default(),
                    stop: &stop,
                    options,
                };
                while let Some(work) = works.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let done = work.place.open(open).and_then(|pieces| {
                        if !work.is_sample {
                            check_len(work.place, &pieces)?;
                        }
                        Ok(copier.run(*work, &pieces)?)
                    });
                    match done {
                        Ok(None) => {}
                        Ok(Some((id, digest))) => {
                            let mut parts = parts.lock().expect("no thread panics with the lock");
                            parts.insert(id, digest);
                        }
                        Err(error) => fail(error),
                    }
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
            if let Err(error) = started {
                fail(options.thread_error(error).into());
            }
        }
    });
    let failure = failure.into_inner();
    match failure.expect("no thread panics with the lock") {
        Some(error) => Err(error),
        None => Ok(parts.into_inner().expect("no thread panics with the lock")),
    }
}

/// Refuses a blob that does not have the length that its manifest says.
pub(super) fn check_len(place: Place<'_>, pieces: &Pieces) -> Result<(), BundleError> {
    if pieces.len() == place.len {
        return Ok(());
    }
    Err(wrong_len(place, pieces, pieces.len()))
}

/// Refuses a blob whose bytes are not those that its digest names.
fn check_digest(place: Place<'_>, pieces: &Pieces, actual: Digest) -> Result<(), BundleError> {
    if actual == *place.digest {
        return Ok(());
    }
    if place.is_file() {
        return Err(BundleError::FileChanged {
            path: pieces.path(),
        });
    }
    Err(BundleError::BlobDamaged {
        digest: place.digest.clone(),
        files: pieces.files(),
        actual,
    })
}

/// Whether the blob is known to be right, so that it need not be read.
pub(super) fn is_verified(
    knowledge: &dyn Knowledge,
    (place, pieces): (Place<'_>, &Pieces),
) -> bool {
    known(place, pieces).is_some_and(|range| knowledge.is_verified(place.digest, range))
}

/// The file range of a blob that may have a stamp: it must be one range, and not in a user's file,
/// which must not be marked.
fn known<'p>(place: Place<'_>, pieces: &'p Pieces) -> Option<&'p FileRange> {
    pieces.whole().filter(|_| !place.is_file())
}

/// Refuses a blob whose digest is wrong, and records the result.
pub(super) fn conclude(
    knowledge: &dyn Knowledge,
    (place, pieces): (Place<'_>, &Pieces),
    actual: Digest,
) -> Result<(), BundleError> {
    let checked = check_digest(place, pieces, actual);
    match (known(place, pieces), &checked) {
        (Some(range), Ok(())) => knowledge.note_verified(place.digest, range),
        (Some(range), Err(_)) => knowledge.note_damaged(range),
        (None, _) => {}
    }
    checked
}

/// The content of a buffer that has no other owner.
pub(super) fn own(buffer: &mut Arc<Vec<u8>>) -> &mut [u8] {
    Arc::get_mut(buffer).expect("whoever had the buffer gave it back")
}

/// Reads up to a buffer of the blob from `done` bytes on; at least one byte.
pub(super) fn read_chunk(
    place: Place<'_>,
    pieces: &Pieces,
    (buffer, done): (&mut [u8], u64),
) -> Result<usize, BundleError> {
    let len = (place.len - done).min(buffer.len() as u64);
    let Some(range) = pieces.after(done, len) else {
        return Err(wrong_len(place, pieces, done));
    };
    let buffer = &mut buffer[..usize::try_from(range.len).expect("at most a buffer")];
    let read = fsx::read_at(range.file, range.path, buffer, range.offset);
    let n = read.map_err(|source| {
        if place.is_file() {
            let path = pieces.path();
            return BundleError::ReadFile { path, source };
        }
        let digest = place.digest.clone();
        BundleError::ReadBlob { digest, source }
    })?;
    if n == 0 {
        return Err(wrong_len(place, pieces, done));
    }
    Ok(n)
}

fn wrong_len(place: Place<'_>, pieces: &Pieces, actual: u64) -> BundleError {
    if place.is_file() {
        return BundleError::FileChanged {
            path: pieces.path(),
        };
    }
    BundleError::BlobLength {
        digest: place.digest.clone(),
        files: pieces.files(),
        expected: place.len,
        actual,
    }
}

struct Copier<'a> {
    hashing: HashThread,
    unread: RangeCopier,
    stop: &'a AtomicBool,
    options: &'a WriteOptions<'a>,
}

impl Copier<'_> {
    /// Does the work; returns the digest of a part.
    fn run(
        &mut self,
        work: Work<'_>,
        pieces: &Pieces,
    ) -> Result<Option<(PartId, Digest)>, BundleError> {
        let place = work.place;
        if let Some(part) = work.part {
            let end = Place {
                len: part.start + part.len,
                ..place
            };
            self.hashing.begin(Algorithm::Sha256);
            self.copy((end, part.start), pieces, work.output)?;
            return Ok(Some((part.id, self.hashing.finish())));
        }
        if place.len <= BUFFER_LEN as u64 {
            let actual = self.copy_small(place, pieces, work.output)?;
            if !work.is_sample {
                check_digest(place, pieces, actual)?;
            }
            return Ok(None);
        }
        let knowledge = self.options.knowledge;
        if is_verified(knowledge, (place, pieces)) {
            if let Some(output) = work.output {
                self.copy_unread(place, pieces, output)?;
            }
            return Ok(None);
        }
        self.hashing.begin(place.digest.algorithm());
        let is_whole = self.copy((place, 0), pieces, work.output)?;
        let actual = self.hashing.finish();
        // Or another copy has failed, and says why.
        if work.is_sample || !is_whole {
            return Ok(None);
        }
        conclude(knowledge, (place, pieces), actual).map(|()| None)
    }

    /// Hashes the blob from `start` on, and copies it to its place; returns whether it did so to
    /// the end.
    fn copy(
        &mut self,
        (place, start): (Place<'_>, u64),
        pieces: &Pieces,
        output: Option<&TempFile>,
    ) -> Result<bool, BundleError> {
        let mut done = start;
        while done < place.len && !self.stop.load(Ordering::Relaxed) {
            let mut buffer = self.hashing.buffer();
            let bytes = own(&mut buffer);
            let n = read_chunk(place, pieces, (bytes, done))?;
            self.hashing.hash(&buffer, n);
            let offset = place.offset + (done - start);
            done += n as u64;
            if let Some(output) = output {
                self.write(output, &buffer[..n], offset)?;
                if (done - start).is_multiple_of(WRITEBACK_LEN) {
                    let end = offset + n as u64;
                    self.begin_writeback(output, end - WRITEBACK_LEN, WRITEBACK_LEN);
                }
            } else if self.stopped() {
                return Err(BundleError::Stopped);
            }
        }
        Ok(done == place.len)
    }

    /// Whether the work is to end, where nothing is written.
    fn stopped(&self) -> bool {
        self.options.told(0).is_err()
    }

    /// Copies a blob that is known to be right.
    fn copy_unread(
        &mut self,
        place: Place<'_>,
        pieces: &Pieces,
        output: &TempFile,
    ) -> Result<(), BundleError> {
        let mut done = 0;
        while done < place.len && !self.stop.load(Ordering::Relaxed) {
            let Some(from) = pieces.after(done, place.len - done) else {
                return Err(wrong_len(place, pieces, done));
            };
            let offset = place.offset + done;
            let copied = self.unread.step(from, (output, offset));
            let n = copied.map_err(|source| self.options.write_error(source))?;
            if n == 0 {
                return Err(wrong_len(place, pieces, done));
            }
            self.begin_writeback(output, offset, n);
            self.options.told(n)?;
            done += n;
        }
        Ok(())
    }

    fn begin_writeback(&self, output: &TempFile, offset: u64, len: u64) {
        if self.options.durability == Durability::Synced {
            output.begin_writeback(offset, len);
        }
    }

    /// Copies a blob of at most one buffer, for which a second thread is not worth waking; returns
    /// its digest.
    fn copy_small(
        &mut self,
        place: Place<'_>,
        pieces: &Pieces,
        output: Option<&TempFile>,
    ) -> Result<Digest, BundleError> {
        let mut buffer = self.hashing.buffer();
        let bytes = own(&mut buffer);
        let mut done = 0;
        while done < place.len {
            let at = usize::try_from(done).expect("less than a buffer");
            done += read_chunk(place, pieces, (&mut bytes[at..], done))? as u64;
        }
        let bytes = &bytes[..usize::try_from(done).expect("at most a buffer")];
        let mut hasher = DigestHasher::new(place.digest.algorithm());
        hasher.update(bytes);
        if let Some(output) = output {
            self.write(output, bytes, place.offset)?;
        }
        self.hashing.give_back(buffer);
        Ok(hasher.finish())
    }

    fn write(&self, output: &TempFile, bytes: &[u8], offset: u64) -> Result<(), BundleError> {
        output
            .write_all_at(bytes, offset)
            .map_err(|source| self.options.write_error(source))?;
        self.options.told(bytes.len() as u64)
    }
}
