//! Public keys in PEM.

use std::fmt;

use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256,
    UnparsedPublicKey, VerificationAlgorithm,
};
use spki::der::asn1::{AnyRef, BitStringRef};
use spki::der::{Decode as _, Encode as _};
use spki::{AlgorithmIdentifierRef, ObjectIdentifier, SubjectPublicKeyInfoRef};

use super::error::SigstoreKeyError;

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EDWARDS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

const PEM: &str = "PUBLIC KEY";
const PEM_PKCS1: &str = "RSA PUBLIC KEY";
/// The shortest modulus that is accepted, in bytes.
const RSA_LEN_MIN: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    P256,
    P384,
    Ed25519,
    Rsa,
}

/// A key that verifies signatures over SHA-256, or of Ed25519.
#[derive(Clone, PartialEq, Eq)]
pub struct SigstorePublicKey {
    algorithm: Algorithm,
    /// What the algorithm calls a key.
    key: Vec<u8>,
    /// All of it, in DER.
    der: Vec<u8>,
}

impl SigstorePublicKey {
    /// Parses a file.
    pub fn parse(file: &[u8]) -> Result<Self, SigstoreKeyError> {
        let pem = pem::parse(file).map_err(|_| SigstoreKeyError::PublicPem)?;
        match pem.tag() {
            PEM => Self::from_der(pem.contents()),
            PEM_PKCS1 => Self::from_key(Algorithm::Rsa, pem.contents()),
            found => Err(SigstoreKeyError::PublicKind {
                found: found.to_owned(),
            }),
        }
    }

    fn from_der(der: &[u8]) -> Result<Self, SigstoreKeyError> {
        let wrong = SigstoreKeyError::PublicAlgorithm;
        let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| wrong.clone())?;
        let curve = info.algorithm.parameters_oid().ok();
        let algorithm = match (info.algorithm.oid, curve) {
            (EC, Some(P256)) => Algorithm::P256,
            (EC, Some(P384)) => Algorithm::P384,
            (RSA, None) => Algorithm::Rsa,
            (EDWARDS, None) => Algorithm::Ed25519,
            _ => return Err(wrong),
        };
        let key = info.subject_public_key.as_bytes().ok_or(wrong)?;
        Self::from_key(algorithm, key)
    }

    /// Makes the key of ECDSA P-256 that has this point.
    pub(super) fn p256(point: &[u8]) -> Result<Self, SigstoreKeyError> {
        Self::from_key(Algorithm::P256, point)
    }

    pub(super) fn ed25519(key: &[u8]) -> Result<Self, SigstoreKeyError> {
        Self::from_key(Algorithm::Ed25519, key)
    }

    pub(super) fn rsa(key: &[u8]) -> Result<Self, SigstoreKeyError> {
        Self::from_key(Algorithm::Rsa, key)
    }

    fn from_key(algorithm: Algorithm, key: &[u8]) -> Result<Self, SigstoreKeyError> {
        let is_point = |len: usize| key.len() == 2 * len + 1 && key[0] == 4;
        let is_valid = match algorithm {
            Algorithm::P256 => is_point(32),
            Algorithm::P384 => is_point(48),
            Algorithm::Ed25519 => key.len() == 32,
            Algorithm::Rsa => key.len() > RSA_LEN_MIN && is_rsa(key),
        };
        let der = encode(algorithm, key).filter(|_| is_valid);
        Ok(Self {
            algorithm,
            key: key.to_owned(),
            der: der.ok_or(SigstoreKeyError::PublicAlgorithm)?,
        })
    }

    /// Renders a file.
    pub fn to_pem(&self) -> String {
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        pem::encode_config(&pem::Pem::new(PEM, self.der.clone()), config)
    }

    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whether it is of ECDSA, as all keys of Rekor are.
    pub(crate) fn is_ecdsa(&self) -> bool {
        matches!(self.algorithm, Algorithm::P256 | Algorithm::P384)
    }

    /// Checks a signature of `message`; says in Go's words that it is wrong.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), &'static str> {
        let (algorithm, problem): (&dyn VerificationAlgorithm, _) = match self.algorithm {
            Algorithm::P256 => (&ECDSA_P256_SHA256_ASN1, INVALID_ECDSA),
            Algorithm::P384 => (&ECDSA_P384_SHA256_ASN1, INVALID_ECDSA),
            Algorithm::Ed25519 => (&ED25519, "failed to verify signature"),
            Algorithm::Rsa => (
                &RSA_PKCS1_2048_8192_SHA256,
                "crypto/rsa: verification error",
            ),
        };
        let key = UnparsedPublicKey::new(algorithm, &self.key);
        key.verify(message, signature).map_err(|_| problem)
    }
}

const INVALID_ECDSA: &str = "invalid signature when validating ASN.1 encoded signature";

/// Whether it is a key as PKCS#1 writes it.
fn is_rsa(key: &[u8]) -> bool {
    use ring::signature::RsaPublicKeyComponents;
    use spki::der::{Reader as _, SliceReader, asn1::UintRef};
    let parsed = SliceReader::new(key).and_then(|mut reader| {
        let parts = reader.sequence(|parts| {
            Ok(RsaPublicKeyComponents {
                n: parts.decode::<UintRef<'_>>()?.as_bytes(),
                e: parts.decode::<UintRef<'_>>()?.as_bytes(),
            })
        })?;
        reader.finish(parts)
    });
    parsed.is_ok_and(|parts| parts.n.len() >= RSA_LEN_MIN)
}

fn encode(algorithm: Algorithm, key: &[u8]) -> Option<Vec<u8>> {
    let (oid, parameters) = match algorithm {
        Algorithm::P256 => (EC, Some(AnyRef::from(&P256))),
        Algorithm::P384 => (EC, Some(AnyRef::from(&P384))),
        Algorithm::Ed25519 => (EDWARDS, None),
        Algorithm::Rsa => (RSA, Some(AnyRef::NULL)),
    };
    let info = SubjectPublicKeyInfoRef {
        algorithm: AlgorithmIdentifierRef { oid, parameters },
        subject_public_key: BitStringRef::from_bytes(key).ok()?,
    };
    info.to_der().ok()
}

impl fmt::Debug for SigstorePublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigstorePublicKey({:?})", self.algorithm)
    }
}
