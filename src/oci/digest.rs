//! Content digests: `<algorithm>:<hex>` of the bytes as stored (OCI image-spec, descriptor.md).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// Number of bytes that are hashed at once: they fit into the processor's cache.
const READ_LEN: usize = 256 * 1024;

/// A digest algorithm that can be computed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// `sha256`, what every registry uses.
    Sha256,
    /// `sha384`, which distribution's storage accepts.
    Sha384,
    /// `sha512`, registered by the OCI image-spec.
    Sha512,
}

impl Algorithm {
    /// The name before the colon.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// The number of hexadecimal characters of a digest of this algorithm.
    pub fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha384 => 96,
            Self::Sha512 => 128,
        }
    }

    /// Computes the digest of `bytes`.
    pub fn digest(self, bytes: &[u8]) -> Digest {
        let mut hasher = DigestHasher::new(self);
        hasher.update(bytes);
        hasher.finish()
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha384, Self::Sha512]
            .into_iter()
            .find(|a| a.as_str() == name)
    }
}

/// The content address of bytes as stored; `algorithm:hex`, lowercase, of the right length.
///
/// Ordered by its text. Not to be confused with a diff id, which names the uncompressed layer.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    text: Box<str>,
    algorithm: Algorithm,
}

/// Why a text is not a valid digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// No colon between algorithm and hex.
    #[error("digest `{text}` has no algorithm; expected `sha256:` and 64 hex characters")]
    NoAlgorithm { text: String },
    /// An algorithm that cannot be computed here.
    #[error("digest algorithm `{name}` is not supported; sha256, sha384 and sha512 are")]
    UnknownAlgorithm { name: String },
    /// Too few or too many hex characters.
    #[error("digest has {actual} of {expected} hex characters")]
    Length { actual: usize, expected: usize },
    /// A character outside `[0-9a-f]`.
    #[error("digest has `{character}` where a lowercase hex character belongs")]
    NotHex { character: char },
}

impl Digest {
    /// Computes the sha256 digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Algorithm::Sha256.digest(bytes)
    }

    /// Computes the digest of what `read` puts into the buffers that it is given, until it puts
    /// nothing; returns the number of bytes too.
    pub fn of_all<E>(
        algorithm: Algorithm,
        mut read: impl FnMut(&mut [u8]) -> Result<usize, E>,
    ) -> Result<(Self, u64), E> {
        let mut hasher = DigestHasher::new(algorithm);
        let mut buffer = vec![0; READ_LEN];
        let mut len = 0;
        loop {
            match read(&mut buffer)? {
                0 => return Ok((hasher.finish(), len)),
                n => {
                    hasher.update(&buffer[..n]);
                    len += n as u64;
                }
            }
        }
    }

    /// The whole text, `sha256:0123…`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The algorithm before the colon.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hexadecimal part after the colon.
    pub fn hex(&self) -> &str {
        &self.text[self.algorithm.as_str().len() + 1..]
    }

    /// The first twelve hex characters, for people.
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }

    /// Whether `bytes` have this digest.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        self.algorithm.digest(bytes) == *self
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let Some((name, hex)) = text.split_once(':') else {
            return Err(DigestError::NoAlgorithm {
                text: text.to_owned(),
            });
        };
        let algorithm = Algorithm::parse(name).ok_or_else(|| DigestError::UnknownAlgorithm {
            name: name.to_owned(),
        })?;
        if let Some(character) = hex.chars().find(|c| !matches!(c, '0'..='9' | 'a'..='f')) {
            return Err(DigestError::NotHex { character });
        }
        if hex.len() != algorithm.hex_len() {
            return Err(DigestError::Length {
                actual: hex.len(),
                expected: algorithm.hex_len(),
            });
        }
        Ok(Self {
            text: text.into(),
            algorithm,
        })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Computes a digest over bytes that come in pieces.
#[derive(Debug, Clone)]
pub struct DigestHasher(HasherState);

#[derive(Debug, Clone)]
enum HasherState {
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl DigestHasher {
    /// Starts with no bytes.
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha256 => HasherState::Sha256(Sha256::new()),
            Algorithm::Sha384 => HasherState::Sha384(Sha384::new()),
            Algorithm::Sha512 => HasherState::Sha512(Sha512::new()),
        })
    }

    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            HasherState::Sha256(hasher) => hasher.update(bytes),
            HasherState::Sha384(hasher) => hasher.update(bytes),
            HasherState::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// Returns the digest of all bytes added.
    pub fn finish(self) -> Digest {
        let (algorithm, hash) = match self.0 {
            HasherState::Sha256(hasher) => (Algorithm::Sha256, hasher.finalize().to_vec()),
            HasherState::Sha384(hasher) => (Algorithm::Sha384, hasher.finalize().to_vec()),
            HasherState::Sha512(hasher) => (Algorithm::Sha512, hasher.finalize().to_vec()),
        };
        let mut text = String::with_capacity(algorithm.hex_len() + 8);
        text.push_str(algorithm.as_str());
        text.push(':');
        for byte in hash {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from_digit(nibble.into(), 16).expect("a nibble is below 16"));
            }
        }
        Digest {
            text: text.into(),
            algorithm,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_nothing_is_the_known_one() {
        let digest = Digest::of(b"");
        assert_eq!(
            digest.as_str(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(digest.short(), "e3b0c44298fc");
        assert!(digest.matches(b"") && !digest.matches(b"x"));
    }

    #[test]
    fn only_well_formed_digests_parse() {
        #[track_caller]
        fn check(text: &str, expect: &str) {
            assert_eq!(text.parse::<Digest>().unwrap_err().to_string(), expect);
        }
        check(
            "abc",
            "digest `abc` has no algorithm; expected `sha256:` and 64 hex characters",
        );
        check("sha256:3f4a", "digest has 4 of 64 hex characters");
        check(
            "sha256:3F",
            "digest has `F` where a lowercase hex character belongs",
        );
        check(
            "md5:00",
            "digest algorithm `md5` is not supported; sha256, sha384 and sha512 are",
        );
        let text = format!("sha512:{}", "ab".repeat(64));
        assert_eq!(text.parse::<Digest>().unwrap().hex().len(), 128);
    }
}
