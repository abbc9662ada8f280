//! Paths inside an archive: the only way from a name in a tar to a name on a disk.

use std::fmt;
use std::str::FromStr;

/// The longest path of a member, in bytes.
const PATH_LEN_MAX: usize = 1024;
/// Maximum length of a path component in bytes, as in file systems.
const COMPONENT_LEN_MAX: usize = 255;

/// A relative path that stays below the directory it is joined to.
///
/// Slashes between components that are neither empty nor dots, no control characters, no
/// backslashes (which are separators on other systems). Ordered by its bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryPath(Box<str>);

/// Why a text is not a valid path of an archive member.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a safe path: {reason}", path.escape_debug())]
pub struct EntryPathError {
    /// As it stood; it may hold anything.
    pub path: String,
    /// A fragment: "it is absolute".
    pub reason: &'static str,
}

impl EntryPath {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The directories above it, nearest first.
    pub fn parents(&self) -> impl Iterator<Item = &str> {
        self.0
            .rmatch_indices('/')
            .map(|(at, _)| self.0.split_at(at).0)
    }
}

impl FromStr for EntryPath {
    type Err = EntryPathError;

    fn from_str(text: &str) -> Result<Self, EntryPathError> {
        let reason = if text.is_empty() {
            "it is empty"
        } else if text.len() > PATH_LEN_MAX {
            "it is longer than 1024 bytes"
        } else if text.starts_with('/') {
            "it is absolute"
        } else if text.chars().any(char::is_control) {
            "it has a control character"
        } else if text.contains('\\') {
            "it has a backslash"
        } else if text.split('/').any(|component| component == "..") {
            "it has a component `..`"
        } else if text.split('/').any(|component| component == ".") {
            "it has a component `.`"
        } else if text.split('/').any(str::is_empty) {
            "it has an empty component"
        } else if text.split('/').any(|c| c.len() > COMPONENT_LEN_MAX) {
            "it has a component longer than 255 bytes"
        } else {
            return Ok(Self(text.into()));
        };
        Err(EntryPathError {
            path: text.to_owned(),
            reason,
        })
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_that_stay_inside_are_taken() {
        #[track_caller]
        fn check(text: &str, expect: Result<(), &str>) {
            let result = text.parse::<EntryPath>();
            assert_eq!(result.map(|_| ()).map_err(|e| e.reason), expect, "{text:?}");
        }
        check("README.txt", Ok(()));
        check("hod/bin/hod-linux-amd64", Ok(()));
        check("a/..b/c...", Ok(()));
        check("", Err("it is empty"));
        check("/etc/passwd", Err("it is absolute"));
        check("..", Err("it has a component `..`"));
        check("a/../../b", Err("it has a component `..`"));
        check("./a", Err("it has a component `.`"));
        check("a//b", Err("it has an empty component"));
        check("a/", Err("it has an empty component"));
        check("a\\..\\b", Err("it has a backslash"));
        check("a\0b", Err("it has a control character"));
        check("a\u{1b}[2J", Err("it has a control character"));
        check(&"a/".repeat(600), Err("it is longer than 1024 bytes"));
        check(
            &"a".repeat(256),
            Err("it has a component longer than 255 bytes"),
        );
    }

    #[test]
    fn errors_print_no_control_characters() {
        let error = "a\u{1b}b".parse::<EntryPath>().unwrap_err();
        assert_eq!(
            error.to_string(),
            r"`a\u{1b}b` is not a safe path: it has a control character"
        );
    }

    #[test]
    fn parents_are_all_directories_above() {
        let path: EntryPath = "a/b/c".parse().unwrap();
        assert_eq!(path.parents().collect::<Vec<_>>(), ["a/b", "a"]);
    }
}
