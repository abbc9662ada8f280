//! A registry, and a prefix for names at it, as flags and arguments name them.

use hod_oci::{ReferenceError, Registry, RepositoryName};

/// Parses `REGISTRY[/PREFIX]`.
pub(super) fn target(text: &str) -> Result<RegistryPath, ReferenceError> {
    let text = text.trim_end_matches('/');
    let (registry, prefix) = match text.split_once('/') {
        Some((registry, prefix)) => (registry, Some(prefix.parse()?)),
        None => (text, None),
    };
    let registry = registry.parse()?;
    Ok(RegistryPath { registry, prefix })
}

/// A registry, and a prefix for all names there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RegistryPath {
    pub(super) registry: Registry,
    pub(super) prefix: Option<RepositoryName>,
}

#[cfg(test)]
mod tests {
    use super::target;

    #[test]
    fn targets_are_a_registry_and_a_prefix() {
        #[track_caller]
        fn check(text: &str, expect: Option<(&str, &str)>) {
            let got = target(text).ok().map(|path| {
                (
                    path.registry.to_string(),
                    path.prefix.map(|p| p.to_string()).unwrap_or_default(),
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
