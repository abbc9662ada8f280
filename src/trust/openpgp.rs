//! Simple signing: payloads in messages that are signed with OpenPGP keys.
//!
//! Messages are read and verified by the crate `pgp`, which checks one signature with one key. What
//! makes that trustworthy is decided here as gpg decides it: which key of a certificate may sign,
//! whether it is expired or revoked, and which algorithms count. Signing is left to gpg, which has
//! the user's keys.

mod certificate;
mod error;
mod gpg;
mod key_ring;
mod message;
mod standalone;
#[cfg(test)]
mod tests;

pub use error::{GpgError, OpenPgpError};
pub use gpg::Gpg;
pub use key_ring::{KeyRing, Signed, Unverified};
pub use standalone::{StandaloneError, StandaloneExpected, StandaloneVerified, verify_manifest};

/// The longest file of public keys that is read, in bytes.
pub const KEYS_LEN_MAX: u64 = 16 * 1024 * 1024;
