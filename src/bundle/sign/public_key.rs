//! Public keys, as minisign writes them.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::signature::{ED25519, UnparsedPublicKey};

use super::error::KeyError;
use super::key_id::KeyId;
use super::sealed::COMMENT_PREFIX;

/// "Ed", the id and the key.
const LEN: usize = 2 + 8 + 32;
/// The length of a secret key, in characters of base64.
const SECRET_KEY_LEN: usize = 212;
const ALGORITHM: &[u8; 2] = b"Ed";

/// The points of small order, as in libsodium, without the sign bit. A signature by one of them
/// proves nothing, since anybody can make it.
const WEAK: [[u8; 32]; 7] = [
    [0; 32],
    small(1),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
    below_p(0xec),
    below_p(0xed),
    below_p(0xee),
];

const fn small(first: u8) -> [u8; 32] {
    let mut point = [0; 32];
    point[0] = first;
    point
}

/// The prime 2^255 - 19 with another last byte.
const fn below_p(first: u8) -> [u8; 32] {
    let mut point = [0xff; 32];
    point[0] = first;
    point[31] = 0x7f;
    point
}

/// A key that verifies signatures. Displayed and parsed as one line of base64.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey {
    id: KeyId,
    key: [u8; 32],
}

impl PublicKey {
    /// Makes a key; fails if it is weak, so that signatures could be forged.
    pub(super) fn new(id: KeyId, key: [u8; 32]) -> Result<Self, KeyError> {
        let mut unsigned = key;
        unsigned[31] &= 0x7f;
        if WEAK.contains(&unsigned) {
            return Err(KeyError::Weak { id });
        }
        Ok(Self { id, key })
    }

    /// Returns its id.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Returns the same key with another id.
    #[cfg(test)]
    pub(super) fn named(self, id: KeyId) -> Self {
        Self { id, ..self }
    }

    /// The file that holds it, of two lines.
    pub fn to_file(self) -> String {
        let id = self.id;
        format!("{COMMENT_PREFIX}minisign public key {id}\n{self}\n")
    }

    /// Whether `signature` is its owner's of `message`.
    pub(super) fn accepts(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, &self.key);
        key.verify(message, signature).is_ok()
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    /// Reads the file of a key, or only its line of base64.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let wrong = |problem| Err(KeyError::Public { problem });
        let text = text.trim_end_matches(['\r', '\n']);
        let line = match text.split_once('\n') {
            None => text,
            Some((comment, line)) if comment.starts_with(COMMENT_PREFIX) => line,
            Some(_) => return wrong("its first line is not `untrusted comment:`"),
        };
        if line.contains('\n') {
            return wrong("it has more than two lines");
        }
        let Ok(bytes) = BASE64.decode(line) else {
            return wrong("its last line is not base64");
        };
        let Ok(bytes) = <[u8; LEN]>::try_from(bytes) else {
            return wrong(if line.len() == SECRET_KEY_LEN {
                "it is a secret key, and its public key is expected here"
            } else {
                "it does not have the 42 bytes of a key"
            });
        };
        if !bytes.starts_with(ALGORITHM) {
            return wrong("it is not for Ed25519");
        }
        let part = |from: usize| &bytes[from..];
        let id = KeyId::new(part(2)[..8].try_into().expect("8 bytes"));
        Self::new(id, part(10).try_into().expect("42 - 10 bytes"))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [ALGORITHM.as_slice(), self.id.bytes(), &self.key].concat();
        f.write_str(&BASE64.encode(bytes))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `minisign -G`.
    const MINISIGN: &str = "untrusted comment: minisign public key FB1A5FD687DC583\n\
        RWSDxX1o/aWxD6DP+8f4jYe0L0zC0FKBy6xOZ6giES+rkUqTQ+wndwcy\n";

    #[test]
    fn files_and_lines_are_read() {
        let key: PublicKey = MINISIGN.parse().unwrap();
        assert_eq!(key.id().to_string(), "0FB1A5FD687DC583");
        let (_, line) = MINISIGN.split_once('\n').unwrap();
        for text in [
            line.to_owned(),
            line.trim_end().to_owned(),
            MINISIGN.trim_end().to_owned(),
            line.replace('\n', "\r\n"),
            key.to_file(),
        ] {
            assert_eq!(text.parse(), Ok(key), "{text}");
        }
        assert_eq!(key.to_string(), line.trim_end());
    }

    #[test]
    fn other_texts_are_refused() {
        #[track_caller]
        fn check(text: &str, expect: &'static str) {
            let problem = expect;
            let expect = Err(KeyError::Public { problem });
            assert_eq!(text.parse::<PublicKey>(), expect, "{text}");
        }
        let line = MINISIGN.lines().last().unwrap();
        check("", "it does not have the 42 bytes of a key");
        check("\n", "it does not have the 42 bytes of a key");
        check(&line[..52], "it does not have the 42 bytes of a key");
        check(
            &"A".repeat(SECRET_KEY_LEN),
            "it is a secret key, and its public key is expected here",
        );
        check(&format!(" {line}"), "its last line is not base64");
        check(&format!("{line} x"), "its last line is not base64");
        check(&line.replace("RW", "RX"), "it is not for Ed25519");
        check(
            &format!("comment\n{line}"),
            "its first line is not `untrusted comment:`",
        );
        check(&format!("{MINISIGN}{line}\n"), "it has more than two lines");
    }

    #[test]
    fn a_key_that_anybody_can_sign_for_is_refused() {
        for point in WEAK {
            for sign in [0, 0x80] {
                let mut key = point;
                key[31] |= sign;
                let id = KeyId::new([7; 8]);
                assert_eq!(PublicKey::new(id, key), Err(KeyError::Weak { id }));
            }
        }
        // Why: without a secret key, R = 1 and S = 0 sign every message that hashes to a multiple
        // of the order, here one of eight.
        let weak = PublicKey {
            id: KeyId::new([0; 8]),
            key: WEAK[2],
        };
        let mut forged = [0; 64];
        forged[0] = 1;
        assert!((0..200_u8).any(|message| weak.accepts(&[message], &forged)));
        let strong: PublicKey = MINISIGN.parse().unwrap();
        assert!(!(0..200_u8).any(|message| strong.accepts(&[message], &forged)));
    }
}
