//! What the files of skopeo and image-syncer say about registries: logins and certificates.

use std::fmt;

use hod_oci::{ReferenceError, Registry, RepositoryName};

use super::ListPosition;

/// The settings for a registry, or for a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrySettings {
    pub registry: Registry,
    /// Only the repositories below this path, and the one that has this name; `None` is all.
    pub namespace: Option<RepositoryName>,
    pub login: Option<ListLogin>,
    /// `Some(false)`: the certificate is not verified, and plain HTTP is allowed. `None`: not
    /// stated.
    pub tls_verify: Option<bool>,
    /// A directory of certificates (`cert-dir` of skopeo), as written.
    pub cert_dir: Option<String>,
    pub origin: ListPosition,
}

/// A login in a file. Its secret is not shown.
#[derive(Clone, PartialEq, Eq)]
pub enum ListLogin {
    Password { username: String, password: String },
    IdentityToken(String),
}

impl RegistrySettings {
    /// Returns the settings for a repository: those with the longest namespace that it is in.
    pub fn of<'a>(
        settings: &'a [Self],
        registry: &Registry,
        repository: &RepositoryName,
    ) -> Option<&'a Self> {
        let repository = if registry.is_docker_hub() {
            repository.with_library()
        } else {
            repository.clone()
        };
        let applies = |one: &&Self| {
            one.registry == *registry
                && one.namespace.as_ref().is_none_or(|namespace| {
                    let rest = repository.as_str().strip_prefix(namespace.as_str());
                    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                })
        };
        let len = |one: &&Self| one.namespace.as_ref().map_or(0, |name| name.as_str().len());
        // Of equal ones, the first.
        settings.iter().rev().filter(applies).max_by_key(len)
    }
}

/// Parses `registry[/namespace]`, or says what is wrong with it. As in references, a word that is
/// not a host is a namespace of Docker Hub.
pub(super) fn place(text: &str) -> Result<(Registry, Option<RepositoryName>), String> {
    let text = text.trim_end_matches('/');
    let (first, rest) = match text.split_once('/') {
        Some((first, rest)) => (first, Some(rest)),
        None => (text, None),
    };
    let is_host = first.contains(['.', ':']) || first == "localhost";
    let said = |error: ReferenceError| error.to_string();
    let (registry, namespace) = if is_host {
        (first.parse().map_err(said)?, rest)
    } else {
        (Registry::docker_hub(), Some(text))
    };
    let namespace = namespace.map(str::parse).transpose();
    Ok((registry, namespace.map_err(said)?))
}

/// The login that these texts are, or what is wrong with them; empty ones are as good as none.
pub(super) fn login(
    username: Option<String>,
    password: Option<String>,
    identity_token: Option<String>,
) -> Result<Option<ListLogin>, &'static str> {
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    match (filled(username), filled(password), filled(identity_token)) {
        (_, _, Some(token)) => Ok(Some(ListLogin::IdentityToken(token))),
        (Some(username), Some(password), None) => {
            Ok(Some(ListLogin::Password { username, password }))
        }
        (None, None, None) => Ok(None),
        (Some(_), None, None) => Err("has a `username` without a `password`"),
        (None, Some(_), None) => Err("has a `password` without a `username`"),
    }
}

impl fmt::Debug for ListLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password { .. } => "Password([redacted])",
            Self::IdentityToken(_) => "IdentityToken([redacted])",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(registry: &str, namespace: &str, line: usize) -> RegistrySettings {
        RegistrySettings {
            registry: registry.parse().unwrap(),
            namespace: namespace.parse().ok(),
            login: None,
            tls_verify: None,
            cert_dir: None,
            origin: ListPosition {
                file: "f".to_owned(),
                line,
            },
        }
    }

    #[test]
    fn the_longest_namespace_counts_by_components() {
        #[track_caller]
        fn check(all: &[RegistrySettings], registry: &str, name: &str, expect: Option<usize>) {
            let (registry, name) = (registry.parse().unwrap(), name.parse().unwrap());
            let found = RegistrySettings::of(all, &registry, &name);
            assert_eq!(
                found.map(|one| one.origin.line),
                expect,
                "{registry}/{name}"
            );
        }
        let all = [
            settings("q.io", "a", 1),
            settings("q.io", "", 2),
            settings("q.io", "a/b", 3),
            settings("q.io", "", 4),
            settings("docker.io", "library", 5),
        ];
        check(&all, "q.io", "a", Some(1));
        check(&all, "q.io", "a/c", Some(1));
        check(&all, "q.io", "a/b", Some(3));
        check(&all, "q.io", "a/b/c", Some(3));
        check(&all, "q.io", "a/bc", Some(1));
        check(&all, "q.io", "ab", Some(2));
        check(&all, "q.io:80", "a", None);
        check(&all, "docker.io", "redis", Some(5));
        check(&all, "docker.io", "bitnami/redis", None);
    }

    #[test]
    fn a_secret_is_never_shown() {
        let password = ListLogin::Password {
            username: "admin".to_owned(),
            password: "s3cret".to_owned(),
        };
        let token = ListLogin::IdentityToken("s3cret".to_owned());
        let shown = format!("{password:?} {token:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
