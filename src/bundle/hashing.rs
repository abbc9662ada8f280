//! Hashing on a second thread, so that one large blob is hashed while it is read and written.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Scope;

use hod_fsx::FileRange;
use hod_oci::{Algorithm, Digest, DigestHasher};

/// The length of a buffer: it stays in the cache between being read, hashed and written.
pub(super) const BUFFER_LEN: usize = 256 * 1024;
/// Number of buffers per copy, which is how far hashing may lag behind.
const N_BUFFERS: usize = 4;
const ALIVE: &str = "the thread lives as long as its sender";

/// A thread that hashes the buffers it receives, and sends them back.
#[derive(Debug)]
struct HashThread {
    chunks: Sender<(Arc<Vec<u8>>, usize)>,
    done: Receiver<Arc<Vec<u8>>>,
    digest: Receiver<Digest>,
    free: Vec<Arc<Vec<u8>>>,
}

impl HashThread {
    /// Starts the thread; it ends when the value is dropped.
    fn start<'scope>(scope: &'scope Scope<'scope, '_>, algorithm: Algorithm) -> io::Result<Self> {
        let (chunks, to_do) = channel::<(Arc<Vec<u8>>, usize)>();
        let (give_back, done) = channel();
        let (report, digest) = channel();
        hod_bridge::spawn_scoped(scope, move || {
            let mut hasher = DigestHasher::new(algorithm);
            for (buffer, len) in to_do {
                hasher.update(&buffer[..len]);
                // The receiver is gone when the run ends.
                let _ = give_back.send(buffer);
            }
            let _ = report.send(hasher.finish());
        })?;
        Ok(Self {
            chunks,
            done,
            digest,
            free: (0..N_BUFFERS)
                .map(|_| Arc::new(vec![0; BUFFER_LEN]))
                .collect(),
        })
    }

    /// Returns a buffer without another owner, waiting until one is hashed.
    fn buffer(&mut self) -> Arc<Vec<u8>> {
        self.free
            .pop()
            .unwrap_or_else(|| self.done.recv().expect(ALIVE))
    }

    /// Hashes the first `len` bytes of `buffer`, which may meanwhile be read.
    fn hash(&self, buffer: &Arc<Vec<u8>>, len: usize) {
        self.chunks.send((Arc::clone(buffer), len)).expect(ALIVE);
    }

    /// Returns the digest of all chunks.
    fn finish(self) -> Digest {
        drop(self.chunks);
        self.digest.recv().expect(ALIVE)
    }
}

/// Why a range could not be read to its end.
#[derive(Debug)]
pub(super) enum ReadFailure {
    Read(hod_fsx::Error),
    /// The file ends after this number of bytes.
    Ends(u64),
    /// No thread could be started.
    Thread(io::Error),
}

/// Reads a range from start to end, hands every chunk to `take`, and hashes it if an algorithm is
/// given: on a second thread, unless it is so short that waking one is not worth it.
pub(super) fn read_through<E>(
    range: &FileRange,
    algorithm: Option<Algorithm>,
    read_failure: impl Fn(ReadFailure) -> E,
    mut take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<Option<Digest>, E> {
    let mut done = 0;
    let mut read = |buffer: &mut [u8]| -> Result<Option<usize>, E> {
        let len = (range.len - done).min(buffer.len() as u64);
        let buffer = &mut buffer[..usize::try_from(len).expect("at most a buffer")];
        if buffer.is_empty() {
            return Ok(None);
        }
        let offset = range.offset + done;
        let read = hod_fsx::read_at(&range.file, &range.path, buffer, offset);
        match read.map_err(|error| read_failure(ReadFailure::Read(error)))? {
            0 => Err(read_failure(ReadFailure::Ends(done))),
            n => {
                done += n as u64;
                Ok(Some(n))
            }
        }
    };
    let Some(algorithm) = algorithm.filter(|_| range.len > BUFFER_LEN as u64) else {
        let mut hasher = algorithm.map(DigestHasher::new);
        let mut buffer =
            vec![0; usize::try_from(range.len).map_or(BUFFER_LEN, |len| len.min(BUFFER_LEN))];
        while let Some(n) = read(&mut buffer)? {
            if let Some(hasher) = &mut hasher {
                hasher.update(&buffer[..n]);
            }
            take(&buffer[..n])?;
        }
        return Ok(hasher.map(DigestHasher::finish));
    };
    std::thread::scope(|scope| {
        let started = HashThread::start(scope, algorithm);
        let mut hashing = started.map_err(|error| read_failure(ReadFailure::Thread(error)))?;
        loop {
            let mut buffer = hashing.buffer();
            let own = Arc::get_mut(&mut buffer).expect("the hasher gave the buffer back");
            let Some(n) = read(own)? else {
                return Ok(Some(hashing.finish()));
            };
            hashing.hash(&buffer, n);
            take(&buffer[..n])?;
        }
    })
}
