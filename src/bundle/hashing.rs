//! Hashing on a second thread, so that one large blob is hashed while it is read and written.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Scope;

use crate::bridge;
use crate::oci::{Algorithm, Digest, DigestHasher};

/// The length of a buffer: it stays in the cache between being read, hashed and written.
pub(super) const BUFFER_LEN: usize = 256 * 1024;
/// Number of buffers per copy, which is how far hashing may lag behind.
const N_BUFFERS: usize = 4;

/// A thread that hashes the buffers it receives, and sends them back.
#[derive(Debug)]
pub(super) struct HashThread {
    tasks: Sender<Task>,
    done: Receiver<Done>,
    free: Vec<Arc<Vec<u8>>>,
}

#[derive(Debug)]
enum Task {
    Start(Algorithm),
    Chunk(Arc<Vec<u8>>, usize),
    Finish,
}

#[derive(Debug)]
enum Done {
    Chunk(Arc<Vec<u8>>),
    Digest(Digest),
}

impl HashThread {
    /// Starts the thread; it ends when the value is dropped.
    pub(super) fn start<'scope>(scope: &'scope Scope<'scope, '_>) -> io::Result<Self> {
        let (tasks, to_do) = channel();
        let (report, done) = channel();
        bridge::spawn_scoped(scope, move || work(&to_do, &report))?;
        Ok(Self {
            tasks,
            done,
            free: (0..N_BUFFERS)
                .map(|_| Arc::new(vec![0; BUFFER_LEN]))
                .collect(),
        })
    }

    /// Starts a new digest.
    pub(super) fn begin(&self, algorithm: Algorithm) {
        self.send(Task::Start(algorithm));
    }

    /// Returns a buffer without another owner, waiting until one is hashed.
    pub(super) fn buffer(&mut self) -> Arc<Vec<u8>> {
        match self.free.pop() {
            Some(buffer) => buffer,
            None => loop {
                if let Done::Chunk(buffer) = self.receive() {
                    break buffer;
                }
            },
        }
    }

    /// Hashes the first `len` bytes of `buffer`, which may meanwhile be read.
    pub(super) fn hash(&self, buffer: &Arc<Vec<u8>>, len: usize) {
        self.send(Task::Chunk(Arc::clone(buffer), len));
    }

    /// Takes back a buffer that was not given to be hashed.
    pub(super) fn give_back(&mut self, buffer: Arc<Vec<u8>>) {
        self.free.push(buffer);
    }

    /// Returns the digest of all chunks since the start.
    pub(super) fn finish(&mut self) -> Digest {
        self.send(Task::Finish);
        loop {
            match self.receive() {
                Done::Chunk(buffer) => self.free.push(buffer),
                Done::Digest(digest) => return digest,
            }
        }
    }

    fn send(&self, task: Task) {
        self.tasks
            .send(task)
            .expect("the thread lives as long as its sender");
    }

    fn receive(&self) -> Done {
        self.done
            .recv()
            .expect("the thread lives as long as its sender")
    }
}

fn work(tasks: &Receiver<Task>, report: &Sender<Done>) {
    let mut hasher = DigestHasher::new(Algorithm::Sha256);
    for task in tasks {
        let done = match task {
            Task::Start(algorithm) => {
                hasher = DigestHasher::new(algorithm);
                continue;
            }
            Task::Chunk(buffer, len) => {
                hasher.update(&buffer[..len]);
                Done::Chunk(buffer)
            }
            Task::Finish => Done::Digest(
                std::mem::replace(&mut hasher, DigestHasher::new(Algorithm::Sha256)).finish(),
            ),
        };
        if report.send(done).is_err() {
            break;
        }
    }
}
