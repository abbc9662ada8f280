//! JSON as Go's encoder writes it.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::ser::PrettyFormatter;

/// One line, without a line break at its end.
pub(crate) fn compact(value: &impl Serialize) -> Vec<u8> {
    escaped(serde_json::to_vec(value).expect("texts, numbers and lists are JSON"))
}

/// Indented by four blanks.
pub(crate) fn indented(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    let formatter = PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    value
        .serialize(&mut serializer)
        .expect("texts, numbers and lists are JSON");
    String::from_utf8(escaped(bytes)).expect("JSON of texts is a text")
}

/// Go escapes what HTML and JavaScript give a meaning, which is found in strings only.
fn escaped(json: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8(json).expect("JSON of texts is a text");
    let is_escaped = |c: char| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
    if !text.contains(is_escaped) {
        return text.into_bytes();
    }
    let mut bytes = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_escaped(c) {
            let _ = write!(bytes, "\\u{:04x}", u32::from(c));
        } else {
            bytes.push(c);
        }
    }
    bytes.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_escaped_and_indented_as_in_go() {
        let value = serde_json::json!({"a": ["<&>", "\u{2028}"], "b": [], "c": {}, "d": null});
        assert_eq!(
            String::from_utf8(compact(&value)).unwrap(),
            r#"{"a":["\u003c\u0026\u003e","\u2028"],"b":[],"c":{},"d":null}"#
        );
        assert_eq!(
            indented(&value),
            "{\n    \"a\": [\n        \"\\u003c\\u0026\\u003e\",\n        \"\\u2028\"\n    ],\n    \
             \"b\": [],\n    \"c\": {},\n    \"d\": null\n}"
        );
    }
}
