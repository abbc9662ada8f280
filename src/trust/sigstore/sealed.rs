//! The encryption of secret keys: go-securesystemslib's JSON.
//!
//! ```text
//! {"kdf": {"name": "scrypt", "params": {"N": 65536, "r": 8, "p": 1}, "salt": base64},
//!  "cipher": {"name": "nacl/secretbox", "nonce": base64}, "ciphertext": base64}
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crypto_secretbox::aead::{Aead as _, KeyInit as _};
use crypto_secretbox::{Key, Nonce, XSalsa20Poly1305};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};

use super::error::SigstoreKeyError;
use crate::passphrase::Passphrase;

const SCRYPT: &str = "scrypt";
const SECRETBOX: &str = "nacl/secretbox";
const KEY_LEN: usize = 32;
const NONCE_LEN: usize = 24;
const SALT_LEN: usize = 32;
/// The logarithms of N that are read: others could cost any amount of memory.
const LOG_N: [u8; 3] = [15, 16, 17];
/// What is written, as cosign does.
const LOG_N_NEW: u8 = 16;

#[derive(Serialize, Deserialize)]
struct Sealed {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Serialize, Deserialize)]
struct Kdf {
    name: String,
    params: Params,
    salt: String,
}

#[derive(Serialize, Deserialize)]
struct Params {
    #[serde(rename = "N")]
    n: u64,
    r: u64,
    p: u64,
}

#[derive(Serialize, Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

/// Decrypts; blocks for about a second.
pub(super) fn open(json: &[u8], passphrase: &Passphrase) -> Result<Vec<u8>, SigstoreKeyError> {
    let wrong = |problem| SigstoreKeyError::Sealed { problem };
    let sealed: Sealed =
        serde_json::from_slice(json).map_err(|_| wrong("it is not an encrypted key"))?;
    if sealed.kdf.name != SCRYPT {
        return Err(wrong("encrypted: unknown kdf name"));
    }
    if sealed.cipher.name != SECRETBOX {
        return Err(wrong("encrypted: unknown cipher name"));
    }
    let params = &sealed.kdf.params;
    let log_n = LOG_N
        .into_iter()
        .find(|log_n| (1 << log_n, 8, 1) == (params.n, params.r, params.p))
        .ok_or_else(|| wrong("unsupported scrypt parameters"))?;
    let bytes = |text: &str| BASE64.decode(text).map_err(|_| wrong("it is not base64"));
    let nonce: [u8; NONCE_LEN] = bytes(&sealed.cipher.nonce)?
        .try_into()
        .map_err(|_| wrong("encrypted: incorrect nonce size"))?;
    let key = derive(passphrase, &bytes(&sealed.kdf.salt)?, log_n)?;
    let ciphertext = bytes(&sealed.ciphertext)?;
    XSalsa20Poly1305::new(Key::from_slice(&key))
        .decrypt(Nonce::from_slice(&nonce), &ciphertext[..])
        .map_err(|_| SigstoreKeyError::Passphrase)
}

/// Encrypts; blocks for about a second.
pub(super) fn seal(secret: &[u8], passphrase: &Passphrase) -> Result<String, SigstoreKeyError> {
    let (salt, nonce): ([u8; SALT_LEN], [u8; NONCE_LEN]) = (random()?, random()?);
    let key = derive(passphrase, &salt, LOG_N_NEW)?;
    let ciphertext = XSalsa20Poly1305::new(Key::from_slice(&key))
        .encrypt(Nonce::from_slice(&nonce), secret)
        .map_err(|_| SigstoreKeyError::CannotSign)?;
    let sealed = Sealed {
        kdf: Kdf {
            name: SCRYPT.to_owned(),
            params: Params {
                n: 1 << LOG_N_NEW,
                r: 8,
                p: 1,
            },
            salt: BASE64.encode(salt),
        },
        cipher: Cipher {
            name: SECRETBOX.to_owned(),
            nonce: BASE64.encode(nonce),
        },
        ciphertext: BASE64.encode(ciphertext),
    };
    Ok(crate::go_text::json(&sealed))
}

fn derive(
    passphrase: &Passphrase,
    salt: &[u8],
    log_n: u8,
) -> Result<[u8; KEY_LEN], SigstoreKeyError> {
    let problem = "unsupported scrypt parameters";
    let wrong = || SigstoreKeyError::Sealed { problem };
    let params = scrypt::Params::new(log_n, 8, 1, KEY_LEN).map_err(|_| wrong())?;
    let mut key = [0; KEY_LEN];
    scrypt::scrypt(passphrase.bytes(), salt, &params, &mut key).map_err(|_| wrong())?;
    Ok(key)
}

fn random<const N: usize>() -> Result<[u8; N], SigstoreKeyError> {
    let mut bytes = [0; N];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| SigstoreKeyError::NoRandomness)?;
    Ok(bytes)
}
