//! Logins that were left in a list.

/// Returns the line with every login in it replaced by `***`, or `None` when it has none.
///
/// A login is what stands before the `@` of `user:password@host/…`; what stands before the `@` of a
/// digest is not.
pub(super) fn masked(line: &str) -> Option<String> {
    let mut found = false;
    let words = line.split_inclusive(char::is_whitespace).map(|word| {
        let (rest, digest) = match word.rsplit_once('@') {
            Some((rest, after)) if is_like_digest(after) => (rest, &word[rest.len()..]),
            _ => (word, ""),
        };
        match rest.rsplit_once('@') {
            Some((login, after)) if is_login(login, after) => {
                found = true;
                let scheme = login.find("://").map_or(0, |at| at + "://".len());
                format!("{}***@{after}{digest}", &login[..scheme])
            }
            _ => word.to_owned(),
        }
    });
    let masked: String = words.collect();
    found.then_some(masked)
}

fn is_like_digest(text: &str) -> bool {
    let text = text.trim_end();
    match text.split_once(':') {
        Some((algorithm, _)) => {
            matches!(algorithm.to_ascii_lowercase().as_str(), "sha256" | "sha512")
        }
        None => text.bytes().all(|b| b.is_ascii_hexdigit()),
    }
}

fn is_login(login: &str, after: &str) -> bool {
    let host = after.split('/').next().unwrap_or_default();
    let is_host = after.contains('/') || host.contains('.') || host.starts_with("localhost");
    !login.is_empty() && is_host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_replaced_and_digests_are_not() {
        #[track_caller]
        fn check(line: &str, expect: Option<&str>) {
            assert_eq!(masked(line).as_deref(), expect, "{line}");
        }
        let digest = format!("sha256:{}", "a".repeat(64));
        check("admin:pw@host/app:1", Some("***@host/app:1"));
        check("https://admin:pw@host/app", Some("https://***@host/app"));
        check("a:1 u:p@h.io/x # y", Some("a:1 ***@h.io/x # y"));
        check("admin:p@s/s@host/app:1", Some("***@host/app:1"));
        check("token@ghcr.io/a/b", Some("***@ghcr.io/a/b"));
        check("u:p@harbor.corp", Some("***@harbor.corp"));
        check(
            &format!("u:p@h/x@{digest}\tplatform=all"),
            Some(&format!("***@h/x@{digest}\tplatform=all")),
        );
        check(&format!("nginx:1.27@{digest}"), None);
        check(&format!("nginx@{}", "a".repeat(64)), None);
        check("nginx@sha256:3f4a", None);
        check("nginx@latest", None);
        check("app@sha256:../../etc/passwd", None);
        check("a:1 b@c", None);
        check("@host/app", None);
    }
}
