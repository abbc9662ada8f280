//! Verifies the digest of an upload while it is read.
//!
//! The sender cannot rely on the registry to notice damage: not every registry hashes uploads.
//! So the last bytes of a blob are handed to the network only when all of it has the right digest:
//! a registry never has the whole of a damaged blob. What an earlier run has sent is read again for
//! the same reason.

use std::io;
use std::sync::{Arc, Mutex};

use crate::RegistryError;
use hod_oci::{ContentMismatch, Descriptor, Verifier};

/// Verifies a blob that is sent in parts, some of them perhaps several times.
#[derive(Debug)]
pub(super) struct PartsVerifier {
    /// Of no bytes.
    empty: Verifier,
    len: u64,
    /// The state before the part that was begun last.
    before: Verifier,
    /// The state after all of that part was read.
    after: Arc<Mutex<Option<Verifier>>>,
}

impl PartsVerifier {
    /// Expects the digest of `blob`. Whoever reads the bytes checks that none follow.
    pub(super) fn new(blob: &Descriptor) -> Self {
        let empty = Verifier::from(&blob.digest);
        Self {
            before: empty.clone(),
            empty,
            len: blob.size,
            after: Arc::default(),
        }
    }

    /// The longest known prefix that ends at `offset` or before it.
    pub(super) fn prefix(&self, offset: u64) -> Verifier {
        let after = self.after.lock().expect("no panic while hashing").clone();
        let known = after.into_iter().chain([self.before.clone()]);
        let mut fitting = known.filter(|prefix| prefix.len() <= offset);
        fitting.next().unwrap_or_else(|| self.empty.clone())
    }

    /// Begins the part of `len` bytes that follows `before`; fails at the end of the data if they
    /// have another digest.
    pub(super) fn begin(&mut self, before: Verifier, len: u64) -> Result<PartVerifier, io::Error> {
        self.before = before.clone();
        self.after = Arc::default();
        let part = PartVerifier {
            end: before.len() + len,
            read: before,
            whole_len: self.len,
            after: Arc::clone(&self.after),
        };
        if part.read.len() == part.end {
            part.conclude()?;
        }
        Ok(part)
    }

    /// Whether all bytes were read in the end, and have the right digest.
    pub(super) fn is_verified(&self) -> bool {
        let after = self.after.lock().expect("no panic while hashing");
        after
            .as_ref()
            .is_some_and(|prefix| prefix.len() == self.len)
    }
}

/// Verifies one part while it is read.
#[derive(Debug)]
pub(super) struct PartVerifier {
    read: Verifier,
    end: u64,
    whole_len: u64,
    after: Arc<Mutex<Option<Verifier>>>,
}

impl PartVerifier {
    /// Takes the next bytes into account; fails at the last of a blob that is damaged, which then
    /// must not be sent.
    pub(super) fn see(&mut self, bytes: &[u8]) -> Result<(), io::Error> {
        self.read.update(bytes).map_err(damaged)?;
        if self.read.len() == self.end {
            self.conclude()?;
        }
        Ok(())
    }

    fn conclude(&self) -> Result<(), io::Error> {
        if self.end == self.whole_len {
            self.read.clone().finish().map_err(damaged)?;
        }
        let mut after = self.after.lock().expect("no panic while hashing");
        *after = Some(self.read.clone());
        Ok(())
    }
}

/// The error with which damaged data is not sent.
fn damaged(mismatch: ContentMismatch) -> io::Error {
    match mismatch {
        ContentMismatch::Digest {
            expected, actual, ..
        } => io::Error::other(RegistryError::DamagedUpload { expected, actual }),
        ContentMismatch::Length { .. } => io::Error::new(io::ErrorKind::InvalidData, mismatch),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hod_oci::Digest;

    fn verifier(right: &[u8]) -> PartsVerifier {
        let digest = Digest::of(right);
        PartsVerifier::new(&Descriptor::new("x/y".into(), digest, right.len() as u64))
    }

    fn send(verifier: &mut PartsVerifier, (offset, bytes): (u64, &[u8])) -> Result<(), io::Error> {
        let prefix = verifier.prefix(offset);
        assert_eq!(prefix.len(), offset, "nothing is read again");
        let mut part = verifier.begin(prefix, bytes.len() as u64)?;
        bytes.chunks(3).try_for_each(|chunk| part.see(chunk))
    }

    #[test]
    fn parts_add_up() {
        let mut verifier = verifier(b"0123456789");
        send(&mut verifier, (0, b"0123")).unwrap();
        // Refused, and sent again.
        send(&mut verifier, (0, b"0123")).unwrap();
        send(&mut verifier, (4, b"4567")).unwrap();
        assert!(!verifier.is_verified());
        send(&mut verifier, (8, b"89")).unwrap();
        assert!(verifier.is_verified());
        send(&mut verifier, (10, b"")).unwrap();
        assert!(verifier.is_verified());
    }

    #[test]
    fn the_last_bytes_of_a_damaged_blob_are_held_back() {
        let mut verifier = verifier(b"0123456789");
        send(&mut verifier, (0, b"01x3")).unwrap();
        let prefix = verifier.prefix(4);
        let mut part = verifier.begin(prefix, 6).unwrap();
        part.see(b"45678").unwrap();
        let error = part.see(b"9").unwrap_err();
        let damaged = error.get_ref().and_then(|error| error.downcast_ref());
        assert!(matches!(damaged, Some(RegistryError::DamagedUpload { .. })));
        assert!(!verifier.is_verified());
    }

    #[test]
    fn what_was_not_read_to_its_end_is_not_verified() {
        let mut verifier = verifier(b"0123456789");
        let prefix = verifier.prefix(0);
        let mut part = verifier.begin(prefix, 10).unwrap();
        part.see(b"012345678").unwrap();
        assert!(!verifier.is_verified());
        // A part that was given up says nothing of the one that replaced it.
        let prefix = verifier.prefix(0);
        verifier.begin(prefix, 10).unwrap();
        part.see(b"9").unwrap();
        assert!(!verifier.is_verified());
        assert_eq!(verifier.prefix(10).len(), 0);
    }

    #[test]
    fn a_blob_of_no_bytes_is_verified_too() {
        let mut right = verifier(b"");
        send(&mut right, (0, b"")).unwrap();
        assert!(right.is_verified());
        let digest = Digest::of(b"x");
        let mut wrong = PartsVerifier::new(&Descriptor::new("x/y".into(), digest, 0));
        let prefix = wrong.prefix(0);
        assert!(wrong.begin(prefix, 0).is_err());
    }
}
