//! What failures of one cause have in common: their texts, without what differs from request to
//! request.

/// Words after which the id or the time of a request is written.
const LABELS: [&str; 8] = [
    "request",
    "requestid",
    "trace",
    "traceid",
    "correlationid",
    "timestamp",
    "date",
    "time",
];
/// Minimum length of a word with digits that counts as an ID.
const ID_LEN_MIN: usize = 8;
/// Minimum number of digits among its characters.
const ID_DIGITS_MIN: usize = 3;

/// Returns `text` without ids of requests, digests and times, which are replaced by `#`.
pub fn without_ids(text: &str) -> String {
    let mut common = String::with_capacity(text.len());
    let mut is_labelled = false;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_in_word = |c: char| c.is_alphanumeric() || "-_.:+".contains(c);
        let is_word = is_in_word(first);
        let end = rest
            .find(|c: char| is_in_word(c) != is_word)
            .unwrap_or(rest.len());
        let (run, behind) = rest.split_at(end);
        rest = behind;
        if !is_word {
            common.push_str(run);
            continue;
        }
        // Punctuation at the ends of a phrase is not part of the word.
        let marks = [':', '.', '-'];
        let word = run.trim_matches(marks);
        if word.is_empty() {
            common.push_str(run);
            continue;
        }
        let (front, _) = run.split_once(word).unwrap_or_default();
        common.push_str(front);
        let n_digits = word.chars().filter(char::is_ascii_digit).count();
        let is_id = n_digits >= ID_DIGITS_MIN && word.chars().count() >= ID_LEN_MIN;
        if is_id || (is_labelled && n_digits > 0) {
            common.push('#');
        } else {
            common.push_str(word);
        }
        common.push_str(&run[front.len() + word.len()..]);
        is_labelled = is_label(word) || (is_labelled && word.eq_ignore_ascii_case("id"));
    }
    common
}

fn is_label(word: &str) -> bool {
    let letters = word.chars().filter(char::is_ascii_alphabetic);
    let letters: String = letters.map(|letter| letter.to_ascii_lowercase()).collect();
    LABELS.contains(&letters.trim_start_matches('x'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cause_has_one_text() {
        #[track_caller]
        fn check(texts: &[&str], expect: &str) {
            for text in texts {
                assert_eq!(without_ids(text), expect, "{text}");
            }
        }
        check(
            &[
                "502 Bad Gateway (request 1c26)",
                "502 Bad Gateway (request 9f)",
            ],
            "502 Bad Gateway (request #)",
        );
        check(
            &[
                "denied, trace id: 1f, at 2026-11-29T21:50:26Z",
                "denied, trace id: 20000000, at 2025-01-02T01:00:00.123456+01:00",
            ],
            "denied, trace id: #, at #",
        );
        check(
            &[
                r#"{"X-Request-Id":"7","ts":1764453026123}"#,
                r#"{"X-Request-Id":"8","ts":1764453027999}"#,
            ],
            r##"{"X-Request-Id":"#","ts":#}"##,
        );
        check(
            &[
                "id 5f0c2d1e-8a77-4f0c-9c1e-000000000001",
                "id 000102030405060708090a0b",
            ],
            "id #",
        );
    }

    #[test]
    fn what_tells_causes_apart_stays() {
        for text in [
            "401 UNAUTHORIZED: project `offline` not found",
            "403 DENIED: quota of 10 GiB is exceeded",
            "tag v1.27.3: manifest unknown",
            "request of the wrong type",
            "",
            "Größe: 3 µm",
        ] {
            assert_eq!(without_ids(text), text);
        }
    }
}
