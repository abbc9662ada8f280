//! Values that must be paths: a secret in the place of a path is never printed.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::super::error::CommandError;

/// The length of the shortest key or token that is recognised, in characters.
const KEY_LEN_MIN: usize = 50;

/// Takes `value`, given by the flag or variable `name`, as a path; refuses what can only be the
/// content of the file. The name of a file that cannot be opened is printed, and its content, where
/// the two were mistaken for one another, may be a secret.
pub(crate) fn path(name: &'static str, value: &OsStr) -> Result<PathBuf, CommandError> {
    match content_of(&value.to_string_lossy()) {
        Some(content) => Err(CommandError::NotAPath { name, content }),
        None => Ok(PathBuf::from(value)),
    }
}

/// Takes out of a message about `arguments` those that are contents of files; `None` where there are
/// none in it.
pub(crate) fn without_secrets(message: &str, arguments: &[OsString]) -> Option<String> {
    let texts = arguments.iter().filter_map(|argument| argument.to_str());
    let contents: Vec<&str> = texts.filter(|text| content_of(text).is_some()).collect();
    let shown = contents
        .iter()
        .fold(message.to_owned(), |shown, text| shown.replace(text, "***"));
    (shown != message).then_some(shown)
}

/// What a text is, where it is not a path.
fn content_of(text: &str) -> Option<&'static str> {
    let text = text.trim_start();
    if text.starts_with("untrusted comment:") || is_key(text) {
        Some("a minisign key")
    } else if text.starts_with("-----BEGIN") {
        Some("PEM")
    } else if text.starts_with('{') {
        Some("JSON")
    } else if text.contains(['\n', '\r']) {
        Some("several lines")
    } else {
        None
    }
}

/// Whether a text is base64 that begins as keys of minisign do.
fn is_key(text: &str) -> bool {
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    let text = text.trim_end();
    text.starts_with("RW") && text.len() >= KEY_LEN_MIN && text.chars().all(is_base64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_not_paths() {
        let table = [
            ("/etc/hod/site.key", None),
            ("RW.key", None),
            ("keys/RW/site key", None),
            ("a:b{c", None),
            (
                "untrusted comment: minisign secret key RWQAAEIy",
                Some("a minisign key"),
            ),
            (
                "RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==\n",
                Some("a minisign key"),
            ),
            (" {\"auths\":{}}", Some("JSON")),
            ("-----BEGIN CERTIFICATE-----\nMIIB", Some("PEM")),
            ("robot\nsecret", Some("several lines")),
        ];
        for (text, expect) in table {
            let found = match path("HOD_SIGN_KEY", OsStr::new(text)) {
                Ok(path) => {
                    assert_eq!(path, PathBuf::from(text));
                    None
                }
                Err(CommandError::NotAPath { content, .. }) => Some(content),
                Err(other) => panic!("{other}"),
            };
            assert_eq!(found, expect, "{text}");
        }
    }
}
