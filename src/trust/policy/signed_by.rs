//! `signedBy`: simple signing with OpenPGP keys.

use std::time::SystemTime;

use super::identity::Identity;
use super::image::ImageUnderTest;
use super::key_source::{KeyFields, KeySource};
use super::rejected::{Reason, Rejected};
use crate::go_text::quoted;
use crate::openpgp::{KEYS_LEN_MAX, KeyRing};
use crate::payload::{Payload, PayloadKind};
use crate::signature::Signature;
use crate::strict_json::{JsonError, Key, read_object, string};

/// The kinds of keys that containers/image has words for; only the first exists.
const KEY_TYPES: [&str; 4] = [
    "GPGKeys",
    "signedByGPGKeys",
    "X509Certificates",
    "signedByX509CAs",
];

/// Requires a signature by one of some keys.
#[derive(Debug, Clone)]
pub(super) struct SignedBy {
    key_type: &'static str,
    keys: KeySource,
    identity: Identity,
}

impl SignedBy {
    pub(super) fn parse(json: &str) -> Result<Self, JsonError> {
        let mut key_type = None;
        let mut fields = KeyFields::default();
        let mut identity = None;
        read_object(json, |key, value| {
            match key {
                "type" => {}
                "keyType" => key_type = Some(parse_key_type(value)?),
                "keyPath" => fields.path(value)?,
                "keyPaths" => fields.paths(value)?,
                "keyData" => fields.data(value)?,
                "signedIdentity" => identity = Some(value.to_owned()),
                _ => return Ok(Key::Unknown),
            }
            Ok(Key::Known)
        })?;
        let identity = match identity {
            Some(json) => Identity::parse(&json)?,
            None => Identity::MatchRepoDigestOrExact,
        };
        let wrong = match fields.n_given {
            0 => Some(", none of them present"),
            1 => None,
            _ => Some(", more than one present"),
        };
        if let Some(wrong) = wrong {
            return Err(JsonError(format!(
                "Exactly one of keyPath, keyPaths and keyData must be specified{wrong}"
            )));
        }
        let key_type = key_type.ok_or_else(|| JsonError::new("invalid keyType \"\""))?;
        let keys = fields.into_only().ok_or_else(|| {
            JsonError::new("exactly one of keyPath, keyPaths and keyData must be specified")
        })?;
        Ok(Self {
            key_type,
            keys,
            identity,
        })
    }

    #[cfg(test)]
    pub(super) fn keys(&self) -> &KeySource {
        &self.keys
    }

    pub(super) fn evaluate(
        &self,
        image: &ImageUnderTest<'_>,
        signatures: &[Signature],
        now: SystemTime,
    ) -> Result<(), Rejected> {
        let messages: Vec<&[u8]> = signatures.iter().filter_map(message).collect();
        if messages.is_empty() {
            return Err(Rejected::NoSignature);
        }
        // As if each signature had loaded them.
        let repeated = |reason| Rejected::of(vec![reason; messages.len()]);
        let ring = self.load(now).map_err(repeated)?;
        let mut reasons = Vec::new();
        for message in messages {
            match self.check(image, message, &ring, now) {
                Ok(()) => return Ok(()),
                Err(reason) => reasons.push(reason),
            }
        }
        Err(Rejected::of(reasons))
    }

    fn load(&self, now: SystemTime) -> Result<KeyRing, Reason> {
        if self.key_type != KEY_TYPES[0] {
            let kind = self.key_type;
            return Err(Reason::KeyType { kind });
        }
        let files = self.keys.load(KEYS_LEN_MAX);
        let files = files.map_err(|error| Reason::KeyFile {
            problem: hod_report::chain(&error),
        })?;
        let mut ring = KeyRing::default();
        for file in &files {
            ring.add(file, now);
        }
        if ring.fingerprints().is_empty() {
            return Err(Reason::NoKeys);
        }
        Ok(ring)
    }

    fn check(
        &self,
        image: &ImageUnderTest<'_>,
        message: &[u8],
        ring: &KeyRing,
        now: SystemTime,
    ) -> Result<(), Reason> {
        let signed = ring.verify(message, now).map_err(Reason::OpenPgp)?;
        let payload = Payload::parse(PayloadKind::SimpleSigning, &signed.content);
        image.check_payload(payload.map_err(Reason::Payload)?, &self.identity)
    }
}

fn message(signature: &Signature) -> Option<&[u8]> {
    match signature {
        Signature::SimpleSigning(message) => Some(message),
        Signature::Sigstore(_) => None,
    }
}

fn parse_key_type(json: &str) -> Result<&'static str, JsonError> {
    let text = string(json)?;
    let known = KEY_TYPES.into_iter().find(|known| *known == text);
    known.ok_or_else(|| JsonError(format!("Unrecognized keyType value {}", quoted(&text))))
}
