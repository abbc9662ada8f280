//! Texts as Go's libraries write them: containers/image's messages and JSON are matched by scripts.

use std::fmt::Write as _;

use serde::Serialize;

/// Quotes a text as `%q` does; nothing in the result can control a terminal.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\x07' => quoted.push_str("\\a"),
            '\x08' => quoted.push_str("\\b"),
            '\x0c' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\x0b' => quoted.push_str("\\v"),
            c => push(&mut quoted, c),
        }
    }
    quoted.push('"');
    quoted
}

/// Appends a character, or its code if it is not printable.
fn push(text: &mut String, c: char) {
    let code = u32::from(c);
    let is_printable = c == '\'' || c.escape_debug().eq([c]);
    // Writing to a text does not fail.
    let _ = match code {
        _ if is_printable => {
            text.push(c);
            Ok(())
        }
        0..=0x7f => write!(text, "\\x{code:02x}"),
        0x80..=0xffff => write!(text, "\\u{code:04x}"),
        _ => write!(text, "\\U{code:08x}"),
    };
}

/// Renders a text that is not quoted in a message: control characters are escaped.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '"' || c == '\\' {
            plain.push(c);
        } else {
            push(&mut plain, c);
        }
    }
    plain
}

/// Renders a value as `json.Marshal` does, which escapes what HTML gives a meaning to.
pub(crate) fn json(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).expect("keys are texts, and nothing else can fail");
    // These characters are only in texts.
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_as_go_does() {
        // Printed by fmt.Printf("%q").
        for (text, expect) in [
            ("a b", r#""a b""#),
            ("it's", r#""it's""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("\x07\x08\x0c\n\r\t\x0b", r#""\a\b\f\n\r\t\v""#),
            ("\x1b[31m\x7f\0", r#""\x1b[31m\x7f\x00""#),
            ("é日本", r#""é日本""#),
            ("\u{200b}\u{feff}\u{a0}", r#""\u200b\ufeff\u00a0""#),
            ("\u{e0001}", r#""\U000e0001""#),
        ] {
            assert_eq!(quoted(text), expect);
        }
        assert_eq!(plain("a\x1b[1m\"\n"), "a\\x1b[1m\"\\x0a");
    }

    #[test]
    fn json_is_as_go_writes_it() {
        let value = ["<a>&\u{2028}", "\n\t\"\\/", "é\x01"];
        assert_eq!(
            json(&value),
            r#"["\u003ca\u003e\u0026\u2028","\n\t\"\\/","é\u0001"]"#
        );
    }
}
