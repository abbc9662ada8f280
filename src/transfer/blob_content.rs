//! The bytes of a blob, in the form that lets a sink do the least work.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

use super::{Origins, SizeClaim, TransferError};
use hod_fsx::FileRange;
use hod_oci::{Descriptor, sum_len};

/// A stream of a blob's bytes.
pub type BlobStream = Pin<Box<dyn Stream<Item = Result<Bytes, TransferError>> + Send>>;

/// The bytes of a blob, in the form that lets a sink do the least work.
pub enum BlobContent {
    /// Part of an open file; `path` may be linked when the range is the whole file.
    File(FileRange),
    /// A stream of bytes and its origins.
    Stream(BlobStream, Origins),
}

impl BlobContent {
    /// The bytes as a stream.
    pub fn into_stream(self) -> BlobStream {
        match self {
            Self::File(range) => {
                let path = range.path.clone();
                let stream = hod_bridge::stream_file(range);
                Box::pin(stream.map(move |item| {
                    item.map_err(|source| TransferError::BlobRead {
                        path: path.clone(),
                        source,
                    })
                }))
            }
            Self::Stream(stream, _) => stream,
        }
    }

    /// The registry that the bytes come from, if any.
    pub fn origins(&self) -> Origins {
        match self {
            Self::File(_) => Origins::default(),
            Self::Stream(_, origins) => origins.clone(),
        }
    }
}

impl std::fmt::Debug for BlobContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(range) => f.debug_tuple("File").field(range).finish(),
            Self::Stream(..) => f.write_str("Stream"),
        }
    }
}

/// The bytes of a blob in a file from the byte `from` on; the file must have the length of the
/// descriptor.
pub(super) fn open_range(
    range: Option<FileRange>,
    descriptor: &Descriptor,
    from: u64,
) -> Result<BlobContent, TransferError> {
    let mut range = range.ok_or_else(|| TransferError::BlobAbsent {
        digest: descriptor.digest.clone(),
    })?;
    if range.len == descriptor.size && from <= range.len {
        range.offset += from;
        range.len -= from;
        return Ok(BlobContent::File(range));
    }
    Err(wrong_len(descriptor, range.len))
}

fn wrong_len(descriptor: &Descriptor, actual: u64) -> TransferError {
    TransferError::BlobLength {
        digest: descriptor.digest.clone(),
        claim: SizeClaim::SomeManifest,
        expected: descriptor.size,
        actual,
    }
}

/// The same of a blob that is in several files.
pub(super) fn open_parts(
    mut parts: Vec<FileRange>,
    descriptor: &Descriptor,
    from: u64,
) -> Result<BlobContent, TransferError> {
    let len = sum_len(parts.iter().map(|part| part.len));
    if len != descriptor.size || from > len {
        return Err(wrong_len(descriptor, len));
    }
    let mut left = from;
    for part in &mut parts {
        let skipped = left.min(part.len);
        part.offset += skipped;
        part.len -= skipped;
        left -= skipped;
    }
    // Of each file, for an error.
    let digest = descriptor.digest.clone();
    let stream = hod_bridge::stream_files(parts).map(move |item| {
        item.map_err(|source| TransferError::StreamRead {
            digest: digest.clone(),
            source,
        })
    });
    Ok(BlobContent::Stream(Box::pin(stream), Origins::default()))
}
