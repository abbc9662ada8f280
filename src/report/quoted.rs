//! What other programs and servers say, as it may be shown: one line, not too long, without secrets.

use crate::redact;

/// How much of a message is shown, in characters.
const MESSAGE_LEN_MAX: usize = 300;
/// Names of parameters whose values are secrets.
const SECRETS: [&str; 6] = [
    "token",
    "password",
    "secret",
    "signature",
    "credential",
    "authorization",
];

/// Returns a text from outside as it may be shown: one line, not too long; `None` for an empty one.
pub fn presentable(text: &str) -> Option<String> {
    presentable_within(text, MESSAGE_LEN_MAX)
}

/// As [`presentable`], with at most `len_max` characters.
pub fn presentable_within(text: &str, len_max: usize) -> Option<String> {
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
}
