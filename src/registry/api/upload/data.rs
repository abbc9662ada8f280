//! The bytes of a blob, parts of which may be sent again.

use std::io;
use std::ops::ControlFlow;
use std::sync::{LockResult, Mutex};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use super::again::{Again, ends};
use super::verifier::{PartVerifier, PartsVerifier};
use super::{UploadBody, UploadStream};
use hod_fsx::{FileRange, read_chunks};
use hod_oci::Descriptor;

/// Maximum number of bytes of a stream held in memory so that they can be sent again. Several
/// streams are active at once, and the allocator keeps as much again.
pub(super) const HELD_LEN_MAX: u64 = 6 * 1024 * 1024;

/// The bytes of a blob of `len` bytes, verified while they are read.
pub(super) struct Data {
    len: u64,
    verifier: PartsVerifier,
    kind: Kind,
}

/// A part of a blob on its way to the network.
pub(super) enum Part {
    /// Verified by the thread that reads it.
    File(FileRange, Box<PartVerifier>),
    /// Verified where it came from.
    Held(Bytes),
    Stream(UploadStream),
}

enum Kind {
    File(FileRange),
    /// Can be read once.
    Once(Held),
    /// Can be opened at any byte.
    Again(Again),
}

struct Held {
    /// `None` once it was handed out whole. The lock is never contended: it only allows an upload
    /// to be shared between threads, which a stream alone does not.
    stream: Option<Mutex<UploadStream>>,
    /// The offset of `bytes` in the blob.
    offset: u64,
    /// Bytes that were read and may be sent again.
    bytes: Bytes,
    /// Bytes that were read beyond those.
    ahead: Bytes,
}

impl Data {
    /// Fails for a stream that is to have no bytes, and a digest of some.
    pub(super) fn new(body: UploadBody, blob: &Descriptor) -> Result<Self, io::Error> {
        let mut verifier = PartsVerifier::new(blob);
        let kind = match body {
            UploadBody::File(range) => Kind::File(range),
            UploadBody::Again(open) => Kind::Again(Again::new(open, blob.size)),
            UploadBody::Stream(stream) => {
                // It is read once, so that what is sent again is what was verified.
                let whole = verifier.begin(verifier.prefix(0), blob.size)?;
                Kind::Once(Held {
                    stream: Some(Mutex::new(verified(stream, whole))),
                    offset: 0,
                    bytes: Bytes::new(),
                    ahead: Bytes::new(),
                })
            }
        };
        Ok(Self {
            len: blob.size,
            verifier,
            kind,
        })
    }

    /// Whether all bytes were read in the end, and have the right digest.
    pub(super) fn is_verified(&self) -> bool {
        self.verifier.is_verified()
    }

    /// Whether each part has to fit into memory.
    pub(super) fn is_held(&self) -> bool {
        matches!(self.kind, Kind::Once(_))
    }

    /// Whether it can be read from `offset` on.
    pub(super) fn has(&self, offset: u64) -> bool {
        match &self.kind {
            Kind::File(_) | Kind::Again(_) => true,
            Kind::Once(held) => held.stream.is_some() && held.offset <= offset,
        }
    }

    /// Returns the whole blob without holding any of it in memory.
    pub(super) async fn whole(&mut self) -> Result<Part, io::Error> {
        match &mut self.kind {
            Kind::File(_) | Kind::Again(_) => self.part(0, self.len).await,
            Kind::Once(held) => match held.stream.take() {
                Some(stream) => Ok(Part::Stream(unlocked(stream.into_inner()))),
                None => Err(gone()),
            },
        }
    }

    /// Returns the `len` bytes at `offset`. Bytes before `offset` are no longer needed.
    ///
    /// At the end of the blob, surplus bytes are included, so that the length check notices them.
    pub(super) async fn part(&mut self, offset: u64, len: u64) -> Result<Part, io::Error> {
        let is_end = offset + len == self.len;
        match &mut self.kind {
            Kind::File(range) => {
                let mut before = self.verifier.prefix(offset);
                if before.len() < offset {
                    let mut skipped = range.clone();
                    skipped.offset += before.len();
                    skipped.len = offset - before.len();
                    before = hod_bridge::run_stoppable(move |stop| {
                        let mut taken = Ok(());
                        let read = read_chunks(&skipped, |chunk| {
                            taken = before.update(&chunk);
                            match taken {
                                Ok(()) => stop.flow(),
                                Err(_) => ControlFlow::Break(()),
                            }
                        });
                        read.and(taken.map_err(io::Error::other)).map(|()| before)
                    })
                    .await?;
                }
                let left = range.len.saturating_sub(offset);
                let mut range = range.clone();
                range.offset += offset;
                range.len = if is_end { left } else { left.min(len) };
                let verifier = self.verifier.begin(before, len)?;
                Ok(Part::File(range, Box::new(verifier)))
            }
            Kind::Again(again) => {
                let before = again.read_up(self.verifier.prefix(offset), offset).await?;
                let verifier = self.verifier.begin(before, len)?;
                Ok(Part::Stream(again.part(offset, len, verifier).await?))
            }
            Kind::Once(held) => {
                let bytes = held.read(offset, len, self.len).await?;
                Ok(Part::Held(bytes))
            }
        }
    }
}

/// A stream whose last bytes come only if all of them are right.
fn verified(stream: UploadStream, mut verifier: PartVerifier) -> UploadStream {
    Box::pin(stream.map(move |item| {
        let chunk = item?;
        verifier.see(&chunk)?;
        Ok(chunk)
    }))
}

fn gone() -> io::Error {
    io::Error::other("the data can be read only once")
}

fn unlocked<T>(result: LockResult<T>) -> T {
    result.expect("the lock is never held")
}

impl Held {
    async fn read(&mut self, offset: u64, len: u64, whole_len: u64) -> Result<Bytes, io::Error> {
        let len = usize::try_from(len).map_err(io::Error::other)?;
        self.skip_to(offset, whole_len).await?;
        if self.bytes.len() < len {
            let mut bytes = BytesMut::with_capacity(len);
            bytes.extend_from_slice(&self.bytes);
            while bytes.len() < len {
                if self.ahead.is_empty() {
                    let have = offset + bytes.len() as u64;
                    self.ahead = self.next().await?.ok_or_else(|| ends(have, whole_len))?;
                }
                let n = self.ahead.len().min(len - bytes.len());
                bytes.extend_from_slice(&self.ahead.split_to(n));
            }
            self.bytes = bytes.freeze();
        }
        if offset + len as u64 == whole_len && self.has_more().await? {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("more than the expected {whole_len} bytes"),
            ));
        }
        Ok(self.bytes.slice(..len))
    }

    /// Skips bytes before `offset`, which an earlier run may have sent.
    async fn skip_to(&mut self, offset: u64, whole_len: u64) -> Result<(), io::Error> {
        let skip = offset.checked_sub(self.offset).ok_or_else(gone)?;
        let mut skip = usize::try_from(skip).map_err(io::Error::other)?;
        let n = skip.min(self.bytes.len());
        let _ = self.bytes.split_to(n);
        skip -= n;
        while skip > 0 {
            if self.ahead.is_empty() {
                let have = offset - skip as u64;
                self.ahead = self.next().await?.ok_or_else(|| ends(have, whole_len))?;
            }
            let n = skip.min(self.ahead.len());
            let _ = self.ahead.split_to(n);
            skip -= n;
        }
        self.offset = offset;
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<Bytes>, io::Error> {
        let stream = self.stream.as_mut().ok_or_else(gone)?;
        unlocked(stream.get_mut()).next().await.transpose()
    }

    async fn has_more(&mut self) -> Result<bool, io::Error> {
        while self.ahead.is_empty() {
            match self.next().await? {
                Some(bytes) => self.ahead = bytes,
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "`tokio::test` gives each test a runtime of its own"
)]
mod tests {
    use super::*;

    fn stream(chunks: &'static [&'static str]) -> UploadBody {
        let chunks = chunks
            .iter()
            .map(|chunk| Ok(Bytes::from_static(chunk.as_bytes())));
        // Streams may be polled after their end.
        UploadBody::Stream(Box::pin(futures_util::stream::iter(chunks).fuse()))
    }

    fn data_of(body: UploadBody, bytes: &[u8]) -> Data {
        let digest = hod_oci::Digest::of(bytes);
        let blob = Descriptor::new("x/y".into(), digest, bytes.len() as u64);
        Data::new(body, &blob).unwrap()
    }

    async fn part(data: &mut Data, offset: u64, len: u64) -> Result<String, String> {
        match data.part(offset, len).await {
            Ok(Part::Held(bytes)) => Ok(String::from_utf8(bytes.to_vec()).unwrap()),
            Ok(_) => panic!("parts of streams are held"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[tokio::test]
    async fn the_last_part_of_a_stream_can_be_had_again() {
        let mut data = data_of(stream(&["012", "", "3456", "789"]), b"0123456789");
        assert!(data.is_held() && data.has(0));
        for _ in 0..2 {
            assert_eq!(part(&mut data, 0, 4).await.unwrap(), "0123");
        }
        // Smaller, and from the middle of it.
        assert_eq!(part(&mut data, 0, 2).await.unwrap(), "01");
        assert_eq!(part(&mut data, 2, 2).await.unwrap(), "23");
        assert_eq!(part(&mut data, 4, 5).await.unwrap(), "45678");
        assert!(!data.has(2) && data.has(4));
        assert!(part(&mut data, 2, 2).await.is_err());
        assert_eq!(part(&mut data, 9, 1).await.unwrap(), "9");
        for _ in 0..2 {
            assert_eq!(part(&mut data, 10, 0).await.unwrap(), "");
        }
        // Bytes that an earlier run has sent are skipped.
        let mut data = data_of(stream(&["012", "3456", "789"]), b"0123456789");
        assert_eq!(part(&mut data, 5, 4).await.unwrap(), "5678");
        assert!(!data.has(0));
    }

    #[tokio::test]
    async fn a_stream_must_have_the_length_it_should() {
        let mut short = data_of(stream(&["012"]), b"0123456789");
        assert_eq!(
            part(&mut short, 0, 10).await.unwrap_err(),
            "3 of the expected 10 bytes"
        );
        for chunks in [&["0123", "4"][..], &["01234"], &["0123", "", "4"]] {
            let mut long = data_of(stream(chunks), b"0123");
            assert_eq!(
                part(&mut long, 0, 4).await.unwrap_err(),
                "more than the expected 4 bytes"
            );
        }
        let mut whole = data_of(stream(&["0123"]), b"0123");
        assert!(whole.whole().await.is_ok());
        assert!(!whole.has(0) && whole.whole().await.is_err());
    }

    #[tokio::test]
    async fn what_an_earlier_run_sent_is_read_again_from_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        for (bytes, is_right) in [(b"0123456789", true), (b"01x3456789", false)] {
            hod_fsx::write_file(&path, bytes).unwrap();
            let range = FileRange {
                file: std::sync::Arc::new(hod_fsx::open(&path).unwrap()),
                path: path.clone(),
                offset: 0,
                len: 10,
            };
            let mut data = data_of(UploadBody::File(range), b"0123456789");
            let Part::File(range, mut verifier) = data.part(4, 6).await.unwrap() else {
                panic!("parts of files are files")
            };
            assert_eq!((range.offset, range.len), (4, 6));
            assert_eq!(verifier.see(b"456789").is_ok(), is_right);
            assert_eq!(data.is_verified(), is_right);
            // Nothing more is to be sent, and all of it was sent by an earlier run.
            assert_eq!(data.part(10, 0).await.is_ok(), is_right);
        }
    }

    #[tokio::test]
    async fn a_damaged_stream_ends_before_its_last_bytes() {
        let mut cut = data_of(stream(&["0123", "4x67", "89"]), b"0123456789");
        assert_eq!(part(&mut cut, 0, 8).await.unwrap(), "01234x67");
        let error = part(&mut cut, 8, 2).await.unwrap_err();
        assert!(error.contains("the data to upload has digest"), "{error}");
        assert!(!cut.is_verified());
    }

    /// A blob that can be opened at any byte, in chunks of three; notes where it was opened.
    fn again(bytes: &'static [u8], opened: &std::sync::Arc<Mutex<Vec<u64>>>) -> UploadBody {
        let opened = std::sync::Arc::clone(opened);
        UploadBody::Again(Box::new(move |from| {
            opened.lock().unwrap().push(from);
            let rest = &bytes[usize::try_from(from).unwrap()..];
            let chunks = rest.chunks(3).map(|chunk| Ok(Bytes::from_static(chunk)));
            let stream: UploadStream = Box::pin(futures_util::stream::iter(chunks));
            Box::pin(std::future::ready(Ok(stream)))
        }))
    }

    async fn sent(data: &mut Data, offset: u64, len: u64) -> Result<String, String> {
        let Part::Stream(mut stream) = data.part(offset, len).await.map_err(|e| e.to_string())?
        else {
            panic!("parts of what can be opened again are streams")
        };
        let mut text = String::new();
        while let Some(chunk) = stream.next().await {
            text.push_str(std::str::from_utf8(&chunk.map_err(|e| e.to_string())?).unwrap());
        }
        Ok(text)
    }

    #[tokio::test]
    async fn what_can_be_opened_again_is_read_on_and_never_held() {
        let opened = std::sync::Arc::default();
        let mut data = data_of(again(b"0123456789", &opened), b"0123456789");
        assert!(!data.is_held() && data.has(0) && data.has(7));
        assert_eq!(sent(&mut data, 0, 4).await.unwrap(), "0123");
        assert_eq!(sent(&mut data, 4, 4).await.unwrap(), "4567");
        assert_eq!(*opened.lock().unwrap(), [0], "read on");
        // Refused, and sent again; then from its middle, whose first bytes arrived.
        assert_eq!(sent(&mut data, 4, 4).await.unwrap(), "4567");
        assert_eq!(sent(&mut data, 6, 2).await.unwrap(), "67");
        assert!(!data.is_verified());
        assert_eq!(sent(&mut data, 8, 2).await.unwrap(), "89");
        assert!(data.is_verified());
        assert_eq!(sent(&mut data, 10, 0).await.unwrap(), "");
        assert_eq!(*opened.lock().unwrap(), [0, 4, 4]);
        // All of it was sent by an earlier run: it is read for its digest.
        let mut data = data_of(again(b"0123456789", &opened), b"0123456789");
        assert_eq!(sent(&mut data, 10, 0).await.unwrap(), "");
        assert!(data.is_verified());
    }

    #[tokio::test]
    async fn what_can_be_opened_again_must_be_right() {
        let opened = std::sync::Arc::default();
        for (bytes, expect) in [
            (&b"01234x6789"[..], "the data to upload has digest"),
            (b"012345678", "9 of the expected 10 bytes"),
            (b"01234567890", "more than the expected 10 bytes"),
        ] {
            let mut data = data_of(again(bytes, &opened), b"0123456789");
            let _ = sent(&mut data, 0, 5).await.unwrap();
            let error = sent(&mut data, 5, 5).await.unwrap_err();
            assert!(error.contains(expect), "{error}");
            assert!(!data.is_verified());
        }
    }
}
