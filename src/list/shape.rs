//! Lines as other tools and other people write them.

use super::problem::LineProblem;

/// The first words of the headings of tables.
const HEADINGS: &[&str] = &["image", "images", "name", "repository", "source"];
/// The words that follow there.
const HEADING_WORDS: &[&str] = &[
    "arch",
    "created",
    "destination",
    "digest",
    "id",
    "image",
    "name",
    "platform",
    "size",
    "tag",
    "target",
    "version",
];
/// The options of a line, apart from `as`, which may be the name of an image.
const OPTIONS: &[&str] = &["platform", "index", "referrers", "foreign-layers"];
const SEPARATORS: &[&str] = &["=>", "->", "→", "|", "=", ",", "，", ";"];

/// Recognises a line that is not meant to name an image, even if it could be parsed as one.
pub(super) fn known(code: &str) -> Option<LineProblem> {
    if code.contains("<none>") {
        let reason = "has `<none>`, where `docker images` knows no name or tag; write it, or \
                      delete the line";
        return Some(LineProblem::new(code, reason));
    }
    if is_heading(code) {
        let reason = "is the heading of a table, not an image; delete the line";
        return Some(LineProblem::new(code, reason));
    }
    comment(code)
}

fn is_heading(code: &str) -> bool {
    let lower = code.to_lowercase();
    let is_divider = |c: char| c.is_whitespace() || matches!(c, ',' | '|' | ':' | '\t');
    let mut words = lower.split(is_divider).filter(|word| !word.is_empty());
    let is_first = words.next().is_some_and(|word| HEADINGS.contains(&word));
    let rest: Vec<&str> = words.collect();
    let is_upper = code.bytes().any(|b| b.is_ascii_uppercase()) && code.to_uppercase() == code;
    is_first
        && rest.iter().all(|word| HEADING_WORDS.contains(word))
        && (is_upper || !rest.is_empty())
}

fn comment(code: &str) -> Option<LineProblem> {
    let mut at_start = true;
    for (at, _) in code.char_indices() {
        let mark = ["//", "＃"]
            .into_iter()
            .find(|mark| code[at..].starts_with(mark));
        if let Some(mark) = mark
            && at_start
        {
            let (before, after) = (&code[..at], &code[at + mark.len()..]);
            return Some(LineProblem {
                fix: Some(format!("{before}#{after}")),
                ..LineProblem::new(&code[at..], "comments start with `#`")
            });
        }
        at_start = code[at..].starts_with(char::is_whitespace);
    }
    None
}

/// Recognises two columns that something else than a blank separates; `parse` reads columns.
pub(super) fn separated<T>(
    code: &str,
    parse: impl Fn(&str) -> Result<T, LineProblem>,
) -> Option<LineProblem> {
    let trim = |text: &str| {
        text.trim_matches(|c: char| c.is_whitespace() || c == '|')
            .to_owned()
    };
    let inner = trim(code);
    let separator = SEPARATORS.iter().find(|by| inner.contains(**by))?;
    let (left, right) = inner.split_once(separator)?;
    let (left, right) = (trim(left), trim(right));
    if *separator == "=" && OPTIONS.contains(&left.as_str()) {
        return Some(LineProblem::new(
            code,
            "the image is missing; options follow its reference on the same line",
        ));
    }
    let is_one_word = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
    if !is_one_word(&left) || !is_one_word(&right) {
        return None;
    }
    let line = format!("{left} {right}");
    let fix = match parse(&line) {
        // A comma may separate two images as well.
        Ok(_) if matches!(*separator, "," | "，" | ";") => None,
        Ok(_) => Some(line),
        Err(bad) => Some(bad.fix?),
    };
    let reason = format!("columns are separated by blanks, not by `{separator}`");
    Some(LineProblem {
        fix,
        ..LineProblem::new(code, reason)
    })
}
