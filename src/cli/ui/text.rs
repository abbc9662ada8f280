//! Text for a terminal: without surprises in it, and wrapped.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::OnceLock;

use hod_report::redact::{self, Secrets};

/// Minimum number of columns to wrap at.
const WIDTH_MIN: usize = 20;

/// Secrets of this process that are never printed.
static SECRETS: OnceLock<Secrets> = OnceLock::new();

/// Keeps `secrets` from being shown, until the process ends.
pub(crate) fn conceal(secrets: Secrets) {
    // A process has one command line.
    let _ = SECRETS.set(secrets);
}

/// A text without secrets and logins.
pub(crate) fn concealed(text: &str) -> Cow<'_, str> {
    conceal_with(text, |text| match redact::without_sent(text) {
        Cow::Owned(shown) => Some(redact::without_likely_logins(&shown).unwrap_or(shown)),
        Cow::Borrowed(text) => redact::without_likely_logins(text),
    })
}

fn conceal_with(text: &str, without_secrets: fn(&str) -> Option<String>) -> Cow<'_, str> {
    let shown = match SECRETS.get() {
        Some(secrets) => secrets.hide(text),
        None => Cow::Borrowed(text),
    };
    match without_secrets(&shown) {
        Some(shown) => Cow::Owned(shown),
        None => shown,
    }
}

/// Shows control characters as escapes, so that text from a server or a file cannot drive the
/// terminal; line breaks stay. Secrets and logins are not shown.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    let text = concealed(text);
    let hidden = |c: char| (c.is_control() && c != '\n') || is_direction(c);
    if !text.contains(hidden) {
        return text;
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => shown.push(' '),
            c if hidden(c) => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// Characters that reorder or break up the text around them, and so can make a name look like
/// another, or like several lines.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// As [`visible`], on one line: a line break is an escape, too.
pub(super) fn one_line(text: &str) -> Cow<'_, str> {
    match visible(text) {
        shown if shown.contains('\n') => Cow::Owned(shown.replace('\n', "\\n")),
        shown => shown,
    }
}

/// Indents every line but the first by two columns at least, so that no text from outside begins
/// where hod's own lines do.
pub(super) fn indented(text: &str) -> String {
    let mut lines = text.split('\n');
    let mut shown = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        let indent = if line.is_empty() || line.starts_with("  ") {
            ""
        } else {
            "  "
        };
        shown.push('\n');
        shown.push_str(indent);
        shown.push_str(line);
    }
    shown
}

/// JSON with escapes for control characters in strings, and without secrets and logins.
pub(crate) fn visible_json(json: &str) -> Cow<'_, str> {
    let json = conceal_with(json, redact::json_without_secrets);
    let hidden = |c: char| (c.is_control() && c > '\u{7e}') || is_direction(c);
    if !json.contains(hidden) {
        return json;
    }
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        if hidden(c) {
            write!(shown, "\\u{:04x}", u32::from(c)).expect("a string takes all text");
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// As [`visible`], on one line.
pub(super) fn visible_line(text: &str) -> Cow<'_, str> {
    if text.contains('\n') {
        Cow::Owned(visible(text).replace('\n', " "))
    } else {
        visible(text)
    }
}

/// Indents every line but the first by `n` columns.
pub(super) fn hang(text: &str, n: usize) -> String {
    text.replace('\n', &format!("\n{}", " ".repeat(n)))
}

/// Fits messages to the columns of the terminal; without one, they stay as they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fit(pub(super) Option<usize>);

impl Fit {
    /// The columns to use of `max`.
    pub(super) fn width(self, max: usize) -> usize {
        self.0.map_or(max, |width| width.clamp(WIDTH_MIN, max))
    }

    /// Indents every line but the first, which follows `n_used` columns of a label, by `indent`. On
    /// a terminal, long lines are wrapped, and digests shortened.
    pub(super) fn lines(self, text: &str, n_used: usize, indent: usize) -> String {
        if self.0.is_none() {
            return hang(text, indent);
        }
        let width = self.width(usize::MAX);
        let text = with_short_digests(text);
        let mut lines = Vec::new();
        for (n, line) in text.split('\n').enumerate() {
            let is_first = n == 0;
            let lead = " ".repeat(if is_first { 0 } else { indent });
            // A row of a table continues in its last column.
            let words = line.rsplit_once("  ").map_or(line, |(_, last)| last);
            let before = &line[..line.len() - words.len()];
            let start = lead.len() + before.chars().count() + if is_first { n_used } else { 0 };
            let rest = match before.trim_start() {
                "" if is_first => indent.max(2),
                "" => start + 2,
                _ => start,
            };
            let wrapped = wrap(
                words,
                width.saturating_sub(start).max(WIDTH_MIN),
                width.saturating_sub(rest).max(WIDTH_MIN),
            );
            lines.push(lead + before + &hang(&wrapped.join("\n"), rest));
        }
        lines.join("\n")
    }
}

/// The text with digests cut to 12 digits.
pub(super) fn with_short_digests(text: &str) -> String {
    const PREFIX: &str = "sha256:";
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(PREFIX) {
        let digits = &rest[at + PREFIX.len()..];
        let n_digits = digits.bytes().take_while(u8::is_ascii_hexdigit).count();
        let n_shown = if n_digits == 64 { 12 } else { n_digits };
        shown.push_str(&rest[..at + PREFIX.len() + n_shown]);
        rest = &digits[n_digits..];
    }
    shown + rest
}

/// Breaks `text` into lines of at most `width` characters, and the first of at most `first`, where
/// it can; a word or a text in backticks is never broken. Line breaks of the text stay.
pub(super) fn wrap(text: &str, first: usize, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        let mut len = 0;
        for word in words(paragraph) {
            let word_len = word.chars().count();
            let width = if lines.is_empty() { first } else { width };
            if len > 0 && len + 1 + word_len > width {
                lines.push(std::mem::take(&mut line));
                len = 0;
            }
            if len > 0 {
                line.push(' ');
                len += 1;
            }
            line.push_str(word);
            len += word_len;
        }
        lines.push(line);
    }
    lines
}

/// Splits at spaces outside of backticks. A backtick that nothing closes quotes nothing.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '`' => quoted = !quoted && text[at + 1..].contains('`'),
            ' ' if !quoted => {
                words.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    words.push(&text[start..]);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_visible() {
        let table = [
            ("plain `text` – ok", "plain `text` – ok"),
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("a\rb\tc\nd", "a\\rb c\nd"),
            ("evil\u{202e}txt", "evil\\u{202e}txt"),
        ];
        for (text, expect) in table {
            assert_eq!(visible(text), expect);
        }
        assert_eq!(visible_line("a\nb\u{7}"), "a b\\u{7}");
        assert_eq!(one_line("a\nb\u{7}"), "a\\nb\\u{7}");
        assert_eq!(indented("a\nb\n  c\n\n d"), "a\n  b\n  c\n\n   d");
    }

    #[test]
    fn messages_fit_the_terminal() {
        let digest = "0123456789abcdef".repeat(4);
        let text = format!(
            "cannot read `sha256:{digest}`, which is bad\n  `one two three` line 2 is long"
        );
        assert_eq!(Fit(None).lines(&text, 7, 2), hang(&text, 2));
        assert_eq!(
            Fit(Some(24)).lines(&text, 7, 2),
            "cannot read\n  `sha256:0123456789ab`,\n  which is bad\n    `one two three` line\n      2 is long"
        );
        let row = "  a  b    cannot be read again by anyone";
        assert_eq!(
            Fit(Some(34)).lines(row, 0, 0),
            "  a  b    cannot be read again by\n          anyone"
        );
        assert_eq!(
            with_short_digests("sha256:12, sha256:"),
            "sha256:12, sha256:"
        );
    }

    #[test]
    fn wraps_between_words_only() {
        let table: &[(&str, &[&str])] = &[
            ("", &[]),
            ("one two three", &["one two", "three"]),
            ("a `b c d e` f", &["a", "`b c d e`", "f"]),
            ("unbreakable-word x", &["unbreakable-word", "x"]),
            ("it`s two wo", &["it`s two", "wo"]),
            ("one\ntwo", &["one", "two"]),
        ];
        for (text, expect) in table {
            assert_eq!(wrap(text, 8, 8), *expect, "{text}");
        }
    }
}
