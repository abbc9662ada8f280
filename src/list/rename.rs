//! Rename rules: compute the name of an image at its destination from its stored name.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use hod_oci::{Digest, ReferenceError, RepositoryName, Tag};
use hod_report::{Diagnose, Diagnosis, ErrorClass};

use super::error::joined;

/// How to treat a registry's host at the start of a stored name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HostPart {
    /// `quay.io/coreos/etcd` stays.
    #[default]
    Keep,
    /// `quay.io/coreos/etcd` becomes `coreos/etcd`.
    Strip,
}

/// Rules that convert stored names into names at a destination.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RenameRules {
    pub host: HostPart,
    /// Everything goes below this project, `library/` left out.
    pub project: Option<RepositoryName>,
    /// The first that matches is used, instead of `host`.
    pub renames: Vec<RenameRule>,
    /// The prefix of every name, added last.
    pub prefix: Option<RepositoryName>,
}

/// `quay.io/*=platform/*`: the pattern of a stored name, and its replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenameRule {
    from: Pattern,
    to: Pattern,
}

/// A name with at most one `*`, which matches any text, including slashes and the empty text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    before: String,
    /// The text after the star, if any.
    after: Option<String>,
}

/// Why names cannot be changed as requested.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenameError {
    /// A text that is not a valid rule.
    #[error("`{rule}` is not a rename rule: {reason}")]
    Rule { rule: String, reason: String },
    /// A rule whose result is not a valid name.
    #[error("renaming `{from}` by `{rule}` gives `{to}`, which is not a repository name")]
    NotAName {
        from: RepositoryName,
        rule: String,
        to: String,
        #[source]
        source: ReferenceError,
    },
    /// Rules that are about no image.
    #[error("{}", list_unused(rules))]
    Unused {
        rules: Vec<RenameRule>,
        /// An existing name.
        example: Option<RepositoryName>,
        /// A suggested rule.
        fix: Option<String>,
    },
    /// Different images would have one name.
    #[error("{}", list_collisions(.0))]
    Collisions(Vec<Collision>),
}

/// An image and its new name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landing {
    /// The name at the source, for messages.
    pub source: String,
    pub repository: RepositoryName,
    pub tag: Option<Tag>,
    /// Its identity: equal digests are one image. `None` for an image that cannot be read.
    pub digest: Option<Digest>,
}

impl Landing {
    /// Returns true if both are the same image: by digest, or by name if there is no digest.
    pub fn is_same_image(&self, other: &Self) -> bool {
        match (&self.digest, &other.digest) {
            (Some(digest), Some(other)) => digest == other,
            _ => self.source == other.source,
        }
    }
}

/// Different images that would have one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collision {
    pub repository: RepositoryName,
    pub tag: Tag,
    /// The images; two or more.
    pub images: Vec<Landing>,
}

impl Collision {
    /// Returns true if the images have the same name at their source, so that no rule can
    /// distinguish them.
    fn is_of_source(&self) -> bool {
        let mut names = self.images.windows(2);
        names.all(|pair| pair[0].source == pair[1].source)
    }
}

impl RenameRules {
    /// The rules, unless they change nothing.
    pub fn if_any(&self) -> Option<Self> {
        (*self != Self::default()).then(|| self.clone())
    }

    /// Applies the rules to a stored name.
    ///
    /// The first matching rename, else the host's rule; then project; then prefix. A name that
    /// ends up with one component and that no rename made goes below `library/`, since a registry
    /// with projects has no other place for it.
    pub fn apply(&self, name: &RepositoryName) -> Result<RepositoryName, RenameError> {
        let renamed = self
            .renames
            .iter()
            .find_map(|rule| rule.apply(name).transpose())
            .transpose()?;
        let is_renamed = renamed.is_some();
        let stripped = match self.host {
            HostPart::Strip => name.without_host(),
            HostPart::Keep => None,
        };
        let mut result = renamed.or(stripped).unwrap_or_else(|| name.clone());
        if let Some(project) = &self.project {
            let below = result.without_library().unwrap_or(result);
            result = put_before(project, &below)?;
        } else if !is_renamed {
            result = result.with_library();
        }
        match &self.prefix {
            Some(prefix) => put_before(prefix, &result),
            None => Ok(result),
        }
    }
}

impl RenameRules {
    /// Refuses rules that match none of the stored names: a slip would go unnoticed until the images
    /// are looked for under their new names.
    pub fn require_used<'a>(
        &self,
        names: impl IntoIterator<Item = &'a RepositoryName> + Clone,
    ) -> Result<(), RenameError> {
        let is_used = |rule: &&RenameRule| {
            let mut names = names.clone().into_iter();
            names.any(|name| rule.from.matched(name.as_str()).is_some())
        };
        let unused = self.renames.iter().filter(|rule| !is_used(rule));
        let rules: Vec<RenameRule> = unused.cloned().collect();
        if rules.is_empty() {
            return Ok(());
        }
        let below = |rule: &&RenameRule| {
            let prefix = format!("{}/", rule.from.before);
            let mut names = names.clone().into_iter();
            rule.from.after.is_none() && names.any(|name| name.as_str().starts_with(&prefix))
        };
        let fix = rules.iter().find(below);
        Err(RenameError::Unused {
            fix: fix.map(|rule| format!("{}/*={}/*", rule.from, rule.to)),
            example: names.into_iter().next().cloned(),
            rules,
        })
    }
}

fn put_before(
    prefix: &RepositoryName,
    name: &RepositoryName,
) -> Result<RepositoryName, RenameError> {
    name.prefixed(prefix.as_str())
        .map_err(|source| RenameError::NotAName {
            from: name.clone(),
            rule: format!("{prefix}/"),
            to: format!("{prefix}/{name}"),
            source,
        })
}

impl RenameRule {
    /// Renames `name`; `None` when the rule is not about it.
    fn apply(&self, name: &RepositoryName) -> Result<Option<RepositoryName>, RenameError> {
        let Some(middle) = self.from.matched(name.as_str()) else {
            return Ok(None);
        };
        let to = match &self.to.after {
            Some(after) => format!("{}{middle}{after}", self.to.before),
            None => self.to.before.clone(),
        };
        match to.parse() {
            Ok(renamed) => Ok(Some(renamed)),
            Err(source) => Err(RenameError::NotAName {
                from: name.clone(),
                rule: self.to_string(),
                to,
                source,
            }),
        }
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let is_name_like = |b: u8| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-' | b'/')
        };
        if text.is_empty() {
            return Err("a side is empty");
        }
        if text.bytes().filter(|&b| b == b'*').count() > 1 {
            return Err("a side has more than one `*`");
        }
        if text.contains(':') {
            return Err(
                "tags are renamed by the second column of a list (`--only`), and in stored names a port is `host_5000`",
            );
        }
        if !text.bytes().all(|b| b == b'*' || is_name_like(b)) {
            return Err("one side is not a valid repository name");
        }
        Ok(match text.split_once('*') {
            Some((before, after)) => Self {
                before: before.to_owned(),
                after: Some(after.to_owned()),
            },
            None => Self {
                before: text.to_owned(),
                after: None,
            },
        })
    }

    /// The text in `name` that the star matches; empty without a star.
    fn matched<'n>(&self, name: &'n str) -> Option<&'n str> {
        match &self.after {
            Some(after) => name.strip_prefix(&*self.before)?.strip_suffix(&**after),
            None => (self.before == name).then_some(""),
        }
    }
}

impl FromStr for RenameRule {
    type Err = RenameError;

    /// Parses `FROM=TO`, with one `*` on each side, on the left only, or on neither.
    fn from_str(text: &str) -> Result<Self, RenameError> {
        let bad = |reason: &str| RenameError::Rule {
            rule: text.to_owned(),
            reason: reason.to_owned(),
        };
        let (from, to) = text.split_once('=').ok_or_else(|| bad("it has no `=`"))?;
        let from = Pattern::parse(from).map_err(bad)?;
        let to = Pattern::parse(to).map_err(bad)?;
        if to.after.is_some() && from.after.is_none() {
            return Err(bad("the `*` on the right stands for nothing on the left"));
        }
        if from.before.starts_with("docker.io/") {
            return Err(bad("images of docker.io are stored without a host"));
        }
        Ok(Self { from, to })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.before)?;
        match &self.after {
            Some(after) => write!(f, "*{after}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Collision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let image = |image: &Landing| match &image.digest {
            Some(digest) => format!("`{}` ({})", image.source, digest.short()),
            None => format!("`{}`", image.source),
        };
        let sources: Vec<String> = self.images.iter().map(image).collect();
        write!(
            f,
            "`{}:{}`: {}",
            self.repository,
            self.tag,
            joined(&sources, "and")
        )
    }
}

impl fmt::Display for RenameRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.from, self.to)
    }
}

impl Diagnose for RenameError {
    fn diagnose(&self) -> Diagnosis {
        let usage = Diagnosis::new(ErrorClass::Usage);
        match self {
            Self::Rule { .. } => usage.hint(
                "A rule has the form `quay.io/*=platform/*`. It applies to names as `hod ls` shows \
                 them, without tags.",
            ),
            Self::NotAName { .. } => usage,
            Self::Unused { fix: Some(fix), .. } => usage.hint(format!("Did you mean `{fix}`?")),
            Self::Unused { example, .. } => {
                let example = example.as_ref().map(|name| format!(", such as `{name}`"));
                usage.hint(format!(
                    "A rule applies to whole names as `hod ls` shows them{}; `*` matches any text.",
                    example.unwrap_or_default()
                ))
            }
            Self::Collisions(found) if found.iter().all(Collision::is_of_source) => usage.hint(
                "Nothing was done. The source itself has two images under one name. Choose one with \
                 a list that names it by its digest, `NAME@DIGEST NAME:TAG`.",
            ),
            Self::Collisions(_) => usage.hint(
                "Nothing was done. Keep the hosts in the names, or give one of the images another \
                 name with `--rename` or in the second column of the list.",
            ),
        }
    }
}

/// Finds different images that would have one name, by that name.
///
/// Images without a tag cannot collide, and neither can two of one digest, however they are spelled.
pub fn collisions<'a>(landings: impl IntoIterator<Item = &'a Landing>) -> Vec<Collision> {
    let mut places: BTreeMap<(&RepositoryName, &Tag), Vec<&Landing>> = BTreeMap::new();
    for landing in landings {
        let Some(tag) = &landing.tag else { continue };
        let images = places.entry((&landing.repository, tag)).or_default();
        if !images.iter().any(|image| image.is_same_image(landing)) {
            images.push(landing);
        }
    }
    let places = places.into_iter().filter(|(_, images)| images.len() > 1);
    let collision =
        |((repository, tag), images): ((&RepositoryName, &Tag), Vec<&Landing>)| Collision {
            repository: repository.clone(),
            tag: tag.clone(),
            images: images.into_iter().cloned().collect(),
        };
    places.map(collision).collect()
}

fn list_unused(rules: &[RenameRule]) -> String {
    let rules: Vec<String> = rules.iter().map(|rule| format!("`{rule}`")).collect();
    match rules.len() {
        1 => format!("rename rule {} matches no image", rules.concat()),
        _ => format!("rename rules {} match no image", joined(&rules, "and")),
    }
}

fn list_collisions(collisions: &[Collision]) -> String {
    let mut lines = vec![match collisions {
        [_] => "1 name is claimed by different images".to_owned(),
        _ => format!("{} names are claimed by different images", collisions.len()),
    }];
    lines.extend(collisions.iter().map(ToString::to_string));
    lines.join("\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> RepositoryName {
        text.parse().unwrap()
    }

    fn rules(host: HostPart, project: &str, renames: &[&str], prefix: &str) -> RenameRules {
        let optional = |text: &str| (!text.is_empty()).then(|| name(text));
        RenameRules {
            host,
            project: optional(project),
            renames: renames.iter().map(|rule| rule.parse().unwrap()).collect(),
            prefix: optional(prefix),
        }
    }

    #[test]
    fn names_change_in_order() {
        use HostPart::{Keep, Strip};
        #[track_caller]
        fn check(rules: &RenameRules, from: &str, expect: &str) {
            assert_eq!(rules.apply(&name(from)).unwrap().as_str(), expect);
        }
        let none = RenameRules::default();
        check(&none, "quay.io/coreos/etcd", "quay.io/coreos/etcd");
        check(&none, "redis", "library/redis");
        let strip = rules(Strip, "", &[], "");
        check(&strip, "quay.io/coreos/etcd", "coreos/etcd");
        check(&strip, "localhost_5000/etcd", "library/etcd");
        check(&strip, "calico/node", "calico/node");
        let project = rules(Strip, "site-a", &[], "");
        check(&project, "quay.io/coreos/etcd", "site-a/coreos/etcd");
        check(&project, "library/redis", "site-a/redis");
        check(&project, "m.io/redis", "site-a/redis");
        let all = rules(
            Strip,
            "p",
            &["quay.io/*=platform/*", "quay.io/x/*=never/*"],
            "pre/fix",
        );
        check(&all, "quay.io/x/etcd", "pre/fix/p/platform/x/etcd");
        check(&all, "gcr.io/x/etcd", "pre/fix/p/x/etcd");
        let prefix = rules(Keep, "", &[], "pre");
        check(&prefix, "library/redis", "pre/library/redis");
        check(&prefix, "redis", "pre/library/redis");
        let odd = rules(
            Strip,
            "",
            &["a/b=c", "quay.io/*-amd64=m/*", "z/*=one/name"],
            "",
        );
        check(&odd, "a/b", "c");
        check(&odd, "a/b/c", "a/b/c");
        check(&odd, "quay.io/q/x-amd64", "m/q/x");
        check(&odd, "quay.io/q/x-arm64", "q/x-arm64");
        check(&odd, "z/y/x", "one/name");
    }

    #[test]
    fn bad_rules_and_bad_results_are_refused() {
        #[track_caller]
        fn check(rule: &str, reason: &str) {
            assert_eq!(
                rule.parse::<RenameRule>().unwrap_err().to_string(),
                format!("`{rule}` is not a rename rule: {reason}")
            );
        }
        check("a", "it has no `=`");
        check("=a", "a side is empty");
        check("a/**=b", "a side has more than one `*`");
        check(
            "a=b/*",
            "the `*` on the right stands for nothing on the left",
        );
        check("A=b", "one side is not a valid repository name");
        check(
            "r:5000/*=b/*",
            "tags are renamed by the second column of a list (`--only`), and in stored names a port is `host_5000`",
        );
        check(
            "docker.io/*=b/*",
            "images of docker.io are stored without a host",
        );
        let rule = rules(HostPart::Keep, "", &["a/*=/*"], "");
        assert_eq!(
            rule.apply(&name("a/b")).unwrap_err().to_string(),
            "renaming `a/b` by `a/*=/*` gives `/b`, which is not a repository name"
        );
        let long = rules(HostPart::Keep, &"p".repeat(200), &[], "");
        assert!(long.apply(&name(&"n".repeat(100))).is_err());
    }

    #[test]
    fn rules_about_no_image_are_refused() {
        #[track_caller]
        fn check(renames: &[&str], expect: Option<(&str, &str)>) {
            let names = [name("kubesphere/pause"), name("quay.io/coreos/etcd")];
            let found = rules(HostPart::Keep, "", renames, "").require_used(&names);
            let found = found
                .err()
                .map(|e| (e.to_string(), e.diagnose().hint.unwrap()));
            let expect = expect.map(|(said, hint)| (said.to_owned(), hint.to_owned()));
            assert_eq!(found, expect);
        }
        check(&["kubesphere/*=ks/*", "quay.io/coreos/etcd=etcd"], None);
        check(&["kubesphere/*=ks/*", "*/pause=p/pause"], None);
        check(&[], None);
        let hint = "A rule applies to whole names as `hod ls` shows them, such as \
                    `kubesphere/pause`; `*` matches any text.";
        let said = "rename rule `kubespere/*=ks/*` matches no image";
        check(&["kubespere/*=ks/*"], Some((said, hint)));
        check(
            &["a/*=b/*", "quay.io/*=q/*", "c=d"],
            Some(("rename rules `a/*=b/*` and `c=d` match no image", hint)),
        );
        check(
            &["kubesphere=ks"],
            Some((
                "rename rule `kubesphere=ks` matches no image",
                "Did you mean `kubesphere/*=ks/*`?",
            )),
        );
    }

    #[test]
    fn rules_print_as_they_were_written() {
        for text in ["a/*=b/*", "a=b", "a/*-x=b"] {
            assert_eq!(text.parse::<RenameRule>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn different_images_cannot_land_on_one_name() {
        let landing = |source: &str, to: &str, tag: Option<&str>, content: Option<&[u8]>| Landing {
            source: source.to_owned(),
            repository: name(to),
            tag: tag.map(|tag| tag.parse().unwrap()),
            digest: content.map(Digest::of),
        };
        let fine = [
            landing("a/x:1", "x", Some("1"), Some(b"1")),
            landing("b/x:1", "x", Some("1"), Some(b"1")),
            landing("a/x:1", "x", Some("1"), None),
            landing("c/x:1", "x", Some("2"), Some(b"2")),
            landing("d/x", "x", None, Some(b"3")),
            landing("e/x", "x", None, Some(b"4")),
        ];
        assert_eq!(collisions(&fine), []);
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        let (one, two) = (one.short(), two.short());
        let error = RenameError::Collisions(collisions(&[
            landing("a/x:1", "x", Some("1"), None),
            landing("b/x:1", "x", Some("1"), None),
            landing("c/x:1", "x", Some("1"), Some(b"1")),
            landing("a/y:1", "y", Some("1"), Some(b"1")),
            landing("b/y:1", "y", Some("1"), Some(b"2")),
        ]));
        assert_eq!(
            error.to_string(),
            format!(
                "2 names are claimed by different images\n  \
                 `x:1`: `a/x:1`, `b/x:1` and `c/x:1` ({one})\n  \
                 `y:1`: `a/y:1` ({one}) and `b/y:1` ({two})"
            )
        );
        assert!(error.diagnose().hint.unwrap().contains("--rename"));
        // They are two images, even if their names at the source are equal.
        let alike = collisions(&[
            landing("x:1", "x", Some("1"), Some(b"1")),
            landing("x:1", "x", Some("1"), Some(b"2")),
        ]);
        assert_eq!(alike[0].images.len(), 2);
        let hint = RenameError::Collisions(alike).diagnose().hint.unwrap();
        assert!(hint.contains("by its digest"), "{hint}");
    }
}
