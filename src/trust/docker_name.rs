//! Docker's names of images exactly as containers/image parses and compares them.
//!
//! [`hod_oci::Reference`] is for people: it lowercases hosts and keeps names as they are written.
//! Policies and signatures compare names, so that a difference would accept what the other refuses.

use std::fmt;
use std::str::FromStr;

use hod_oci::{Digest, DigestError};

const DOCKER_HUB: &str = "docker.io";
/// The longest name in bytes.
const NAME_LEN_MAX: usize = 255;
const TAG_LEN_MAX: usize = 128;

/// A fully written name of a repository, with a tag and a digest if it has them:
/// `docker.io/library/busybox:latest`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DockerName {
    /// The whole name, of which the domain is `domain_len` bytes.
    name: String,
    domain_len: usize,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DockerNameError {
    #[error("invalid reference format")]
    Format,
    #[error("invalid reference format: repository name must be lowercase")]
    Uppercase,
    #[error("invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")]
    Identifier { text: String },
    #[error("repository name must not be more than 255 characters")]
    Length,
    #[error("unsupported digest algorithm")]
    DigestAlgorithm,
    #[error("invalid checksum digest length")]
    DigestLength,
    #[error("invalid checksum digest format")]
    Digest,
}

impl DockerName {
    /// Returns the name without tag and digest: `docker.io/library/busybox`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the name without its domain: `library/busybox`.
    pub fn path(&self) -> &str {
        match self.domain_len {
            0 => &self.name,
            len => &self.name[len + 1..],
        }
    }

    /// Returns the tag.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Returns the digest.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Whether it has neither a tag nor a digest.
    pub fn is_name_only(&self) -> bool {
        self.tag.is_none() && self.digest.is_none()
    }

    /// Returns it with the tag `latest` if it has neither a tag nor a digest.
    #[must_use]
    pub fn or_latest(mut self) -> Self {
        if self.is_name_only() {
            self.tag = Some("latest".to_owned());
        }
        self
    }
}

impl FromStr for DockerName {
    type Err = DockerNameError;

    /// Parses a name as people write it: `busybox` is `docker.io/library/busybox`.
    fn from_str(text: &str) -> Result<Self, DockerNameError> {
        if text.len() == 64 && text.bytes().all(is_lower_hex) {
            let text = text.to_owned();
            return Err(DockerNameError::Identifier { text });
        }
        let (domain, rest) = match text.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
                (first, rest)
            }
            _ => (DOCKER_HUB, text),
        };
        let domain = match domain {
            "index.docker.io" => DOCKER_HUB,
            domain => domain,
        };
        let before_tag = rest.split_once(':').map_or(rest, |(name, _)| name);
        if before_tag.to_lowercase() != before_tag {
            return Err(DockerNameError::Uppercase);
        }
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (rest, None),
        };
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        let is_digest = digest.is_none_or(is_like_digest);
        if !path.split('/').all(is_component) || tag.is_some_and(|tag| !is_tag(tag)) || !is_digest {
            return Err(DockerNameError::Format);
        }
        let domain_len = match domain {
            domain if is_domain(domain) => domain.len(),
            // It is the first component of a name without a domain then.
            domain if is_component(domain) => 0,
            _ => return Err(DockerNameError::Format),
        };
        let is_official = domain == DOCKER_HUB && !path.contains('/');
        let library = if is_official { "library/" } else { "" };
        let name = format!("{domain}/{library}{path}");
        if name.len() > NAME_LEN_MAX {
            return Err(DockerNameError::Length);
        }
        Ok(Self {
            name,
            domain_len,
            tag: tag.map(str::to_owned),
            digest: digest.map(parse_digest).transpose()?,
        })
    }
}

impl fmt::Display for DockerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

fn is_lower_hex(b: u8) -> bool {
    b.is_ascii_digit() || (b'a'..=b'f').contains(&b)
}

/// Whether a text is `host[:port]`.
pub(crate) fn is_domain(text: &str) -> bool {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let is_label = |label: &str| {
        let is_inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        !label.is_empty()
            && label.bytes().all(is_inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.split('.').all(is_label)
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether a text is a component of a path.
pub(crate) fn is_component(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().copied().is_some_and(is_word)
        && bytes.last().copied().is_some_and(is_word)
        && bytes.split(|&b| is_word(b)).all(|between| {
            matches!(between, b"" | b"." | b"_" | b"__") || between.iter().all(|&b| b == b'-')
        })
}

fn is_tag(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= TAG_LEN_MAX
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|b| is_word(b) || b == b'.' || b == b'-')
}

/// Whether a text has the form of a digest, of whatever algorithm.
fn is_like_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else {
        return false;
    };
    let is_part = |part: &str| {
        part.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
            && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    algorithm.split(['-', '_', '+', '.']).all(is_part)
        && hex.len() >= 32
        && hex.bytes().all(|b| b.is_ascii_hexdigit())
}

fn parse_digest(text: &str) -> Result<Digest, DockerNameError> {
    text.parse().map_err(|error| match error {
        DigestError::UnknownAlgorithm { .. } => DockerNameError::DigestAlgorithm,
        DigestError::Length { .. } => DockerNameError::DigestLength,
        DigestError::NoAlgorithm { .. } | DigestError::NotHex { .. } => DockerNameError::Digest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_as_containers_image_does() {
        // Printed by reference.ParseNormalizedNamed: the name, its path, or the error.
        for line in include_str!("tests/names.txt").lines() {
            let [text, expect, path] = <[&str; 3]>::try_from(line.split('\t').collect::<Vec<_>>())
                .unwrap_or_else(|_| panic!("{line}"));
            match text.parse::<DockerName>() {
                Ok(name) => {
                    assert_eq!(name.to_string(), expect, "{text}");
                    assert_eq!(name.path(), path, "{text}");
                }
                Err(error) => assert_eq!(format!("error: {error}"), expect, "{text}"),
            }
        }
    }
}
