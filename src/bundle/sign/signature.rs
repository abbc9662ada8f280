//! `hod/bundle.json.minisig`, as type and as bytes.

use std::str::FromStr as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use blake2::{Blake2b512, Digest as _};

use super::error::SignatureError;
use super::key_id::KeyId;
use hod_oci::Digest;

/// The length of every signature in bytes; it is fixed, so that offsets are known before signing.
pub const SIGNATURE_LEN: u64 = 359;

const COMMENT: &str = "untrusted comment: signature of a hod bundle by key ";
const TRUSTED_COMMENT: &str = "trusted comment: ";
const SUBJECT: &str = "hod bundle ";
/// Ed25519 of the BLAKE2b-512 of the message.
const HASHED: &[u8; 2] = b"ED";
/// Ed25519 of the message itself, as minisign wrote it before version 0.10.
const LEGACY: &[u8; 2] = b"Ed";

/// A signature, not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) key: KeyId,
    /// The signature of [`hashed`].
    pub(super) first: [u8; 64],
    /// The id of the bundle in the trusted comment.
    pub(super) bundle: Digest,
    /// The signature of [`second_message`].
    pub(super) second: [u8; 64],
}

impl Signature {
    /// Parses a signature; fails if the text is not what [`Self::to_text`] would render.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, SignatureError> {
        let format = |problem| SignatureError::Format { problem };
        let text = str::from_utf8(bytes).map_err(|_| format("it is not text"))?;
        let lines: Vec<&str> = text.lines().take(5).collect();
        let [_, first, comment, second] = lines.as_slice() else {
            return Err(format("it has not four lines"));
        };
        let first = BASE64.decode(first).ok();
        let first = first.and_then(|bytes| <[u8; 74]>::try_from(bytes).ok());
        let first = first.ok_or(format("its second line is not 74 bytes in base64"))?;
        if first.starts_with(LEGACY) {
            return Err(SignatureError::Legacy);
        }
        let second = BASE64.decode(second).ok();
        let second = second.and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
        let second = second.ok_or(format("its fourth line is not 64 bytes in base64"))?;
        let comment = comment.strip_prefix(TRUSTED_COMMENT);
        let id = comment.and_then(|comment| comment.strip_prefix(SUBJECT));
        let id = id.and_then(|id| Digest::from_str(id).ok());
        let bundle = id.ok_or(format("its third line does not name a bundle"))?;
        let signature = Self {
            key: KeyId::new(first[2..10].try_into().expect("8 bytes")),
            first: first[10..].try_into().expect("74 - 10 bytes"),
            bundle,
            second,
        };
        if signature.to_text().as_bytes() != bytes {
            return Err(format("it says the same in other bytes"));
        }
        Ok(signature)
    }

    pub(super) fn to_text(&self) -> String {
        let Self { key, bundle, .. } = self;
        let first = BASE64.encode([HASHED.as_slice(), key.bytes(), &self.first].concat());
        let second = BASE64.encode(self.second);
        format!("{COMMENT}{key}\n{first}\n{TRUSTED_COMMENT}{SUBJECT}{bundle}\n{second}\n")
    }
}

/// Returns the message of the first signature.
pub(super) fn hashed(bundle_json: &[u8]) -> [u8; 64] {
    Blake2b512::digest(bundle_json).into()
}

/// Returns the message of the second signature: the first signature, and the comment with the id of
/// the bundle.
pub(super) fn second_message(first: &[u8; 64], bundle: &Digest) -> Vec<u8> {
    let mut message = first.to_vec();
    message.extend_from_slice(format!("{SUBJECT}{bundle}").as_bytes());
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature() -> Signature {
        Signature {
            key: KeyId::new(*b"12345678"),
            first: [0xff; 64],
            bundle: Digest::of(b"x"),
            second: [1; 64],
        }
    }

    #[test]
    fn all_are_of_one_length_and_form() {
        let text = signature().to_text();
        assert_eq!(text.len() as u64, SIGNATURE_LEN);
        assert_eq!(Signature::parse(text.as_bytes()), Ok(signature()));
        for n in 0..text.len() {
            for bit in 0..8 {
                let mut bytes = text.clone().into_bytes();
                bytes[n] ^= 1 << bit;
                // If it still parses, it signs something else.
                if let Ok(other) = Signature::parse(&bytes) {
                    assert_ne!(other, signature(), "byte {n} bit {bit}");
                }
            }
        }
    }

    #[test]
    fn other_forms_are_refused() {
        #[track_caller]
        fn check(text: &str, problem: &'static str) {
            let expect = Err(SignatureError::Format { problem });
            assert_eq!(Signature::parse(text.as_bytes()), expect, "{text}");
        }
        let text = signature().to_text();
        let lines: Vec<&str> = text.lines().collect();
        let with = |n: usize, line: &str| {
            let mut lines = lines.clone();
            lines[n] = line;
            lines.join("\n") + "\n"
        };
        check("", "it has not four lines");
        check(&lines[..3].join("\n"), "it has not four lines");
        check(&format!("{text}\n"), "it has not four lines");
        check(
            &with(1, "RUQ="),
            "its second line is not 74 bytes in base64",
        );
        check(
            &with(3, &lines[3][..84]),
            "its fourth line is not 64 bytes in base64",
        );
        check(
            &with(2, "trusted comment: timestamp:1"),
            "its third line does not name a bundle",
        );
        check(
            &with(0, "untrusted comment: me"),
            "it says the same in other bytes",
        );
        check(
            &text.replace('\n', "\r\n"),
            "it says the same in other bytes",
        );
        check(text.trim_end(), "it says the same in other bytes");
        let not_text = SignatureError::Format {
            problem: "it is not text",
        };
        assert_eq!(Signature::parse(b"\xff"), Err(not_text));
    }

    #[test]
    fn the_old_way_is_refused_by_name() {
        let text = "untrusted comment: signature from minisign secret key
RWQf6LRCGA9i59SLOFxz6NxvASXDJeRtuZykwQepbDEGt87ig1BNpWaVWuNrm73YiIiJbq71Wi+dP9eKL8OC351vwIasSSbXxwA=
trusted comment: timestamp:1555779966\tfile:test
QtKMXWyYcwdpZAlPF7tE2ENJkRd1ujvKjlj1m9RtHTBnZPa5WKU5uWRs5GoP5M/VqE81QFuMKI5k/SfNQUaOAA==
";
        let result = Signature::parse(text.as_bytes());
        assert_eq!(result, Err(SignatureError::Legacy));
    }
}
