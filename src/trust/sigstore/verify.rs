//! Verifying a signature that is attached to an image.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::error::SigstoreError;
use super::public_key::SigstorePublicKey;
use super::rekor;
use crate::payload::{Payload, PayloadKind};
use crate::signature::SigstoreSignature;

/// The keys that are trusted.
pub(crate) struct Keys {
    /// One of them must have signed.
    pub(crate) keys: Vec<SigstorePublicKey>,
    /// If there are any, one of them must say that the signature is in Rekor's log.
    pub(crate) rekor: Vec<SigstorePublicKey>,
}

/// Verifies a signature and returns what it says. Whether that is true of an image is another
/// question.
pub(crate) fn verify(
    signature: &SigstoreSignature,
    trusted: &Keys,
) -> Result<Payload, SigstoreError> {
    let annotation = |name| {
        let value = signature.annotations.get(name);
        value.ok_or(SigstoreError::Annotation { name })
    };
    let base64 = annotation(SigstoreSignature::SIGNATURE)?;
    // Go's decoder skips the ends of lines.
    let decoded = BASE64.decode(base64.replace(['\r', '\n'], ""));
    let decoded = decoded.map_err(|_| SigstoreError::Base64);
    let mut keys: Vec<&SigstorePublicKey> = trusted.keys.iter().collect();
    if !trusted.rekor.is_empty() {
        let bundle = annotation(SigstoreSignature::BUNDLE)?;
        let decoded = decoded.clone()?;
        let mut problems = Vec::new();
        keys.retain(|key| {
            let entry = rekor::Entry {
                key,
                signature: &decoded,
                payload: &signature.payload,
            };
            match rekor::verify(bundle, &entry, &trusted.rekor) {
                Ok(()) => true,
                Err(problem) => {
                    problems.push(problem);
                    false
                }
            }
        });
        if keys.is_empty() {
            return Err(SigstoreError::Rekor { problems });
        }
    }
    let decoded = decoded?;
    let mut problems = Vec::new();
    for key in keys {
        match key.verify(&signature.payload, &decoded) {
            Ok(()) => {
                let payload = Payload::parse(PayloadKind::Sigstore, &signature.payload);
                return payload.map_err(SigstoreError::Payload);
            }
            Err(problem) => problems.push(problem),
        }
    }
    Err(SigstoreError::Signature { problems })
}
