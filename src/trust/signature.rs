//! Signatures as they are stored: the files `signature-N` of `dir:` and of lookaside storage.
//!
//! ```text
//! an OpenPGP message                             simple signing, as it always was
//! NUL "simple-signing" LF an OpenPGP message     the same
//! NUL "sigstore-json" LF {"mimeType": …, "payload": base64, "annotations": {…}}
//! ```

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use crate::go_text::{json, quoted};

/// The longest signature that is read, in bytes.
pub const SIGNATURE_LEN_MAX: u64 = 4 * 1024 * 1024;

const SIMPLE_SIGNING: &str = "simple-signing";
const SIGSTORE: &str = "sigstore-json";

/// A signature of an image, of which nothing is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signature {
    /// An OpenPGP message.
    SimpleSigning(Vec<u8>),
    Sigstore(SigstoreSignature),
}

/// A signature in the form of cosign, or another attachment of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigstoreSignature {
    pub media_type: String,
    /// What is signed.
    pub payload: Vec<u8>,
    /// The signature itself, and what belongs to it.
    pub annotations: BTreeMap<String, String>,
}

impl SigstoreSignature {
    /// The media type of a signature's payload.
    pub const MEDIA_TYPE: &'static str = "application/vnd.dev.cosign.simplesigning.v1+json";
    /// The annotation with the signature in base64.
    pub const SIGNATURE: &'static str = "dev.cosignproject.cosign/signature";
    /// The annotation with the proof that the signature is in Rekor's log.
    pub const BUNDLE: &'static str = "dev.sigstore.cosign/bundle";
}

/// Why bytes are not a signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFormatError {
    #[error("empty signature blob")]
    Empty,
    #[error("signature has more than {SIGNATURE_LEN_MAX} bytes")]
    Length,
    #[error("invalid signature format, missing newline")]
    Newline,
    #[error("invalid signature format, non-ASCII byte {byte:#x}")]
    Name { byte: u8 },
    #[error("unrecognized signature format {}", quoted(name))]
    Unknown { name: String },
    #[error("unrecognized signature format, starting with binary {byte:#x}")]
    Start { byte: u8 },
    #[error("invalid signature in JSON: {problem}")]
    Json { problem: String },
}

#[derive(Serialize, Deserialize)]
struct SigstoreJson {
    #[serde(default, rename = "mimeType")]
    media_type: String,
    #[serde(default)]
    payload: String,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

impl Signature {
    /// Parses the content of a file.
    pub fn from_blob(blob: &[u8]) -> Result<Self, SignatureFormatError> {
        if blob.len() as u64 > SIGNATURE_LEN_MAX {
            return Err(SignatureFormatError::Length);
        }
        match blob {
            [] => Err(SignatureFormatError::Empty),
            [0, rest @ ..] => named(rest),
            // Tags of compressed data, one-pass signatures and signatures; 0x3d where containers/image
            // means 0x93, which gpg does not write.
            [
                0xa0..=0xa3 | 0xc8 | 0x90..=0x92 | 0x3d | 0xc4 | 0x88..=0x8b | 0xc2,
                ..,
            ] => Ok(Self::SimpleSigning(blob.to_owned())),
            [byte, ..] => Err(SignatureFormatError::Start { byte: *byte }),
        }
    }

    /// Renders the content of a file.
    pub fn to_blob(&self) -> Vec<u8> {
        match self {
            Self::SimpleSigning(message) => message.clone(),
            Self::Sigstore(signature) => {
                let json = json(&SigstoreJson {
                    media_type: signature.media_type.clone(),
                    payload: BASE64.encode(&signature.payload),
                    annotations: Some(signature.annotations.clone()),
                });
                format!("\0{SIGSTORE}\n{json}").into_bytes()
            }
        }
    }
}

fn named(rest: &[u8]) -> Result<Signature, SignatureFormatError> {
    let Some(end) = rest.iter().position(|b| *b == b'\n') else {
        return Err(SignatureFormatError::Newline);
    };
    let (name, content) = (&rest[..end], &rest[end + 1..]);
    if let Some(byte) = name.iter().find(|b| !(32..0x7f).contains(*b)) {
        return Err(SignatureFormatError::Name { byte: *byte });
    }
    match name {
        name if name == SIMPLE_SIGNING.as_bytes() => {
            Ok(Signature::SimpleSigning(content.to_owned()))
        }
        name if name == SIGSTORE.as_bytes() => sigstore(content).map(Signature::Sigstore),
        name => Err(SignatureFormatError::Unknown {
            name: String::from_utf8_lossy(name).into_owned(),
        }),
    }
}

fn sigstore(content: &[u8]) -> Result<SigstoreSignature, SignatureFormatError> {
    let wrong = |problem: String| SignatureFormatError::Json { problem };
    let parsed: SigstoreJson =
        serde_json::from_slice(content).map_err(|error| wrong(error.to_string()))?;
    let payload = BASE64
        .decode(parsed.payload)
        .map_err(|_| wrong("its payload is not base64".to_owned()))?;
    Ok(SigstoreSignature {
        media_type: parsed.media_type,
        payload,
        annotations: parsed.annotations.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_as_they_are_written() {
        let simple = Signature::SimpleSigning(vec![0xa3, 1, 2]);
        assert_eq!(Signature::from_blob(&simple.to_blob()), Ok(simple.clone()));
        let named = b"\0simple-signing\n\xa3\x01\x02";
        assert_eq!(Signature::from_blob(named), Ok(simple));
        let annotations = [("a<b".to_owned(), "c".to_owned())];
        let sigstore = Signature::Sigstore(SigstoreSignature {
            media_type: SigstoreSignature::MEDIA_TYPE.to_owned(),
            payload: b"{}".to_vec(),
            annotations: annotations.into(),
        });
        let blob = sigstore.to_blob();
        assert_eq!(
            String::from_utf8_lossy(&blob),
            "\0sigstore-json\n{\"mimeType\":\"application/vnd.dev.cosign.simplesigning.v1+json\",\
             \"payload\":\"e30=\",\"annotations\":{\"a\\u003cb\":\"c\"}}"
        );
        assert_eq!(Signature::from_blob(&blob), Ok(sigstore));
    }

    #[test]
    fn other_bytes_are_refused() {
        #[track_caller]
        fn check(blob: &[u8], expect: &str) {
            let error = Signature::from_blob(blob).unwrap_err();
            assert_eq!(error.to_string(), expect);
        }
        check(b"", "empty signature blob");
        check(
            b"{}",
            "unrecognized signature format, starting with binary 0x7b",
        );
        check(
            b"\0sigstore-json",
            "invalid signature format, missing newline",
        );
        check(
            b"\0a\xff\n",
            "invalid signature format, non-ASCII byte 0xff",
        );
        check(b"\0a\"\n", r#"unrecognized signature format "a\"""#);
        check(
            b"\0sigstore-json\n{\"payload\":\"*\"}",
            "invalid signature in JSON: its payload is not base64",
        );
        let long = vec![0xa3; usize::try_from(SIGNATURE_LEN_MAX).unwrap() + 1];
        check(&long, "signature has more than 4194304 bytes");
    }
}
