//! Signatures of bundles, as minisign's keys make them and `minisign -V` checks them.
//!
//! ```text
//! untrusted comment: signature of a hod bundle by key <KEY ID>
//! base64 of  "ED" | key id (8) | Ed25519 of BLAKE2b-512 of hod/bundle.json (64)
//! trusted comment: hod bundle sha256:<ID>
//! base64 of  Ed25519 of the 64 bytes above and the trusted comment (64)
//! ```
//!
//! One signature covers all volumes, since `hod/bundle.json` contains the digests of all content.
//! It depends neither on the time nor on random numbers: equal bundles have equal signatures, so
//! that a lost volume can be made again. All signatures have the same length, so that offsets are
//! known before signing. Only this form is written and read; the same signature in another form is
//! refused.
//!
//! Ed25519 is implemented by `ring`. The crate `minisign` (0.10) makes randomised signatures, keeps
//! the parts of a key private, cannot read the keys that `minisign -G -W` writes, does not limit the
//! time that a hostile key file can demand of scrypt, encrypts with a quarter of the memory, prints
//! secret keys with `Debug`, and panics if the second signature is too short.

mod error;
mod external;

mod key_id;
mod password;
mod public_key;
mod sealed;
mod secret_key;
mod signature;
mod signer;
mod trust;

pub use error::{KeyError, SignError, SignatureError};
pub use external::SignHelper;
pub use key_id::KeyId;
pub use password::Password;
pub use public_key::PublicKey;
pub use secret_key::SecretKey;
pub use signature::SIGNATURE_LEN;
pub use signer::Signer;
pub(super) use trust::check_claim;
pub use trust::{Signed, Trust};

/// Maximum length of a key or signature in bytes.
pub const KEY_LEN_MAX: u64 = 8 * 1024;
