//! Signs bundles.

use std::sync::Arc;

use super::error::SignError;
use super::external::SignHelper;
use super::key_id::KeyId;
use super::public_key::PublicKey;
use super::secret_key::SecretKey;
use super::signature::{Signature, hashed, second_message};
use hod_oci::Digest;

/// A secret key, or a helper program that has one.
#[derive(Debug, Clone)]
pub struct Signer {
    public: PublicKey,
    by: By,
}

#[derive(Debug, Clone)]
enum By {
    Key(Arc<SecretKey>),
    Helper(SignHelper),
}

impl Signer {
    /// Signs with a key.
    pub fn from_key(key: SecretKey) -> Self {
        Self {
            public: *key.public_key(),
            by: By::Key(Arc::new(key)),
        }
    }

    /// Signs with a helper, which is run at once to get its public key; blocks.
    pub fn from_helper(helper: SignHelper) -> Result<Self, SignError> {
        Ok(Self {
            public: helper.public_key()?,
            by: By::Helper(helper),
        })
    }

    /// Returns the key that verifies its signatures.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Returns the id for `signed_by` of [`super::super::BundleManifest`].
    pub fn key_id(&self) -> KeyId {
        self.public.id()
    }

    /// Signs the bytes of `hod/bundle.json` of the bundle `id`; returns `hod/bundle.json.minisig`.
    ///
    /// Equal bytes have equal signatures, if a helper makes deterministic ones. The signature is
    /// verified before it is returned. Blocks with a helper.
    pub fn sign(&self, bundle_json: &[u8], id: &Digest) -> Result<Vec<u8>, SignError> {
        let first = self.sign_message(&hashed(bundle_json))?;
        let second = self.sign_message(&second_message(&first, id))?;
        let signature = Signature {
            key: self.key_id(),
            first,
            bundle: id.clone(),
            second,
        };
        Ok(signature.to_text().into_bytes())
    }

    fn sign_message(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        let signature = match &self.by {
            By::Key(key) => key.sign(message),
            By::Helper(helper) => helper.sign(message)?,
        };
        if self.public.accepts(message, &signature) {
            Ok(signature)
        } else {
            let key = self.key_id();
            Err(SignError::Wrong { key })
        }
    }
}
