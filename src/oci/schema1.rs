//! The payload of a signed manifest of Docker's schema 1, which its digest is of.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// Why a signed manifest of schema 1 has no payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the manifest is of schema 1, and {problem}")]
pub struct SchemaOneError {
    problem: &'static str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signed {
    schema_version: u32,
    #[serde(default)]
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    protected: String,
}

/// How the payload is restored: its first bytes are those of the file, its end is here.
#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Format {
    format_length: usize,
    format_tail: String,
}

/// Returns what a manifest of schema 1 was before it was signed; `None` for anything else.
pub fn signed_payload(bytes: &[u8]) -> Result<Option<Vec<u8>>, SchemaOneError> {
    let Ok(signed) = serde_json::from_slice::<Signed>(bytes) else {
        return Ok(None);
    };
    if signed.schema_version != 1 || signed.signatures.is_empty() {
        return Ok(None);
    }
    let fail = |problem| SchemaOneError { problem };
    let format = |signature: &Signature| {
        let decoded = URL_SAFE_NO_PAD.decode(&signature.protected).ok()?;
        serde_json::from_slice::<Format>(&decoded).ok()
    };
    let mut formats = signed.signatures.iter().map(format);
    let first = formats.next().flatten();
    let first = first.ok_or_else(|| fail("a signature cannot be read"))?;
    if !formats.all(|format| format.as_ref() == Some(&first)) {
        return Err(fail("its signatures are about different contents"));
    }
    let payload = bytes.get(..first.format_length);
    let tail = URL_SAFE_NO_PAD.decode(&first.format_tail).ok();
    let (payload, tail) = payload
        .zip(tail)
        .ok_or_else(|| fail("its signature does not fit its content"))?;
    Ok(Some([payload, &tail].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(payload: &str, protected: &[&str]) -> Vec<u8> {
        let body = payload.strip_suffix("\n}").unwrap();
        let signatures = protected.iter().map(|text| {
            let protected = URL_SAFE_NO_PAD.encode(text);
            format!(r#"{{"header":{{}},"signature":"x","protected":"{protected}"}}"#)
        });
        let signatures: Vec<String> = signatures.collect();
        format!("{body},\n   \"signatures\": [{}]\n}}", signatures.join(",")).into_bytes()
    }

    #[test]
    fn the_payload_is_what_was_signed() {
        let payload = "{\n   \"schemaVersion\": 1,\n   \"name\": \"a/b\"\n}";
        let len = payload.len() - 2;
        let tail = URL_SAFE_NO_PAD.encode("\n}");
        let format = |len: usize| format!(r#"{{"formatLength":{len},"formatTail":"{tail}"}}"#);
        let (good, other) = (format(len), format(len - 1));
        let file = signed(payload, &[&good, &good]);
        let found = signed_payload(&file).unwrap().unwrap();
        assert_eq!(String::from_utf8(found).unwrap(), payload);
        for protected in [&[good.as_str(), &other][..], &["{}"], &[&format(9999)]] {
            assert!(signed_payload(&signed(payload, protected)).is_err());
        }
        for text in [
            payload,
            "",
            "[]",
            r#"{"schemaVersion":2,"signatures":[{"protected":""}]}"#,
        ] {
            assert_eq!(signed_payload(text.as_bytes()), Ok(None), "{text}");
        }
    }
}
