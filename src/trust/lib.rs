//! Trust in images, as containers/image has it.

mod docker_name;
mod go_text;
mod openpgp;
mod passphrase;
mod payload;
mod signature;
mod strict_json;

pub use docker_name::{DockerName, DockerNameError};
pub use openpgp::{
    Gpg, GpgError, KEYS_LEN_MAX, KeyRing, OpenPgpError, Signed, StandaloneError,
    StandaloneExpected, StandaloneVerified, verify_manifest,
};
pub use passphrase::{Passphrase, PassphraseError};
pub use payload::{Payload, PayloadError, PayloadKind};
pub use signature::{SIGNATURE_LEN_MAX, Signature, SignatureFormatError, SigstoreSignature};
