//! Trust in images, as containers/image has it.

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
    StandaloneExpected, StandaloneVerified, verify_manifest,
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
