//! Quoted strings and characters as Go's `strconv` writes and reads them.

/// Quotes a text as Go's `%q` does: in double quotes, with escapes for what cannot be printed.
pub fn quote(text: impl AsRef<[u8]>) -> String {
    quoted(text.as_ref(), '"', Charset::Unicode)
}

/// Which characters stand for themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    Ascii,
    Unicode,
}

/// Text as characters; bytes that are not UTF-8 are given as they are.
pub fn chars(text: &[u8]) -> impl Iterator<Item = Result<char, u8>> {
    text.utf8_chunks().flat_map(|chunk| {
        let invalid = chunk.invalid().iter().map(|byte| Err(*byte));
        chunk.valid().chars().map(Ok).chain(invalid)
    })
}

/// The number of characters as Go counts them: each byte that is not UTF-8 is one.
pub fn count(text: &[u8]) -> usize {
    chars(text).count()
}

/// Quotes a text in these marks.
pub fn quoted(text: &[u8], mark: char, charset: Charset) -> String {
    let mut out = String::from(mark);
    for c in chars(text) {
        match c {
            Ok(c) => escape(c, mark, charset, &mut out),
            Err(byte) => out.extend([format!("\\x{byte:02x}")]),
        }
    }
    out.push(mark);
    out
}

/// Quotes a character as `%q` does of a number; what is not a character is U+FFFD.
pub fn quote_char(code: u64, charset: Charset) -> String {
    let mut out = String::from('\'');
    escape(character(code), '\'', charset, &mut out);
    out.push('\'');
    out
}

/// Returns the character with a number, or else U+FFFD.
pub fn character(code: u64) -> char {
    let code = u32::try_from(code).ok();
    code.and_then(char::from_u32).unwrap_or('\u{fffd}')
}

fn escape(c: char, mark: char, charset: Charset, out: &mut String) {
    let stands = is_print(c) && (charset == Charset::Unicode || c.is_ascii());
    match c {
        '\\' => out.push_str("\\\\"),
        c if c == mark => {
            out.push('\\');
            out.push(c);
        }
        c if stands => out.push(c),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        c if u32::from(c) < 0x20 || c == '\x7f' => {
            out.extend([format!("\\x{:02x}", u32::from(c))]);
        }
        c if u32::from(c) < 0x1_0000 => out.extend([format!("\\u{:04x}", u32::from(c))]),
        c => out.extend([format!("\\U{:08x}", u32::from(c))]),
    }
}

/// Returns true for letters, marks, numbers, punctuation, symbols and the space.
pub fn is_print(c: char) -> bool {
    if c.is_ascii() {
        return (' '..='~').contains(&c);
    }
    // Only the first character of a text is escaped for being a mark, so it is not the first.
    let mut text = String::from('a');
    text.push(c);
    text.escape_debug().nth(1) == Some(c)
}

/// Returns true if the text can stand between backquotes.
pub fn can_backquote(text: &[u8]) -> bool {
    chars(text).all(|c| match c {
        Ok('\u{feff}' | '`' | '\x7f') | Err(_) => false,
        Ok(c) => c >= ' ' || c == '\t',
    })
}

/// Reads a literal with its quotes; `None` where Go says "invalid syntax".
pub fn unquote(literal: &str) -> Option<Vec<u8>> {
    let mark = literal.chars().next()?;
    let inner = literal.strip_prefix(mark)?.strip_suffix(mark)?;
    if mark == '`' {
        let text: String = inner.chars().filter(|c| *c != '\r').collect();
        return Some(text.into_bytes());
    }
    let (mut out, mut rest) = (Vec::new(), inner);
    while !rest.is_empty() {
        let after = match unquote_one(rest, mark)? {
            (Unquoted::Char(c), after) => {
                out.extend(c.encode_utf8(&mut [0; 4]).bytes());
                after
            }
            (Unquoted::Byte(byte), after) => {
                out.push(byte);
                after
            }
        };
        rest = after;
    }
    Some(out)
}

/// What one character or escape stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unquoted {
    Char(char),
    /// Written as `\x` or in octal.
    Byte(u8),
}

/// Reads one character of a literal in these quotes, and returns it with what follows.
pub fn unquote_one(text: &str, mark: char) -> Option<(Unquoted, &str)> {
    let mut chars = text.chars();
    let first = chars.next()?;
    if first != '\\' {
        let is_allowed = first != mark && first != '\n';
        return is_allowed.then_some((Unquoted::Char(first), chars.as_str()));
    }
    let kind = chars.next()?;
    let rest = chars.as_str();
    let simple = |c: char| Some((Unquoted::Char(c), rest));
    let code = |len: usize| {
        let digits = rest.get(..len)?;
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let value = is_hex.then(|| u32::from_str_radix(digits, 16).ok())??;
        Some((value, &rest[len..]))
    };
    match kind {
        'a' => simple('\x07'),
        'b' => simple('\x08'),
        'f' => simple('\x0c'),
        'n' => simple('\n'),
        'r' => simple('\r'),
        't' => simple('\t'),
        'v' => simple('\x0b'),
        '\\' => simple('\\'),
        '\'' | '"' if kind == mark => simple(kind),
        'x' => {
            let (value, rest) = code(2)?;
            Some((Unquoted::Byte(u8::try_from(value).ok()?), rest))
        }
        'u' | 'U' => {
            let (value, rest) = code(if kind == 'u' { 4 } else { 8 })?;
            Some((Unquoted::Char(char::from_u32(value)?), rest))
        }
        '0'..='7' => {
            let digits = text.get(1..4)?;
            let is_octal = digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
            let value = is_octal.then(|| u32::from_str_radix(digits, 8).ok())??;
            Some((Unquoted::Byte(u8::try_from(value).ok()?), &text[4..]))
        }
        _ => None,
    }
}

/// Quotes a text as Go's package `time` does in errors: all that is not ASCII is escaped by bytes.
pub fn quote_time(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        if c < ' ' || !c.is_ascii() {
            let mut buffer = [0; 4];
            let bytes = c.encode_utf8(&mut buffer).bytes();
            out.extend(bytes.map(|byte| format!("\\x{byte:02x}")));
        } else {
            if matches!(c, '"' | '\\') {
                out.push('\\');
            }
            out.push(c);
        }
    }
    out.push('"');
    out
}
