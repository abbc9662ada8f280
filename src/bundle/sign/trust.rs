//! The keys whose bundles are trusted.

use std::path::Path;

use super::error::SignatureError;
use super::key_id::KeyId;
use super::public_key::PublicKey;
use super::signature::{Signature, hashed, second_message};
use hod_oci::Digest;

/// How far into `hod/bundle.json` its id is.
const ID_WITHIN: usize = 128;

/// The trusted keys. A bundle must be signed by one of them; without any, every bundle is accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    pub keys: Vec<PublicKey>,
}

impl Trust {
    /// Returns whether there are keys, so that only signed bundles are accepted.
    pub fn is_required(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Verifies that one of the keys signed these bytes of `hod/bundle.json`; returns that key's
    /// id.
    ///
    /// The bytes need not be parsed before. Both signatures in the file must be valid: of the bytes
    /// and of the comment.
    pub fn verify(&self, bundle_json: &[u8], signature: &[u8]) -> Result<KeyId, SignatureError> {
        let signature = Signature::parse(signature)?;
        let key = signature.key;
        // Two keys may have the same id.
        let keys: Vec<&PublicKey> = self.keys.iter().filter(|k| k.id() == key).collect();
        if keys.is_empty() {
            return Err(SignatureError::UnknownKey {
                key,
                trusted: self.names(),
            });
        }
        let second = second_message(&signature.first, &signature.bundle);
        let owner = keys.iter().find(|k| k.accepts(&second, &signature.second));
        let Some(owner) = owner else {
            return Err(SignatureError::Comment { key });
        };
        let id = signature.bundle.to_string();
        let start = &bundle_json[..bundle_json.len().min(ID_WITHIN)];
        let is_of_it = start.windows(id.len()).any(|part| part == id.as_bytes());
        if owner.accepts(&hashed(bundle_json), &signature.first) && is_of_it {
            Ok(key)
        } else if is_of_it {
            Err(SignatureError::Altered { key })
        } else {
            let signed = signature.bundle;
            Err(SignatureError::OtherBundle { key, signed })
        }
    }

    /// Returns the status of the signature of a bundle that was read with these keys.
    pub fn status(&self, signed_by: Option<KeyId>) -> Signed {
        match signed_by {
            None => Signed::No,
            Some(key) if self.is_required() => Signed::Trusted(key),
            Some(key) => Signed::Unchecked(key),
        }
    }

    /// Returns the error for a bundle without a signature.
    pub fn refuse_unsigned(&self, path: &Path) -> SignatureError {
        SignatureError::Unsigned {
            path: path.to_owned(),
            trusted: self.names(),
        }
    }

    fn names(&self) -> Vec<KeyId> {
        self.keys.iter().map(PublicKey::id).collect()
    }
}

/// Whether a bundle is signed, and whether the signature was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    No,
    /// It is signed, but there is no trusted key to verify the signature.
    Unchecked(KeyId),
    /// It is signed by a trusted key.
    Trusted(KeyId),
}

/// Checks that a signature names this bundle and key, without verifying the signature itself.
pub(crate) fn check_claim(
    signature: &[u8],
    listed: Option<KeyId>,
    id: &Digest,
) -> Result<(), SignatureError> {
    let Signature { key, bundle, .. } = Signature::parse(signature)?;
    if listed != Some(key) {
        return Err(SignatureError::Disagrees { listed, key });
    }
    if bundle != *id {
        let signed = bundle;
        return Err(SignatureError::OtherBundle { key, signed });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{SIGNATURE_LEN, SecretKey, Signer};
    use super::*;

    fn signer() -> Signer {
        Signer::from_key(SecretKey::generate(None).unwrap().0)
    }

    fn trust(signers: &[&Signer]) -> Trust {
        Trust {
            keys: signers.iter().map(|signer| *signer.public_key()).collect(),
        }
    }

    fn json(content: &str) -> (Vec<u8>, Digest) {
        let id = Digest::of(content.as_bytes());
        let json = format!(r#"{{"format":1,"id":"{id}","name":"{content}"}}"#);
        (json.into_bytes(), id)
    }

    #[test]
    fn what_a_trusted_key_signed_is_accepted() {
        let (one, two) = (signer(), signer());
        let (json, id) = json("x");
        let signature = one.sign(&json, &id).unwrap();
        assert_eq!(signature.len() as u64, SIGNATURE_LEN);
        assert_eq!(one.sign(&json, &id).unwrap(), signature);
        let verify = |signers: &[&Signer]| trust(signers).verify(&json, &signature);
        assert_eq!(verify(&[&one]), Ok(one.key_id()));
        assert_eq!(verify(&[&two, &one]), Ok(one.key_id()));
        let trusted = vec![two.key_id()];
        let key = one.key_id();
        let unknown = Err(SignatureError::UnknownKey { key, trusted });
        assert_eq!(verify(&[&two]), unknown);
    }

    #[test]
    fn what_was_changed_is_refused() {
        let one = signer();
        let (json_x, id_x) = json("x");
        let (json_y, id_y) = json("y");
        let signature = one.sign(&json_x, &id_x).unwrap();
        let trust = trust(&[&one]);
        let key = one.key_id();
        let other = SignatureError::OtherBundle {
            key,
            signed: id_x.clone(),
        };
        assert_eq!(trust.verify(&json_y, &signature), Err(other));
        for n in 0..json_x.len() * 8 {
            let mut changed = json_x.clone();
            changed[n / 8] ^= 1 << (n % 8);
            assert!(trust.verify(&changed, &signature).is_err(), "bit {n}");
        }
        for n in 0..signature.len() * 8 {
            let mut changed = signature.clone();
            changed[n / 8] ^= 1 << (n % 8);
            assert!(trust.verify(&json_x, &changed).is_err(), "bit {n}");
        }
        let mut longer = json_x.clone();
        longer.push(b' ');
        let altered = SignatureError::Altered { key };
        assert_eq!(trust.verify(&longer, &signature), Err(altered));
        // A comment that is not this bundle's, though its key is trusted.
        let confused = one.sign(&json_x, &id_y).unwrap();
        let other = SignatureError::OtherBundle { key, signed: id_y };
        assert_eq!(trust.verify(&json_x, &confused), Err(other));
        // A key that only has the same name.
        let (_, text) = SecretKey::generate(None).unwrap();
        let stranger = SecretKey::open(&text, None).unwrap();
        let namesake = Trust {
            keys: vec![stranger.public_key().named(key)],
        };
        let comment = SignatureError::Comment { key };
        assert_eq!(namesake.verify(&json_x, &signature), Err(comment));
        // Both keys of one name: the right one is found.
        let both = Trust {
            keys: [namesake.keys, trust.keys].concat(),
        };
        assert_eq!(both.verify(&json_x, &signature), Ok(key));
    }

    #[test]
    fn a_claim_is_compared_with_what_the_bundle_says() {
        let (one, two) = (signer(), signer());
        let (json, id) = json("x");
        let signature = one.sign(&json, &id).unwrap();
        let key = one.key_id();
        assert_eq!(check_claim(&signature, Some(key), &id), Ok(()));
        for listed in [None, Some(two.key_id())] {
            let disagrees = SignatureError::Disagrees { listed, key };
            assert_eq!(check_claim(&signature, listed, &id), Err(disagrees));
        }
        let other = SignatureError::OtherBundle { key, signed: id };
        let result = check_claim(&signature, Some(key), &Digest::of(b"y"));
        assert_eq!(result, Err(other));
    }
}
