//! Regular expressions for tags, with the syntax and meaning of RE2, which skopeo, image-syncer and
//! Go in general use.

use std::fmt;
use std::fmt::Write as _;

use regex::bytes::{Regex, RegexBuilder};

use super::error::{PatternError, require_short};
use hod_oci::Tag;

/// The largest compiled regular expression, in bytes.
const REGEX_SIZE_MAX: usize = 1024 * 1024;
/// Flags of a group that only other dialects know: there, `x` would hide blanks.
const OTHER_FLAGS: [char; 3] = ['x', 'R', 'u'];

/// A regular expression for tags, which matches a whole tag.
#[derive(Debug, Clone)]
pub struct TagRegex {
    text: String,
    regex: Regex,
}

impl TagRegex {
    /// A regular expression that a whole tag must match.
    pub fn whole(text: &str) -> Result<Self, PatternError> {
        require_short(text)?;
        if text.is_empty() {
            return Err(PatternError::EmptyRegex);
        }
        let translated = translated(text)?;
        // By itself first: `a)(b` is wrong, and would be right in the parentheses.
        compile(&translated)?;
        Ok(Self {
            text: text.to_owned(),
            regex: compile(&format!("^(?:{translated})$"))?,
        })
    }

    /// A regular expression that a part of a tag must match, as in the files of skopeo and
    /// image-syncer. Its text is the one that a whole tag must match: `^1\.` is `1\..*`.
    pub fn search(text: &str) -> Result<Self, PatternError> {
        require_short(text)?;
        if text.is_empty() {
            return Err(PatternError::EmptyRegex);
        }
        let text = translated(text)?;
        compile(&text)?;
        Self::whole(&without_blanks(&of_whole_tag(&text)))
    }

    pub(super) fn matches(&self, tag: &Tag) -> bool {
        self.regex.is_match(tag.as_str().as_bytes())
    }
}

impl PartialEq for TagRegex {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for TagRegex {}

impl fmt::Display for TagRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn compile(pattern: &str) -> Result<Regex, PatternError> {
    // `\d`, `\w`, `\s` and `\b` are those of ASCII, of which tags are made.
    let regex = RegexBuilder::new(pattern)
        .unicode(false)
        .size_limit(REGEX_SIZE_MAX)
        .build();
    regex.map_err(|error| PatternError::Regex {
        reason: match error {
            regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
            // The last line; those before it draw the expression.
            error => {
                let error = error.to_string();
                let last = error.lines().last().unwrap_or_default();
                last.trim_start_matches("error: ").to_owned()
            }
        },
    })
}

/// Makes the same regular expression in the syntax of the crate `regex`: without `\Q…\E`, and with
/// the signs escaped that have a meaning only there.
fn translated(text: &str) -> Result<String, PatternError> {
    let mut made = String::with_capacity(text.len());
    let mut rest = text;
    let mut class: Option<Class> = None;
    while let Some(character) = rest.chars().next() {
        let after = &rest[character.len_utf8()..];
        if let (None, Some(quoted)) = (&class, rest.strip_prefix("\\Q")) {
            let (quoted, after) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            made.push_str(&regex::escape(quoted));
            rest = after;
            continue;
        }
        if character == '\\' {
            let n = 1 + after.chars().next().map_or(0, char::len_utf8);
            made.push_str(&rest[..n]);
            rest = &rest[n..];
            if let Some(class) = &mut class {
                class.is_empty = false;
            }
            continue;
        }
        if let Some(open) = &mut class {
            let named = after.starts_with(':').then(|| after.find(":]")).flatten();
            match (character, named) {
                (']', _) if !open.is_empty => class = None,
                ('[', Some(end)) => {
                    // `[:alpha:]`
                    let end = 1 + end + 2;
                    made.push_str(&rest[..end]);
                    rest = &rest[end..];
                    open.is_empty = false;
                    continue;
                }
                ('[' | '&' | '~', _) => {
                    open.is_empty = false;
                    made.push('\\');
                }
                ('-', _) if after.starts_with('-') => {
                    open.is_empty = false;
                    made.push('\\');
                }
                ('^', _) if open.is_start => {}
                _ => open.is_empty = false,
            }
            if let Some(open) = &mut class {
                open.is_start = false;
            }
        } else if character == '[' {
            class = Some(Class {
                is_start: true,
                is_empty: true,
            });
        } else if let Some(flags) = rest.strip_prefix("(?") {
            let end = flags.find([':', ')', '<', 'P']).unwrap_or(0);
            if flags[..end].contains(OTHER_FLAGS) {
                return Err(PatternError::Regex {
                    reason: "its flags are not those of RE2".to_owned(),
                });
            }
        }
        made.push(character);
        rest = after;
    }
    Ok(made)
}

/// What has been read of a class of characters.
struct Class {
    /// Nothing, so that `^` negates.
    is_start: bool,
    /// No member, so that `]` is one.
    is_empty: bool,
}

/// The regular expression for a whole tag of one for a part of it.
fn of_whole_tag(text: &str) -> String {
    if text.contains('|') {
        return format!(".*(?:{text}).*");
    }
    let is_escaped = |before: &str| {
        let n_backslashes = before.len() - before.trim_end_matches('\\').len();
        n_backslashes % 2 == 1
    };
    let (start, text) = match text.strip_prefix('^') {
        Some(rest) => ("", rest),
        None => match text.strip_prefix(".*") {
            Some(rest) if !rest.starts_with(['?', '*', '+', '{']) => ("", text),
            _ => (".*", text),
        },
    };
    let (text, end) = match (text.strip_suffix('$'), text.strip_suffix(".*")) {
        (Some(rest), _) if !is_escaped(rest) => (rest, ""),
        (_, Some(rest)) if !is_escaped(rest) => (text, ""),
        _ => (text, ".*"),
    };
    format!("{start}{text}{end}")
}

/// Escapes what would end a column of a list.
fn without_blanks(text: &str) -> String {
    let mut made = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_whitespace() || character.is_control() {
            write!(made, "\\x{{{:x}}}", u32::from(character)).expect("a string takes everything");
        } else {
            made.push(character);
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TAGS: [&str; 10] = [
        "1.0.0",
        "1.1.0",
        "1.10.0",
        "2.0.0-rc1",
        "v1.2",
        "latest",
        "weird_tag",
        "1-alpine",
        "a-b",
        "x",
    ];

    fn matched(regex: &TagRegex) -> String {
        let is_match = |tag: &&&str| regex.matches(&tag.parse().unwrap());
        TAGS.iter()
            .filter(is_match)
            .copied()
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn a_search_finds_parts_as_in_go() {
        #[track_caller]
        fn check(text: &str, whole: &str, expect: &str) {
            let regex = TagRegex::search(text).unwrap();
            assert_eq!(regex.to_string(), whole);
            assert_eq!(matched(&regex), expect, "{text}");
        }
        check(r"^1\.", r"1\..*", "1.0.0 1.1.0 1.10.0");
        check(r"^1\.1.*", r"1\.1.*", "1.1.0 1.10.0");
        check(r"^1\.1\.\d$", r"1\.1\.\d", "1.1.0");
        check("alpine|^v", ".*(?:alpine|^v).*", "v1.2 1-alpine");
        check("-", ".*-.*", "2.0.0-rc1 1-alpine a-b");
        check(".*", ".*", &TAGS.join(" "));
        check(r"\Q1.1\E", r".*1\.1.*", "1.1.0 1.10.0");
        check(r"\Q.0.0", r".*\.0\.0.*", "1.0.0 2.0.0-rc1");
        check(r"[[:alpha:]]{6}", r".*[[:alpha:]]{6}.*", "latest 1-alpine");
        check(r"^[^]a-z0-9]+", r"[^]a-z0-9]+.*", "");
        check("^[[a]-", r"[\[a]-.*", "a-b");
        check("^[a&&x]", r"[a\&\&x].*", "a-b x");
        check(r"(?i)LATEST\b", r".*(?i)LATEST\b.*", "latest");
        check("rc 1|\tx", r".*(?:rc\x{20}1|\x{9}x).*", "");
        check(r"0\$$", r".*0\$", "");
        check(r"^x\.*", r"x\.*.*", "x");
    }

    #[test]
    fn a_regex_that_cannot_be_used_is_refused() {
        for text in [
            "",
            "[",
            "a)(b",
            "(",
            "(?x) a",
            "(?ix:a)",
            r"\E",
            "a{1000}{1000}{1000}",
            &"a".repeat(1001),
        ] {
            assert!(TagRegex::whole(text).is_err(), "{text}");
            assert!(TagRegex::search(text).is_err(), "{text}");
        }
        let error = TagRegex::search("a(").unwrap_err().to_string();
        assert_eq!(
            error,
            "the regular expression cannot be used: unclosed group"
        );
    }

    proptest! {
        /// What a list has for a search means the same.
        #[test]
        fn a_search_is_what_its_text_says(text in "[a-z0-9.^$|()*+?\\\\Q\\[\\]-]{1,12}", tag in "[a-z0-9._-]{1,6}") {
            if let (Ok(search), Ok(tag)) = (TagRegex::search(&text), tag.parse::<Tag>()) {
                let plain = compile(&translated(&text).unwrap()).unwrap();
                prop_assert_eq!(search.matches(&tag), plain.is_match(tag.as_str().as_bytes()), "{}", search);
                let again = TagRegex::whole(&search.to_string()).unwrap();
                prop_assert_eq!(again, search);
            }
        }
    }
}
