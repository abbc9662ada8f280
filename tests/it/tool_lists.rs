//! The files of skopeo and image-syncer as lists.

use std::fmt::Write as _;

use hod_store::Store;
use hod_testkit::env::{Output, TestEnv, finish};
use hod_testkit::images::image;
use hod_testkit::registry::{Auth, RegistryOptions, TestRegistry};

const TAGS: [&str; 7] = [
    "1.0.0",
    "1.1.0",
    "1.10.0",
    "2.0.0-rc1",
    "v1.2",
    "latest",
    "weird_tag",
];

/// A registry with every tag in `app/web`, each of another image.
fn source(auth: Auth) -> TestRegistry {
    let registry = TestRegistry::with(RegistryOptions {
        auth,
        ..RegistryOptions::default()
    });
    for (n, tag) in (0..).zip(TAGS) {
        registry.add(&format!("app/web:{tag}"), &image(n));
    }
    registry
}

fn run(env: &TestEnv, line: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = env.hod();
    command.args(line.split_whitespace());
    finish(command.envs(variables.iter().copied()))
}

/// The names of all images of a store, without the host in front of them.
fn names(env: &TestEnv, store: &str, host: &str) -> String {
    let images = Store::open(&env.path(store)).unwrap().images().unwrap();
    let component = format!("{}/", host.replace(':', "_"));
    let mut names: Vec<String> = images
        .images
        .iter()
        .map(|image| {
            let name = image.repository.as_str();
            let name = name.strip_prefix(&component).unwrap_or(name);
            match &image.tag {
                Some(tag) => format!("{name}:{tag}"),
                None => format!("{name}@{}", image.digest),
            }
        })
        .collect();
    names.sort();
    names.join(" ")
}

#[test]
fn the_sections_of_skopeo_choose_what_skopeo_copies() {
    let registry = source(Auth::Open);
    let host = registry.host();
    let releases = "1.0.0 1.1.0 1.10.0 v1.2";
    let all = "1.0.0 1.1.0 1.10.0 2.0.0-rc1 latest v1.2 weird_tag";
    for (section, value, expect) in [
        ("images", "[1.0.0, \"1.10.0\", v1.2]", "1.0.0 1.10.0 v1.2"),
        ("images", "[]", all),
        ("images", "", all),
        ("images-by-tag-regex", r"^1\.", "1.0.0 1.1.0 1.10.0"),
        ("images-by-tag-regex", r"_|\d-rc", "2.0.0-rc1 weird_tag"),
        ("images-by-tag-regex", r"'^\Q1.1.\E\d$'", "1.1.0"),
        ("images-by-semver", "^1.0", releases),
        ("images-by-semver", "'*'", releases),
        ("images-by-semver", "1.x", releases),
        ("images-by-semver", "1", releases),
        ("images-by-semver", "'>=1.0.0'", releases),
        ("images-by-semver", "~1.1", "1.1.0"),
        ("images-by-semver", "'>=2.0.0-0'", "2.0.0-rc1"),
        ("images-by-semver", "1.0.0 - 1.1.0", "1.0.0 1.1.0"),
        ("images-by-semver", "'!=1.0.0'", "1.1.0 1.10.0 v1.2"),
        ("images-by-semver", "1.1.0 || 1.0.0", "1.0.0 1.1.0"),
        ("images-by-semver", "'>1.0 <1.5'", "1.1.0 v1.2"),
        ("images-by-semver", "'>1.0, <1.5'", "1.1.0 v1.2"),
        ("images-by-semver", "=1.2", "v1.2"),
        ("images-by-semver", "v1.2", "v1.2"),
    ] {
        let env = TestEnv::in_memory();
        let file = format!("{host}:\n  {section}:\n    app/web: {value}\n");
        env.write("sync.yaml", &file);
        let pulled = env.run_line("pull sync.yaml --store s").success();
        let expect: Vec<String> = expect
            .split(' ')
            .map(|tag| format!("app/web:{tag}"))
            .collect();
        assert_eq!(
            names(&env, "s", host),
            expect.join(" "),
            "{file}{}",
            pulled.stderr
        );
    }
}

#[test]
fn a_file_of_skopeo_is_a_list_for_every_verb() {
    let (env, registry) = (TestEnv::in_memory(), source(Auth::Open));
    let host = registry.host();
    let digest = image(1).digest().to_string();
    let file = format!(
        "# two sections\n\"{host}\":\n  tls-verify: false\n  images:\n    app/web:\n      - latest\n\
         \x20     - {digest}\n  images-by-semver:\n    app/web: \">= 1.10\"\n"
    );
    env.write("sync.yml", &file);
    let _ = env.run_line("pull sync.yml --store s").success();
    let expect = format!("app/web:1.10.0 app/web:latest app/web@{digest}");
    assert_eq!(names(&env, "s", host), expect);
    let listed = env.run_line("ls s --only sync.yml").success();
    assert_eq!(listed.stdout.lines().count(), 4, "{}", listed.stdout);

    env.write(
        "less.yml",
        format!("{host}: {{images: {{app/web: [latest]}}}}\n"),
    );
    let select = "select less.yml --store s --output tree";
    let _ = env.run_line(select).success();
    assert_eq!(names(&env, "tree", host), "app/web:latest");
    let pack = "pack less.yml --store s --output b.tar --no-tool";
    let _ = env.run_line(pack).success();
    let _ = env.run_line("unpack b.tar --output unpacked").success();
    assert_eq!(names(&env, "unpacked", host), "app/web:latest");
    let copy = "copy less.yml oci-archive:o.tar";
    let _ = env.run_line(copy).success();
    let _ = env.run_line("verify less.yml").success();
}

#[test]
fn pairs_of_image_syncer_are_named_by_their_only_destination() {
    let (env, registry) = (TestEnv::in_memory(), source(Auth::Open));
    let host = registry.host();
    let digest = image(5).digest().to_string();
    let pairs = [
        (
            format!("{host}/app/web:1.0.0,1.1.0"),
            "\"h.corp:8443/a/web:one,two\"".to_owned(),
        ),
        (
            format!("{host}/app/web:/^1\\.10/"),
            "[\"$PLACE/b/web\"]".to_owned(),
        ),
        (
            format!("{host}/app/web@{digest}"),
            "\"h.corp/c/web:by-digest\"".to_owned(),
        ),
        (
            format!("{host}/app/web:v1.2"),
            "[\"h.corp/d/web\", \"g.corp/e/web:x\"]".to_owned(),
        ),
    ];
    let json: Vec<String> = pairs
        .iter()
        .map(|(from, to)| format!("\t\"{}\": {to}", from.replace('\\', "\\\\")))
        .collect();
    let json = format!("{{\n{}\n}}\n", json.join(",\n"));
    let yaml: Vec<String> = pairs
        .iter()
        .map(|(from, to)| format!("{from}: {to}"))
        .collect();
    let yaml = yaml.join("\n");
    let config = format!("{{\"auth\": {{}}, \"images\": {json}}}");
    for (file, text) in [("i.json", json), ("i.yaml", yaml), ("config.json", config)] {
        env.write(file, &text);
        let line = format!("pull {file} --store {file}.store");
        let _ = run(&env, &line, &[("PLACE", "${HOME}.corp")]).exits(2);
        let _ = run(&env, &line, &[]).exits(2);
        let _ = run(&env, &line, &[("PLACE", "h.corp:99")]).success();
        assert_eq!(
            names(&env, &format!("{file}.store"), host),
            "a/web:one a/web:two app/web:v1.2 b/web:1.10.0 c/web:by-digest",
        );
        let select = format!("select {file} --store {file}.store --output {file}.tree");
        let _ = run(&env, &select, &[("PLACE", "h.corp:99")]).success();
    }
}

#[test]
fn a_login_of_a_file_is_for_its_registry() {
    let (user, password) = ("robot".to_owned(), "s3cret-word".to_owned());
    let registry = source(Auth::Basic { user, password });
    let host = registry.host();
    let login = "{username: robot, password: s3cret-word}";
    let skopeo = format!("{host}:\n  credentials: {login}\n  images: {{app/web: [latest]}}\n");
    let syncer = format!(
        "auth:\n  {host}/app: {login}\n  h.corp: {login}\nimages:\n  {host}/app/web:latest: h.corp/x\n"
    );
    for text in [skopeo, syncer] {
        let env = TestEnv::in_memory();
        env.write("sync.yaml", &text);
        let pulled = env.run_line("pull sync.yaml --store s").success();
        assert!(
            pulled.stderr.contains(" is from sync.yaml:"),
            "{}",
            pulled.stderr
        );
        assert!(
            !pulled.stderr.contains("h.corp` is from"),
            "{}",
            pulled.stderr
        );
        let said = format!("{}{}", pulled.stdout, pulled.stderr);
        assert!(!said.contains("s3cret"), "{said}");

        // What the user gives for the run comes first.
        let own = [("HOD_USERNAME", "robot"), ("HOD_PASSWORD", "wrong-word")];
        let refused = run(&env, "pull sync.yaml --store s2", &own).exits(5);
        assert!(!refused.stderr.contains("s3cret"), "{}", refused.stderr);

        // So does a file of logins.
        env.write("auth.json", "{}");
        let refused = run(&env, "pull sync.yaml --store s2 --authfile auth.json", &[]).exits(5);
        assert!(
            !refused.stderr.contains(" is from sync.yaml:"),
            "{}",
            refused.stderr
        );

        // A login is for the images of its file only.
        env.write("plain.txt", format!("{host}/app/web:latest\n"));
        let refused = env.run_line("pull plain.txt --store s3").exits(5);
        assert!(!refused.stderr.contains("s3cret"), "{}", refused.stderr);
    }
}

#[test]
fn what_is_not_used_of_a_file_is_warned_of() {
    let (env, registry) = (TestEnv::in_memory(), source(Auth::Open));
    let host = registry.host();
    let file = format!(
        "{host}:\n  tls-verify: false\n  cert-dir: /certs\n  image: x\n  images: {{app/web: [latest]}}\n"
    );
    env.write("sync.yaml", file);
    let pulled = env.run_line("pull sync.yaml --store s").success();
    for said in [
        "`cert-dir` is not used".to_owned(),
        format!("sync.yaml:4: the key `image` of `{host}` is unknown, and ignored"),
    ] {
        assert!(pulled.stderr.contains(&said), "{}", pulled.stderr);
    }
}

/// What is said of a file that cannot be used, without anything being asked or made.
fn refused(text: &[u8]) -> String {
    let env = TestEnv::in_memory();
    env.write("sync.yaml", text);
    let output = env.run_line("pull sync.yaml --store store").exits(2);
    assert_eq!(output.stdout, "");
    assert!(!env.path("store").exists());
    for secret in ["s3cret", "\u{1b}[", "\u{7}"] {
        assert!(!output.stderr.contains(secret), "{}", output.stderr);
    }
    output.stderr
}

#[test]
fn everything_wrong_with_a_file_is_told_at_once() {
    let skopeo = b"quay.io:\n  images:\n    Redis: [1]\n    redis: v1\n    etcd: [\".1\", v3]\n\
        \x20 images-by-tag-regex: {a: \"(\"}\n  images-by-semver: {b: latest}\n\
        \x20 credentials: {username: admin, password: [s3cret]}\n";
    insta::assert_snapshot!(refused(skopeo), @"
    error: image list `sync.yaml` has 7 invalid lines; nothing was done
      line 3: `quay.io/Redis`: uppercase letter in repository name
      line 4: `redis`: has a string where a list of tags is expected: `[TAG, …]`
      line 5: `quay.io/etcd:.1`: `.1` is not a valid tag
      line 6: `a: (`: the regular expression cannot be used: unclosed group
      line 7: `b: latest`: `latest` is not a version
      line 8: `quay.io: password`: is a list where a string is expected
      line 8: `quay.io: credentials`: has a `username` without a `password`

    hint: In a file for `skopeo sync`, each registry has `images` (for each repository a list of tags or
          digests, none for all tags), `images-by-tag-regex` (a regular expression) or
          `images-by-semver` (a range of versions).
    ");
    let syncer =
        b"{\n\"quay.io/a/b\": \"h.corp/a/b:1\",\n\"quay.io/a/c:1,2\": [\"h.corp/c:1\", {}],\n\
        \"quay.io/a/d\": \"$UNSET_HERE/d\",\n\"quay.io/a/e\": \"admin:s3cret@h.corp/e\"\n}\n";
    insta::assert_snapshot!(refused(syncer), @"
    error: image list `sync.yaml` has 5 invalid lines; nothing was done
      line 2: `h.corp/a/b:1`: has a tag, but the source keeps the tags that it selects
      line 3: `quay.io/a/c:1,2`: has a mapping where a destination is expected
      line 3: `h.corp/c:1`: has 1 tag for 2 of the source; they belong together by their order
      line 4: `$UNSET_HERE/d`: the variable `$UNSET_HERE` is not set
      line 5: `***@h.corp/e`: has a login in it

    hint: In a file for image-syncer, images are pairs `SOURCE: DESTINATION` or
          `SOURCE: [DESTINATION, …]`. A source ends with `:TAG`, `:TAG,TAG`, `:/REGEX/`, `@DIGEST`, or
          none of them for all tags.
    ");
}

#[test]
fn a_damaged_file_is_told_from_a_list() {
    let damaged = b"quay.io:\n  images:\n    redis: [1\n  credentials:\n    password: \"s3cret\n";
    insta::assert_snapshot!(refused(damaged), @"
    error: image list `sync.yaml` has 1 invalid line; nothing was done
      line 4: is not valid YAML: illegal placement of ':' indicator

    hint: In a file for `skopeo sync`, each registry has `images` (for each repository a list of tags or
          digests, none for all tags), `images-by-tag-regex` (a regular expression) or
          `images-by-semver` (a range of versions).
    ");
}

#[test]
fn a_hostile_file_is_refused_quickly() {
    let mut bomb = "x: &a0 [s3cret]\n".to_owned();
    for n in 1..30 {
        let aliases = vec![format!("*a{}", n - 1); 9].join(",");
        writeln!(bomb, "x{n}: &a{n} [{aliases}]").unwrap();
    }
    let images = |text: &str| format!("quay.io:\n  images:\n    {text}\n");
    let long = "9".repeat(100_000);
    for text in [
        images(&format!("a: [1]\n{bomb}")),
        images(&format!("a: {}1{}", "[".repeat(200), "]".repeat(200))),
        images(&format!("a: {}", "[".repeat(100_000))),
        images(&format!("a: [{long}]")),
        images(&format!("{long}: [1]")),
        images("a: [\"\\e[2J\\a\"]"),
        images("\"\\e[2J\\a\": [1]"),
        images("a: [admin:s3cret@h.io/x]"),
        format!("\"quay.io\\e[2J\":\n  images-by-semver: {{a: \"{long}\"}}\n"),
        "quay.io:\n  images-by-tag-regex: {a: \"(a{1000}){1000}\"}\n".to_owned(),
        format!("quay.io/a/b: \"h.corp/x:{long}\"\n"),
        format!("{{\"quay.io/a/b:{long},\\u001b[2J\": \"h.corp/x\"}}"),
        format!("quay.io/a/b: [{}]", "h.corp/x,".repeat(400_000)),
    ] {
        let said = refused(text.as_bytes());
        assert!(said.len() < 2000, "{said}");
    }
}
