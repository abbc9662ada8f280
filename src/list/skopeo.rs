//! The files of `skopeo sync`.
//!
//! ```yaml
//! registry.example.com:
//!   images:                        # tags or digests; none for all tags
//!     redis: ["1.0", sha256:…]
//!     app/web: []
//!   images-by-tag-regex: {nginx: ^1\.13\.[12]-alpine}
//!   images-by-semver: {alpine: ">= 3.12.0"}
//!   credentials: {username: john, password: …}    # or identitytoken
//!   tls-verify: true
//!   cert-dir: /home/john/certs
//! ```

use hod_oci::{Digest, Reference, Registry, RepositoryName};

use super::found::Found;
use super::node::{Node, Pair, Value};
use super::settings::{login, place};
use super::{ListLogin, PatternError, RegistrySettings, TagRegex, TagRule, TagVersions};

/// The keys whose values are repositories.
const IMAGES: &str = "images";
const IMAGES_BY_TAG_REGEX: &str = "images-by-tag-regex";
const IMAGES_BY_SEMVER: &str = "images-by-semver";

/// Whether a document has this shape: a mapping of mappings, in which one has images.
pub(super) fn is_one(root: &Node) -> bool {
    let registries = root.pairs().unwrap_or_default();
    registries.iter().any(|registry| {
        let is_host = registry.key.contains(['.', ':']) || registry.key == "localhost";
        let keys = registry.value.pairs().unwrap_or_default().iter();
        keys.map(|pair| pair.key.as_str()).any(|key| match key {
            IMAGES => is_host,
            IMAGES_BY_TAG_REGEX | IMAGES_BY_SEMVER => true,
            _ => false,
        })
    })
}

/// Reads the images and settings of all registries.
pub(super) fn read(root: &Node, found: &mut Found<'_>) {
    for pair in root.pairs().unwrap_or_default() {
        match place(&pair.key) {
            Ok((registry, namespace)) => {
                let place = Place {
                    written: pair.key.trim_end_matches('/'),
                    registry,
                    namespace,
                };
                place.read(pair, found);
            }
            Err(reason) => found.problem(pair.line, &pair.key, reason),
        }
    }
}

/// One registry of a file.
struct Place<'a> {
    written: &'a str,
    registry: Registry,
    namespace: Option<RepositoryName>,
}

impl Place<'_> {
    fn read(self, pair: &Pair, found: &mut Found<'_>) {
        let Some(pairs) = pair.value.pairs() else {
            let noun = pair.value.value.noun();
            let reason = format!("has {noun} where `images` and other keys are expected");
            return found.problem(pair.value.line, self.written, reason);
        };
        let mut settings = RegistrySettings {
            registry: self.registry.clone(),
            namespace: self.namespace.clone(),
            login: None,
            tls_verify: None,
            cert_dir: None,
            origin: found.position(pair.line),
        };
        let mut has_images = false;
        for pair in pairs {
            match pair.key.as_str() {
                IMAGES => has_images |= self.each_repository(pair, found, Self::tags),
                IMAGES_BY_TAG_REGEX => has_images |= self.each_repository(pair, found, Self::regex),
                IMAGES_BY_SEMVER => has_images |= self.each_repository(pair, found, Self::range),
                "credentials" => settings.login = self.login(pair, found),
                "tls-verify" => {
                    settings.tls_verify = found.boolean(&pair.value, &self.key(&pair.key));
                }
                "cert-dir" => {
                    let dir = found.string(&pair.value, &self.key(&pair.key));
                    settings.cert_dir = dir.map(str::to_owned);
                }
                key => found.unknown_key(pair.line, key, self.written),
            }
        }
        if !has_images {
            found.warn(pair.line, &format!("`{}` names no images", self.written));
        }
        found.add_settings(settings);
    }

    /// A key of this registry, for messages.
    fn key(&self, key: &str) -> String {
        format!("{}: {key}", self.written)
    }

    /// Reads the value of each repository of one key; returns false if there are none.
    fn each_repository(
        &self,
        pair: &Pair,
        found: &mut Found<'_>,
        read: fn(&Self, &Pair, &mut Found<'_>),
    ) -> bool {
        let Some(repositories) = pair.value.pairs() else {
            let noun = pair.value.value.noun();
            let reason = format!("is {noun} where repositories are expected");
            found.problem(pair.value.line, &self.key(&pair.key), reason);
            return true;
        };
        for repository in repositories {
            read(self, repository, found);
        }
        !repositories.is_empty()
    }

    /// The repository of a key, without tag and digest.
    fn repository(&self, pair: &Pair, found: &mut Found<'_>) -> Option<Reference> {
        let written = format!("{}/{}", self.written, pair.key);
        let name = match &self.namespace {
            Some(namespace) => format!("{}/{namespace}/{}", self.registry, pair.key),
            None => format!("{}/{}", self.registry, pair.key),
        };
        match name.parse::<Reference>() {
            Ok(reference) if reference.tag.is_some() || reference.digest.is_some() => {
                let reason = "has a tag or digest; write it in the list after the repository";
                found.problem(pair.line, &written, reason);
                None
            }
            Ok(reference) => Some(reference),
            Err(error) => {
                found.problem(pair.line, &written, error.to_string());
                None
            }
        }
    }

    fn tags(&self, pair: &Pair, found: &mut Found<'_>) {
        let Some(repository) = self.repository(pair, found) else {
            return;
        };
        let nodes: &[Node] = match &pair.value.value {
            Value::Null => &[],
            Value::Sequence(nodes) => nodes,
            other => {
                let noun = other.noun();
                let reason = format!("has {noun} where a list of tags is expected: `[TAG, …]`");
                return found.problem(pair.value.line, &pair.key, reason);
            }
        };
        if nodes.is_empty() {
            return found.add_pattern(pair.line, repository, TagRule::Any, Vec::new());
        }
        for node in nodes {
            let Value::Text(text) = &node.value else {
                let noun = node.value.noun();
                let reason = format!("has {noun} where a tag or a digest is expected");
                found.problem(node.line, &pair.key, reason);
                continue;
            };
            let mut image = repository.clone();
            let is_digest = text.contains(':');
            let parsed = if is_digest {
                let digest = text.parse::<Digest>();
                digest
                    .map(|digest| image.digest = Some(digest))
                    .map_err(|error| error.to_string())
            } else {
                let tag = text.parse();
                tag.map(|tag| image.tag = Some(tag))
                    .map_err(|error: hod_oci::ReferenceError| error.to_string())
            };
            match parsed {
                Ok(()) => found.add_image(node.line, image, Vec::new()),
                Err(reason) => {
                    let by = if is_digest { '@' } else { ':' };
                    found.problem(node.line, &format!("{repository}{by}{text}"), reason);
                }
            }
        }
    }

    fn regex(&self, pair: &Pair, found: &mut Found<'_>) {
        let rule = |text: &str| TagRegex::search(text).map(TagRule::Regex);
        self.pattern(pair, found, rule);
    }

    fn range(&self, pair: &Pair, found: &mut Found<'_>) {
        let rule = |text: &str| TagVersions::constraint(text).map(TagRule::Versions);
        self.pattern(pair, found, rule);
    }

    fn pattern(
        &self,
        pair: &Pair,
        found: &mut Found<'_>,
        rule: impl Fn(&str) -> Result<TagRule, PatternError>,
    ) {
        let Some(repository) = self.repository(pair, found) else {
            return;
        };
        let text = match &pair.value.value {
            Value::Text(text) => text.as_str(),
            Value::Null => "",
            other => {
                let reason = format!("has {} where a string is expected", other.noun());
                return found.problem(pair.value.line, &pair.key, reason);
            }
        };
        match rule(text) {
            Ok(rule) => found.add_pattern(pair.line, repository, rule, Vec::new()),
            Err(error) => {
                let text = format!("{}: {text}", pair.key);
                found.problem(pair.value.line, &text, error.to_string());
            }
        }
    }

    fn login(&self, pair: &Pair, found: &mut Found<'_>) -> Option<ListLogin> {
        let Some(pairs) = pair.value.pairs() else {
            let reason = "is not a mapping of `username` and `password`";
            found.problem(pair.value.line, &self.key(&pair.key), reason);
            return None;
        };
        let (mut username, mut password, mut token) = (None, None, None);
        for pair in pairs {
            let slot = match pair.key.as_str() {
                "username" => &mut username,
                "password" => &mut password,
                "identitytoken" => &mut token,
                key => {
                    found.unknown_key(pair.line, key, &self.key("credentials"));
                    continue;
                }
            };
            let text = found.string(&pair.value, &self.key(&pair.key));
            *slot = text.map(str::to_owned);
        }
        login(username, password, token).unwrap_or_else(|reason| {
            found.problem(pair.line, &self.key(&pair.key), reason);
            None
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ImageList, ListError, ListSource, parse, write_lines};
    use super::*;

    fn read(text: &str) -> Result<ImageList, ListError> {
        parse(
            &[ListSource {
                name: "s.yaml",
                text,
            }],
            &[],
        )
    }

    #[test]
    fn images_and_patterns_are_lines() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let text = format!(
            "# all keys\n\
             registry.example.com:5000:\n\
             \x20 images:\n\
             \x20   redis:\n\
             \x20     - \"1.0\"\n\
             \x20     - 1.10\n\
             \x20     - {digest}\n\
             \x20   app/web:\n\
             \x20   app/api: []\n\
             \x20 images-by-tag-regex:\n\
             \x20   nginx: ^1\\.13\\.[12]-alpine$\n\
             \x20   x: alpine|v\n\
             \x20 images-by-semver: {{a: \">= 3.12.0\", b: 1.x, c: 1.0.0 - 1.1.0, d: \"*\", e: ~1.2 || v2}}\n\
             docker.io: {{images: {{redis: [7]}}}}\n\
             library: {{images-by-semver: {{perl: ^5}}}}\n\
             quay.io/coreos/:\n\
             \x20 images: {{etcd: [v3]}}\n"
        );
        let list = read(&text).unwrap();
        assert_eq!(list.warnings, Vec::<String>::new());
        let host = "registry.example.com:5000";
        let expect = format!(
            "{host}/redis:1.0\n{host}/redis:1.10\n{host}/redis@{digest}\n{host}/app/web:*\n\
             {host}/app/api:*\n{host}/nginx:~1\\.13\\.[12]-alpine\n{host}/x:~.*(?:alpine|v).*\n\
             {host}/a:>=3.12.0\n{host}/b:=1\n{host}/c:>=1.0.0 <=1.1.0\n{host}/d:=x\n\
             {host}/e:=x ~1.2 || =2\ndocker.io/redis:7\ndocker.io/library/perl:^5\n\
             quay.io/coreos/etcd:v3\n"
        );
        assert_eq!(write_lines(&list.lines), expect);
        let lines: Vec<usize> = list
            .lines
            .iter()
            .map(|line| line.stem().origin.line)
            .collect();
        assert_eq!(
            lines,
            [5, 6, 7, 8, 9, 11, 12, 13, 13, 13, 13, 13, 14, 15, 17]
        );
        let again = parse(
            &[ListSource {
                name: "l",
                text: &expect,
            }],
            &[],
        )
        .unwrap();
        assert_eq!(write_lines(&again.lines), expect, "a retry list has them");
    }

    #[test]
    fn settings_are_read_beside_them() {
        let list = read(
            "a.io:\n  credentials: {username: u, password: p}\n  tls-verify: false\n\
             \x20 cert-dir: /certs\n  images: {x: [1]}\n\
             b.io/ns:\n  credentials:\n    identitytoken: t\n  images: {x: [1]}\n\
             c.io:\n  tls-verify: true\n  credentials:\n  images: {x: [1]}\n",
        );
        let [a, b, c]: [_; 3] = list.unwrap().registries.try_into().unwrap();
        let password = ListLogin::Password {
            username: "u".to_owned(),
            password: "p".to_owned(),
        };
        assert_eq!((a.login, a.tls_verify), (Some(password), Some(false)));
        assert_eq!(a.cert_dir.as_deref(), Some("/certs"));
        assert_eq!(b.login, Some(ListLogin::IdentityToken("t".to_owned())));
        assert_eq!(b.namespace.unwrap().as_str(), "ns");
        assert_eq!((c.login, c.tls_verify), (None, Some(true)));
    }

    #[test]
    fn everything_wrong_is_told_with_its_line() {
        let error = read(
            "a.io:\n  images:\n    Redis: [1]\n    b: v1\n    c: [\"-\", [2]]\n    d:1: [1]\n\
             \x20   e: [\"sha256:12\"]\n    f: {g: h}\n\
             \x20 images-by-tag-regex:\n    a: \"(\"\n    b: [x]\n    c:\n\
             \x20 images-by-semver:\n    a: latest\n    b: [1]\n\
             \x20 credentials: {username: admin, password: [s3cret]}\n\
             \x20 tls-verify: maybe\n  cert-dir: [x]\n  images: {x: [1]}\n\
             -: {images: {x: [1]}}\nb.io: [images]\nc.io: {images: [x]}\n",
        );
        let error = error.unwrap_err().to_string();
        let expect = "image list `s.yaml` has 20 invalid lines; nothing was done\n  \
            line 3: `a.io/Redis`: uppercase letter in repository name\n  \
            line 4: `b`: has a string where a list of tags is expected: `[TAG, …]`\n  \
            line 5: `a.io/c:-`: `-` is not a valid tag\n  \
            line 5: `c`: has a list where a tag or a digest is expected\n  \
            line 6: `a.io/d:1`: has a tag or digest; write it in the list after the repository\n  \
            line 7: `a.io/e@sha256:12`: digest has 2 of 64 hex characters\n  \
            line 8: `f`: has a mapping where a list of tags is expected: `[TAG, …]`\n  \
            line 10: `a: (`: the regular expression cannot be used: unclosed group\n  \
            line 11: `b`: has a list where a string is expected\n  \
            line 12: `c: `: the regular expression is empty\n  \
            line 14: `a: latest`: `latest` is not a version\n  \
            line 15: `b`: has a list where a string is expected\n  \
            line 16: `a.io: password`: is a list where a string is expected\n  \
            line 16: `a.io: credentials`: has a `username` without a `password`\n  \
            line 17: `a.io: tls-verify`: is neither `true` nor `false`\n  \
            line 18: `a.io: cert-dir`: is a list where a string is expected\n  \
            line 19: `images`: is on line 2 already\n  \
            line 20: `-`: repository name `-` has `-`, which is not a valid path component\n  \
            line 21: `b.io`: has a list where `images` and other keys are expected\n  \
            line 22: `c.io: images`: is a list where repositories are expected";
        assert_eq!(error, expect);
    }

    #[test]
    fn what_has_no_meaning_is_warned_of() {
        let list = read(
            "a.io:\n  images: {x: [1]}\n  image-by-semver: {y: 1}\n\
             \x20 credentials: {user: s3cret}\nb.io:\n  tls-verify: true\n",
        );
        assert_eq!(
            list.unwrap().warnings,
            [
                "s.yaml:3: the key `image-by-semver` of `a.io` is unknown, and ignored",
                "s.yaml:4: the key `user` of `a.io: credentials` is unknown, and ignored",
                "s.yaml:5: `b.io` names no images",
            ]
        );
    }
}
