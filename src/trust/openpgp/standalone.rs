//! Verifying one signature of one manifest, without a policy.

use std::time::SystemTime;

use hod_oci::Digest;
use hod_report::ErrorClass::{Usage, Verify};
use hod_report::{Diagnose, Diagnosis};

use super::error::OpenPgpError;
use super::key_ring::KeyRing;
use crate::docker_name::{DockerName, DockerNameError};
use crate::go_text::quoted;
use crate::payload::{Payload, PayloadError, PayloadKind};

/// What a verified signature says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandaloneVerified {
    /// The accepted fingerprint that signed.
    pub fingerprint: String,
    /// The digest of the manifest.
    pub digest: Digest,
}

/// Why a signature is not accepted, in the words of containers/image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StandaloneError {
    /// The name that was asked for.
    #[error(transparent)]
    Name(DockerNameError),
    #[error(transparent)]
    OpenPgp(OpenPgpError),
    #[error(transparent)]
    Payload(PayloadError),
    #[error("Signature for docker digest {} does not match", quoted(digest.as_str()))]
    Digest { digest: Digest },
    #[error("Invalid docker reference {} in signature", quoted(signed))]
    SignedName { signed: String },
    #[error(
        "Docker reference {} does not match {}",
        quoted(signed),
        quoted(expected)
    )]
    Reference { signed: String, expected: String },
}

impl Diagnose for StandaloneError {
    fn diagnose(&self) -> Diagnosis {
        match self {
            Self::Name(_) => Diagnosis::new(Usage),
            Self::OpenPgp(error) => error.diagnose(),
            Self::Payload(_)
            | Self::Digest { .. }
            | Self::SignedName { .. }
            | Self::Reference { .. } => Diagnosis::new(Verify),
        }
    }
}

/// What a signature must be.
#[derive(Debug, Clone, Copy)]
pub struct StandaloneExpected<'a> {
    /// The manifest that it signs.
    pub manifest: &'a [u8],
    /// The name of the image.
    pub docker_reference: &'a str,
    pub keys: &'a KeyRing,
    /// The fingerprints of those keys that are accepted, in hex digits in upper case.
    pub fingerprints: &'a [String],
    pub now: SystemTime,
}

/// Verifies a signature of a manifest, made by one of the accepted keys for this name.
pub fn verify_manifest(
    signature: &[u8],
    expected: StandaloneExpected<'_>,
) -> Result<StandaloneVerified, StandaloneError> {
    let name: DockerName = expected
        .docker_reference
        .parse()
        .map_err(StandaloneError::Name)?;
    let accepted = expected.fingerprints;
    let signed = expected
        .keys
        .verify(signature, expected.now)
        .map_err(StandaloneError::OpenPgp)?;
    signed
        .require_key(accepted)
        .map_err(StandaloneError::OpenPgp)?;
    let payload = Payload::parse(PayloadKind::SimpleSigning, &signed.content)
        .map_err(StandaloneError::Payload)?;
    let digest = payload.digest;
    if !digest.matches(expected.manifest) {
        return Err(StandaloneError::Digest { digest });
    }
    let signed_name = payload.docker_reference;
    match signed_name.parse::<DockerName>() {
        Ok(signed_name) if signed_name.to_string() == name.to_string() => {}
        Ok(_) => {
            return Err(StandaloneError::Reference {
                signed: signed_name,
                expected: expected.docker_reference.to_owned(),
            });
        }
        Err(_) => {
            return Err(StandaloneError::SignedName {
                signed: signed_name,
            });
        }
    }
    let fingerprint = if accepted.contains(&signed.key) {
        signed.key
    } else {
        signed.primary
    };
    Ok(StandaloneVerified {
        fingerprint,
        digest,
    })
}
