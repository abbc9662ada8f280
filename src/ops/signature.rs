//! The signature state of a bundle.

use std::fmt;

use serde::Serialize;

use hod_bundle::{KeyId, Signed};

/// The key that signed a bundle, and whether the signature was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SignatureFacts {
    pub key: KeyId,
    /// Whether the key is trusted and the signature right; without trusted keys it is not checked.
    pub is_verified: bool,
}

impl SignatureFacts {
    pub(super) fn of(signed: Signed) -> Option<Self> {
        let (key, is_verified) = match signed {
            Signed::No => return None,
            Signed::Unchecked(key) => (key, false),
            Signed::Trusted(key) => (key, true),
        };
        Some(Self { key, is_verified })
    }
}

impl fmt::Display for SignatureFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key;
        if self.is_verified {
            write!(f, "is signed by the trusted key `{key}`")
        } else {
            write!(
                f,
                "claims to be signed by key `{key}`; not verified, because no key is trusted"
            )
        }
    }
}
