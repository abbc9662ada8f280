//! `sigstoreSigned`: signatures as cosign makes them.

use super::identity::Identity;
use super::image::ImageUnderTest;
use super::key_source::{KeyFields, KeySource};
use super::rejected::{Reason, Rejected};
use crate::go_text::quoted;
use crate::signature::{Signature, SigstoreSignature};
use crate::sigstore::{self, Keys, SIGSTORE_KEY_LEN_MAX, SigstorePublicKey};
use crate::strict_json::{JsonError, Key, read_object, string};

/// Requires a signature by one of some keys, or with a certificate.
#[derive(Debug, Clone)]
pub(super) struct SigstoreSigned {
    author: Author,
    rekor: Option<KeySource>,
    identity: Identity,
}

/// Who must have signed.
#[derive(Debug, Clone)]
enum Author {
    Keys(KeySource),
    /// The owner of a certificate, by the name of the field. Not supported, so never accepted.
    Certificate(&'static str),
}

/// Returns an error if an array was given without elements.
fn not_empty(json: &str, field: &str) -> Result<(), JsonError> {
    let elements = crate::strict_json::array(json, |_| Ok(()))?;
    if elements.unwrap_or_default().is_empty() {
        return Err(JsonError(format!("{} contains no entries", quoted(field))));
    }
    Ok(())
}

impl SigstoreSigned {
    pub(super) fn parse(json: &str) -> Result<Self, JsonError> {
        let (mut keys, mut rekor) = (KeyFields::default(), KeyFields::default());
        let mut certificates = Vec::new();
        let mut identity = None;
        let mut empty = Ok(());
        let mut check_not_empty = |json: &str, field: &str| {
            if empty.is_ok() {
                empty = not_empty(json, field);
            }
        };
        read_object(json, |key, value| {
            match key {
                "type" => {}
                "keyPath" => keys.path(value)?,
                "keyPaths" => {
                    keys.paths(value)?;
                    check_not_empty(value, key);
                }
                "keyData" => keys.data(value)?,
                "keyDatas" => {
                    keys.datas(value)?;
                    check_not_empty(value, key);
                }
                "fulcio" => {
                    check_fulcio(value)?;
                    certificates.push("fulcio");
                }
                "pki" => {
                    check_pki(value)?;
                    certificates.push("pki");
                }
                "rekorPublicKeyPath" => rekor.path(value)?,
                "rekorPublicKeyPaths" => {
                    rekor.paths(value)?;
                    check_not_empty(value, "rekorPublickeyPaths");
                }
                "rekorPublicKeyData" => rekor.data(value)?,
                "rekorPublicKeyDatas" => {
                    rekor.datas(value)?;
                    check_not_empty(value, "rekorPublickeyDatas");
                }
                "signedIdentity" => identity = Some(value.to_owned()),
                _ => return Ok(Key::Unknown),
            }
            Ok(Key::Known)
        })?;
        let identity = match identity {
            Some(json) => Identity::parse(&json)?,
            None => Identity::MatchRepoDigestOrExact,
        };
        empty?;
        check_sources(&keys, &rekor, &certificates)?;
        let author = match (keys.into_only(), certificates.first()) {
            (Some(keys), _) => Author::Keys(keys),
            (None, Some(certificate)) => Author::Certificate(certificate),
            (None, None) => return Err(JsonError::new(ONE_SOURCE)),
        };
        Ok(Self {
            author,
            rekor: rekor.into_only(),
            identity,
        })
    }

    pub(super) fn evaluate(
        &self,
        image: &ImageUnderTest<'_>,
        signatures: &[Signature],
    ) -> Result<(), Rejected> {
        let keys = match &self.author {
            Author::Keys(keys) => keys,
            Author::Certificate(feature) => return Err(Rejected::Unsupported { feature }),
        };
        let (mut n_simple, mut n_attachments) = (0, 0);
        let mut own = Vec::new();
        for signature in signatures {
            match signature {
                Signature::SimpleSigning(_) => n_simple += 1,
                Signature::Sigstore(one) if one.media_type == SigstoreSignature::MEDIA_TYPE => {
                    own.push(one);
                }
                Signature::Sigstore(_) => n_attachments += 1,
            }
        }
        if own.is_empty() && n_simple + n_attachments > 0 {
            return Err(Rejected::NoSigstoreSignature {
                n_simple,
                n_attachments,
            });
        }
        if own.is_empty() {
            return Err(Rejected::NoSignature);
        }
        // As if each signature had loaded them.
        let repeated = |reason| Rejected::of(vec![reason; own.len()]);
        let keys = self.load(keys).map_err(repeated)?;
        let mut reasons = Vec::new();
        for signature in own {
            let verified = sigstore::verify(signature, &keys).map_err(Reason::Sigstore);
            match verified.and_then(|payload| image.check_payload(payload, &self.identity)) {
                Ok(()) => return Ok(()),
                Err(reason) => reasons.push(reason),
            }
        }
        Err(Rejected::of(reasons))
    }

    fn load(&self, keys: &KeySource) -> Result<Keys, Reason> {
        let files = |source: &KeySource| {
            let files = source.load(SIGSTORE_KEY_LEN_MAX);
            files.map_err(|error| Reason::KeyFile {
                problem: hod_report::chain(&error),
            })
        };
        let mut loaded = Keys {
            keys: Vec::new(),
            rekor: Vec::new(),
        };
        for (number, file) in (1..).zip(files(keys)?) {
            let key = SigstorePublicKey::parse(&file);
            let key = key.map_err(|problem| Reason::Key { number, problem })?;
            loaded.keys.push(key);
        }
        let Some(rekor) = &self.rekor else {
            return Ok(loaded);
        };
        for (number, file) in (1..).zip(files(rekor)?) {
            let key = SigstorePublicKey::parse(&file);
            let key = key.map_err(|problem| Reason::RekorKey { number, problem })?;
            if !key.is_ecdsa() {
                return Err(Reason::RekorAlgorithm { number });
            }
            loaded.rekor.push(key);
        }
        if loaded.rekor.is_empty() {
            // Without keys it would not be checked.
            return Err(Reason::NoKeys);
        }
        Ok(loaded)
    }
}

const ONE_SOURCE: &str =
    "exactly one of keyPath, keyPaths, keyData, keyDatas, fulcio, and pki must be specified";
const REKOR: &str =
    "rekorPublickeyPath, rekorPublicKeyPaths, rekorPublickeyData and rekorPublicKeyDatas";

/// Checks that exactly one kind of author is named, with the keys of Rekor that it needs.
fn check_sources(
    keys: &KeyFields,
    rekor: &KeyFields,
    certificates: &[&str],
) -> Result<(), JsonError> {
    if keys.n_sources() + certificates.len() != 1 {
        return Err(JsonError::new(ONE_SOURCE));
    }
    if rekor.n_sources() > 1 {
        return Err(JsonError(format!(
            "at most one of {REKOR} can be used simultaneously"
        )));
    }
    if certificates == ["fulcio"] && rekor.n_sources() == 0 {
        return Err(JsonError(format!(
            "At least one of {REKOR} must be specified if fulcio is used"
        )));
    }
    if certificates == ["pki"] && rekor.n_sources() > 0 {
        return Err(JsonError(format!("{REKOR} are not supported for pki")));
    }
    Ok(())
}

/// Checks that `fulcio` is well-formed.
fn check_fulcio(json: &str) -> Result<(), JsonError> {
    let mut ca = KeyFields::default();
    let (mut issuer, mut email) = (String::new(), String::new());
    read_object(json, |key, value| {
        match key {
            "caPath" => ca.path(value)?,
            "caData" => ca.data(value)?,
            "oidcIssuer" => issuer = string(value)?,
            "subjectEmail" => email = string(value)?,
            _ => return Ok(Key::Unknown),
        }
        Ok(Key::Known)
    })?;
    require_one(&ca, "caPath", "caData")?;
    if issuer.is_empty() {
        return Err(JsonError::new("oidcIssuer not specified"));
    }
    if email.is_empty() {
        return Err(JsonError::new("subjectEmail not specified"));
    }
    Ok(())
}

/// Checks that `pki` is well-formed.
fn check_pki(json: &str) -> Result<(), JsonError> {
    let (mut roots, mut intermediates) = (KeyFields::default(), KeyFields::default());
    let (mut email, mut hostname) = (String::new(), String::new());
    read_object(json, |key, value| {
        match key {
            "caRootsPath" => roots.path(value)?,
            "caRootsData" => roots.data(value)?,
            "caIntermediatesPath" => intermediates.path(value)?,
            "caIntermediatesData" => intermediates.data(value)?,
            "subjectEmail" => email = string(value)?,
            "subjectHostname" => hostname = string(value)?,
            _ => return Ok(Key::Unknown),
        }
        Ok(Key::Known)
    })?;
    require_one(&roots, "caRootsPath", "caRootsData")?;
    if intermediates.n_sources() > 1 {
        return Err(JsonError::new(
            "caIntermediatesPath and caIntermediatesData cannot be used simultaneously",
        ));
    }
    if email.is_empty() && hostname.is_empty() {
        return Err(JsonError::new(
            "At least one of subjectEmail, subjectHostname must be specified",
        ));
    }
    Ok(())
}

fn require_one(fields: &KeyFields, path: &str, data: &str) -> Result<(), JsonError> {
    match fields.n_sources() {
        0 => Err(JsonError(format!(
            "At least one of {path} and {data} must be specified"
        ))),
        1 => Ok(()),
        _ => Err(JsonError(format!(
            "{path} and {data} cannot be used simultaneously"
        ))),
    }
}
