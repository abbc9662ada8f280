//! Texts as words of a shell.

/// The text between single quotes.
pub(super) fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The text as it is, where a shell reads it as one word that means itself; quoted otherwise.
pub(super) fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "._-+,:@/".contains(c);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        shell_quoted(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_they_must_be() {
        #[track_caller]
        fn check(text: &str, expect: &str) {
            assert_eq!(shell_word(text), expect);
        }
        check("site-a.001.tar", "site-a.001.tar");
        check("产品", "产品");
        check("site a", "'site a'");
        check("it's $HOME", r"'it'\''s $HOME'");
        check("-x", "'-x'");
        check("", "''");
        assert_eq!(shell_quoted("a"), "'a'");
    }
}
