//! What a signature says: which manifest is which image.

use hod_oci::Digest;
use serde::Serialize;

use crate::go_text::{json, plain, quoted};
use crate::strict_json::{JsonError, Key, exact_object, number, read_object, string};

/// Which form of signature a payload belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadKind {
    /// Signed with OpenPGP.
    SimpleSigning,
    /// Signed as cosign does.
    Sigstore,
}

/// The content of a signature. A parsed one is worth nothing until the signature is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// The digest of the manifest.
    pub digest: Digest,
    /// The name of the image, by default that under which it was pushed. Any text.
    pub docker_reference: String,
    /// The program that signed.
    pub creator: Option<String>,
    /// When it was signed, in seconds since 1970.
    pub timestamp: Option<i64>,
}

/// Why a payload is refused, in the words of containers/image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Not JSON, or not with exactly the expected fields.
    #[error("{text}")]
    Json { text: String },
    #[error("Field optional.timestamp is not an integer")]
    Timestamp,
    #[error("Unrecognized signature type {}", plain(found))]
    Kind { found: String },
    #[error("invalid docker-manifest-digest value {}: {problem}", quoted(found))]
    Digest {
        found: String,
        problem: hod_oci::DigestError,
    },
    /// An image without a name cannot be signed.
    #[error("Unexpected empty signature content")]
    Empty,
}

impl From<JsonError> for PayloadError {
    fn from(error: JsonError) -> Self {
        Self::Json { text: error.0 }
    }
}

impl PayloadKind {
    fn word(self) -> &'static str {
        match self {
            Self::SimpleSigning => "atomic container signature",
            Self::Sigstore => "cosign container image signature",
        }
    }
}

impl Payload {
    /// Renders the JSON to be signed, with the keys in the order in which containers/image has them.
    pub fn to_json(&self, kind: PayloadKind) -> Result<String, PayloadError> {
        #[derive(Serialize)]
        struct Document<'a> {
            critical: Critical<'a>,
            optional: Optional<'a>,
        }
        #[derive(Serialize)]
        struct Critical<'a> {
            identity: Identity<'a>,
            image: Image<'a>,
            r#type: &'a str,
        }
        #[derive(Serialize)]
        struct Identity<'a> {
            #[serde(rename = "docker-reference")]
            docker_reference: &'a str,
        }
        #[derive(Serialize)]
        struct Image<'a> {
            #[serde(rename = "docker-manifest-digest")]
            digest: &'a Digest,
        }
        #[derive(Serialize)]
        struct Optional<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            creator: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            timestamp: Option<i64>,
        }
        if self.docker_reference.is_empty() {
            return Err(PayloadError::Empty);
        }
        let docker_reference = &self.docker_reference;
        Ok(json(&Document {
            critical: Critical {
                identity: Identity { docker_reference },
                image: Image {
                    digest: &self.digest,
                },
                r#type: kind.word(),
            },
            optional: Optional {
                creator: self.creator.as_deref(),
                timestamp: self.timestamp,
            },
        }))
    }

    /// Parses a payload whose signature was verified. Unknown and repeated fields are refused;
    /// `optional` may have any.
    pub fn parse(kind: PayloadKind, bytes: &[u8]) -> Result<Self, PayloadError> {
        let text = str::from_utf8(bytes).map_err(|_| JsonError::new("it is not UTF-8"))?;
        let [critical, optional] = exact_object(text, ["critical", "optional"])?;
        let mut creator = None;
        let mut timestamp = None;
        // cosign writes `null` if there are no annotations.
        if kind == PayloadKind::SimpleSigning || optional != "null" {
            read_object(&optional, |key, value| {
                match key {
                    "creator" => creator = Some(string(value)?),
                    "timestamp" => timestamp = Some(number(value)?),
                    _ => {}
                }
                Ok(Key::Known)
            })?;
        }
        let timestamp = timestamp.map(integral).transpose()?;
        let [found, image, identity] = exact_object(&critical, ["type", "image", "identity"])?;
        let found = string(&found)?;
        if found != kind.word() {
            return Err(PayloadError::Kind { found });
        }
        let [digest] = exact_object(&image, ["docker-manifest-digest"])?;
        let found = string(&digest)?;
        let digest = found
            .parse()
            .map_err(|problem| PayloadError::Digest { found, problem })?;
        let [docker_reference] = exact_object(&identity, ["docker-reference"])?;
        Ok(Self {
            digest,
            docker_reference: string(&docker_reference)?,
            creator,
            timestamp,
        })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::float_cmp,
    reason = "what is lost makes the comparison fail"
)]
fn integral(timestamp: f64) -> Result<i64, PayloadError> {
    let integer = timestamp as i64;
    if integer as f64 == timestamp {
        Ok(integer)
    } else {
        Err(PayloadError::Timestamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    #[test]
    fn payloads_are_rendered_as_containers_image_does() {
        let payload = Payload {
            digest: DIGEST.parse().unwrap(),
            docker_reference: "example.com/a&b:1".to_owned(),
            creator: Some("atomic 5".to_owned()),
            timestamp: Some(1_717_200_000),
        };
        let json = payload.to_json(PayloadKind::SimpleSigning).unwrap();
        let expect = format!(
            r#"{{"critical":{{"identity":{{"docker-reference":"example.com/a\u0026b:1"}},"image":{{"docker-manifest-digest":"{DIGEST}"}},"type":"atomic container signature"}},"optional":{{"creator":"atomic 5","timestamp":1717200000}}}}"#
        );
        assert_eq!(json, expect);
        for kind in [PayloadKind::SimpleSigning, PayloadKind::Sigstore] {
            let json = payload.to_json(kind).unwrap();
            assert_eq!(Payload::parse(kind, json.as_bytes()), Ok(payload.clone()));
        }
        let empty = Payload {
            docker_reference: String::new(),
            ..payload
        };
        let error = empty.to_json(PayloadKind::Sigstore);
        assert_eq!(error, Err(PayloadError::Empty));
    }

    #[test]
    fn only_exact_payloads_are_read() {
        #[track_caller]
        fn check(change: impl Fn(&str) -> String, expect: &str) {
            let good = format!(
                r#"{{"critical":{{"identity":{{"docker-reference":"a"}},"image":{{"docker-manifest-digest":"{DIGEST}"}},"type":"atomic container signature"}},"optional":{{"other":[1],"timestamp":1}}}}"#
            );
            let kind = PayloadKind::SimpleSigning;
            assert!(Payload::parse(kind, good.as_bytes()).is_ok());
            let error = Payload::parse(kind, change(&good).as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), expect);
        }
        check(
            |good| good.replace(":1}", ":1.5}"),
            "Field optional.timestamp is not an integer",
        );
        check(
            |good| good.replace(":1}", ":\"1\"}"),
            "json: cannot unmarshal string into Go value of type float64",
        );
        check(
            |good| good.replace("atomic", "cosign"),
            "Unrecognized signature type cosign container signature",
        );
        check(
            |good| good.replace("\"other\"", "\"timestamp\""),
            "json: cannot unmarshal array into Go value of type float64",
        );
        check(
            |good| good.replace("[1]", "[1],\"other\":2"),
            r#"Duplicate key "other""#,
        );
        check(
            |good| good.replace("\"type\"", "\"kind\""),
            r#"Unknown key "kind""#,
        );
        check(
            |good| good.replace(r#","type":"atomic container signature""#, ""),
            r#"Key "type" missing in a JSON object"#,
        );
        check(
            |good| good.replace("sha256:4", "sha256:"),
            r#"invalid docker-manifest-digest value "sha256:4136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a": digest has 63 of 64 hex characters"#,
        );
        check(
            |good| format!("{good}{good}"),
            "trailing characters at line 1 column 235",
        );
        check(
            |good| good.replace(r#"{"other":[1],"timestamp":1}"#, "null"),
            "JSON object expected, got <nil>",
        );
    }

    #[test]
    fn a_payload_of_cosign_is_read() {
        let json = format!(
            r#"{{"critical":{{"identity":{{"docker-reference":"x.y/z"}},"image":{{"docker-manifest-digest":"{DIGEST}"}},"type":"cosign container image signature"}},"optional":null}}"#
        );
        let payload = Payload::parse(PayloadKind::Sigstore, json.as_bytes()).unwrap();
        assert_eq!(payload.docker_reference, "x.y/z");
        assert_eq!((payload.creator, payload.timestamp), (None, None));
    }
}
