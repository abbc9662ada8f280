//! What `registries.conf` says, rule by rule.

use super::*;

fn conf(text: &str) -> Result<RegistriesConf, RegistriesConfError> {
    RegistriesConf::parse(&[ConfFile {
        name: "/r.conf",
        text,
        aliases: Aliases::Heed,
    }])
}

/// The places of a reference, `!` for insecure, `*` for mirrors.
fn places(conf: &RegistriesConf, reference: &str) -> String {
    let reference: Reference = reference.parse().unwrap();
    let registry = reference.registry.clone().unwrap();
    let name = reference.remote_names(&registry).remove(0);
    let at = match (reference.digest, reference.tag) {
        (Some(digest), _) => ManifestRef::Digest(digest),
        (None, Some(tag)) => ManifestRef::Tag(tag),
        (None, None) => ManifestRef::Tag(hod_oci::Tag::latest()),
    };
    match conf.places(&Repo { registry, name }, Some(&at)) {
        Ok(found) => {
            let places = found.places.iter().map(|place| {
                let mark = if place.insecure { "!" } else { "" };
                let star = if place.mirror.is_some() { "*" } else { "" };
                format!("{star}{}{mark}", place.repo)
            });
            places.collect::<Vec<_>>().join(" ")
        }
        Err(error) => error.to_string(),
    }
}

const DIGEST: &str = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn prefixes_locations_and_mirrors() {
    let text = r#"
unqualified-search-registries = ["docker.io"]
short-name-mode = "enforcing"

[[registry]]
location = "docker.io"
[[registry.mirror]]
location = "mirror.corp/hub"
[[registry.mirror]]
location = "local:5000"
insecure = true

[[registry]]
prefix = "docker.io/library"
location = "docker.io/library"
mirror-by-digest-only = true
[[registry.mirror]]
location = "official.corp"

[[registry]]
prefix = "*.example.com"
[[registry.mirror]]
location = "wild.corp"
pull-from-mirror = "digest-only"
[[registry.mirror]]
location = "tags.corp"
pull-from-mirror = "tag-only"

[[registry]]
prefix = "quay.io/moved"
location = "new.corp/team"
insecure = true

[[registry]]
prefix = "quay.io/moved/app:2"
location = "two.corp/team/app:2"

[[registry]]
location = "bad.corp"
blocked = true
"#;
    // A location with a tag cannot be contacted.
    let error = conf(text).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`/r.conf`: `two.corp/team/app:2` is not a location of the form `host[:port][/path]`"
    );
    let text = text.replace("two.corp/team/app:2", "two.corp/team/app");
    let conf = conf(&text).unwrap();
    let check = |reference: &str, expect: &str| {
        assert_eq!(places(&conf, reference), expect, "{reference}");
    };
    check(
        "docker.io/grafana/loki:1",
        "*mirror.corp/hub/grafana/loki *local:5000/grafana/loki! docker.io/grafana/loki",
    );
    // Only the longest matching prefix counts.
    check("docker.io/redis:7", "docker.io/library/redis");
    check(
        &format!("docker.io/redis{DIGEST}"),
        "*official.corp/redis docker.io/library/redis",
    );
    check(
        "docker.io/libraryx/redis:7",
        "*mirror.corp/hub/libraryx/redis *local:5000/libraryx/redis! docker.io/libraryx/redis",
    );
    check("a.b.example.com/x:1", "*tags.corp/x a.b.example.com/x");
    check(
        &format!("a.b.example.com/x{DIGEST}"),
        "*wild.corp/x a.b.example.com/x",
    );
    check("example.com/x:1", "example.com/x");
    check("other.org/a.example.com/x:1", "other.org/a.example.com/x");
    check("quay.io/moved/app:1", "new.corp/team/app!");
    check("quay.io/moved/app:2", "two.corp/team/app");
    check("quay.io/movedx:1", "quay.io/movedx");
    check(
        "bad.corp/x:1",
        "`bad.corp/x:1` is blocked by the rule for `bad.corp` in `/r.conf`",
    );
    // Containers does so, too.
    check(
        "bad.corp:5000/x:1",
        "`bad.corp:5000/x:1` is blocked by the rule for `bad.corp` in `/r.conf`",
    );
    check("elsewhere.org/x:1", "elsewhere.org/x");
    assert_eq!(
        conf.insecure()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["local:5000", "new.corp"]
    );
}

#[test]
fn later_files_override_and_aliases_may_be_erased() {
    let file = |name, text, aliases| ConfFile {
        name,
        text,
        aliases,
    };
    let conf = RegistriesConf::parse(&[
        file(
            "/etc/1",
            "[[registry]]\nlocation='a.b'\nblocked=true\n[aliases]\n'app'='system.org/app'",
            Aliases::Ignore,
        ),
        file(
            "/home/2",
            "[[registry]]\nlocation='a.b'\n[[registry.mirror]]\nlocation='m.b'\n\
             [aliases]\n'tool'='corp.org/team/tool'\n'gone'='corp.org/gone'",
            Aliases::Heed,
        ),
        file("/home/3", "[aliases]\n'gone'=''", Aliases::Heed),
        file(
            "/old",
            "[registries.block]\nregistries=['c.d']\n[registries.insecure]\nregistries=['e.f']",
            Aliases::Heed,
        ),
    ])
    .unwrap();
    assert_eq!(places(&conf, "a.b/x:1"), "*m.b/x a.b/x");
    assert!(places(&conf, "c.d/x:1").contains("blocked"));
    assert_eq!(places(&conf, "e.f/x:1"), "e.f/x!");
    let alias = |name: &str| {
        let found = conf.alias(&name.parse().unwrap());
        found.map(|(target, file)| format!("{target} {file}"))
    };
    assert_eq!(alias("app"), None);
    assert_eq!(alias("tool").as_deref(), Some("corp.org/team/tool /home/2"));
    assert_eq!(alias("gone"), None);
    assert_eq!(conf.files().len(), 4);
}

#[test]
fn what_cannot_be_read_is_told_with_file_and_line() {
    #[track_caller]
    fn check(text: &str, expect: &str) {
        assert_eq!(
            conf(text).unwrap_err().to_string(),
            format!("`/r.conf`{expect}")
        );
    }
    check(
        "# x\n[[registry]]\nlocation = 7\n",
        ", line 3: invalid type: integer `7`, expected a string",
    );
    check(
        "[[registry]]\nprefix = 'a.b'\n",
        ": a registry has neither `location` nor a prefix of the form `*.host`",
    );
    check(
        "[[registry]]\nlocation = 'https://a.b'\n",
        ": `https://a.b` is not a location of the form `host[:port][/path]`",
    );
    check(
        "[[registry]]\nlocation = 'a.b'\nprefix = 'a.*.b'\n",
        ": prefix `a.*.b` has a `*` that is not at its start, as in `*.example.com`",
    );
    check(
        "[[registry]]\nlocation = 'a.b'\nmirror-by-digest-only = true\n[[registry.mirror]]\n\
         location = 'm'\npull-from-mirror = 'all'\n",
        ": `pull-from-mirror` of `m` is `all`, but must be `all`, `digest-only` or `tag-only`, \
         without `mirror-by-digest-only`",
    );
    check(
        "[aliases]\n'x' = 'a.b/x:1'\n",
        ": alias `x` must name a repository with its registry and without a tag",
    );
    assert!(conf("").unwrap().rules.is_empty());
}
