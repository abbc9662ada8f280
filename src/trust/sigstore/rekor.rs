//! The proof that a signature is in Rekor's log: its signed entry timestamp (SET).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hod_oci::Digest;
use serde::{Deserialize, Serialize};

use super::public_key::SigstorePublicKey;
use crate::go_text::{plain, quoted};
use crate::strict_json::{JsonError, bytes, exact_object, integer, string};

/// The largest integer that JSON in its canonical form can have: a double has no larger ones.
const INTEGER_MAX: u64 = 1 << 53;

/// What must be in the log.
pub(super) struct Entry<'a> {
    pub(super) key: &'a SigstorePublicKey,
    pub(super) signature: &'a [u8],
    pub(super) payload: &'a [u8],
}

/// The part that Rekor signed, with its keys in the order of RFC 8785.
#[derive(Serialize)]
struct LogEntry {
    body: String,
    #[serde(rename = "integratedTime")]
    integrated_time: i64,
    #[serde(rename = "logID")]
    log_id: String,
    #[serde(rename = "logIndex")]
    log_index: i64,
}

#[derive(Deserialize)]
struct Record {
    kind: Option<String>,
    #[serde(rename = "apiVersion")]
    api_version: Option<String>,
    spec: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Spec {
    data: Option<Data>,
    signature: Option<Signed>,
}

#[derive(Deserialize)]
struct Data {
    hash: Option<Hash>,
}

#[derive(Deserialize)]
struct Hash {
    algorithm: Option<String>,
    value: Option<String>,
}

#[derive(Deserialize)]
struct Signed {
    #[serde(default)]
    content: String,
    #[serde(rename = "publicKey")]
    public_key: Option<Content>,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    content: String,
}

/// Checks that one of `keys` signed that `entry` is in the log; says what is wrong.
pub(super) fn verify(
    bundle: &str,
    entry: &Entry<'_>,
    keys: &[SigstorePublicKey],
) -> Result<(), String> {
    let (log_entry, timestamp) = parse(bundle).map_err(|error| error.0)?;
    // Keys are in the right order, integers are small, and texts are escaped as RFC 8785 does.
    let canonical = serde_json::to_string(&log_entry).map_err(|error| error.to_string())?;
    let mut keys = keys.iter();
    if !keys.any(|key| key.verify(canonical.as_bytes(), &timestamp).is_ok()) {
        return Err("cryptographic signature verification of Rekor SET failed".to_owned());
    }
    let body = BASE64
        .decode(&log_entry.body)
        .map_err(|_| "parsing Rekor SET payload: illegal base64 data".to_owned())?;
    matches(&body, entry)
}

fn parse(bundle: &str) -> Result<(LogEntry, Vec<u8>), JsonError> {
    let [timestamp, payload] = exact_object(bundle, ["SignedEntryTimestamp", "Payload"])?;
    let fields = ["body", "integratedTime", "logIndex", "logID"];
    let [body, integrated_time, log_index, log_id] = exact_object(&payload, fields)?;
    let small = |json: &str| {
        let integer = integer(json)?;
        if integer.unsigned_abs() > INTEGER_MAX {
            return Err(JsonError::new(
                "canonicalizing Rekor SET JSON: a number is too large",
            ));
        }
        Ok(integer)
    };
    let entry = LogEntry {
        body: string(&body)?,
        integrated_time: small(&integrated_time)?,
        log_id: string(&log_id)?,
        log_index: small(&log_index)?,
    };
    Ok((entry, bytes(&timestamp)?.unwrap_or_default()))
}

/// Checks that a record of the log is of this key, signature and payload.
fn matches(body: &[u8], entry: &Entry<'_>) -> Result<(), String> {
    let wrong = |error: serde_json::Error| {
        let problem = plain(&error.to_string());
        format!("decoding the body of a Rekor SET payload: {problem}")
    };
    let missing = |field: &str| format!("Missing {} field in hashedrekord", quoted(field));
    let record: Record = serde_json::from_slice(body).map_err(wrong)?;
    let kind = record.kind.unwrap_or_default();
    if kind != "hashedrekord" {
        let kind = quoted(&kind);
        return Err(format!(
            "decoding the body of a Rekor SET payload: invalid kind value: {kind}"
        ));
    }
    match record.api_version.as_deref() {
        Some("0.0.1") => {}
        Some(_) => return Err("unsupported Rekor SET Payload hashedrekord version".to_owned()),
        None => return Err("missing Rekor SET Payload API version".to_owned()),
    }
    let spec: Spec = serde_json::from_value(record.spec.unwrap_or_default()).map_err(wrong)?;
    let signed = spec.signature.ok_or_else(|| missing("signature"))?;
    let key = signed
        .public_key
        .ok_or_else(|| missing("signature.publicKey"))?;
    let key = BASE64.decode(key.content).unwrap_or_default();
    match &pem::parse_many(key).unwrap_or_default()[..] {
        [key] if key.contents() == entry.key.der() => {}
        [_] => return Err("publicKey in Rekor SET does not match".to_owned()),
        [] => return Err("publicKey in Rekor SET is not in PEM format".to_owned()),
        _ => return Err("publicKey in Rekor SET has trailing data".to_owned()),
    }
    if BASE64.decode(signed.content).as_deref() != Ok(entry.signature) {
        return Err("signature in Rekor SET does not match".to_owned());
    }
    let data = spec.data.ok_or_else(|| missing("data"))?;
    let hash = data.hash.ok_or_else(|| missing("data.hash"))?;
    let algorithm = hash
        .algorithm
        .ok_or_else(|| missing("data.hash.algorithm"))?;
    if algorithm != "sha256" {
        let algorithm = quoted(&algorithm);
        return Err(format!(
            "Unexpected \"data.hash.algorithm\" value {algorithm}"
        ));
    }
    let value = hash.value.ok_or_else(|| missing("data.hash.value"))?;
    if value.to_ascii_lowercase() != Digest::of(entry.payload).hex() {
        return Err("payload in Rekor SET does not match".to_owned());
    }
    Ok(())
}
