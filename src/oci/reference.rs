//! References: registry, repository, tag and digest, by Docker's grammar
//! (distribution/reference, and the OCI distribution-spec's narrower rules for names).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Digest, DigestError};

/// The longest repository path in characters, the domain not counted.
const REPOSITORY_LEN_MAX: usize = 255;
/// The longest tag in characters.
const TAG_LEN_MAX: usize = 128;

/// A registry's host and port as written in references: `docker.io`, `harbor.corp:8443`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Registry(Box<str>);

/// The path of a repository without its registry: `library/redis`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryName(Box<str>);

/// A tag: up to 128 of `[A-Za-z0-9_.-]`, not starting with `.` or `-`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Box<str>);

/// Identifies an image: its registry and repository, and its tag or digest.
///
/// The repository is kept as written; [`Reference::stored_name`] and [`Reference::remote_names`]
/// apply the rules of Docker Hub.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// `None` if the text names no registry, so that the user's choice applies.
    pub registry: Option<Registry>,
    pub repository: RepositoryName,
    pub tag: Option<Tag>,
    pub digest: Option<Digest>,
}

/// Why a text is not a valid reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    #[error("nothing before the tag or digest")]
    Empty,
    #[error("`{text}` is a URL; write it without `{scheme}`")]
    Url { text: String, scheme: &'static str },
    #[error("uppercase letter in repository name")]
    Uppercase,
    #[error("repository name `{}` has `{}`, which is not a valid path component", name.escape_debug(), component.escape_debug())]
    Component { name: String, component: String },
    #[error("repository name has {len} characters; at most {REPOSITORY_LEN_MAX} are allowed")]
    NameLength { len: usize },
    #[error("64 hex characters are an image ID, not a repository name")]
    ImageId,
    #[error("`{}` is not a valid registry host", host.escape_debug())]
    Host { host: String },
    #[error("`{}` is not a valid tag", tag.escape_debug())]
    Tag { tag: String },
    #[error(transparent)]
    Digest(DigestError),
}

impl Registry {
    /// Docker Hub, the default registry of names without one.
    pub fn docker_hub() -> Self {
        Self("docker.io".into())
    }

    /// The text as written in references.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is Docker Hub, whose official images live under `library/`.
    pub fn is_docker_hub(&self) -> bool {
        &*self.0 == "docker.io"
    }

    /// The host without its port.
    pub fn host(&self) -> &str {
        match self.0.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => &self.0,
        }
    }

    /// Whether the host is this machine: `localhost`, `127.0.0.0/8` or `[::1]`.
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || host.ends_with(".localhost")
            || bare
                .parse::<std::net::IpAddr>()
                .is_ok_and(|ip| ip.is_loopback())
    }

    /// The registry as the first component of a stored name, where `:` is illegal:
    /// `host_5000`, and `ip6-0-0-0-0-0-0-0-1_5000` for an IPv6 address.
    fn as_component(&self) -> String {
        let (host, port) = match self.0.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (host, Some(port)),
            _ => (&*self.0, None),
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let mut text = match bare.parse::<Ipv6Addr>() {
            Ok(ip) => {
                let segments: Vec<String> = ip
                    .segments()
                    .iter()
                    .map(|segment| format!("{segment:x}"))
                    .collect();
                format!("ip6-{}", segments.join("-"))
            }
            Err(_) => host.to_owned(),
        };
        if let Some(port) = port {
            text.push('_');
            text.push_str(port);
        }
        text
    }
}

impl RepositoryName {
    /// The whole path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path's components.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Puts `prefix` in front.
    pub fn prefixed(&self, prefix: &str) -> Result<Self, ReferenceError> {
        format!("{prefix}/{}", self.0).parse()
    }

    /// The name below `library/`, for Docker Hub's official images.
    pub fn without_library(&self) -> Option<Self> {
        let rest = self.0.strip_prefix("library/")?;
        (!rest.contains('/')).then(|| Self(rest.into()))
    }

    /// The name, with `library/` in front when it has one component only.
    #[must_use]
    pub fn with_library(&self) -> Self {
        if self.0.contains('/') {
            self.clone()
        } else {
            Self(format!("library/{}", self.0).into())
        }
    }

    /// The name without its first component, if that is a registry's (see
    /// [`Reference::stored_name`]); Docker Hub's users cannot have such names.
    pub fn without_host(&self) -> Option<Self> {
        let (first, rest) = self.0.split_once('/')?;
        let has_port = first
            .rsplit_once('_')
            .is_some_and(|(_, port)| port.len() > 1 && port.bytes().all(|b| b.is_ascii_digit()));
        let is_host =
            first.contains('.') || first == "localhost" || first.starts_with("ip6-") || has_port;
        is_host.then(|| Self(rest.into()))
    }
}

impl Tag {
    /// The default tag.
    pub fn latest() -> Self {
        Self("latest".into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Reference {
    /// The repository's name in a store, unique among all registries.
    ///
    /// Images of Docker Hub, and those without a registry, keep their path, with `library/` before
    /// a single component; any other registry becomes the first component, in the form `host_5000`.
    pub fn stored_name(&self) -> Result<RepositoryName, ReferenceError> {
        match &self.registry {
            Some(registry) if !registry.is_docker_hub() => {
                format!("{}/{}", registry.as_component(), self.repository).parse()
            }
            _ => Ok(self.repository.with_library()),
        }
    }

    /// The names under which `registry` may have the repository, most likely first.
    ///
    /// One, except for a single component that names no registry itself: a mirror of Docker Hub
    /// has it under `library/`, any other registry may have it bare.
    pub fn remote_names(&self, registry: &Registry) -> Vec<RepositoryName> {
        let with_library = self.repository.with_library();
        if registry.is_docker_hub() || with_library == self.repository {
            vec![with_library]
        } else if self.registry.is_some() {
            vec![self.repository.clone()]
        } else {
            vec![with_library, self.repository.clone()]
        }
    }
}

impl FromStr for Registry {
    type Err = ReferenceError;

    /// Parses `host[:port]`, lowercased; `index.docker.io` is `docker.io`.
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let bad = || ReferenceError::Host {
            host: text.to_owned(),
        };
        let lower = text.to_ascii_lowercase();
        let (host, port) = if let Some(rest) = lower.strip_prefix('[') {
            let (address, port) = rest.split_once(']').ok_or_else(bad)?;
            address.parse::<Ipv6Addr>().map_err(|_| bad())?;
            (None, port)
        } else {
            let at = lower.find(':').unwrap_or(lower.len());
            (Some(&lower[..at]), &lower[at..])
        };
        let is_label = |label: &str| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        if host.is_some_and(|host| !host.split('.').all(is_label)) {
            return Err(bad());
        }
        // Such as `127.1`, which URLs take for another spelling of an address: a policy, a login or a
        // setting of the address would not be found.
        if host.is_some_and(|host| ends_in_number(host) && host.parse::<Ipv4Addr>().is_err()) {
            return Err(bad());
        }
        if !port.is_empty() {
            let digits = port.strip_prefix(':').ok_or_else(bad)?;
            digits.parse::<u16>().map_err(|_| bad())?;
        }
        Ok(Self(if lower == "index.docker.io" {
            "docker.io".into()
        } else {
            lower.into()
        }))
    }
}

/// Whether URLs take a host for an address: its last label is a number (WHATWG URL, 3.5).
fn ends_in_number(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_hex = |digits: &str| digits.bytes().all(|b| b.is_ascii_hexdigit());
    let is_decimal = last.bytes().all(|b| b.is_ascii_digit());
    is_decimal || last.strip_prefix("0x").is_some_and(is_hex)
}

impl FromStr for RepositoryName {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(ReferenceError::Uppercase);
        }
        if let Some(component) = text.split('/').find(|component| !is_component(component)) {
            return Err(ReferenceError::Component {
                name: text.to_owned(),
                component: component.to_owned(),
            });
        }
        if text.len() > REPOSITORY_LEN_MAX {
            return Err(ReferenceError::NameLength { len: text.len() });
        }
        if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(ReferenceError::ImageId);
        }
        Ok(Self(text.into()))
    }
}

/// `[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    if !is_word(first) || !is_word(last) {
        return false;
    }
    bytes
        .split(|&b| is_word(b))
        .all(|separator| match separator {
            [] | b"." | b"_" | b"__" => true,
            dashes => dashes.iter().all(|&b| b == b'-'),
        })
}

impl FromStr for Tag {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let valid = text.len() <= TAG_LEN_MAX
            && text.bytes().next().is_some_and(is_word)
            && text.bytes().all(|b| is_word(b) || matches!(b, b'.' | b'-'));
        if valid {
            Ok(Self(text.into()))
        } else {
            Err(ReferenceError::Tag {
                tag: text.to_owned(),
            })
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    /// Parses `[registry/]repository[:tag][@digest]`.
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        for scheme in ["https://", "http://", "docker://", "oci://"] {
            if text.starts_with(scheme) {
                return Err(ReferenceError::Url {
                    text: text.to_owned(),
                    scheme,
                });
            }
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse().map_err(ReferenceError::Digest)?)),
            None => (text, None),
        };
        let (registry, rest) = match rest.split_once('/') {
            Some((first, rest)) if is_domain(first) => (Some(first.parse()?), rest),
            _ => (None, rest),
        };
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag.parse()?)),
            _ => (rest, None),
        };
        let reference = Self {
            registry,
            repository: repository.parse()?,
            tag,
            digest,
        };
        reference.stored_name()?;
        Ok(reference)
    }
}

/// Docker's rule for telling a registry from the first component of a path. Current versions of
/// the library also take an uppercase letter for a domain; older ones, and people, take it for a
/// mistake in the name.
fn is_domain(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':'])
}

macro_rules! text_type {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?
                    .parse()
                    .map_err(serde::de::Error::custom)
            }
        }
    };
}
text_type!(Registry);
text_type!(RepositoryName);
text_type!(Tag);

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(registry) = &self.registry {
            write!(f, "{registry}/")?;
        }
        write!(f, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_names_tell_registries_apart() {
        #[track_caller]
        fn check(text: &str, stored: &str) {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.to_string(), text);
            assert_eq!(reference.stored_name().unwrap().as_str(), stored);
        }
        check("redis", "library/redis");
        check(
            "kubesphere/kube-apiserver:v1.20.6",
            "kubesphere/kube-apiserver",
        );
        check("docker.io/redis:7", "library/redis");
        check("quay.io/coreos/etcd", "quay.io/coreos/etcd");
        check("localhost:5000/a", "localhost_5000/a");
        check("[::1]:5000/a/b:t", "ip6-0-0-0-0-0-0-0-1_5000/a/b");
        check(&format!("r.io/a:t@sha256:{}", "0".repeat(64)), "r.io/a");
    }

    #[test]
    fn hosts_come_off_again() {
        #[track_caller]
        fn check(name: &str, expect: Option<&str>) {
            let name: RepositoryName = name.parse().unwrap();
            assert_eq!(
                name.without_host().as_ref().map(RepositoryName::as_str),
                expect
            );
        }
        check("quay.io/coreos/etcd", Some("coreos/etcd"));
        check("localhost_5000/a", Some("a"));
        check("harbor_8443/a", Some("a"));
        check("kubesphere/ks", None);
        check("my_1/ks", None);
        check("redis", None);
    }

    #[test]
    fn a_bare_name_is_looked_for_in_both_places_of_a_mirror() {
        let reference: Reference = "redis:7".parse().unwrap();
        let names = |registry: &str| reference.remote_names(&registry.parse().unwrap());
        assert_eq!(names("docker.io").len(), 1);
        assert_eq!(format!("{:?}", names("m.io")), "[library/redis, redis]");
        let qualified: Reference = "m.io/redis:7".parse().unwrap();
        assert_eq!(
            format!("{:?}", qualified.remote_names(&"m.io".parse().unwrap())),
            "[redis]"
        );
    }

    #[test]
    fn bad_references_say_what_is_wrong() {
        #[track_caller]
        fn check(text: &str, expect: &str) {
            assert_eq!(
                text.parse::<Reference>().unwrap_err().to_string(),
                expect,
                "{text}"
            );
        }
        check(
            "quay.io/Calico/node:v3",
            "uppercase letter in repository name",
        );
        check("Foo/bar", "uppercase letter in repository name");
        check("nginx@sha256:3f4a", "digest has 4 of 64 hex characters");
        check("nginx:-x", "`-x` is not a valid tag");
        check(
            "a//b",
            "repository name `a//b` has ``, which is not a valid path component",
        );
        check(
            "a/../b",
            "repository name `a/../b` has `..`, which is not a valid path component",
        );
        check(
            "a___b",
            "repository name `a___b` has `a___b`, which is not a valid path component",
        );
        check(
            "https://a/b",
            "`https://a/b` is a URL; write it without `https://`",
        );
        check("host:99999/x", "`host:99999` is not a valid registry host");
        check(":tag", "nothing before the tag or digest");
        check(
            &"0".repeat(64),
            "64 hex characters are an image ID, not a repository name",
        );
    }

    #[test]
    fn loopback_is_this_machine_only() {
        for (text, expect) in [
            ("localhost", true),
            ("127.0.0.9:5", true),
            ("[::1]:5", true),
            ("10.0.0.1", false),
        ] {
            assert_eq!(
                text.parse::<Registry>().unwrap().is_loopback(),
                expect,
                "{text}"
            );
        }
    }

    #[test]
    fn other_spellings_of_addresses_are_no_hosts() {
        for text in [
            "127.1",
            "127.1:5000",
            "0x7f.1",
            "2130706433:80",
            "127.0.0.01",
            "a.1",
        ] {
            assert!(text.parse::<Registry>().is_err(), "{text}");
        }
        for text in ["127.0.0.1:5000", "1.example", "a.0xg", "a1", "[::1]:80"] {
            assert!(text.parse::<Registry>().is_ok(), "{text}");
        }
    }
}
