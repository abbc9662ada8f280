//! A registry, and a prefix for names at it, as flags and arguments name them.

use hod_oci::{ReferenceError, Registry, RepositoryName};

/// Parses `REGISTRY[/PREFIX]`.
pub(super) fn target(text: &str) -> Result<(Registry, Option<RepositoryName>), ReferenceError> {
    let text = text.trim_end_matches('/');
    match text.split_once('/') {
        Some((registry, prefix)) => Ok((registry.parse()?, Some(prefix.parse()?))),
        None => Ok((text.parse()?, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::target;

    #[test]
    fn targets_are_a_registry_and_a_prefix() {
        #[track_caller]
        fn check(text: &str, expect: Option<(&str, &str)>) {
            let got = target(text).ok().map(|(registry, prefix)| {
                (
                    registry.to_string(),
                    prefix.map(|p| p.to_string()).unwrap_or_default(),
                )
            });
            let expect = expect.map(|(r, p)| (r.to_owned(), p.to_owned()));
            assert_eq!(got, expect, "{text}");
        }
        check("harbor.corp", Some(("harbor.corp", "")));
        check("harbor.corp:8443/", Some(("harbor.corp:8443", "")));
        check(
            "harbor.corp/offline/site-a",
            Some(("harbor.corp", "offline/site-a")),
        );
        check("https://harbor.corp", None);
        check("harbor.corp/Offline", None);
        check("", None);
    }
}
