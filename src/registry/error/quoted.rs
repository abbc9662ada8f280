//! The texts in the answers of registries that are not in their format.

use hod_report::presentable_within;

/// How much of such an answer is shown, in characters.
const TEXT_LEN_MAX: usize = 200;
/// How much of a text is looked at, in bytes.
const SEARCH_LEN_MAX: usize = 16 * 1024;

/// Returns an answer that is not in the format of registries as it may be shown.
pub(super) fn presentable_text(text: &str) -> Option<String> {
    presentable_within(text, TEXT_LEN_MAX)
}

/// The content of the first `<name>` element of an XML or HTML document.
pub(crate) fn element(text: &str, name: &str) -> Option<String> {
    let text = head(text);
    // Of the same length, since only ASCII changes.
    let lower = text.to_ascii_lowercase();
    let name = name.to_ascii_lowercase();
    let from = lower
        .match_indices(&format!("<{name}"))
        .map(|(at, found)| at + found.len())
        .find(|at| lower[*at..].starts_with(|c: char| c == '>' || c.is_whitespace()))?;
    let start = from + lower[from..].find('>')? + 1;
    let len = lower[start..].find("</")?;
    let plain = unescaped(&text[start..start + len]);
    presentable_text(&plain)
}

fn unescaped(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">");
    let text = text.replace("&quot;", "\"").replace("&#39;", "'");
    text.replace("&amp;", "&")
}

fn head(text: &str) -> &str {
    let mut len = text.len().min(SEARCH_LEN_MAX);
    while !text.is_char_boundary(len) {
        len -= 1;
    }
    &text[..len]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_in_any_case() {
        #[track_caller]
        fn check(text: &str, name: &str, expect: Option<&str>) {
            assert_eq!(element(text, name).as_deref(), expect, "{text}");
        }
        check(
            "<Error><Message>Request has expired</Message>",
            "Message",
            Some("Request has expired"),
        );
        check(
            "<HTML><TITLE>\n 403 &amp; more\n</TITLE>",
            "title",
            Some("403 & more"),
        );
        check("<title lang=\"en\">x</title>", "title", Some("x"));
        check("<titles>x</titles>", "title", None);
        check("<title>never closed", "title", None);
        check("ünïcode <title>é</title>", "title", Some("é"));
        check("", "title", None);
    }
}
