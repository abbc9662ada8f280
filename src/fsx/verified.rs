//! Verified bytes on their way to a file and from one.

use std::io::{self, Read};

use super::{Error, KeptFile, TempFile};
use hod_oci::{ContentMismatch, Verifier};

/// What takes bytes at its end.
pub trait Append {
    /// Appends `bytes`. After an error, writing must not continue, unless the type allows it.
    fn append(&mut self, bytes: &[u8]) -> Result<(), Error>;
}

impl Append for TempFile {
    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.write_all(bytes)
    }
}

/// An error leaves it unchanged.
impl Append for KeptFile {
    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        Self::append(self, bytes)
    }
}

/// Why bytes were not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error(transparent)]
    File(#[from] Error),
    #[error(transparent)]
    Content(#[from] ContentMismatch),
}

/// Writes content that has a known digest: what it was written to is only had when the content is
/// right.
#[derive(Debug)]
pub struct VerifiedWriter<W> {
    inner: W,
    verifier: Verifier,
}

impl<W: Append> VerifiedWriter<W> {
    /// Writes to the end of `inner`, which has what `verifier` has seen.
    pub fn new(inner: W, verifier: impl Into<Verifier>) -> Self {
        Self {
            inner,
            verifier: verifier.into(),
        }
    }

    /// Appends `bytes`, or none of them if the content would be longer than expected.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.verifier.admit(bytes.len())?;
        self.inner.append(bytes)?;
        Ok(self.verifier.update(bytes)?)
    }

    /// The state of the verification.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Ends the content, and gives what it was written to if it is right.
    pub fn finish(self) -> Result<W, ContentMismatch> {
        self.verifier.finish()?;
        Ok(self.inner)
    }

    /// Ends the content, and gives what it was written to whether it is right or not.
    pub fn into_parts(self) -> (W, Result<(), ContentMismatch>) {
        (self.inner, self.verifier.finish())
    }
}

/// Reads content that has a known digest: its end is only reached when all of it is right.
///
/// Wrong content is an error of the kind [`io::ErrorKind::InvalidData`] that holds a
/// [`ContentMismatch`]. The bytes before the end may be wrong.
#[derive(Debug)]
pub struct VerifiedReader<R> {
    inner: R,
    verifier: Option<Verifier>,
    failed: Option<ContentMismatch>,
    /// Returns true if reading failed, so that nothing is known about the content.
    is_broken: bool,
}

impl<R: Read> VerifiedReader<R> {
    /// Reads all of `inner`.
    pub fn new(inner: R, expected: impl Into<Verifier>) -> Self {
        Self {
            inner,
            verifier: Some(expected.into()),
            failed: None,
            is_broken: false,
        }
    }

    /// Reads the rest.
    pub fn finish(&mut self) -> io::Result<()> {
        io::copy(self, &mut io::sink()).map(|_| ())
    }

    /// The problem with the content, if one was found.
    pub fn take_mismatch(&mut self) -> Option<ContentMismatch> {
        self.failed.take()
    }

    fn verify(&mut self, bytes: &[u8]) -> Result<(), ContentMismatch> {
        match &mut self.verifier {
            Some(verifier) if !bytes.is_empty() => verifier.update(bytes),
            _ => self.verifier.take().map_or(Ok(()), Verifier::finish),
        }
    }
}

impl<R: Read> Read for VerifiedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let refused = |mismatch: &ContentMismatch| {
            Err(io::Error::new(io::ErrorKind::InvalidData, mismatch.clone()))
        };
        if let Some(mismatch) = &self.failed {
            return refused(mismatch);
        }
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.is_broken {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if self.verifier.is_none() {
            // What may still come was not verified.
            return Ok(0);
        }
        let read = self.inner.read(buffer);
        let is_broken = |error: &io::Error| error.kind() != io::ErrorKind::Interrupted;
        self.is_broken = read.as_ref().is_err_and(is_broken);
        let n = read?;
        match self.verify(&buffer[..n]) {
            Ok(()) => Ok(n),
            Err(mismatch) => refused(self.failed.insert(mismatch)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Durability, Keeping};
    use hod_oci::{Descriptor, Digest};

    fn blob(bytes: &[u8]) -> Descriptor {
        Descriptor::new("x/y".into(), Digest::of(bytes), bytes.len() as u64)
    }

    /// Takes bytes, or fails.
    #[derive(Debug, Default)]
    struct Memory {
        bytes: Vec<u8>,
        is_full: bool,
    }

    impl Append for Memory {
        fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
            if self.is_full {
                let source = io::ErrorKind::StorageFull.into();
                return Err(Error::new("write", "memory".as_ref(), source));
            }
            self.bytes.extend(bytes);
            Ok(())
        }
    }

    /// Gives bytes in pieces of these lengths, over and over.
    struct Pieces<'b> {
        bytes: &'b [u8],
        lens: Vec<usize>,
        n: usize,
    }

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let len = self.lens[self.n % self.lens.len()];
            self.n += 1;
            let len = len.min(buffer.len());
            self.bytes.read(&mut buffer[..len])
        }
    }

    fn mismatch(error: &io::Error) -> &ContentMismatch {
        error.get_ref().unwrap().downcast_ref().unwrap()
    }

    proptest! {
        #[test]
        fn only_what_is_right_is_read_and_written_to_its_end(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            lens in prop::collection::vec(1_usize..70, 1..5),
            flipped in prop::option::of(any::<prop::sample::Index>()),
            by in -2_i64..=2,
        ) {
            let blob = blob(&bytes);
            let mut came = bytes.clone();
            let len = came.len().saturating_add_signed(isize::try_from(by).unwrap());
            came.resize(len, 7);
            if let Some(at) = flipped.filter(|_| !came.is_empty()) {
                let at = at.index(came.len());
                came[at] ^= 0x40;
            }
            let is_right = came == bytes;

            let mut writer = VerifiedWriter::new(Memory::default(), &blob);
            let mut pieces = lens.iter().cycle();
            let mut rest = came.as_slice();
            let mut is_refused = false;
            while !rest.is_empty() && !is_refused {
                let (piece, after) = rest.split_at((*pieces.next().unwrap()).min(rest.len()));
                is_refused = writer.write(piece).is_err();
                rest = after;
            }
            prop_assert!(writer.verifier().len() <= blob.size);
            prop_assert_eq!(is_refused, came.len() > bytes.len());
            match writer.finish() {
                Ok(memory) => prop_assert_eq!(memory.bytes, bytes.clone()),
                Err(_) => prop_assert!(!is_right),
            }

            let pieces = Pieces { bytes: &came, lens, n: 0 };
            let mut reader = VerifiedReader::new(pieces, &blob);
            let mut read = Vec::new();
            let end = reader.read_to_end(&mut read);
            prop_assert_eq!(end.is_ok(), is_right);
            if let Err(error) = end {
                prop_assert_eq!(error.kind(), io::ErrorKind::InvalidData);
                let found = mismatch(&error).clone();
                let again = reader.read(&mut [0; 4]).unwrap_err();
                prop_assert_eq!(mismatch(&again), &found, "it stays wrong");
                prop_assert_eq!(reader.take_mismatch(), Some(found));
            } else {
                prop_assert_eq!(read, bytes);
            }
        }
    }

    #[test]
    fn what_could_not_be_written_is_not_counted() {
        let blob = blob(b"hello");
        let mut writer = VerifiedWriter::new(Memory::default(), &blob);
        writer.write(b"hel").unwrap();
        writer.inner.is_full = true;
        assert!(matches!(writer.write(b"lo"), Err(WriteError::File(_))));
        writer.inner.is_full = false;
        writer.write(b"lo").unwrap();
        assert_eq!(writer.finish().unwrap().bytes, b"hello");
    }

    #[test]
    fn an_interrupted_read_is_not_the_end() {
        struct Interrupted<'b>(&'b [u8], bool);
        impl Read for Interrupted<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.1 = !self.1;
                if self.1 {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                self.0.read(buffer)
            }
        }
        let digest = Digest::of(b"hello");
        let mut reader = VerifiedReader::new(Interrupted(b"hello", false), &digest);
        reader.finish().unwrap();
        assert_eq!(reader.read_to_end(&mut Vec::new()).unwrap(), 0);
    }

    #[test]
    fn files_of_both_kinds_are_written() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        let blob = blob(b"hello");
        let temp = TempFile::create_in(root.path(), "temp-").unwrap();
        let mut writer = VerifiedWriter::new(temp, &blob);
        writer.write(b"hello").unwrap();
        let temp = writer.finish().unwrap();
        temp.persist(&path("a"), Durability::Deferred).unwrap();
        assert_eq!(crate::read(&path("a"), 9).unwrap(), b"hello");
        let Keeping::Ours(file) = KeptFile::open(&path("b")).unwrap() else {
            panic!("nobody else has it");
        };
        let mut writer = VerifiedWriter::new(file, &blob);
        writer.write(b"hallo").unwrap();
        let (file, result) = writer.into_parts();
        assert!(matches!(result, Err(ContentMismatch::Digest { .. })));
        file.remove().unwrap();
        assert_eq!(crate::try_stat(&path("b")).unwrap(), None);
    }
}
