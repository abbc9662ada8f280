//! What the other side says, as it may be shown: one line, not too long, without secrets.

use hod_report::redact;

/// How much of a message is shown, in characters.
const MESSAGE_LEN_MAX: usize = 300;
/// How much of an answer is shown that is not in the format of registries, in characters.
const TEXT_LEN_MAX: usize = 200;
/// How much of a text is looked at, in bytes.
const SEARCH_LEN_MAX: usize = 16 * 1024;
/// Names of parameters whose values are secrets.
const SECRETS: [&str; 6] = [
    "token",
    "password",
    "secret",
    "signature",
    "credential",
    "authorization",
];

/// A text from outside as it may be shown: one line, not too long; `None` for an empty one.
pub(crate) fn presentable(text: &str) -> Option<String> {
    shortened(text, MESSAGE_LEN_MAX)
}

/// As [`presentable`], for an answer that is not in the format of registries.
pub(super) fn presentable_text(text: &str) -> Option<String> {
    shortened(text, TEXT_LEN_MAX)
}

fn shortened(text: &str, len_max: usize) -> Option<String> {
    // Before it is cut, which would leave the beginning of one.
    let text = &redact::without_sent(text);
    let mut hides_next = false;
    let words: Vec<String> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .take(len_max)
        .map(|word| {
            let is_hidden = std::mem::replace(&mut hides_next, announces_secret(word));
            if is_hidden {
                "***".to_owned()
            } else {
                redacted(word)
            }
        })
        .collect();
    let line = words.join(" ");
    let mut short: String = line.chars().take(len_max).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    (!short.is_empty()).then_some(short)
}

/// Whether the word after this one is a login: `Authorization: Bearer eyJ...`.
fn announces_secret(word: &str) -> bool {
    matches!(word, "Bearer" | "Basic" | "bearer" | "basic")
}

/// The word without the user and the query of a URL, and without the values of secret parameters.
fn redacted(word: &str) -> String {
    if let Some((scheme, rest)) = word.split_once("://") {
        let (rest, query) = match rest.split_once('?') {
            Some((rest, _)) => (rest, "?…"),
            None => (rest, ""),
        };
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, format!("/{path}")),
            None => (rest, String::new()),
        };
        let host = match authority.rsplit_once('@') {
            Some((_, host)) => format!("***@{host}"),
            None => authority.to_owned(),
        };
        return format!("{scheme}://{host}{path}{query}");
    }
    if word.starts_with('/')
        && let Some((path, _)) = word.split_once('?')
    {
        return format!("{path}?…");
    }
    // A JSON web token, with anything before it.
    if let Some(at) = word.find("eyJ").filter(|at| word.len() - at > 20) {
        return format!("{}***", &word[..at]);
    }
    match word.split_once('=') {
        Some((name, value)) if !value.is_empty() && is_secret(name) => format!("{name}=***"),
        _ => word.to_owned(),
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRETS.iter().any(|secret| name.contains(secret))
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
    fn secrets_are_not_quoted() {
        #[track_caller]
        fn check(text: &str, expect: &str) {
            assert_eq!(presentable(text).as_deref(), Some(expect));
        }
        check(
            "see https://u:hunter2@cdn.corp/x?X-Amz-Signature=hunter2 now",
            "see https://***@cdn.corp/x?… now",
        );
        check("GET /a?sig=hunter2: denied", "GET /a?… denied");
        check(
            "Authorization: Bearer hunter2 refused",
            "Authorization: Bearer *** refused",
        );
        check("token=hunter2", "token=***");
        check("access_token=hunter2 a=b", "access_token=*** a=b");
        check("jwt:eyJhbGciOiJIUzI1NiIsInR5", "jwt:***");
        check("what is this?", "what is this?");
        check("a \u{1b}[31m b\u{0}c", "a [31m b c");
    }

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
