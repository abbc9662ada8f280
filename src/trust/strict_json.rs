//! JSON objects whose keys must be known and distinct, with containers/image's messages.

use std::collections::HashSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::go_text::quoted;

/// Why JSON is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct JsonError(pub(crate) String);

impl JsonError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Whether a key belongs into an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Known,
    Unknown,
}

/// The fields of an object in their order; keys may repeat.
struct Fields(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// Returns the kind of a value in Go's words.
fn kind(json: &str) -> &'static str {
    match json.as_bytes().first() {
        Some(b'"') => "string",
        Some(b't' | b'f') => "bool",
        Some(b'[') => "array",
        Some(b'{') => "object",
        Some(b'n') => "null",
        _ => "number",
    }
}

fn syntax(error: &serde_json::Error) -> JsonError {
    if error.is_eof() {
        JsonError::new("unexpected end of JSON input")
    } else {
        JsonError::new(error.to_string())
    }
}

fn wrong_kind(json: &str, expected: &str) -> JsonError {
    let kind = kind(json);
    JsonError::new(format!(
        "json: cannot unmarshal {kind} into Go value of type {expected}"
    ))
}

fn fields(json: &str) -> Result<Fields, JsonError> {
    let json = json.trim_matches([' ', '\t', '\r', '\n']);
    // The whole text first: a file that is not JSON is not an object of the wrong kind.
    let _: &RawValue = serde_json::from_str(json).map_err(|error| syntax(&error))?;
    if kind(json) != "object" {
        let found = match kind(json) {
            "array" => "91".to_owned(),
            "null" => "<nil>".to_owned(),
            _ => json.to_owned(),
        };
        let found = crate::go_text::plain(&found);
        return Err(JsonError(format!("JSON object expected, got {found}")));
    }
    serde_json::from_str(json).map_err(|error| syntax(&error))
}

/// Reads an object: `field` is called for each key with the text of its value.
pub(crate) fn read_object(
    json: &str,
    mut field: impl FnMut(&str, &str) -> Result<Key, JsonError>,
) -> Result<(), JsonError> {
    let fields = fields(json)?;
    let mut seen = HashSet::new();
    for (key, value) in &fields.0 {
        if !seen.insert(key) {
            return Err(JsonError(format!("Duplicate key {}", quoted(key))));
        }
        if field(key, value.get())? == Key::Unknown {
            return Err(JsonError(format!("Unknown key {}", quoted(key))));
        }
    }
    Ok(())
}

/// Reads an object that has exactly these keys, and returns the texts of their values.
pub(crate) fn exact_object<const N: usize>(
    json: &str,
    keys: [&str; N],
) -> Result<[String; N], JsonError> {
    let mut values = [const { None }; N];
    read_object(json, |key, value| {
        let Some(n) = keys.iter().position(|known| *known == key) else {
            return Ok(Key::Unknown);
        };
        values[n] = Some(value.to_owned());
        Ok(Key::Known)
    })?;
    for (key, value) in keys.iter().zip(&values) {
        if value.is_none() {
            let key = quoted(key);
            return Err(JsonError(format!("Key {key} missing in a JSON object")));
        }
    }
    Ok(values.map(Option::unwrap_or_default))
}

/// Returns the text that a field of an object has, or nothing; the last one if it repeats. The case
/// of its name does not matter here, as in Go.
pub(crate) fn text_field(json: &str, key: &str) -> Result<String, JsonError> {
    if kind(json) == "null" {
        return Ok(String::new());
    }
    if kind(json) != "object" {
        return Err(wrong_kind(json, "signature.prCommon"));
    }
    let fields = fields(json)?;
    let value = fields
        .0
        .iter()
        .rfind(|(name, _)| name.eq_ignore_ascii_case(key));
    value.map_or(Ok(String::new()), |(_, value)| string(value.get()))
}

/// Reads a text; `null` is empty, as in Go.
pub(crate) fn string(json: &str) -> Result<String, JsonError> {
    match kind(json) {
        "null" => Ok(String::new()),
        "string" => serde_json::from_str(json).map_err(|error| syntax(&error)),
        _ => Err(wrong_kind(json, "string")),
    }
}

/// Reads bytes in base64; `None` for `null`.
pub(crate) fn bytes(json: &str) -> Result<Option<Vec<u8>>, JsonError> {
    match kind(json) {
        "null" => Ok(None),
        "string" => {
            let text = string(json)?;
            // Go's decoder skips the ends of lines.
            let text = text.replace(['\r', '\n'], "");
            let decoded = BASE64.decode(text);
            let decoded = decoded.map_err(|_| JsonError::new("illegal base64 data"));
            decoded.map(Some)
        }
        _ => Err(wrong_kind(json, "[]uint8")),
    }
}

/// Reads an array; `None` for `null`.
pub(crate) fn array<T>(
    json: &str,
    element: impl Fn(&str) -> Result<T, JsonError>,
) -> Result<Option<Vec<T>>, JsonError> {
    match kind(json) {
        "null" => Ok(None),
        "array" => {
            let elements: Vec<&RawValue> =
                serde_json::from_str(json).map_err(|error| syntax(&error))?;
            let elements = elements.iter().map(|json| element(json.get()));
            elements.collect::<Result<_, _>>().map(Some)
        }
        _ => Err(wrong_kind(json, "array")),
    }
}

/// Reads a number; `null` is 0, as in Go.
pub(crate) fn number(json: &str) -> Result<f64, JsonError> {
    match kind(json) {
        "null" => Ok(0.0),
        "number" => serde_json::from_str(json).map_err(|error| syntax(&error)),
        _ => Err(wrong_kind(json, "float64")),
    }
}

/// Reads an integer; `null` is 0, as in Go.
pub(crate) fn integer(json: &str) -> Result<i64, JsonError> {
    match kind(json) {
        "null" => Ok(0),
        "number" => serde_json::from_str(json).map_err(|_| {
            JsonError(format!(
                "json: cannot unmarshal number {json} into Go value of type int64"
            ))
        }),
        _ => Err(wrong_kind(json, "int64")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_objects_are_read() {
        #[track_caller]
        fn check(json: &str, expect: Result<[&str; 2], &str>) {
            let read = exact_object(json, ["a", "b"]);
            let expect = expect.map(|values| values.map(str::to_owned));
            assert_eq!(read, expect.map_err(JsonError::new));
        }
        check(r#" {"b": [1 , 2], "a":{}} "#, Ok(["{}", "[1 , 2]"]));
        check(r#"{"a":1,"b":2,"a":3}"#, Err(r#"Duplicate key "a""#));
        check(r#"{"a":1,"\u0061":3}"#, Err(r#"Duplicate key "a""#));
        check(r#"{"a":1,"c":3}"#, Err(r#"Unknown key "c""#));
        check(r#"{"A":1}"#, Err(r#"Unknown key "A""#));
        check(r#"{"a":1}"#, Err(r#"Key "b" missing in a JSON object"#));
        check("null", Err("JSON object expected, got <nil>"));
        check("1", Err("JSON object expected, got 1"));
        check("[]", Err("JSON object expected, got 91"));
        check("{", Err("unexpected end of JSON input"));
        check("", Err("unexpected end of JSON input"));
        assert!(exact_object(r#"{"a":1,"b":2} {}"#, ["a", "b"]).is_err());
        assert!(exact_object(r#"{"a":1,"b":2,}"#, ["a", "b"]).is_err());
    }

    #[test]
    fn values_are_of_their_kind() {
        assert_eq!(string("null").unwrap(), "");
        assert_eq!(string(r#""a\n""#).unwrap(), "a\n");
        let error = string("1").unwrap_err().0;
        assert_eq!(
            error,
            "json: cannot unmarshal number into Go value of type string"
        );
        assert_eq!(bytes("null").unwrap(), None);
        assert_eq!(bytes(r#""YWI=""#).unwrap(), Some(b"ab".to_vec()));
        assert_eq!(bytes(r#""YW\nI=\n""#).unwrap(), Some(b"ab".to_vec()));
        assert!(bytes(r#""YWI""#).is_err() && bytes("1").is_err());
        assert_eq!(array("null", string).unwrap(), None);
        assert_eq!(
            array(r#"["a"]"#, string).unwrap(),
            Some(vec!["a".to_owned()])
        );
        assert!(array("[1]", string).is_err() && array("{}", string).is_err());
        assert!((number("1.5").unwrap() - 1.5).abs() < f64::EPSILON);
        assert!(number("true").is_err());
        assert_eq!(integer("-3").unwrap(), -3);
        assert!(integer("1.5").is_err() && integer("\"1\"").is_err());
    }
}
