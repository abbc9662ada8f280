//! What can go wrong with keys and signatures.

use std::path::PathBuf;

use super::key_id::KeyId;
use hod_oci::Digest;
use hod_report::ErrorClass::{Auth, Internal, Usage, Verify};
use hod_report::{Diagnose, Diagnosis};

/// Why a key cannot be used. Contains nothing of a secret key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("it is not a minisign public key: {problem}")]
    Public { problem: &'static str },
    #[error("it is not a minisign secret key: {problem}")]
    Secret { problem: &'static str },
    /// Anybody can sign for such a key.
    #[error("key `{id}` is weak: anyone can make signatures that it accepts")]
    Weak { id: KeyId },
    #[error("the secret key is encrypted, and no password was given")]
    PasswordNeeded,
    #[error("the password of the secret key is wrong, or the key is damaged")]
    PasswordWrong,
    #[error("the secret key is damaged")]
    Damaged,
    /// More than minisign itself asks for.
    #[error("opening the secret key requires more memory or time than hod allows")]
    TooCostly,
    #[error("the system does not provide random numbers")]
    NoRandomness,
}

impl Diagnose for KeyError {
    fn diagnose(&self) -> Diagnosis {
        let usage = Diagnosis::new(Usage);
        match self {
            Self::Public { .. } => usage.hint(
                "A public key is the file `hod.pub` that `hod keygen` wrote, or its last line, which \
                 starts with `RW`.",
            ),
            Self::Secret { .. } => usage.hint(
                "A secret key is the file `hod.key` that `hod keygen` wrote, or one that `minisign \
                 -G` wrote.",
            ),
            Self::PasswordNeeded => usage.hint(
                "Pass `--sign-password-stdin` with the password on stdin, or set \
                 `HOD_SIGN_PASSWORD`.",
            ),
            Self::Weak { .. } | Self::Damaged => {
                usage.hint("Create a new pair of keys with `hod keygen`.")
            }
            Self::PasswordWrong | Self::TooCostly => usage,
            Self::NoRandomness => Diagnosis::new(Internal),
        }
    }
}

/// Why a bundle was not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The name of a helper would run another program.
    #[error("`{helper}` is not the name of a signing helper")]
    HelperName { helper: String },
    #[error("signing helper `{program}` is not on PATH")]
    HelperAbsent { program: String },
    #[error("signing helper `{program}` failed: {message}")]
    HelperFailed { program: String, message: String },
    #[error("signing helper `{program}` did not answer with a public key")]
    HelperKey { program: String, source: KeyError },
    #[error("signing helper `{program}` did not answer with 64 bytes in base64")]
    HelperAnswer { program: String },
    /// The signature does not verify: the helper, or the hardware, is faulty.
    #[error("the new signature does not verify with the public key `{key}`")]
    Wrong { key: KeyId },
}

impl Diagnose for SignError {
    fn diagnose(&self) -> Diagnosis {
        match self {
            Self::HelperName { .. } => Diagnosis::new(Usage).hint(
                "`--sign helper:NAME` runs the program `hod-sign-NAME`. A path must be absolute.",
            ),
            Self::HelperAbsent { .. } => Diagnosis::new(Usage).hint(
                "Install the helper in a directory of PATH, or name it by its absolute path, \
                 `--sign helper:/PATH`.",
            ),
            Self::HelperKey { .. } | Self::HelperAnswer { .. } => Diagnosis::new(Auth).hint(
                "`hod-sign-NAME public-key` must print a public key in the form of minisign, and \
                 `hod-sign-NAME sign` the Ed25519 signature of its stdin, in base64.",
            ),
            Self::HelperFailed { .. } => Diagnosis::new(Auth),
            Self::Wrong { .. } => Diagnosis::new(Verify),
        }
    }
}

/// Why the signature of a bundle, or its absence, was refused. Nothing of the bundle was used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error(
        "`{}` is not signed; only bundles signed by {} are trusted",
        path.display(),
        list(trusted)
    )]
    Unsigned { path: PathBuf, trusted: Vec<KeyId> },
    #[error(
        "the bundle is signed by key `{key}`, which is not trusted; trusted: {}",
        list(trusted)
    )]
    UnknownKey { key: KeyId, trusted: Vec<KeyId> },
    #[error("`hod/bundle.json` is not what key `{key}` signed")]
    Altered { key: KeyId },
    #[error("the bundle has the signature of another bundle, `{signed}`, made by key `{key}`")]
    OtherBundle { key: KeyId, signed: Digest },
    /// The second signature, which holds the first one and the comment together.
    #[error("the trusted comment of `hod/bundle.json.minisig` is not what key `{key}` signed")]
    Comment { key: KeyId },
    #[error("the bundle has a legacy minisign signature, which is not prehashed")]
    Legacy,
    #[error("`hod/bundle.json.minisig` is not a signature as hod writes it: {problem}")]
    Format { problem: &'static str },
    #[error("`hod/bundle.json` says that key `{listed}` signed it, but the signature is missing")]
    Missing { listed: KeyId },
    #[error("`hod/bundle.json` says that {}, but the signature is by key `{key}`", says(*listed))]
    Disagrees { listed: Option<KeyId>, key: KeyId },
}

impl Diagnose for SignatureError {
    fn diagnose(&self) -> Diagnosis {
        Diagnosis::new(Verify).hint(match self {
            Self::Unsigned { .. } => {
                "The bundle was not used. Ask its maker for a signed one (`hod pack \
                 --sign KEY`). To use it unsigned, leave out `--verify-key`, unset \
                 `HOD_VERIFY_KEY`, and remove the keys in `trusted.d`."
            }
            Self::UnknownKey { .. } => {
                "The bundle was not used. If this key is the right one, get its public key from the \
                 maker of the bundle, not together with the bundle, and pass `--verify-key FILE`."
            }
            Self::Legacy => {
                "The bundle was not used. Ask its maker to sign it with `hod pack --sign \
                 KEY`, or with `minisign -S` of version 0.10 or later."
            }
            Self::Altered { .. }
            | Self::OtherBundle { .. }
            | Self::Comment { .. }
            | Self::Format { .. }
            | Self::Missing { .. }
            | Self::Disagrees { .. } => {
                "The bundle was not used. It was changed after it was signed. Get it again from its \
                 maker."
            }
        })
    }
}

fn list(keys: &[KeyId]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
    match keys.as_slice() {
        [] => "no keys".to_owned(),
        [key] => format!("key {key}"),
        [keys @ .., last] => format!("keys {} and {last}", keys.join(", ")),
    }
}

fn says(listed: Option<KeyId>) -> String {
    match listed {
        Some(key) => format!("key `{key}` signed it"),
        None => "it is not signed".to_owned(),
    }
}
