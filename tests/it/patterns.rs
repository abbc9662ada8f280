//! Patterns for tags, in lists and on the command line.

use std::path::Path;

use hod_store::Store;

use hod_testkit::env::TestEnv;
use hod_testkit::faults::{Effect, Fault, path_contains};
use hod_testkit::images::{Image, image, repository, tag};
use hod_testkit::referrers::{cosign_tag, signatures};
use hod_testkit::registry::TestRegistry;

const TAGS: [&str; 8] = [
    "1.9.0",
    "v1.10.0",
    "1.10-alpine",
    "2.0.0-rc.1",
    "2.0.0",
    "latest",
    "nightly-9",
    "nightly-10",
];

/// A registry with every tag in `app/web` and in `app/api`, each of another image, and a signature.
fn source() -> TestRegistry {
    let registry = TestRegistry::start();
    for (n, tag) in (0..).zip(TAGS) {
        registry.add(&format!("app/web:{tag}"), &image(n));
        registry.add(&format!("app/api:{tag}"), &image(100 + n));
    }
    let signature = cosign_tag(image(0).digest(), "sig");
    registry.add(&format!("app/web:{signature}"), &signatures(&[9]));
    registry
}

fn of_tag(tag: &str) -> Image {
    let at = TAGS.iter().position(|known| *known == tag).unwrap();
    image(at as u64)
}

/// The names of all images of a store but signatures, a blank between them.
fn names(path: &Path) -> String {
    let images = Store::open(path).unwrap().images().unwrap().images;
    let mut names: Vec<String> = images
        .iter()
        .filter_map(|image| Some(format!("{}:{}", image.repository, image.tag.as_ref()?)))
        .collect();
    names.retain(|name| !name.contains(":sha256-"));
    names.sort();
    names.join(" ")
}

#[test]
fn a_pattern_of_a_list_is_its_tags() {
    for (line, expect) in [
        ("app/web:>=1.2 <2", "app/web:1.9.0 app/web:v1.10.0"),
        ("app/web:>=1.2 <2 team/site limit=1", "team/site:v1.10.0"),
        (r"app/web:~nightly-\d+ limit=1", "app/web:nightly-10"),
        (r"app/web:~1\.10.* as=web", "web:1.10-alpine"),
        (
            "app/web:* limit=3",
            "app/web:2.0.0 app/web:2.0.0-rc.1 app/web:v1.10.0",
        ),
        ("app/web:^1\napp/web:1.9.0", "app/web:1.9.0 app/web:v1.10.0"),
        (
            "app/web:^1\napp/api:2.0.0\napp/web:=1.9",
            "app/api:2.0.0 app/web:1.9.0 app/web:v1.10.0",
        ),
    ] {
        let (env, registry) = (TestEnv::in_memory(), source());
        env.write("list.txt", line);
        let command = format!(
            "pull list.txt --store s --source {} --no-referrers",
            registry.host()
        );
        let pulled = env.run_line(&command).success();
        assert_eq!(names(&env.path("s")), expect, "{line}\n{}", pulled.stderr);
        let n_lists = registry.count("GET", path_contains("app/web/tags/list"));
        assert_eq!(n_lists, 1, "{line}");
    }
}

#[test]
fn the_tags_of_referrers_are_no_images() {
    let (env, registry) = (TestEnv::in_memory(), source());
    env.write("list.txt", "app/web:*");
    let command = format!(
        "pull list.txt --store s --source {} --report r.json",
        registry.host()
    );
    env.run_line(&command).success();
    let report: serde_json::Value = serde_json::from_str(&env.read("r.json")).unwrap();
    let images = report["images"].as_array().unwrap();
    let images: Vec<&str> = images
        .iter()
        .map(|i| i["image"].as_str().unwrap())
        .collect();
    let oldest_first = [
        "latest",
        "nightly-9",
        "nightly-10",
        "1.9.0",
        "1.10-alpine",
        "v1.10.0",
        "2.0.0-rc.1",
        "2.0.0",
    ];
    assert_eq!(images, oldest_first.map(|tag| format!("app/web:{tag}")));
    let signature = cosign_tag(image(0).digest(), "sig");
    let store = Store::open(&env.path("s")).unwrap();
    let carried = store.resolve_tag(&repository("app/web"), &tag(&signature));
    assert!(carried.unwrap().is_some(), "it is carried with its image");
}

#[test]
fn a_lock_names_the_tags() {
    let (env, registry) = (TestEnv::in_memory(), source());
    env.write("list.txt", "app/web:^1 limit=1\napp/api:latest");
    let pull = format!("pull --source {} -q", registry.host());
    env.run_line(&format!("{pull} list.txt --store s --lock a.lock"))
        .success();
    let locked = env.read("a.lock");
    let digest = of_tag("v1.10.0").digest().to_string();
    assert!(
        locked.contains(&format!("app/web:v1.10.0@{digest}")),
        "{locked}"
    );
    registry.add("app/web:1.11.0", &image(50));
    env.run_line("pull a.lock --store t -q").success();
    assert_eq!(names(&env.path("s")), names(&env.path("t")));
}

#[test]
fn a_pattern_that_matches_nothing_fails_alone_and_is_tried_again() {
    let (env, registry) = (TestEnv::in_memory(), source());
    let list = "app/web:>=9 limit=2\napp/api:~1\\.9\napp/api:~1\\.9\\.0 platform=all\nno/such:*\n";
    env.write("list.txt", list);
    let pull = format!("pull list.txt --store s --source {}", registry.host());
    let failed = env
        .run_line(&format!("{pull} --retry-list retry.txt --report r.json"))
        .exits(3);
    assert_eq!(names(&env.path("s")), "app/api:1.9.0");
    for expect in [
        "app/web:>=9: no tag matches; the repository has 8 tags",
        "for the same reason: app/api:~1\\.9",
        "no/such:*: repository not found",
        "The newest tags are `1.9.0`, `1.10-alpine`, `v1.10.0`, `2.0.0-rc.1`, `2.0.0`",
    ] {
        let said: Vec<&str> = failed.stderr.split_whitespace().collect();
        assert!(
            said.join(" ").contains(expect),
            "{expect}\n{}",
            failed.stderr
        );
    }
    let retry = env.read("retry.txt");
    assert_eq!(
        retry.lines().skip(1).collect::<Vec<_>>(),
        ["app/web:>=9 limit=2", "app/api:~1\\.9", "no/such:*"]
    );
    let report: serde_json::Value = serde_json::from_str(&env.read("r.json")).unwrap();
    assert_eq!(report["images"][0]["error"]["class"], "not-found");
    // Nothing but refusals, as of missing tags.
    env.write("list.txt", "app/web:>=9");
    env.run_line(&pull).exits(5);
}

#[test]
fn a_failed_image_of_a_pattern_is_retried_with_its_options() {
    let (env, registry) = (TestEnv::in_memory(), source());
    registry.fail(Fault::on("GET", path_contains("manifests/v1.10.0")).does(Effect::Status(404)));
    env.write("list.txt", "app/web:^1 team/site platform=all limit=2\n");
    let pull = format!("pull list.txt --store s --source {}", registry.host());
    env.run_line(&format!("{pull} --retry-list retry.txt"))
        .exits(3);
    let retry = env.read("retry.txt");
    assert!(
        retry.ends_with("\napp/web:v1.10.0 team/site platform=all\n"),
        "{retry}"
    );
}

#[test]
fn a_pattern_may_be_an_argument() {
    let (env, registry) = (TestEnv::in_memory(), source());
    let host = registry.host();
    let pattern = format!("{host}/app/web:>=1.2 <2 limit=1");
    env.run([
        "pull",
        &pattern,
        "app/api:~nightly-.*",
        "--store",
        "s",
        "--source",
        host,
    ])
    .success();
    let stored = names(&env.path("s"));
    let own = format!("{}/app/web:v1.10.0", host.replace(':', "_"));
    assert!(
        stored.contains(&own) && stored.contains("app/api:nightly-9"),
        "{stored}"
    );
    let target = TestRegistry::start();
    let pattern = format!("docker://{host}/app/web:~1\\.9.*");
    env.run(["copy", &pattern, target.host(), "--strip-host"])
        .success();
    assert_eq!(names(target.store().path()), "app/web:1.9.0");
    let dry = env.run(["copy", &pattern, target.host(), "--dry-run", "--strip-host"]);
    assert!(dry.success().stdout.contains("app/web:1.9.0"));
}

#[test]
fn a_bad_pattern_is_refused_before_anything_is_asked() {
    let (env, registry) = (TestEnv::in_memory(), source());
    let host = registry.host();
    env.write("list.txt", "a:~[\nb:1\nc:*-alpine\nd:>=latest x\n");
    let line = format!("pull list.txt --store s --source {host}");
    let refused = env.run_line(&line).exits(2);
    for expect in [
        "image list `list.txt` has 3 invalid lines",
        "line 1: `a:~[`: the regular expression cannot be used",
        "line 3: `c:*-alpine`: only `*` alone is a pattern",
        "line 4: `d:>=latest`: `latest` is not a version",
        "Did you mean `c:~.*-alpine`?",
    ] {
        assert!(
            refused.stderr.contains(expect),
            "{expect}\n{}",
            refused.stderr
        );
    }
    let refused = env
        .run(["pull", "a:~[", "--store", "s", "--source", host])
        .exits(2);
    let expect = "the command line has 1 invalid image; nothing was done\n  image 1: `a:~[`";
    assert!(refused.stderr.contains(expect), "{}", refused.stderr);
    assert!(registry.seen().is_empty());
}

#[test]
fn images_of_patterns_that_contradict_other_lines_are_refused() {
    let (env, registry) = (TestEnv::in_memory(), source());
    env.write(
        "list.txt",
        "app/web:1.9.0 platform=all\napp/web:^1 platform=linux/arm64\n",
    );
    let line = format!("pull list.txt --store s --source {}", registry.host());
    let refused = env.run_line(&line).exits(2);
    let expect = "line 2: `app/web:1.9.0`: is listed at list.txt:1 with other platforms";
    assert!(refused.stderr.contains(expect), "{}", refused.stderr);
}

#[test]
fn a_local_source_is_asked_for_the_tags_that_it_has() {
    let (env, registry) = (TestEnv::in_memory(), source());
    env.write("all.txt", "app/web:*\napp/api:2.0.0\n");
    env.run_line(&format!(
        "pull all.txt --store s --source {} -q",
        registry.host()
    ))
    .success();
    env.write("list.txt", "app/web:>=1.2 <2\napp/api:* limit=1");
    env.run_line("pack s --output s.tar").success();
    env.run_line("select list.txt --store s --output tree")
        .success();
    env.run_line("pack list.txt --store s --output some.tar")
        .success();
    env.run_line("export s --only list.txt --format oci --output oci")
        .success();
    let expect = "app/api:2.0.0 app/web:1.9.0 app/web:v1.10.0";
    for source in ["s", "s.tar", "tree", "some.tar", "oci"] {
        let target = TestRegistry::start();
        let line = format!(
            "push {source} {} --only list.txt --no-referrers",
            target.host()
        );
        env.run_line(&line).success();
        assert_eq!(names(target.store().path()), expect, "{source}");
    }
    let mut piped = env.hod();
    let target = TestRegistry::start();
    let bundle = std::process::Stdio::from(hod_fsx::open(&env.path("s.tar")).unwrap());
    piped.args([
        "push",
        "-",
        target.host(),
        "--only",
        "list.txt",
        "--no-referrers",
    ]);
    hod_testkit::env::finish(piped.stdin(bundle)).success();
    assert_eq!(names(target.store().path()), expect, "from a pipe");
    env.write("list.txt", "app/web:>=1.2 <2\napp/web:>=9\nno/such:*");
    let refused = env
        .run_line(&format!("push s {} --only list.txt", target.host()))
        .exits(5);
    let expect = "2 of 4 images are not in `s`; nothing was done\n  app/web:>=9\n  no/such:*";
    assert!(refused.stderr.contains(expect), "{}", refused.stderr);
}

#[test]
fn patterns_name_lines_and_what_a_receipt_covers() {
    let (env, registry) = (TestEnv::in_memory(), source());
    let host = registry.host();
    env.write("list.txt", "app/web:^1\nno/such:*");
    let line = format!("receipt {host} --list list.txt --output r.json");
    let receipt = env.run_line(&line).success();
    assert!(
        receipt.stderr.contains("no/such:*: not found"),
        "{}",
        receipt.stderr
    );
    let text = env.read("r.json");
    for tag in TAGS {
        let is_there = text.contains(of_tag(tag).digest().as_str());
        assert_eq!(is_there, ["1.9.0", "v1.10.0"].contains(&tag), "{tag}");
    }
    let pull = format!("pull --source {host} -q");
    env.run_line(&format!("{pull} app/web:1.9.0 --store old"))
        .success();
    env.run_line(&format!("{pull} list.txt --store new"))
        .exits(3);
    let diff = env.run_line("diff old new --list list.txt").success();
    assert!(diff.stdout.contains("list.txt:1"), "{}", diff.stdout);
}

#[test]
fn a_registry_with_endless_tags_does_not_fill_the_memory() {
    let (env, registry) = (TestEnv::in_memory(), source());
    let tags: Vec<String> = (0..10_001).map(|n| format!("\"t{n}\"")).collect();
    let page: &str = format!("{{\"name\":\"app/web\",\"tags\":[{}]}}", tags.join(",")).leak();
    registry.fail(Fault::on("GET", path_contains("web/tags/list")).does(Effect::Page(200, page)));
    let pull = |pattern: &str| {
        env.run([
            "pull",
            pattern,
            "--store",
            "s",
            "--source",
            registry.host(),
            "--dry-run",
        ])
    };
    let refused = pull("app/web:*").exits(5);
    let expect = "app/web:*: 10001 tags match, but at most 10000 are allowed";
    assert!(refused.stderr.contains(expect), "{}", refused.stderr);
    assert!(
        pull("app/web:* limit=1")
            .exits(5)
            .stderr
            .contains("app/web:t10000")
    );
}
