//! The password that encrypts a secret key.

use std::fmt;

/// The password of a secret key; never shown.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// Makes a password of the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
