//! Copying the blobs to their places in a raw bundle, several at once, each hashed as it passes.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::error::BundleError;
use super::hashing::{BUFFER_LEN, HashThread};
use super::writer::{OpenBlob, WriteOptions};
use crate::bridge::FileRange;
use crate::fsx::{self, Durability, TempFile};
use crate::oci::{Digest, DigestHasher};

/// After how many bytes of a blob the kernel is told to begin writing them to the disk.
const WRITEBACK_LEN: u64 = 8 * 1024 * 1024;

/// A blob and where its bytes go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) digest: &'a Digest,
    pub(super) len: u64,
    pub(super) offset: u64,
}

/// Copies every blob to its place in `output`; stops at the first that fails, and returns why.
pub(super) fn copy_blobs<E: From<BundleError> + Send>(
    mut places: Vec<Place<'_>>,
    open: &OpenBlob<'_, E>,
    output: &TempFile,
    options: &WriteOptions<'_>,
) -> Result<(), E> {
    // Largest first, so that no thread is left alone with a large one at the end.
    places.sort_by_key(|place| std::cmp::Reverse(place.len));
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let failure: Mutex<Option<E>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.clamp(1, places.len().max(1)) {
            scope.spawn(|| {
                let mut copier = Copier {
                    hashing: HashThread::start(scope),
                    output,
                    stop: &stop,
                    options,
                };
                while let Some(place) = places.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let done = open(place.digest).and_then(|range| {
                        check_len(*place, &range)?;
                        Ok(copier.copy(*place, &range)?)
                    });
                    if let Err(error) = done {
                        stop.store(true, Ordering::Relaxed);
                        let mut failure = failure.lock().expect("no thread panics with the lock");
                        failure.get_or_insert(error);
                    }
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
    });
    let failure = failure.into_inner();
    failure
        .expect("no thread panics with the lock")
        .map_or(Ok(()), Err)
}

/// Refuses a blob that does not have the length that its manifest says.
pub(super) fn check_len(place: Place<'_>, range: &FileRange) -> Result<(), BundleError> {
    if range.len == place.len {
        return Ok(());
    }
    Err(BundleError::BlobLength {
        digest: place.digest.clone(),
        path: range.path.clone(),
        expected: place.len,
        actual: range.len,
    })
}

/// Refuses a blob whose bytes are not those that its digest names.
pub(super) fn check_digest(
    place: Place<'_>,
    range: &FileRange,
    actual: Digest,
) -> Result<(), BundleError> {
    if actual == *place.digest {
        return Ok(());
    }
    Err(BundleError::BlobDamaged {
        digest: place.digest.clone(),
        path: range.path.clone(),
        actual,
    })
}

/// Reads up to a buffer of the blob from `done` bytes on; at least one byte.
pub(super) fn read_chunk(
    place: Place<'_>,
    range: &FileRange,
    (buffer, done): (&mut [u8], u64),
) -> Result<usize, BundleError> {
    let want = usize::try_from(place.len - done).map_or(buffer.len(), |n| n.min(buffer.len()));
    let offset = range.offset + done;
    let read = fsx::read_at(&range.file, &range.path, &mut buffer[..want], offset);
    let n = read.map_err(|source| BundleError::ReadBlob {
        digest: place.digest.clone(),
        source,
    })?;
    if n == 0 {
        return Err(BundleError::BlobLength {
            digest: place.digest.clone(),
            path: range.path.clone(),
            expected: place.len,
            actual: done,
        });
    }
    Ok(n)
}

struct Copier<'a> {
    hashing: HashThread,
    output: &'a TempFile,
    stop: &'a AtomicBool,
    options: &'a WriteOptions<'a>,
}

impl Copier<'_> {
    fn copy(&mut self, place: Place<'_>, range: &FileRange) -> Result<(), BundleError> {
        if place.len <= BUFFER_LEN as u64 {
            return self.copy_small(place, range);
        }
        self.hashing.begin(place.digest.algorithm());
        let mut done = 0;
        while done < place.len && !self.stop.load(Ordering::Relaxed) {
            let mut buffer = self.hashing.buffer();
            let bytes = Arc::get_mut(&mut buffer).expect("whoever had the buffer gave it back");
            let n = read_chunk(place, range, (bytes, done))?;
            self.hashing.hash(&buffer, n);
            self.write(&buffer[..n], place.offset + done)?;
            done += n as u64;
            let is_synced = self.options.durability == Durability::Synced;
            if is_synced && done.is_multiple_of(WRITEBACK_LEN) {
                let start = place.offset + done - WRITEBACK_LEN;
                self.output.begin_writeback(start, WRITEBACK_LEN);
            }
        }
        let actual = self.hashing.finish();
        if done < place.len {
            // Another copy has failed, and says why.
            return Ok(());
        }
        check_digest(place, range, actual)
    }

    /// Copies a blob of at most one buffer, for which a second thread is not worth waking.
    fn copy_small(&mut self, place: Place<'_>, range: &FileRange) -> Result<(), BundleError> {
        let mut buffer = self.hashing.buffer();
        let bytes = Arc::get_mut(&mut buffer).expect("whoever had the buffer gave it back");
        let mut done = 0;
        while done < place.len {
            let at = usize::try_from(done).expect("less than a buffer");
            done += read_chunk(place, range, (&mut bytes[at..], done))? as u64;
        }
        let bytes = &bytes[..usize::try_from(done).expect("at most a buffer")];
        let mut hasher = DigestHasher::new(place.digest.algorithm());
        hasher.update(bytes);
        check_digest(place, range, hasher.finish())?;
        self.write(bytes, place.offset)?;
        self.hashing.give_back(buffer);
        Ok(())
    }

    fn write(&self, bytes: &[u8], offset: u64) -> Result<(), BundleError> {
        self.output
            .write_all_at(bytes, offset)
            .map_err(|source| self.options.write_error(source))?;
        self.options.told(bytes.len() as u64)
    }
}
