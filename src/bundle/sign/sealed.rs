//! The file of a secret key, as minisign lays it out.
//!
//! ```text
//! untrusted comment: ...
//! base64 of  "Ed" | "Sc" or two zeros | "B2" | salt (32) | operations (8) | memory (8)
//!            | key id (8) | seed and public key (64) | BLAKE2b-256 of "Ed", id and keys (32)
//! ```
//!
//! With "Sc" everything from the key id on is encrypted: XOR with the same number of bytes of
//! scrypt of the password. Without a password minisign leaves the checksum empty.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest as _};

use super::error::KeyError;
use super::password::Password;

pub(super) const COMMENT_PREFIX: &str = "untrusted comment: ";
const ALGORITHM: &[u8; 2] = b"Ed";
const SCRYPT: &[u8; 2] = b"Sc";
const UNSEALED: &[u8; 2] = &[0, 0];
const CHECKSUM: &[u8; 2] = b"B2";
const LEN: usize = 6 + 32 + 8 + 8 + SECRET_LEN;
/// The length of a public key in bytes.
const PUBLIC_KEY_LEN: usize = 42;
/// From the key id on.
const SECRET_LEN: usize = 8 + 64 + 32;

/// The limits of scrypt in minisign's terms. Those that hod writes mean N = 2^17, r = 8, p = 1: 128
/// MiB, as OWASP advises. minisign writes 1 GiB, and the crate 32 MiB; all are read.
const OPERATIONS: u64 = 4 << 20;
const MEMORY: u64 = 128 << 20;
/// 1 GiB with r = 8, minisign's own.
const LOG_N_MAX: u8 = 20;
/// So many times the 2^20 of minisign's own.
const COST_MAX: u64 = 16 << LOG_N_MAX;

/// The id, the seed and the public key in the file.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) id: [u8; 8],
    pub(super) seed: [u8; 32],
    pub(super) public: [u8; 32],
}

impl Parts {
    fn to_bytes(&self, checksum: [u8; 32]) -> [u8; SECRET_LEN] {
        let bytes = [&self.id[..], &self.seed, &self.public, &checksum].concat();
        bytes.try_into().expect("the lengths add up")
    }

    fn checksum(&self) -> [u8; 32] {
        let mut hasher = Blake2b::<U32>::new();
        for part in [&ALGORITHM[..], &self.id, &self.seed, &self.public] {
            hasher.update(part);
        }
        hasher.finalize().into()
    }
}

/// Reads the file of a secret key, or only its line of base64.
pub(super) fn open(text: &str, password: Option<&Password>) -> Result<Parts, KeyError> {
    let wrong = |problem| Err(KeyError::Secret { problem });
    let text = text.trim_end_matches(['\r', '\n']);
    let line = match text.split_once('\n') {
        None => text,
        Some((comment, line)) if comment.starts_with(COMMENT_PREFIX) => line,
        Some(_) => return wrong("its first line is not `untrusted comment:`"),
    };
    let Ok(bytes) = BASE64.decode(line) else {
        return wrong("its last line is not base64");
    };
    if bytes.len() == PUBLIC_KEY_LEN {
        return wrong("it is a public key, and its secret key is expected here");
    }
    let Ok(bytes) = <[u8; LEN]>::try_from(bytes) else {
        return wrong("it does not have the 158 bytes of a key");
    };
    let (algorithms, rest) = bytes.split_at(6);
    let (salt, rest) = rest.split_at(32);
    let (limits, secret) = rest.split_at(16);
    if algorithms[..2] != *ALGORITHM {
        return wrong("it is not for Ed25519");
    }
    if algorithms[4..] != *CHECKSUM {
        return wrong("its checksum is not of BLAKE2b");
    }
    let mut secret: [u8; SECRET_LEN] = secret.try_into().expect("the rest of a fixed length");
    let is_sealed = match &algorithms[2..4] {
        kind if kind == UNSEALED => false,
        kind if kind == SCRYPT => true,
        _ => return wrong("it is sealed in an unknown way"),
    };
    if is_sealed {
        let number = |from: usize| {
            u64::from_le_bytes(limits[from..from + 8].try_into().expect("8 of 16 bytes"))
        };
        let password = password.ok_or(KeyError::PasswordNeeded)?;
        mix(&mut secret, password, salt, number(0), number(8))?;
    }
    let parts = Parts {
        id: secret[..8].try_into().expect("8 bytes"),
        seed: secret[8..40].try_into().expect("32 bytes"),
        public: secret[40..72].try_into().expect("32 bytes"),
    };
    let is_right = secret[72..] == parts.checksum();
    match (is_sealed, is_right) {
        (true, false) => Err(KeyError::PasswordWrong),
        (false, false) if secret[72..] != [0; 32] => Err(KeyError::Damaged),
        _ => Ok(parts),
    }
}

/// Renders the file of a secret key, encrypted with this salt if there is a password.
pub(super) fn seal(
    parts: &Parts,
    password: Option<&Password>,
    salt: [u8; 32],
) -> Result<String, KeyError> {
    let mut secret = parts.to_bytes(parts.checksum());
    let (kind, salt, limits, comment) = match password {
        Some(password) => {
            mix(&mut secret, password, &salt, OPERATIONS, MEMORY)?;
            let limits = [OPERATIONS.to_le_bytes(), MEMORY.to_le_bytes()].concat();
            (SCRYPT, salt, limits, "minisign encrypted secret key")
        }
        None => (UNSEALED, [0; 32], vec![0; 16], "minisign secret key"),
    };
    let head = [&ALGORITHM[..], kind, CHECKSUM, &salt, &limits].concat();
    let line = BASE64.encode([&head[..], &secret].concat());
    Ok(format!("{COMMENT_PREFIX}{comment}\n{line}\n"))
}

/// Encrypts, or decrypts, by XOR with scrypt of the password.
fn mix(
    secret: &mut [u8; SECRET_LEN],
    password: &Password,
    salt: &[u8],
    operations: u64,
    memory: u64,
) -> Result<(), KeyError> {
    let params = params(operations, memory)?;
    let mut stream = [0; SECRET_LEN];
    scrypt::scrypt(password.bytes(), salt, &params, &mut stream)
        .expect("a length that scrypt can make");
    for (byte, mask) in secret.iter_mut().zip(stream) {
        *byte ^= mask;
    }
    Ok(())
}

/// The parameters that libsodium's `crypto_pwhash_scryptsalsa208sha256` derives from the limits.
fn params(operations: u64, memory: u64) -> Result<scrypt::Params, KeyError> {
    const R: u64 = 8;
    let operations = operations.max(32768);
    let is_short = operations < memory / 32;
    let n_max = if is_short {
        operations / (R * 4)
    } else {
        memory / (R * 128)
    };
    // The first power of two that is more than half of it.
    let log_n = (1..63_u8).find(|n| 1 << n > n_max / 2).unwrap_or(63);
    let p = if is_short {
        1
    } else {
        ((operations / 4) >> log_n).min(0x3fff_ffff) / R
    };
    if log_n > LOG_N_MAX || (p << log_n) > COST_MAX {
        return Err(KeyError::TooCostly);
    }
    let p = u32::try_from(p).map_err(|_| KeyError::TooCostly)?;
    let r = u32::try_from(R).expect("8 is small");
    scrypt::Params::new(log_n, r, p, scrypt::Params::RECOMMENDED_LEN)
        .map_err(|_| KeyError::TooCostly)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrypt_costs_what_libsodium_makes_of_the_limits() {
        #[track_caller]
        fn check(operations: u64, memory: u64, expect: Option<(u8, u32)>) {
            let params = params(operations, memory).ok();
            assert_eq!(params.map(|params| (params.log_n(), params.p())), expect);
        }
        // SENSITIVE, as minisign writes, INTERACTIVE, hod's own.
        check(33_554_432, 1 << 30, Some((20, 1)));
        check(524_288, 16 << 20, Some((14, 1)));
        check(OPERATIONS, MEMORY, Some((17, 1)));
        check(0, u64::MAX, Some((10, 1)));
        // More memory and time than any machine has.
        check(u64::MAX, u64::MAX, None);
        check(u64::MAX, 1 << 30, None);
        check(1 << 30, 16 << 20, None);
        check(1 << 30, 32 << 30, None);
        check(u64::MAX, 0, None);
    }
}
