//! The key exchange X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem): safe as long as one of X25519 and
//! ML-KEM-768 is.

use ml_kem::array::Array;
use ml_kem::{Decapsulate as _, DecapsulationKey768, KeyExport as _, Seed};
use rustls::crypto::ring::kx_group::X25519;
use rustls::crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup, PeerMisbehaved, ProtocolVersion};

/// The length of what ML-KEM-768 answers, in bytes (FIPS 203, table 3).
const CIPHERTEXT_LEN: usize = 1088;

/// The group, for clients.
pub(super) static X25519MLKEM768: &dyn SupportedKxGroup = &Hybrid;

#[derive(Debug)]
struct Hybrid;

impl SupportedKxGroup for Hybrid {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let mut seed = Seed::default();
        let random = rustls::crypto::ring::default_provider().secure_random;
        random.fill(&mut seed)?;
        let quantum = DecapsulationKey768::from_seed(seed);
        let classic = X25519.start()?;
        let mut pub_key = quantum.encapsulation_key().to_bytes().to_vec();
        pub_key.extend_from_slice(classic.pub_key());
        Ok(Box::new(Started {
            quantum,
            classic,
            pub_key,
        }))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_3
    }
}

/// An exchange that waits for the server's share.
struct Started {
    quantum: DecapsulationKey768,
    classic: Box<dyn ActiveKeyExchange>,
    pub_key: Vec<u8>,
}

impl ActiveKeyExchange for Started {
    fn complete(self: Box<Self>, share: &[u8]) -> Result<SharedSecret, Error> {
        let invalid = || Error::from(PeerMisbehaved::InvalidKeyShare);
        let (ciphertext, classic) = share.split_at_checked(CIPHERTEXT_LEN).ok_or_else(invalid)?;
        let ciphertext = Array::try_from(ciphertext).map_err(|_| invalid())?;
        let quantum = self.quantum.decapsulate(&ciphertext);
        let classic = self.classic.complete(classic)?;
        let secret = [quantum.as_slice(), classic.secret_bytes()].concat();
        Ok(SharedSecret::from(secret))
    }

    fn pub_key(&self) -> &[u8] {
        &self.pub_key
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }
}

#[cfg(test)]
mod tests {
    use ml_kem::{EncapsulationKey768, TryKeyInit as _};

    use super::*;

    #[test]
    fn both_sides_find_the_same_secret() {
        let client = X25519MLKEM768.start().unwrap();
        let (quantum, classic) = client.pub_key().split_at(1184);
        let quantum = EncapsulationKey768::new_from_slice(quantum).unwrap();
        let (ciphertext, quantum) = quantum.encapsulate_deterministic(&Array::default());
        let server = X25519.start_and_complete(classic).unwrap();
        let share = [ciphertext.as_slice(), &server.pub_key].concat();
        let secret = client.complete(&share).unwrap();
        let expect = [quantum.as_slice(), server.secret.secret_bytes()].concat();
        assert_eq!(secret.secret_bytes(), expect);
        let client = X25519MLKEM768.start().unwrap();
        assert!(client.complete(&share[..40]).is_err());
    }
}
