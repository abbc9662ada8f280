//! Signatures of bundles, as minisign's keys make them and `minisign -V` checks them.
//!
//! ```text
//! untrusted comment: signature of a hod bundle by key <KEY ID>
//! base64 of  "ED" | key id (8) | Ed25519 of BLAKE2b-512 of hod/bundle.json (64)
//! trusted comment: hod bundle sha256:<ID>
//! base64 of  Ed25519 of the 64 bytes above and the trusted comment (64)
//! ```
//!
//! `hod/bundle.json` names every byte of every volume, so that one signature covers all. Nothing
//! in it comes from a clock or from chance: equal bundles have equal signatures, and a volume that
//! was lost can be made again. So the length is the same for all, and known before the content is.
//! This is the one form that is written and read; a file that says the same in other bytes is
//! refused.
//!
//! Ed25519 is `ring`'s. The crate `minisign` mixes chance into its signatures, cannot read the keys
//! that `minisign -G -W` writes, and panics at a second signature that is too short.

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

/// The longest key, or signature, that is read, in bytes.
pub const KEY_LEN_MAX: u64 = 8 * 1024;
