//! Key rings: the keys that are trusted, and only they.

use std::time::{SystemTime, UNIX_EPOCH};

use pgp::composed::{Deserializable as _, SignedPublicKey};
use pgp::packet::{Signature, SignatureType, SignatureVersion};
use pgp::types::{KeyDetails, VerifyingKey};

use super::certificate::{self, Problem, Times, fingerprint};
use super::error::OpenPgpError;
use super::message::{self, SignedMessage};

const ARMOR: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";

/// Public keys that verify messages.
#[derive(Debug, Clone, Default)]
pub struct KeyRing {
    certificates: Vec<SignedPublicKey>,
}

/// The content of a message of which nothing is verified: for looking at, never to decide by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unverified {
    pub content: Vec<u8>,
    /// The ID of the key that the message names, in 16 hex digits in upper case.
    pub key_id: String,
}

impl Unverified {
    /// Takes a message apart without verifying it.
    pub fn read(message: &[u8]) -> Result<Self, OpenPgpError> {
        let message = message::parse(message)?;
        Ok(Self {
            content: message.content.data().to_vec(),
            key_id: issuer(&message.signature).to_uppercase(),
        })
    }
}

/// The content of a message whose signature is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    pub content: Vec<u8>,
    /// The fingerprint of the key that signed, in hex digits in upper case.
    pub key: String,
    /// The fingerprint of the primary key that it belongs to; the same if it is that itself.
    pub primary: String,
}

impl KeyRing {
    /// Adds the keys in a file, armored or binary; returns the number of those that are usable.
    ///
    /// A key without a user ID that its owner signed is left out, as gpg does.
    pub fn add(&mut self, file: &[u8], now: SystemTime) -> usize {
        let now = seconds(now);
        let text = str::from_utf8(file).unwrap_or_default();
        let armored: Vec<&str> = text.split(ARMOR).skip(1).collect();
        if armored.is_empty() {
            return self.add_binary(file, now);
        }
        let mut n = 0;
        for block in armored {
            let block = format!("{ARMOR}{block}");
            if let Ok((keys, _)) = SignedPublicKey::from_armor_many(block.as_bytes()) {
                n += self.add_all(keys, now);
            }
        }
        n
    }

    fn add_binary(&mut self, file: &[u8], now: u64) -> usize {
        match SignedPublicKey::from_bytes_many(file) {
            Ok(keys) => self.add_all(keys, now),
            Err(_) => 0,
        }
    }

    fn add_all(
        &mut self,
        keys: impl Iterator<Item = pgp::errors::Result<SignedPublicKey>>,
        now: u64,
    ) -> usize {
        let mut n = 0;
        for key in keys.filter_map(Result::ok) {
            if !certificate::has_owner(&key, now) {
                continue;
            }
            n += 1;
            let fingerprint = key.fingerprint();
            let mut known = self.certificates.iter_mut();
            match known.find(|known| known.fingerprint() == fingerprint) {
                Some(known) => certificate::merge(known, key),
                None => self.certificates.push(key),
            }
        }
        n
    }

    /// Returns the fingerprints of the primary keys.
    pub fn fingerprints(&self) -> Vec<String> {
        certificate::fingerprints(&self.certificates)
            .into_iter()
            .collect()
    }

    /// Verifies a message and returns its content.
    ///
    /// The signature must be the only one, valid, and not expired; its key must be for signing, and
    /// neither expired nor revoked at `now`.
    pub fn verify(&self, message: &[u8], now: SystemTime) -> Result<Signed, OpenPgpError> {
        let message = message::parse(message)?;
        let now = seconds(now);
        let mut failed = None;
        for certificate in &self.certificates {
            let primary = &certificate.primary_key;
            let mut checked = Vec::new();
            if is_issuer(primary, &message.signature) {
                let checked_now = check(primary, &message, now, |times| {
                    certificate::check_primary(certificate, times)
                });
                checked.push((fingerprint(primary), checked_now));
            }
            for subkey in &certificate.public_subkeys {
                if is_issuer(&subkey.key, &message.signature) {
                    let checked_now = check(&subkey.key, &message, now, |times| {
                        certificate::check_subkey(certificate, subkey, times)
                    });
                    checked.push((fingerprint(&subkey.key), checked_now));
                }
            }
            for (key, result) in checked {
                match result {
                    Ok(()) => {
                        return Ok(Signed {
                            content: message.content.data().to_vec(),
                            key,
                            primary: fingerprint(primary),
                        });
                    }
                    Err(problem) => {
                        failed = Some(OpenPgpError::Invalid {
                            fingerprint: key,
                            problem,
                        });
                    }
                }
            }
        }
        Err(failed.unwrap_or_else(|| OpenPgpError::KeyNotFound {
            id: issuer(&message.signature),
        }))
    }
}

impl Signed {
    /// Checks that a key with one of these fingerprints signed, or that its primary key has one.
    pub fn require_key(&self, accepted: &[String]) -> Result<(), OpenPgpError> {
        if accepted.contains(&self.key) || accepted.contains(&self.primary) {
            return Ok(());
        }
        Err(OpenPgpError::NotAccepted {
            key: self.key.clone(),
            primary: self.primary.clone(),
        })
    }
}

fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Whether a signature names the key as its issuer.
fn is_issuer(key: &impl KeyDetails, signature: &Signature) -> bool {
    let fingerprints = signature.issuer_fingerprint();
    if fingerprints.is_empty() {
        let id = key.legacy_key_id();
        return signature
            .issuer_key_id()
            .iter()
            .any(|issuer| **issuer == id);
    }
    let own = key.fingerprint();
    fingerprints.iter().all(|issuer| **issuer == own)
}

fn issuer(signature: &Signature) -> String {
    let fingerprint = signature.issuer_fingerprint().into_iter().next();
    let id = signature.issuer_key_id().into_iter().next();
    match (id, fingerprint) {
        (Some(id), _) => id.to_string(),
        (None, Some(fingerprint)) => fingerprint.to_string(),
        (None, None) => "0".to_owned(),
    }
}

/// Checks the signature of a message with a key, and then `check_key`.
fn check(
    key: &impl VerifyingKey,
    message: &SignedMessage,
    now: u64,
    check_key: impl FnOnce(Times) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let signature = &message.signature;
    if signature.version() != SignatureVersion::V4 {
        return Err("signatures of this version are not supported");
    }
    if signature.typ() != Some(SignatureType::Binary) {
        return Err("it is not a signature of binary content");
    }
    if !signature.hash_alg().is_some_and(certificate::is_strong) {
        return Err("its hash algorithm is too weak");
    }
    if !certificate::is_understood(signature) {
        return Err("it has a critical extension that is not known");
    }
    let signed = certificate::created(signature).ok_or("it does not say when it was made")?;
    signature
        .verify(key, message.content.data())
        .map_err(|_| "the signature does not match the content")?;
    if certificate::is_expired(signature, now) {
        return Err("the signature is expired");
    }
    check_key(Times { now, signed })
}
