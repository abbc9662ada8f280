//! Content that comes in pieces, compared with the digest and the length that it should have.

use super::{Descriptor, Digest, DigestHasher};

/// Content without the expected digest or length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentMismatch {
    /// It has another digest.
    #[error("blob `{expected}` arrived as `{actual}` after {len} bytes")]
    Digest {
        expected: Digest,
        actual: Digest,
        len: u64,
    },
    /// The length is wrong. Content that is too long is refused before its end: `actual` is the
    /// length so far.
    #[error("blob `{digest}` arrived with {actual} of {expected} bytes")]
    Length {
        digest: Digest,
        expected: u64,
        actual: u64,
    },
}

/// Verifies content that comes in pieces.
///
/// Cheap to clone, to go on from one point more than once.
#[derive(Debug, Clone)]
pub struct Verifier {
    expected: Digest,
    /// The expected length, if known.
    size: Option<u64>,
    hasher: DigestHasher,
    len: u64,
}

/// Expects content of any length.
impl From<&Digest> for Verifier {
    fn from(expected: &Digest) -> Self {
        Self {
            expected: expected.clone(),
            size: None,
            hasher: DigestHasher::new(expected.algorithm()),
            len: 0,
        }
    }
}

/// Expects content of the descriptor's size.
impl From<&Descriptor> for Verifier {
    fn from(blob: &Descriptor) -> Self {
        Self {
            size: Some(blob.size),
            ..Self::from(&blob.digest)
        }
    }
}

impl Verifier {
    /// The digest that the content should have.
    pub fn expected(&self) -> &Digest {
        &self.expected
    }

    /// The number of bytes so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing came so far.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns true if the expected number of bytes was received; false if the length is unknown.
    pub fn is_whole(&self) -> bool {
        self.size == Some(self.len)
    }

    /// Refuses `n` bytes more if the content would be longer than expected.
    pub fn admit(&self, n: usize) -> Result<(), ContentMismatch> {
        let actual = self.len.saturating_add(n as u64);
        match self.size {
            Some(expected) if actual > expected => Err(ContentMismatch::Length {
                digest: self.expected.clone(),
                expected,
                actual,
            }),
            _ => Ok(()),
        }
    }

    /// Hashes the next bytes; refuses all of them if the content would be longer than expected.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), ContentMismatch> {
        self.admit(bytes.len())?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Checks that all content has the expected digest and length.
    pub fn finish(self) -> Result<(), ContentMismatch> {
        if let Some(expected) = self.size.filter(|&size| size != self.len) {
            return Err(ContentMismatch::Length {
                digest: self.expected,
                expected,
                actual: self.len,
            });
        }
        let actual = self.hasher.finish();
        if actual == self.expected {
            return Ok(());
        }
        Err(ContentMismatch::Digest {
            expected: self.expected,
            actual,
            len: self.len,
        })
    }
}

impl Digest {
    /// Refuses bytes that do not have this digest.
    pub fn check(&self, bytes: &[u8]) -> Result<(), ContentMismatch> {
        let mut verifier = Verifier::from(self);
        verifier.update(bytes)?;
        verifier.finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Algorithm;

    fn digest(algorithm: Algorithm, bytes: &[u8]) -> Digest {
        let mut hasher = DigestHasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// Bytes in pieces of these lengths, and the rest in one.
    fn pieces<'b>(mut bytes: &'b [u8], lens: &[usize]) -> Vec<&'b [u8]> {
        let mut pieces = Vec::new();
        for &len in lens {
            let (piece, rest) = bytes.split_at(len.min(bytes.len()));
            pieces.push(piece);
            bytes = rest;
        }
        pieces.push(bytes);
        pieces
    }

    fn verify(mut verifier: Verifier, pieces: &[&[u8]]) -> Result<(), ContentMismatch> {
        for piece in pieces {
            verifier.update(piece)?;
        }
        verifier.finish()
    }

    fn any_algorithm() -> impl Strategy<Value = Algorithm> {
        prop_oneof![
            Just(Algorithm::Sha256),
            Just(Algorithm::Sha384),
            Just(Algorithm::Sha512)
        ]
    }

    proptest! {
        #[test]
        fn how_content_is_cut_makes_no_difference(
            algorithm in any_algorithm(),
            bytes in prop::collection::vec(any::<u8>(), 0..400),
            lens in prop::collection::vec(0_usize..90, 0..9),
            flipped in any::<prop::sample::Index>(),
            by in -3_i64..=3,
        ) {
            let right = digest(algorithm, &bytes);
            let size = bytes.len() as u64;
            let blob = Descriptor::new("x/y".into(), right.clone(), size);
            prop_assert_eq!(verify((&blob).into(), &pieces(&bytes, &lens)), Ok(()));
            prop_assert_eq!(verify((&right).into(), &pieces(&bytes, &lens)), Ok(()));

            let mut wrong = bytes.clone();
            if let Some(byte) = (!wrong.is_empty()).then(|| &mut wrong[flipped.index(bytes.len())]) {
                *byte ^= 1;
                let mismatch = ContentMismatch::Digest {
                    expected: right.clone(),
                    actual: digest(algorithm, &wrong),
                    len: size,
                };
                let found = verify((&blob).into(), &pieces(&wrong, &lens));
                prop_assert_eq!(found, Err(mismatch));
            }

            let len = size.saturating_add_signed(by);
            let mut other = bytes.clone();
            other.resize(usize::try_from(len).unwrap(), 0);
            let found = verify((&blob).into(), &pieces(&other, &lens));
            match len.cmp(&size) {
                std::cmp::Ordering::Equal => prop_assert_eq!(found, Ok(())),
                std::cmp::Ordering::Less => prop_assert_eq!(found, Err(ContentMismatch::Length {
                    digest: right, expected: size, actual: len,
                })),
                std::cmp::Ordering::Greater => {
                    let is_length = matches!(found, Err(ContentMismatch::Length { actual, .. })
                        if actual > size && actual <= len);
                    prop_assert!(is_length, "{found:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_refused_is_not_taken() {
        let blob = Descriptor::new("x/y".into(), Digest::of(b"hello"), 5);
        let mut verifier = Verifier::from(&blob);
        verifier.update(b"hell").unwrap();
        let error = verifier.update(b"o!").unwrap_err();
        assert_eq!(
            error,
            ContentMismatch::Length {
                digest: blob.digest,
                expected: 5,
                actual: 6
            }
        );
        assert!(!verifier.is_whole());
        verifier.update(b"o").unwrap();
        assert!(verifier.is_whole());
        verifier.finish().unwrap();
    }
}
