//! Escapes for HTML, JavaScript and URLs, as Go's template functions make them.

use hod_gotext::{chars, is_print};

pub(crate) fn html(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            0 => out.extend("\u{fffd}".bytes()),
            b'"' => out.extend(b"&#34;"),
            b'\'' => out.extend(b"&#39;"),
            b'&' => out.extend(b"&amp;"),
            b'<' => out.extend(b"&lt;"),
            b'>' => out.extend(b"&gt;"),
            byte => out.push(*byte),
        }
    }
    out
}

pub(crate) fn js(text: &[u8]) -> Vec<u8> {
    let mut out = String::with_capacity(text.len());
    for c in chars(text) {
        match c.unwrap_or('\u{fffd}') {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            c @ ('<' | '>' | '&' | '=') => out.extend([format!("\\u{:04X}", u32::from(c))]),
            c if c < ' ' || !c.is_ascii() && !is_print(c) => {
                out.extend([format!("\\u{:04X}", u32::from(c))]);
            }
            c => out.push(c),
        }
    }
    out.into_bytes()
}

pub(crate) fn url_query(text: &[u8]) -> Vec<u8> {
    let mut out = String::with_capacity(text.len());
    for byte in text {
        match byte {
            b' ' => out.push('+'),
            b'-' | b'_' | b'.' | b'~' => out.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(*byte)),
            byte => out.extend([format!("%{byte:02X}")]),
        }
    }
    out.into_bytes()
}
