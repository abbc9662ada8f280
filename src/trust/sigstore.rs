//! Signatures as cosign makes them: with a key of its own, kept in the registry beside the image.
//!
//! ```text
//! sha256-<hex of the image>.sig      an OCI manifest
//!   config                           an image's config without content
//!   layers, one per signature        the payload; the signature is an annotation
//! ```

mod attachment;
mod error;
mod public_key;
mod rekor;
mod sealed;
mod secret_key;
#[cfg(test)]
mod tests;
mod verify;

pub use attachment::{Attachments, BuiltAttachments, attachment_tag};
pub use error::{AttachmentError, SignPayloadError, SigstoreError, SigstoreKeyError};
pub use public_key::SigstorePublicKey;
pub use secret_key::{GeneratedKey, SigstoreSecretKey};
pub(crate) use verify::{Keys, verify};

/// The longest key file that is read, in bytes.
pub const SIGSTORE_KEY_LEN_MAX: u64 = 64 * 1024;
