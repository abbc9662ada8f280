//! Rust source as words and signs, without comments, strings, characters, lifetimes and numbers.
//!
//! Enough of the grammar to find paths and items; not a parser.

/// An identifier, `::`, or one other character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    /// Counted from 1.
    pub(super) line: usize,
}

impl Token<'_> {
    pub(super) fn is_ident(&self) -> bool {
        self.text.starts_with(is_ident_start)
    }
}

pub(super) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = source;
    let mut line = 1;
    while let Some(c) = rest.chars().next() {
        let (kept, len) = next_len(rest, c);
        let (text, after) = rest.split_at(len);
        if kept {
            tokens.push(Token { text, line });
        }
        line += text.matches('\n').count();
        rest = after;
    }
    tokens
}

/// Whether what stands at the start of `rest` is kept, and its length.
fn next_len(rest: &str, c: char) -> (bool, usize) {
    if let Some(len) = skipped_len(rest) {
        return (false, len);
    }
    if is_ident_start(c) {
        let len = rest.find(|c: char| !is_ident_part(c));
        return (true, len.unwrap_or(rest.len()));
    }
    if c.is_ascii_digit() {
        let len = rest.find(|c: char| !is_ident_part(c));
        return (false, len.unwrap_or(rest.len()));
    }
    if rest.starts_with("::") {
        return (true, 2);
    }
    (!c.is_whitespace(), c.len_utf8())
}

/// The length of the comment, string, character or lifetime at the start of `rest`, if there is
/// one.
fn skipped_len(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment_len(rest));
    }
    let prefix = ["br", "cr", "r", "b", "c", ""]
        .into_iter()
        .find(|prefix| is_literal(rest, prefix))?;
    let body = &rest[prefix.len()..];
    let len = if prefix.ends_with('r') {
        raw_string_len(body)?
    } else if body.starts_with('"') {
        quoted_len(body, '"')
    } else {
        char_or_lifetime_len(body)
    };
    Some(prefix.len() + len)
}

/// Whether `rest` is `prefix` and then the start of a literal that may have that prefix.
fn is_literal(rest: &str, prefix: &str) -> bool {
    let Some(body) = rest.strip_prefix(prefix) else {
        return false;
    };
    if prefix.ends_with('r') {
        return body.trim_start_matches('#').starts_with('"');
    }
    body.starts_with('"') || (body.starts_with('\'') && prefix != "c")
}

fn block_comment_len(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest[at..];
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn raw_string_len(body: &str) -> Option<usize> {
    let n_hashes = body.find('"')?;
    let end = format!("\"{}", "#".repeat(n_hashes));
    let start = n_hashes + 1;
    let len = body[start..].find(&end)?;
    Some(start + len + end.len())
}

fn quoted_len(body: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in body.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    body.len()
}

fn char_or_lifetime_len(body: &str) -> usize {
    let mut chars = body.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => quoted_len(body, '\''),
        _ => {
            1 + body[1..]
                .find(|c| !is_ident_part(c))
                .unwrap_or(body.len() - 1)
        }
    }
}

fn is_ident_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn is_ident_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
