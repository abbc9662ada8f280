//! Suggestions for invalid references.

use hod_oci::Reference;

/// Characters around a reference in the files that lists are made from.
const WRAPPING: &[char] = &['"', '\'', '`', ',', ';', ' ', '\t', '\u{200b}', '\u{feff}'];
/// Texts before a reference in such files, in their order.
const LEADS: &[&str] = &["docker pull ", "- ", "image:", "-image:"];
const SCHEMES: &[&str] = &["https://", "http://", "docker://", "oci://"];

/// Returns a valid reference that differs from `text` only by common mistakes; `None` if there is
/// none, or if `text` is valid.
pub(super) fn reference(text: &str) -> Option<String> {
    if is_reference(text) {
        return None;
    }
    let plain = bare(text);
    let digested = with_algorithm(&plain);
    let lower = lowercase_name(&digested);
    [plain, digested, lower]
        .into_iter()
        .find(|candidate| is_reference(candidate))
}

fn is_reference(text: &str) -> bool {
    text.parse::<Reference>().is_ok()
}

/// Takes off quotes, commas, YAML, commands and schemes; full-width punctuation, which Chinese
/// input methods produce, becomes ASCII.
fn bare(text: &str) -> String {
    let ascii = text
        .replace('：', ":")
        .replace('，', ",")
        .replace('／', "/");
    let mut rest = ascii.trim_matches(WRAPPING);
    for lead in LEADS {
        rest = rest
            .strip_prefix(lead)
            .unwrap_or(rest)
            .trim_matches(WRAPPING);
    }
    for scheme in SCHEMES {
        rest = rest.strip_prefix(scheme).unwrap_or(rest);
    }
    rest.trim_end_matches(['/', ':', '@']).to_owned()
}

/// Puts `sha256:` before a digest that is only hex.
fn with_algorithm(text: &str) -> String {
    match text.split_once('@') {
        Some((name, hex)) if hex.len() == 64 && !hex.contains(':') => {
            format!("{name}@sha256:{hex}")
        }
        _ => text.to_owned(),
    }
}

/// Lowercases all but the tag, whose case counts.
fn lowercase_name(text: &str) -> String {
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (text, None),
    };
    let (name, tag) = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (name, None),
    };
    let mut lower = name.to_lowercase();
    if let Some(tag) = tag {
        lower.push(':');
        lower.push_str(tag);
    }
    if let Some(digest) = digest {
        lower.push('@');
        lower.push_str(&digest.to_lowercase());
    }
    lower
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_mistakes_are_mended_and_others_are_not() {
        #[track_caller]
        fn check(text: &str, expect: Option<&str>) {
            assert_eq!(reference(text).as_deref(), expect, "{text}");
        }
        let hex = "ab".repeat(32);
        let pinned = format!("nginx@sha256:{hex}");
        check("quay.io/Calico/node:V3", Some("quay.io/calico/node:V3"));
        check("https://quay.io/a/b:1", Some("quay.io/a/b:1"));
        check("docker://Quay.io/A/b:1", Some("quay.io/a/b:1"));
        check("\"a/b:1\",", Some("a/b:1"));
        check("'a/b:1'", Some("a/b:1"));
        check("- image: 'a/b:1'", Some("a/b:1"));
        check("-image:a/b:1", Some("a/b:1"));
        check("docker pull a/b:1", Some("a/b:1"));
        check("a/b：1", Some("a/b:1"));
        check("a/b:1\u{200b}", Some("a/b:1"));
        check("a/b:", Some("a/b"));
        check("a/b/", Some("a/b"));
        check(&format!("nginx@{hex}"), Some(&pinned));
        check(
            &format!("Nginx@SHA256:{}", hex.to_uppercase()),
            Some(&pinned),
        );
        check("a/b:1", None);
        check("a//b", None);
        check("nginx@sha256:3f4a", None);
        check("", None);
    }
}
