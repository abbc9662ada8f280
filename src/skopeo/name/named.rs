//! Names of repositories by Docker's grammar, with the registry that a short one means.

use std::fmt;

use hod_oci::{Digest, Registry, RepositoryName, Tag};
use hod_registry::{ManifestRef, Repo};
use hod_transfer::Destination;
use hod_trust::{DockerName, DockerNameError};

/// The longest name of a repository with its registry.
const NAME_LEN_MAX: usize = 255;

/// A repository with its registry, and perhaps a tag or a digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Named {
    /// As written, which policies and signatures compare.
    pub(crate) host: String,
    pub(crate) registry: Registry,
    pub(crate) repository: RepositoryName,
    pub(crate) tag: Option<Tag>,
    pub(crate) digest: Option<Digest>,
}

/// Why a text is not such a name, in the words of Docker's parser.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NamedError {
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    Id(String),
    #[error("invalid reference format: repository name must be lowercase")]
    Uppercase,
    #[error("invalid reference format")]
    Format,
    #[error("repository name must not be more than {NAME_LEN_MAX} characters")]
    TooLong,
}

impl Named {
    /// Parses `[host/]path[:tag][@digest]`; a short name is one of Docker Hub.
    pub(crate) fn parse(text: &str) -> Result<Self, NamedError> {
        if text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(NamedError::Id(text.to_owned()));
        }
        let (host, rest) = match text.split_once('/') {
            Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (host, rest),
            _ => ("docker.io", text),
        };
        let path = rest.split(':').next().unwrap_or_default();
        if path.chars().any(char::is_uppercase) {
            return Err(NamedError::Uppercase);
        }
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => {
                let digest = digest.parse().map_err(|_| NamedError::Format)?;
                (rest, Some(digest))
            }
            None => (rest, None),
        };
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag.parse().map_err(|_| NamedError::Format)?)),
            None => (rest, None),
        };
        let registry: Registry = host.parse().map_err(|_| NamedError::Format)?;
        if registry.as_str().len() + 1 + path.len() > NAME_LEN_MAX {
            return Err(NamedError::TooLong);
        }
        let repository: RepositoryName = path.parse().map_err(|_| NamedError::Format)?;
        let repository = if registry.is_docker_hub() {
            repository.with_library()
        } else {
            repository
        };
        let host = match host {
            "index.docker.io" => "docker.io",
            host => host,
        };
        Ok(Self {
            host: host.to_owned(),
            registry,
            repository,
            tag,
            digest,
        })
    }

    /// The name of a repository.
    pub(crate) fn of_repository(registry: Registry, repository: RepositoryName) -> Self {
        Self {
            host: registry.to_string(),
            registry,
            repository,
            tag: None,
            digest: None,
        }
    }

    /// The same name in the grammar of policies.
    pub(crate) fn docker_name(&self) -> Result<DockerName, DockerNameError> {
        self.to_string().parse()
    }

    /// Whether it has neither a tag nor a digest.
    pub(crate) fn is_name_only(&self) -> bool {
        self.tag.is_none() && self.digest.is_none()
    }

    /// The same with the tag `latest`, if it has neither a tag nor a digest.
    #[must_use]
    pub(crate) fn with_default_tag(mut self) -> Self {
        if self.is_name_only() {
            self.tag = Some(Tag::latest());
        }
        self
    }

    /// The same repository with a tag.
    #[must_use]
    pub(crate) fn with_tag(&self, tag: Tag) -> Self {
        Self {
            tag: Some(tag),
            digest: None,
            ..self.clone()
        }
    }

    /// The repository in its registry.
    pub(crate) fn repo(&self) -> Repo {
        Repo {
            registry: self.registry.clone(),
            name: self.repository.clone(),
        }
    }

    /// What a registry is asked for: the tag, or else the digest; without both, `latest`.
    pub(crate) fn manifest_ref(&self) -> ManifestRef {
        match (&self.tag, &self.digest) {
            (Some(tag), _) => ManifestRef::Tag(tag.clone()),
            (None, Some(digest)) => ManifestRef::Digest(digest.clone()),
            (None, None) => ManifestRef::Tag(Tag::latest()),
        }
    }

    /// The name as the destination of an image.
    pub(crate) fn destination(&self) -> Destination {
        Destination {
            repository: self.repository.clone(),
            tag: self.tag.clone(),
        }
    }

    /// The registry and the repository: `docker.io/library/busybox`.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.host, self.repository)
    }

    /// The shortest name that means the same repository: `busybox`.
    pub(crate) fn familiar_name(&self) -> String {
        if !self.registry.is_docker_hub() {
            return self.name();
        }
        let short = self.repository.without_library();
        short.as_ref().unwrap_or(&self.repository).to_string()
    }

    /// The same with the tag and the digest.
    pub(crate) fn familiar(&self) -> String {
        format!("{}{}", self.familiar_name(), self.suffix())
    }

    fn suffix(&self) -> String {
        let tag = self.tag.as_ref().map(|tag| format!(":{tag}"));
        let digest = self.digest.as_ref().map(|digest| format!("@{digest}"));
        tag.unwrap_or_default() + &digest.unwrap_or_default()
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name(), self.suffix())
    }
}
