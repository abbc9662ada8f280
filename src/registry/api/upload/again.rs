//! A blob that can be read again from any byte, such as one of another registry, so that no part of it
//! is held in memory.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt as _};

use super::verifier::PartVerifier;
use hod_oci::Verifier;

/// A stream of bytes to upload.
pub type UploadStream = Pin<Box<dyn Stream<Item = Result<Bytes, io::Error>> + Send>>;

/// Opens a blob at a byte.
pub type Reopen =
    Box<dyn Fn(u64) -> BoxFuture<'static, Result<UploadStream, io::Error>> + Send + Sync>;

/// A blob of `len` bytes.
pub(super) struct Again {
    open: Reopen,
    len: u64,
    /// The stream that is open after the part that was sent last.
    live: Slot,
}

type Slot = Arc<Mutex<Option<Live>>>;

/// A stream, and where it is.
struct Live {
    offset: u64,
    stream: UploadStream,
    /// Bytes that were read and not taken.
    ahead: Bytes,
}

impl Again {
    pub(super) fn new(open: Reopen, len: u64) -> Self {
        Self {
            open,
            len,
            live: Slot::default(),
        }
    }

    /// Reads what lies between `before` and `offset`, so that it is known.
    pub(super) async fn read_up(
        &mut self,
        mut before: Verifier,
        offset: u64,
    ) -> Result<Verifier, io::Error> {
        if before.len() == offset {
            return Ok(before);
        }
        let mut live = self.open(before.len()).await?;
        while before.len() < offset {
            let chunk = live.take(offset - before.len()).await?;
            let chunk = chunk.ok_or_else(|| ends(before.len(), self.len))?;
            before.update(&chunk).map_err(io::Error::other)?;
        }
        put(&self.live, live);
        Ok(before)
    }

    /// The `len` bytes at `offset`; at the end of the blob fails if there are more.
    pub(super) async fn part(
        &mut self,
        offset: u64,
        len: u64,
        verifier: PartVerifier,
    ) -> Result<UploadStream, io::Error> {
        if len == 0 {
            return Ok(Box::pin(futures_util::stream::empty()));
        }
        let live = self.open(offset).await?;
        let (slot, whole_len) = (Arc::clone(&self.live), self.len);
        let state = Some((live, len, verifier));
        let stream = futures_util::stream::unfold(state, move |state| {
            let slot = Arc::clone(&slot);
            async move {
                let (mut live, left, mut verifier) = state?;
                match next(&mut live, left, whole_len, &mut verifier).await {
                    Err(error) => Some((Err(error), None)),
                    Ok(chunk) => {
                        let left = left - chunk.len() as u64;
                        if left > 0 {
                            return Some((Ok(chunk), Some((live, left, verifier))));
                        }
                        // The reader stops at the announced length and does not ask again.
                        put(&slot, live);
                        Some((Ok(chunk), None))
                    }
                }
            }
        });
        // A body may be asked again after its end.
        Ok(Box::pin(stream.fuse()))
    }

    /// Returns a stream that is open at `offset`.
    async fn open(&self, offset: u64) -> Result<Live, io::Error> {
        let live = self.live.lock().expect("no panic with the lock").take();
        if let Some(live) = live.filter(|live| live.offset == offset) {
            return Ok(live);
        }
        Ok(Live {
            offset,
            stream: (self.open)(offset).await?,
            ahead: Bytes::new(),
        })
    }
}

/// The next bytes of a part of which `left` are missing.
async fn next(
    live: &mut Live,
    left: u64,
    whole_len: u64,
    verifier: &mut PartVerifier,
) -> Result<Bytes, io::Error> {
    let chunk = live.take(left).await?;
    let chunk = chunk.ok_or_else(|| ends(live.offset, whole_len))?;
    if live.offset == whole_len && live.take(1).await?.is_some() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("more than the expected {whole_len} bytes"),
        ));
    }
    verifier.see(&chunk)?;
    Ok(chunk)
}

fn put(slot: &Slot, live: Live) {
    *slot.lock().expect("no panic with the lock") = Some(live);
}

pub(super) fn ends(have: u64, whole_len: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        format!("{have} of the expected {whole_len} bytes"),
    )
}

impl Live {
    /// The next bytes, at most so many; `None` at the end.
    async fn take(&mut self, len_max: u64) -> Result<Option<Bytes>, io::Error> {
        while self.ahead.is_empty() {
            match self.stream.next().await.transpose()? {
                Some(bytes) => self.ahead = bytes,
                None => return Ok(None),
            }
        }
        let len = usize::try_from(len_max).unwrap_or(usize::MAX);
        let chunk = self.ahead.split_to(len.min(self.ahead.len()));
        self.offset += chunk.len() as u64;
        Ok(Some(chunk))
    }
}
