//! The files of image-syncer, in YAML or JSON.
//!
//! ```yaml
//! quay.io/coreos/etcd: harbor.corp/mirror/etcd                  # all tags
//! quay.io/coreos/etcd:v3.4,v3.5: harbor.corp/mirror/etcd:a,b    # by their order
//! quay.io/coreos/etcd:/^v3\./: [harbor.corp/x/etcd, "$HOST/y/etcd"]
//! quay.io/coreos/etcd@sha256:…: harbor.corp/mirror/etcd
//! ```
//!
//! The file of `--config` has these pairs below `images`, and logins below `auth`.

use hod_oci::{Digest, Reference, ReferenceError, Registry, RepositoryName, Tag};

use hod_report::amount::format_count;

use super::found::Found;
use super::node::{Node, Pair, Value};
use super::settings::{login, place};
use super::variables::expand;
use super::{RegistrySettings, SyncTarget, TagRegex, TagRule};

/// Returns the value of a variable.
type Variable = fn(&str) -> Option<String>;

/// Whether a document has this shape: pairs of images, at the top or below `images`.
pub(super) fn is_one(root: &Node) -> bool {
    match config(root) {
        Some((_, images)) => are_pairs(images.value.pairs()),
        None => are_pairs(root.pairs()),
    }
}

/// Whether these are images and their destinations.
fn are_pairs(pairs: Option<&[Pair]>) -> bool {
    let pairs = pairs.unwrap_or_default();
    let is_string = |node: &Node| matches!(node.value, Value::Null | Value::Text(_));
    let are_strings = |pair: &Pair| match &pair.value.value {
        Value::Sequence(nodes) => nodes.iter().all(is_string),
        _ => is_string(&pair.value),
    };
    let has_path = |pair: &Pair| pair.key.contains('/') && source(&pair.key).is_ok();
    // A word may be an image too, if it goes to a registry.
    let is_place = |node: &Node| match &node.value {
        Value::Text(text) if !text.contains("://") && !text.contains(' ') => {
            let first = text.split_once('/').map(|(first, _)| first);
            first.is_some_and(|host| host.contains(['.', ':', '$']))
        }
        _ => false,
    };
    let goes_to_place = |pair: &Pair| match &pair.value.value {
        Value::Sequence(nodes) => nodes.iter().any(is_place),
        _ => is_place(&pair.value),
    };
    let is_image = |pair: &Pair| source(&pair.key).is_ok() && goes_to_place(pair);
    let has_paths = pairs.iter().any(|pair| has_path(pair) && are_strings(pair))
        && pairs.iter().all(|pair| has_path(pair) || are_strings(pair));
    has_paths || (!pairs.is_empty() && pairs.iter().all(is_image))
}

/// The `auth` and the `images` of a file for `--config`.
fn config(root: &Node) -> Option<(Option<&Pair>, &Pair)> {
    let pairs = root.pairs()?;
    let of = |key: &str| pairs.iter().find(|pair| pair.key == key);
    let images = of("images")?;
    matches!(images.value.value, Value::Mapping(_)).then_some((of("auth"), images))
}

/// Reads the pairs of a file, and its logins.
pub(super) fn read(root: &Node, variable: Variable, found: &mut Found<'_>) {
    let Some((auth, images)) = config(root) else {
        return read_images(root, variable, found);
    };
    if let Some(auth) = auth {
        // Here, image-syncer takes a password with a `$` in it as it is.
        read_auth(&auth.value, None, found);
    }
    read_images(&images.value, variable, found);
    for pair in root.pairs().unwrap_or_default() {
        if !matches!(pair.key.as_str(), "auth" | "images") {
            found.unknown_key(pair.line, &pair.key, "the file");
        }
    }
}

fn read_images(root: &Node, variable: Variable, found: &mut Found<'_>) {
    for pair in root.pairs().unwrap_or_default() {
        match source(&pair.key) {
            Ok(source) => read_pair(pair, source, variable, found),
            Err(reason) => found.problem(pair.line, &pair.key, reason),
        }
    }
}

/// Reads logins by `registry[/namespace]`, with variables in them if `variable` is given.
pub(super) fn read_auth(root: &Node, variable: Option<Variable>, found: &mut Found<'_>) {
    let Some(pairs) = root.pairs() else {
        let reason = format!("is {} where registries are expected", root.value.noun());
        return found.problem(root.line, "auth", reason);
    };
    for pair in pairs {
        let (registry, namespace) = match place(&pair.key) {
            Ok(place) => place,
            Err(reason) => {
                found.problem(pair.line, &pair.key, reason);
                continue;
            }
        };
        let Some(keys) = pair.value.pairs() else {
            let reason = "is not a mapping of `username` and `password`";
            found.problem(pair.value.line, &pair.key, reason);
            continue;
        };
        let mut settings = RegistrySettings {
            registry,
            namespace,
            login: None,
            tls_verify: None,
            cert_dir: None,
            origin: found.position(pair.line),
        };
        let (mut username, mut password, mut token) = (None, None, None);
        for key in keys {
            let written = format!("{}: {}", pair.key, key.key);
            let slot = match key.key.as_str() {
                "username" => &mut username,
                "password" => &mut password,
                "identityToken" | "identitytoken" => &mut token,
                "insecure" => {
                    let insecure = found.boolean(&key.value, &written);
                    settings.tls_verify = insecure.filter(|insecure| *insecure).map(|_| false);
                    continue;
                }
                other => {
                    found.unknown_key(key.line, other, &pair.key);
                    continue;
                }
            };
            let Some(text) = found.string(&key.value, &written) else {
                continue;
            };
            let expanded = match variable {
                Some(variable) => expand(text, variable),
                None => Ok(text.to_owned()),
            };
            if expanded.is_err() {
                // Not its name: a password with a `$` in it would be shown.
                let reason = "has a variable of the environment in it that is not set";
                found.problem(key.value.line, &written, reason);
            }
            *slot = expanded.ok();
        }
        match login(username, password, token) {
            Ok(login) => settings.login = login,
            Err(reason) => found.problem(pair.line, &pair.key, reason),
        }
        found.add_settings(settings);
    }
}

/// The left side of a pair.
#[derive(Debug, PartialEq)]
enum Source {
    Images(Vec<Reference>),
    Pattern {
        repository: Reference,
        rule: TagRule,
    },
}

/// Parses the left side of a pair, or says what is wrong with it.
fn source(text: &str) -> Result<Source, String> {
    let error = match text.parse::<Reference>() {
        Ok(repository) if repository.tag.is_none() && repository.digest.is_none() => {
            let rule = TagRule::Any;
            return Ok(Source::Pattern { repository, rule });
        }
        Ok(mut image) => {
            // The digest alone counts, as in image-syncer.
            if image.digest.is_some() {
                image.tag = None;
            }
            return Ok(Source::Images(vec![image]));
        }
        Err(error) => error,
    };
    if matches!(error, ReferenceError::Url { .. }) {
        return Err(error.to_string());
    }
    if let Some((name, regex)) = text.split_once(":/") {
        let Some(regex) = regex.strip_suffix('/') else {
            return Err("a regular expression for tags is written `:/REGEX/`".to_owned());
        };
        let repository = repository(name)?;
        let regex = TagRegex::search(regex).map_err(|error| error.to_string())?;
        let rule = TagRule::Regex(regex);
        return Ok(Source::Pattern { repository, rule });
    }
    match tagged(text)? {
        Some((repository, tags)) => {
            let image = |tag| Reference {
                tag: Some(tag),
                ..repository.clone()
            };
            Ok(Source::Images(tags.into_iter().map(image).collect()))
        }
        None => Err(error.to_string()),
    }
}

/// Parses a reference without a tag and a digest.
fn repository(text: &str) -> Result<Reference, String> {
    let reference: Reference = text
        .parse()
        .map_err(|error: ReferenceError| error.to_string())?;
    if reference.tag.is_some() || reference.digest.is_some() {
        return Err("has a tag or digest and others after it".to_owned());
    }
    Ok(reference)
}

/// Splits `repository:tag,tag`; `None` for a text without a comma.
fn tagged(text: &str) -> Result<Option<(Reference, Vec<Tag>)>, String> {
    if !text.contains(',') {
        return Ok(None);
    }
    let Some((name, tags)) = text.rsplit_once(':') else {
        return Err("has several tags and no `:` before them".to_owned());
    };
    let repository = repository(name)?;
    let tags: Result<Vec<Tag>, _> = tags.split(',').map(|tag| tag.trim().parse()).collect();
    let tags = tags.map_err(|error: ReferenceError| error.to_string())?;
    Ok(Some((repository, tags)))
}

/// The right side of a pair.
struct Place<'a> {
    line: usize,
    written: &'a str,
    registry: Registry,
    repository: RepositoryName,
    /// None keeps those of the source.
    tags: Vec<Tag>,
    digest: Option<Digest>,
}

fn read_pair(pair: &Pair, source: Source, variable: Variable, found: &mut Found<'_>) {
    let one = std::slice::from_ref(&pair.value);
    let nodes = match &pair.value.value {
        Value::Sequence(nodes) => nodes.as_slice(),
        _ => one,
    };
    let n_problems = found.problems.len();
    let mut places = Vec::with_capacity(nodes.len());
    for node in nodes {
        match &node.value {
            Value::Null => {}
            Value::Text(text) if text.is_empty() => {}
            Value::Text(text) => match Place::parse(node.line, text, variable) {
                Ok(place) => places.push(place),
                Err(reason) => found.problem(node.line, text, reason),
            },
            other => {
                let reason = format!("has {} where a destination is expected", other.noun());
                found.problem(node.line, &pair.key, reason);
            }
        }
    }
    let images = match &source {
        Source::Images(images) => images.as_slice(),
        Source::Pattern { .. } => &[],
    };
    places.retain(|place| match place.require_fit(images) {
        Ok(()) => true,
        Err(reason) => {
            found.problem(place.line, place.written, reason);
            false
        }
    });
    if places.is_empty() && found.problems.len() > n_problems {
        return;
    }
    let targets = |n: usize| places.iter().map(|place| place.target(n)).collect();
    match source {
        Source::Images(images) => {
            for (n, image) in images.into_iter().enumerate() {
                found.add_image(pair.line, image, targets(n));
            }
        }
        Source::Pattern { repository, rule } => {
            found.add_pattern(pair.line, repository, rule, targets(0));
        }
    }
}

impl<'a> Place<'a> {
    /// Parses a destination, or says what is wrong with it. A name without a registry is Docker
    /// Hub's.
    fn parse(line: usize, written: &'a str, variable: Variable) -> Result<Self, String> {
        let text = expand(written, variable)
            .map_err(|unknown| format!("the variable `${}` is not set", unknown.name))?;
        let parsed = match text.parse::<Reference>() {
            Ok(reference) => Ok((reference, Vec::new())),
            Err(error) => tagged(&text).and_then(|tagged| tagged.ok_or(error.to_string())),
        };
        let (reference, tags) = parsed.map_err(|reason| {
            // The value of a variable is not repeated.
            if text == written {
                reason
            } else {
                "is not a name of images once its variables are replaced".to_owned()
            }
        })?;
        // Beside a digest, a tag does not count, as in image-syncer.
        let tags = match &reference.digest {
            Some(_) => Vec::new(),
            None => reference.tag.into_iter().chain(tags).collect(),
        };
        Ok(Self {
            line,
            written,
            registry: reference.registry.unwrap_or_else(Registry::docker_hub),
            repository: reference.repository,
            tags,
            digest: reference.digest,
        })
    }

    /// Refuses a destination that does not fit the images of the source, which are none if a
    /// pattern selects them.
    fn require_fit(&self, images: &[Reference]) -> Result<(), String> {
        if let Some(digest) = &self.digest {
            let is_same = |image: &Reference| image.digest.as_ref() == Some(digest);
            return match images {
                [image] if is_same(image) => Ok(()),
                _ => Err("has a digest that the source does not name".to_owned()),
            };
        }
        match (self.tags.len(), images.len()) {
            (0, _) => Ok(()),
            (_, 0) => Err("has a tag, but the source keeps the tags that it selects".to_owned()),
            (n, n_images) if n == n_images => Ok(()),
            (n, n_images) => Err(format!(
                "has {} for {n_images} of the source; they belong together by their order",
                format_count(n, "tag")
            )),
        }
    }

    /// The target of the image at a position.
    fn target(&self, at: usize) -> SyncTarget {
        SyncTarget {
            registry: self.registry.clone(),
            repository: self.repository.clone(),
            tag: self.tags.get(at).cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        BadLines, ImageList, ListError, ListLogin, ListOptions, ListSource, TargetUse, parse_auth,
        parse_with, write_lines,
    };
    use super::*;

    fn variable(name: &str) -> Option<String> {
        match name {
            "HARBOR" => Some("harbor.corp:8443".to_owned()),
            "PW" => Some("s3cret$1".to_owned()),
            _ => None,
        }
    }

    fn read(text: &str, targets: TargetUse) -> Result<ImageList, ListError> {
        let options = ListOptions {
            source: &Registry::docker_hub(),
            sections: &[],
            variable,
            targets,
            bad_lines: BadLines::Refuse,
            format: None,
        };
        parse_with(
            &options,
            &[ListSource {
                name: "i.yaml",
                text,
            }],
        )
    }

    #[track_caller]
    fn check(text: &str, targets: TargetUse, expect: &str) {
        let list = read(text, targets).unwrap();
        assert_eq!(write_lines(&list.lines), expect);
        assert_eq!(list.warnings, Vec::<String>::new());
    }

    #[test]
    fn pairs_are_lines_with_targets() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let text = format!(
            "q.io/a/b: h.corp/x/b\n\
             q.io/a/c:1.0,1.10: h.corp/x/c\n\
             q.io/a/d:1,2: [\"h.corp/x/d:a,b\", $HARBOR/y/d]\n\
             q.io/a/e:/^1\\.1.*/: h.corp/x/e\n\
             q.io/a/f@{digest}: h.corp/x/f\n\
             q.io/a/g@{digest}: h.corp/x/g:1\n\
             nginx:1.27: [h.corp/x/nginx, \"${{HARBOR}}/nginx:2\"]\n\
             redis:\n- x/redis\n"
        );
        let synced = format!(
            "q.io/a/b:* to=h.corp/x/b\n\
             q.io/a/c:1.0 to=h.corp/x/c\n\
             q.io/a/c:1.10 to=h.corp/x/c\n\
             q.io/a/d:1 to=h.corp/x/d:a to=harbor.corp:8443/y/d\n\
             q.io/a/d:2 to=h.corp/x/d:b to=harbor.corp:8443/y/d\n\
             q.io/a/e:~1\\.1.* to=h.corp/x/e\n\
             q.io/a/f@{digest} to=h.corp/x/f\n\
             q.io/a/g@{digest} to=h.corp/x/g:1\n\
             nginx:1.27 to=h.corp/x/nginx to=harbor.corp:8443/nginx:2\n\
             redis:* to=docker.io/x/redis\n"
        );
        check(&text, TargetUse::Keep, &synced);
        check(&synced, TargetUse::Keep, &synced);
        let named = format!(
            "q.io/a/b:* x/b\nq.io/a/c:1.0 x/c\nq.io/a/c:1.10 x/c\nq.io/a/d:1\nq.io/a/d:2\n\
             q.io/a/e:~1\\.1.* x/e\nq.io/a/f@{digest} x/f\nq.io/a/g@{digest} x/g:1\n\
             nginx:1.27\nredis:* x/redis\n"
        );
        check(&text, TargetUse::Name, &named);
        check(&synced, TargetUse::Name, &named);
    }

    #[test]
    fn json_and_the_file_with_logins_are_read() {
        let text = "{\n  \"auth\": {\"q.io/a\": {\"username\": \"u\", \"password\": \"p$PW\", \
                    \"insecure\": true}},\n  \"images\": {\"q.io/a/b:1\": [\"h.corp/b\"]}\n}\n";
        let list = read(text, TargetUse::Keep).unwrap();
        assert_eq!(write_lines(&list.lines), "q.io/a/b:1 to=h.corp/b\n");
        let [settings] = &list.registries[..] else {
            panic!("{:?}", list.registries)
        };
        let login = ListLogin::Password {
            username: "u".to_owned(),
            password: "p$PW".to_owned(),
        };
        assert_eq!(settings.login, Some(login));
        assert_eq!(settings.tls_verify, Some(false));
        assert_eq!(settings.namespace.as_ref().unwrap().as_str(), "a");
        check(
            "{\"images\": {\"a/b:1\": \"\", \"nginx:2\": null}}",
            TargetUse::Keep,
            "a/b:1\nnginx:2\n",
        );
    }

    #[test]
    fn logins_have_variables_in_them() {
        let file = |text| ListSource {
            name: "auth.json",
            text,
        };
        let auth =
            "{\"h.corp\": {\"username\": \"u\", \"password\": \"${PW}\"}, \"docker.io\": {}}";
        let settings = parse_auth(&file(auth), variable).unwrap();
        let login = ListLogin::Password {
            username: "u".to_owned(),
            password: "s3cret$1".to_owned(),
        };
        assert_eq!(settings[0].login, Some(login));
        assert_eq!((&settings[1].login, settings[1].tls_verify), (&None, None));
        let bad = "{\"h.corp\": {\"username\": \"u\", \"password\": \"a$s3cret\", \"insecure\": 1},\n\
                   \"q.io\": \"u:s3cret\", \"-\": {}}";
        let error = parse_auth(&file(bad), variable).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
        assert_eq!(
            error.to_string(),
            "image list `auth.json` has 5 invalid lines; nothing was done\n  \
             line 1: `h.corp: password`: has a variable of the environment in it that is not set\n  \
             line 1: `h.corp: insecure`: is neither `true` nor `false`\n  \
             line 1: `h.corp`: has a `username` without a `password`\n  \
             line 2: `q.io`: is not a mapping of `username` and `password`\n  \
             line 2: `-`: repository name `-` has `-`, which is not a valid path component"
        );
    }

    #[test]
    fn everything_wrong_is_told_with_its_line() {
        let text = "q.io/a/b: h.corp/x/b:1\n\
            q.io/a/c:1,2: [h.corp/x/c:1, h.corp/x/c]\n\
            q.io/a/d:1,-: h.corp/x/d\n\
            q.io/a/e:/(/: h.corp/x/e\n\
            q.io/a/f:/x: h.corp/x/f\n\
            q.io/a/g: $UNSET/x/g\n\
            q.io/a/h: $HARBOR//g\n\
            q.io/A/i: u:s3cret@h.corp/x/i\n\
            q.io/a/j:1: u:s3cret@h.corp/x/i\n\
            q.io/a/k: h.corp/x/k:/1/\n\
            https://q.io/a/l: h.corp/x/l\n";
        let error = read(text, TargetUse::Name).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(
            !shown.contains("s3cret") && !shown.contains("8443"),
            "{shown}"
        );
        assert_eq!(
            error.to_string(),
            "image list `i.yaml` has 11 invalid lines; nothing was done\n  \
             line 1: `h.corp/x/b:1`: has a tag, but the source keeps the tags that it selects\n  \
             line 2: `h.corp/x/c:1`: has 1 tag for 2 of the source; they belong together by their order\n  \
             line 3: `q.io/a/d:1,-`: `-` is not a valid tag\n  \
             line 4: `q.io/a/e:/(/`: the regular expression cannot be used: unclosed group\n  \
             line 5: `q.io/a/f:/x`: a regular expression for tags is written `:/REGEX/`\n  \
             line 6: `$UNSET/x/g`: the variable `$UNSET` is not set\n  \
             line 7: `$HARBOR//g`: is not a name of images once its variables are replaced\n  \
             line 8: `q.io/A/i`: uppercase letter in repository name\n  \
             line 9: `***@h.corp/x/i`: has a login in it\n  \
             line 10: `h.corp/x/k:/1/`: repository name `x/k:/1/` has `k:`, which is not a valid path component\n  \
             line 11: `https://q.io/a/l`: `https://q.io/a/l` is a URL; write it without `https://`"
        );
    }

    #[test]
    fn the_tags_of_patterns_cannot_have_one_target() {
        let text = "a/x:/^1/: h.corp/p/x\nb/x:1.0: [h.corp/p/x, g.corp/x]\n";
        let list = read(text, TargetUse::Keep).unwrap();
        let tags = |_: &_| Ok::<_, ()>(vec!["1.0".parse().unwrap(), "1.1".parse().unwrap()]);
        let error = list.expand(&Registry::docker_hub(), tags).unwrap_err();
        let said = error.to_string();
        assert!(
            said.ends_with("goes to `h.corp/p/x:1.0`, where `a/x:1.0` of i.yaml:1 goes"),
            "{said}"
        );
    }

    #[test]
    fn two_images_cannot_have_one_target() {
        let text = "a/x:1: h.corp/p/x\nb/x:1: g.corp/p/x\n";
        let error = read(text, TargetUse::Name).unwrap_err().to_string();
        assert!(
            error.contains("line 2: `b/x:1`: goes to `p/x:1`, where `a/x:1` of i.yaml:1 goes"),
            "{error}"
        );
        check(
            text,
            TargetUse::Keep,
            "a/x:1 to=h.corp/p/x\nb/x:1 to=g.corp/p/x\n",
        );
        let text = "a/x:1: [h.corp/p/x, g.corp/p/x]\nb/x:1: h.corp/p/x:1\ndocker.io/a/x:1: [g.corp/p/x, i.corp/x]\n";
        let error = read(text, TargetUse::Keep).unwrap_err().to_string();
        assert!(error.ends_with("has 1 invalid line; nothing was done\n  line 2: `b/x:1`: goes to `h.corp/p/x:1`, where `a/x:1` of i.yaml:1 goes"), "{error}");
        let folded = "a/x:1: h.corp/p/x\ndocker.io/a/x:1: h.corp/p/x\n";
        check(folded, TargetUse::Keep, "a/x:1 to=h.corp/p/x\n");
    }
}
