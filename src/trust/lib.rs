//! Trust in images as containers/image has it: who must have signed them, and whether they did.
//!
//! ```text
//! policy      policy.json: what must be true of an image, and whether it is
//! lookaside   registries.d: where the signatures of an image are; storage of files
//! openpgp     simple signing: OpenPGP messages, made by gpg
//! sigstore    cosign's keys and signatures, and their manifest in a registry
//! signature   how both are stored; payload: what both say
//! ```
//!
//! Texts of errors are those of containers/image where scripts can see them. All functions that read
//! files, start gpg or open keys block. Nothing here uses the network, reads the environment or
//! looks at the clock: callers fetch signatures and say what time it is. What is not understood is
//! refused; there is no setting by which an unverified image is accepted except a policy that says so.

mod docker_name;
mod go_text;
mod lookaside;
mod openpgp;
mod passphrase;
mod payload;
mod policy;
mod signature;
mod sigstore;
mod strict_json;

pub use docker_name::{DockerName, DockerNameError};
pub use lookaside::{
    Lookaside, LookasideError, RegistriesD, RegistriesDPaths, SignatureLocation, SignatureSettings,
    SignatureUrl,
};
pub use openpgp::{
    Gpg, GpgError, KEYS_LEN_MAX, KeyRing, OpenPgpError, Signed, StandaloneError,
    StandaloneExpected, StandaloneVerified, Unverified, verify_manifest,
};
pub use passphrase::{Passphrase, PassphraseError};
pub use payload::{Payload, PayloadError, PayloadKind};
pub use policy::{
    Evaluation, ImageUnderTest, POLICY_LEN_MAX, Policy, PolicyError, PolicyPaths, PolicyScope,
    Reason, Rejected, Requirements, StoredImage,
};
pub use signature::{SIGNATURE_LEN_MAX, Signature, SignatureFormatError, SigstoreSignature};
pub use sigstore::{
    AttachmentError, Attachments, BuiltAttachments, GeneratedKey, SIGSTORE_KEY_LEN_MAX,
    SignPayloadError, SigstoreError, SigstoreKeyError, SigstorePublicKey, SigstoreSecretKey,
    attachment_tag,
};
