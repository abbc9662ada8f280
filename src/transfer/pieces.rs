//! The bytes of a blob on a blocking thread, which writes or hashes them.

use std::io::{self, Read};
use std::path::PathBuf;

use bytes::Bytes;

use super::{BlobContent, TransferError};
use hod_bridge::{Chunks, Stop};
use hod_fsx::{CHUNK_LEN, FileRange};

/// The bytes of a blob, piece by piece, with a callback for each consumed piece.
///
/// They also end when they are no longer required: the reader must know the expected length.
pub struct Pieces {
    origin: Origin,
    on_bytes: Box<dyn Fn(u64) + Send>,
    failed: Option<TransferError>,
}

enum Origin {
    File(FileRange, Stop),
    Stream {
        chunks: Chunks<TransferError>,
        rest: Bytes,
    },
}

impl std::fmt::Debug for Pieces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pieces").finish_non_exhaustive()
    }
}

impl BlobContent {
    /// Hands the bytes to `work` on a thread that may block; `on_bytes` hears of each piece.
    pub async fn pour<T: Send + 'static>(
        self,
        on_bytes: impl Fn(u64) + Send + 'static,
        work: impl FnOnce(&mut Pieces) -> T + Send + 'static,
    ) -> T {
        let work = move |origin| {
            work(&mut Pieces {
                origin,
                on_bytes: Box::new(on_bytes),
                failed: None,
            })
        };
        match self {
            Self::File(range) => {
                hod_bridge::run_stoppable(move |stop| work(Origin::File(range, stop))).await
            }
            Self::Stream(stream, _) => {
                let rest = Bytes::new();
                hod_bridge::pipe_to_blocking(stream, move |chunks| {
                    work(Origin::Stream { chunks, rest })
                })
                .await
            }
        }
    }
}

impl Pieces {
    /// Hands each piece to `take`.
    pub fn each<E>(
        &mut self,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), TransferError>
    where
        TransferError: From<E>,
    {
        match &mut self.origin {
            Origin::File(range, stop) => {
                let mut buffer = vec![0; CHUNK_LEN];
                while !stop.is_set() {
                    let read = range.read(&mut buffer);
                    let n = read.map_err(|source| unread(range.path.clone(), source))?;
                    if n == 0 {
                        break;
                    }
                    take(&buffer[..n])?;
                    (self.on_bytes)(n as u64);
                }
            }
            Origin::Stream { chunks, .. } => {
                for chunk in chunks {
                    let chunk = chunk?;
                    take(&chunk)?;
                    (self.on_bytes)(chunk.len() as u64);
                }
            }
        }
        Ok(())
    }

    /// Why they could not be read on, if they were read by [`Read`].
    pub fn take_failure(&mut self) -> Option<TransferError> {
        self.failed.take()
    }

    fn fail(&mut self, error: TransferError) -> io::Error {
        self.failed = Some(error);
        io::ErrorKind::UnexpectedEof.into()
    }
}

fn unread(path: PathBuf, source: io::Error) -> TransferError {
    TransferError::BlobRead { path, source }
}

/// For readers; the error is kept: see [`Pieces::take_failure`].
impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = match &mut self.origin {
            Origin::File(_, stop) if stop.is_set() => return Ok(0),
            Origin::File(range, _) => match range.read(buffer) {
                Ok(n) => n,
                Err(source) => {
                    let error = unread(range.path.clone(), source);
                    return Err(self.fail(error));
                }
            },
            Origin::Stream { chunks, rest } => {
                while rest.is_empty() {
                    match chunks.next() {
                        None => return Ok(0),
                        Some(Ok(chunk)) => *rest = chunk,
                        Some(Err(error)) => return Err(self.fail(error)),
                    }
                }
                let n = buffer.len().min(rest.len());
                buffer[..n].copy_from_slice(&rest.split_to(n));
                n
            }
        };
        (self.on_bytes)(n as u64);
        Ok(n)
    }
}
