//! A part of an open file.

use std::fs::File;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::read_at;

/// Number of bytes of a file read at once.
pub const CHUNK_LEN: usize = 256 * 1024;

/// A range of an open file.
#[derive(Debug, Clone)]
pub struct FileRange {
    /// Shared, since a blob may be sent again or to several places.
    pub file: Arc<File>,
    /// For errors.
    pub path: PathBuf,
    pub offset: u64,
    pub len: u64,
}

impl FileRange {
    /// Reads the next chunk, of at most [`CHUNK_LEN`] bytes, and moves past it; a file that ends
    /// early is an error. The range must not be empty. Blocks.
    pub fn read_chunk(&mut self) -> io::Result<Bytes> {
        let want = usize::try_from(self.len).map_or(CHUNK_LEN, |left| left.min(CHUNK_LEN));
        let mut buffer = vec![0; want];
        let n = self.read(&mut buffer)?;
        buffer.truncate(n);
        Ok(buffer.into())
    }
}

/// Reads the next bytes; a file that ends early is an error. Blocks.
impl Read for FileRange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.len).map_or(buffer.len(), |left| left.min(buffer.len()));
        if want == 0 {
            return Ok(0);
        }
        let n = read_at(&self.file, &self.path, &mut buffer[..want], self.offset)
            .map_err(io::Error::other)?;
        if n == 0 {
            let path = self.path.display();
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("`{path}` ends {} bytes early", self.len),
            ));
        }
        self.offset += n as u64;
        self.len -= n as u64;
        Ok(n)
    }
}

/// Reads a range of a file in chunks of [`CHUNK_LEN`] until `take` breaks; a file that ends early
/// is an error. Blocks.
pub fn read_chunks(
    range: &FileRange,
    mut take: impl FnMut(Bytes) -> ControlFlow<()>,
) -> io::Result<ControlFlow<()>> {
    let mut rest = range.clone();
    while rest.len > 0 {
        if take(rest.read_chunk()?).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}
