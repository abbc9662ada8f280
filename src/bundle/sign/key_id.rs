//! The ids of keys.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The id of a key: 16 hex digits in upper case, as minisign prints it. It is random and not
/// derived from the key: two keys may have the same id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct KeyId([u8; 8]);

impl KeyId {
    pub(super) fn new(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", u64::from_le_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not the id of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key's name has 16 hex digits in upper case")]
pub struct KeyIdError;

impl FromStr for KeyId {
    type Err = KeyIdError;

    fn from_str(text: &str) -> Result<Self, KeyIdError> {
        let is_digit = |b: u8| b.is_ascii_digit() || (b'A'..=b'F').contains(&b);
        if text.len() != 16 || !text.bytes().all(is_digit) {
            return Err(KeyIdError);
        }
        let number = u64::from_str_radix(text, 16).map_err(|_| KeyIdError)?;
        Ok(Self(number.to_le_bytes()))
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for KeyId {
    type Error = KeyIdError;

    fn try_from(text: String) -> Result<Self, KeyIdError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_minisign_prints_them() {
        let id = KeyId([0x83, 0xc5, 0x7d, 0x68, 0xfd, 0xa5, 0xb1, 0x0f]);
        assert_eq!(id.to_string(), "0FB1A5FD687DC583");
        assert_eq!("0FB1A5FD687DC583".parse(), Ok(id));
        for text in [
            "",
            "FB1A5FD687DC583",
            "0fb1a5fd687dc583",
            "+FB1A5FD687DC583",
            "0FB1A5FD687DC5830",
        ] {
            assert_eq!(text.parse::<KeyId>(), Err(KeyIdError), "{text}");
        }
    }
}
