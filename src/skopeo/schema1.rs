//! Docker's schema 1, of which only the digest is of interest.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

#[derive(Deserialize)]
struct Signed {
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    protected: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Protected {
    format_length: usize,
    format_tail: String,
}

/// The bytes that a manifest's digest is of: of a signed schema 1, those that were signed.
pub(crate) fn payload(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let Ok(signed) = serde_json::from_slice::<Signed>(bytes) else {
        return Ok(bytes.to_vec());
    };
    let Some(signature) = signed.signatures.first() else {
        return Err("no signatures".to_owned());
    };
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text.trim_end_matches('='));
    let protected = decode(&signature.protected).map_err(|error| error.to_string())?;
    let protected: Protected =
        serde_json::from_slice(&protected).map_err(|error| error.to_string())?;
    let tail = decode(&protected.format_tail).map_err(|error| error.to_string())?;
    let start = bytes.get(..protected.format_length);
    let start = start.ok_or("the signature is of more bytes than there are")?;
    Ok([start, &tail].concat())
}
