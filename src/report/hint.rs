//! Advice for the person who reads an error, kept apart from what happened.

/// An error that may know what to do about it.
pub trait Hint {
    /// What to do now, including what was kept and whether it is safe to run the command again; one
    /// or two sentences, without the word "hint".
    fn hint(&self) -> Option<String>;
}

/// A hint as a sentence: with a capital letter, unless it begins with a name in backticks, and with
/// a period at its end.
pub fn sentence(hint: &str) -> String {
    let hint = hint.trim();
    let mut letters = hint.chars();
    let mut text: String = letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .chain(letters)
        .collect();
    if !text.is_empty() && !text.ends_with(['.', '?', '!', ':']) {
        text.push('.');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_a_sentence() {
        for (hint, expect) in [
            ("use larger volumes", "Use larger volumes."),
            ("Use larger volumes.", "Use larger volumes."),
            ("did you mean `x`?", "Did you mean `x`?"),
            ("`hod ls` lists them", "`hod ls` lists them."),
            ("write it as `x`", "Write it as `x`."),
            ("one is enough (the newest)", "One is enough (the newest)."),
            ("", ""),
        ] {
            assert_eq!(sentence(hint), expect);
        }
    }
}
