//! Secret keys, and what is signed with them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::rand::SystemRandom;
use ring::rsa::KeyPair as RsaKeyPair;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING as P256, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    RSA_PKCS1_SHA256,
};

use super::error::{SignPayloadError, SigstoreKeyError};
use super::public_key::SigstorePublicKey;
use super::sealed;
use crate::passphrase::Passphrase;
use crate::payload::{Payload, PayloadKind};
use crate::signature::SigstoreSignature;

/// What containers/image writes, and every version of cosign reads.
const PEM: &str = "ENCRYPTED COSIGN PRIVATE KEY";
const PEM_NEW: &str = "ENCRYPTED SIGSTORE PRIVATE KEY";

enum Pair {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>),
}

/// A key that signs. Never displayed.
pub struct SigstoreSecretKey {
    pair: Pair,
    public: SigstorePublicKey,
}

/// A new pair of keys, as files.
pub struct GeneratedKey {
    /// The secret key, encrypted.
    pub secret: String,
    pub public: String,
}

impl GeneratedKey {
    /// Makes a new pair of ECDSA P-256; blocks for about a second.
    pub fn generate(passphrase: &Passphrase) -> Result<Self, SigstoreKeyError> {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&P256, &random)
            .map_err(|_| SigstoreKeyError::NoRandomness)?;
        let key = SigstoreSecretKey::from_pkcs8(document.as_ref())?;
        let sealed = sealed::seal(document.as_ref(), passphrase)?;
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        Ok(Self {
            secret: pem::encode_config(&pem::Pem::new(PEM, sealed.into_bytes()), config),
            public: key.public.to_pem(),
        })
    }
}

impl fmt::Debug for GeneratedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GeneratedKey([redacted])")
    }
}

impl SigstoreSecretKey {
    /// Reads a file; blocks for about a second.
    pub fn open(file: &[u8], passphrase: &Passphrase) -> Result<Self, SigstoreKeyError> {
        let pem = pem::parse(file).map_err(|_| SigstoreKeyError::SecretPem)?;
        if pem.tag() != PEM && pem.tag() != PEM_NEW {
            let found = pem.tag().to_owned();
            return Err(SigstoreKeyError::SecretKind { found });
        }
        Self::from_pkcs8(&sealed::open(pem.contents(), passphrase)?)
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, SigstoreKeyError> {
        let random = SystemRandom::new();
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&P256, der, &random) {
            let public = SigstorePublicKey::p256(pair.public_key().as_ref())?;
            let pair = Pair::P256(pair);
            return Ok(Self { pair, public });
        }
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            let public = SigstorePublicKey::ed25519(pair.public_key().as_ref())?;
            let pair = Pair::Ed25519(pair);
            return Ok(Self { pair, public });
        }
        let pair = RsaKeyPair::from_pkcs8(der).map_err(|_| SigstoreKeyError::SecretAlgorithm)?;
        let public = SigstorePublicKey::rsa(pair.public_key().as_ref())?;
        let pair = Pair::Rsa(Box::new(pair));
        Ok(Self { pair, public })
    }

    /// Returns the key that verifies its signatures.
    pub fn public_key(&self) -> &SigstorePublicKey {
        &self.public
    }

    /// Signs what `payload` says, in the form in which it is attached to an image.
    pub fn sign(&self, payload: &Payload) -> Result<SigstoreSignature, SignPayloadError> {
        let json = payload
            .to_json(PayloadKind::Sigstore)
            .map_err(SignPayloadError::Payload)?;
        let signature = self.sign_bytes(json.as_bytes());
        let signature = BASE64.encode(signature.map_err(SignPayloadError::Key)?);
        let annotations = [(SigstoreSignature::SIGNATURE.to_owned(), signature)];
        Ok(SigstoreSignature {
            media_type: SigstoreSignature::MEDIA_TYPE.to_owned(),
            payload: json.into_bytes(),
            annotations: annotations.into(),
        })
    }

    fn sign_bytes(&self, message: &[u8]) -> Result<Vec<u8>, SigstoreKeyError> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::P256(pair) => {
                let signature = pair.sign(&random, message);
                let signature = signature.map_err(|_| SigstoreKeyError::NoRandomness)?;
                Ok(signature.as_ref().to_owned())
            }
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_owned()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map_err(|_| SigstoreKeyError::CannotSign)?;
                Ok(signature)
            }
        }
    }
}

impl fmt::Debug for SigstoreSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigstoreSecretKey([redacted])")
    }
}
