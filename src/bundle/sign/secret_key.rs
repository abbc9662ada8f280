//! Secret keys, as minisign writes them.

use std::fmt;

use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::error::KeyError;
use super::key_id::KeyId;
use super::password::Password;
use super::public_key::PublicKey;
use super::sealed::{self, Parts};

/// A key that makes signatures. Never displayed.
pub struct SecretKey {
    public: PublicKey,
    pair: Ed25519KeyPair,
}

impl SecretKey {
    /// Reads the file of a key; blocks for as long as a password takes, up to some seconds.
    ///
    /// The password is ignored if the key is not encrypted.
    pub fn open(text: &str, password: Option<&Password>) -> Result<Self, KeyError> {
        let parts = sealed::open(text, password)?;
        // A signature with a public key that does not belong to the seed would reveal the key.
        let pair = Ed25519KeyPair::from_seed_and_public_key(&parts.seed, &parts.public)
            .map_err(|_| KeyError::Damaged)?;
        Ok(Self {
            public: PublicKey::new(KeyId::new(parts.id), parts.public)?,
            pair,
        })
    }

    /// Makes a new key; returns it with the content of its file, encrypted if there is a password.
    pub fn generate(password: Option<&Password>) -> Result<(Self, String), KeyError> {
        let seed = random()?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| KeyError::Damaged)?;
        let public = pair.public_key().as_ref();
        let parts = Parts {
            id: random()?,
            seed,
            public: public.try_into().expect("a public key has 32 bytes"),
        };
        let text = sealed::seal(&parts, password, random()?)?;
        let public = PublicKey::new(KeyId::new(parts.id), parts.public)?;
        Ok((Self { public, pair }, text))
    }

    /// Returns the key that verifies its signatures.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Signs as RFC 8032 does: equal messages have equal signatures.
    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature = self.pair.sign(message);
        let signature = signature.as_ref();
        signature.try_into().expect("a signature has 64 bytes")
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({}, [redacted])", self.public.id())
    }
}

fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| KeyError::NoRandomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;

    /// Made by `minisign -G -W`.
    const MINISIGN: &str = "untrusted comment: minisign encrypted secret key\n\
        RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAg8V9aP2lsQ8p1jd1c+cs3n60T9eawiqO7nzOVbDgvEDYfa0U+DvaMaDP+8f4jYe0L0zC0FKBy6xOZ6giES+rkUqTQ+wndwcyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";

    /// The key with some of its bytes changed.
    fn changed(text: &str, change: impl Fn(&mut Vec<u8>)) -> String {
        let (comment, line) = text.trim_end().split_once('\n').unwrap();
        let mut bytes = BASE64.decode(line).unwrap();
        change(&mut bytes);
        format!("{comment}\n{}\n", BASE64.encode(bytes))
    }

    #[test]
    fn a_key_of_minisign_is_read() {
        let key = SecretKey::open(MINISIGN, None).unwrap();
        let (_, line) = MINISIGN.split_once('\n').unwrap();
        let alone = SecretKey::open(line, None).unwrap();
        assert_eq!(alone.public_key(), key.public_key());
        assert_eq!(
            key.public_key().to_string(),
            "RWSDxX1o/aWxD6DP+8f4jYe0L0zC0FKBy6xOZ6giES+rkUqTQ+wndwcy"
        );
        assert_eq!(
            format!("{key:?}"),
            "SecretKey(0FB1A5FD687DC583, [redacted])"
        );
    }

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let password = Password::new("correct horse");
        for password in [None, Some(&password)] {
            let (key, text) = SecretKey::generate(password).unwrap();
            let again = SecretKey::open(&text, password).unwrap();
            assert_eq!(again.public_key(), key.public_key());
            assert_eq!(again.sign(b"x"), key.sign(b"x"));
            assert!(key.public_key().accepts(b"x", &key.sign(b"x")));
        }
    }

    #[test]
    fn a_sealed_key_wants_its_password() {
        #[track_caller]
        fn check(text: &str, password: Option<&Password>, expect: &KeyError) {
            assert_eq!(&SecretKey::open(text, password).unwrap_err(), expect);
        }
        let password = Password::new("correct horse");
        let (_, text) = SecretKey::generate(Some(&password)).unwrap();
        check(&text, None, &KeyError::PasswordNeeded);
        let wrong = Password::new("correct horse ");
        check(&text, Some(&wrong), &KeyError::PasswordWrong);
        let damaged = changed(&text, |bytes| bytes[70] ^= 1);
        check(&damaged, Some(&password), &KeyError::PasswordWrong);
        let costly = changed(&text, |bytes| bytes[45] = 1);
        check(&costly, Some(&password), &KeyError::TooCostly);
    }

    #[test]
    fn other_texts_are_refused() {
        #[track_caller]
        fn check(text: &str, problem: &'static str) {
            let expect = KeyError::Secret { problem };
            assert_eq!(SecretKey::open(text, None).unwrap_err(), expect, "{text}");
        }
        check("", "it does not have the 158 bytes of a key");
        check("x\ny", "its first line is not `untrusted comment:`");
        check(
            &"A".repeat(56),
            "it is a public key, and its secret key is expected here",
        );
        check("untrusted comment: \n*", "its last line is not base64");
        check(
            "untrusted comment: \nAAAA",
            "it does not have the 158 bytes of a key",
        );
        check(&format!("{MINISIGN}more\n"), "its last line is not base64");
        let with = |n: usize, byte: u8| changed(MINISIGN, move |bytes| bytes[n] = byte);
        check(&with(1, b'x'), "it is not for Ed25519");
        check(&with(2, b'A'), "it is sealed in an unknown way");
        check(&with(5, b'3'), "its checksum is not of BLAKE2b");
    }

    #[test]
    fn a_damaged_key_is_refused() {
        let (_, whole) = SecretKey::generate(None).unwrap();
        for n in 54..158 {
            let damaged = changed(&whole, |bytes| bytes[n] ^= 4);
            let error = SecretKey::open(&damaged, None).unwrap_err();
            assert_eq!(error, KeyError::Damaged, "byte {n}");
        }
        // Without a checksum, as minisign has it, the two halves must still belong together.
        for n in 62..126 {
            let damaged = changed(MINISIGN, |bytes| bytes[n] ^= 4);
            let error = SecretKey::open(&damaged, None).unwrap_err();
            assert_eq!(error, KeyError::Damaged, "byte {n}");
        }
    }
}
