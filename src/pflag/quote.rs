//! Quotes as Go's `%q` writes them.

/// Quotes a text in double quotes.
pub(crate) fn quote(text: &str) -> String {
    let escaped = text.chars().map(|c| escape(c, '"'));
    format!("\"{}\"", escaped.collect::<String>())
}

/// Quotes a character in single quotes.
pub(crate) fn quote_char(c: char) -> String {
    format!("'{}'", escape(c, '\''))
}

fn escape(c: char, mark: char) -> String {
    match c {
        '\\' => "\\\\".to_owned(),
        c if c == mark => format!("\\{c}"),
        '\x07' => "\\a".to_owned(),
        '\x08' => "\\b".to_owned(),
        '\x0c' => "\\f".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        '\x0b' => "\\v".to_owned(),
        c if c.is_ascii_control() => format!("\\x{:02x}", u32::from(c)),
        c if is_print(c) => c.to_string(),
        c if u32::from(c) < 0x1_0000 => format!("\\u{:04x}", u32::from(c)),
        c => format!("\\U{:08x}", u32::from(c)),
    }
}

fn is_print(c: char) -> bool {
    // A mark is only escaped as the first character of a text, so it is not the first.
    let mut text = String::from('a');
    text.push(c);
    c.is_ascii() || text.escape_debug().nth(1) == Some(c)
}
