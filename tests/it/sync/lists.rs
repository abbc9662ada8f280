//! Lists, and the files of skopeo, brought to registries and other ends.

use serde_json::Value;

use super::{content, expect, requests, source};
use hod_testkit::env::{TestEnv, finish, program};
use hod_testkit::faults::{Effect, Fault, manifest_path, path_contains};
use hod_testkit::images::image;
use hod_testkit::registry::TestRegistry;

#[test]
fn each_image_goes_where_its_line_says_and_is_read_once() {
    let (env, from) = (TestEnv::in_memory(), source());
    let (a, b) = (TestRegistry::start(), TestRegistry::start());
    let (host, a_host, b_host) = (from.host(), a.host(), b.host());
    let list = format!(
        "# Two registries.\n\
         {host}/lab/web:1.0.0 to={a_host}/x/web to={b_host}/y/web:one\n\
         {host}/lab/web:~1\\.1.* to={a_host}/x/web\n\
         {host}/lab/web:>=2.0.0-0 to={b_host}/z/web to={b_host}/zz/web\n"
    );
    env.write("list.txt", list);
    let synced = env.run_line("sync list.txt").success();
    let x = ["1.0.0", "1.1.0", "1.1.5"].map(|tag| (format!("x/web:{tag}"), tag));
    let x: Vec<_> = x.iter().map(|(name, tag)| (name.as_str(), *tag)).collect();
    assert_eq!(content(&a), expect(&x), "{}", synced.stderr);
    let at_b = [
        ("y/web:one", "1.0.0"),
        ("z/web:2.0.0-rc1", "2.0.0-rc1"),
        ("zz/web:2.0.0-rc1", "2.0.0-rc1"),
    ];
    assert_eq!(content(&b), expect(&at_b));
    let mut read: Vec<String> = requests(&from);
    read.retain(|line| line.starts_with("GET") && line.contains("/blobs/"));
    let n_read = read.len();
    read.dedup();
    assert_eq!(read.len(), n_read, "{read:?}");
    // Of another tool is nothing here.
    assert!(!synced.stderr.contains("image-syncer"), "{}", synced.stderr);

    let mut piped = env.command("sh");
    let line = format!(
        "echo '{host}/lab/web:1.0.0 to={a_host}/piped:1' | {hod} sync -",
        hod = program().display()
    );
    let _ = finish(piped.args(["-c", &line])).success();
    assert!(
        content(&a)
            .iter()
            .any(|image| format!("{image:?}").contains("piped"))
    );
}

#[test]
fn an_unchanged_image_costs_one_request_at_each_side() {
    let (env, from) = (TestEnv::in_memory(), source());
    let (a, b) = (TestRegistry::start(), TestRegistry::start());
    let (host, a_host, b_host) = (from.host(), a.host(), b.host());
    let lines = TAGS_OF_LINES
        .map(|tag| format!("{host}/lab/web:{tag} to={a_host}/x/web to={b_host}/y/web\n"));
    env.write("list.txt", lines.concat());
    let line = "sync list.txt --no-referrers --json";
    let _ = env.run_line(line).success();
    for registry in [&from, &a, &b] {
        let _ = registry.take_seen();
    }
    let unchanged = env.run_line(line).success();
    let document: Value = serde_json::from_str(&unchanged.stdout).unwrap();
    let images = document["images"].as_array().unwrap();
    assert_eq!(images.len(), 6);
    for image in images {
        assert_eq!(image["status"], "unchanged", "{image}");
    }
    for (registry, repository) in [(&from, "lab/web"), (&a, "x/web"), (&b, "y/web")] {
        let heads = TAGS_OF_LINES.map(|tag| format!("HEAD /v2/{repository}/manifests/{tag}"));
        assert_eq!(requests(registry), heads);
    }

    // With referrers, the source is asked for new ones of each image, and for its tags once.
    let _ = env.run_line("sync list.txt").success();
    let gets = |line: &&String| line.starts_with("GET");
    let n_asked = requests(&from).iter().filter(gets).count();
    assert!(n_asked <= 4, "{n_asked}");
    assert_eq!(requests(&a).iter().filter(gets).count(), 0);

    // A changed image is carried, the rest is not looked at further.
    from.add("lab/web:1.1.0", &image(77));
    let _ = (requests(&from), requests(&a), requests(&b));
    let _ = env.run_line(line).success();
    let read = requests(&from);
    let manifests = |line: &&String| line.starts_with("GET") && line.contains("/manifests/");
    assert_eq!(read.iter().filter(manifests).count(), 1, "{read:?}");
    let puts = |line: &&String| line.starts_with("PUT") && line.contains("/manifests/");
    for registry in [&a, &b] {
        assert_eq!(requests(registry).iter().filter(puts).count(), 1);
    }
    // `--recheck` asks for everything anew.
    let _ = env.run_line(&format!("{line} --recheck")).success();
    assert!(requests(&a).len() > 3);
}

/// In the order of their texts.
const TAGS_OF_LINES: [&str; 3] = ["1.0.0", "1.1.0", "latest"];

#[test]
fn the_words_name_destinations_of_every_kind() {
    let (env, from) = (TestEnv::in_memory(), source());
    let (a, b) = (TestRegistry::start(), TestRegistry::start());
    let host = from.host();
    env.write(
        "sync.yaml",
        format!("{host}:\n  images-by-tag-regex: {{lab/web: '^1\\.1'}}\n  images: {{lab/web: [latest]}}\n"),
    );
    let line = format!(
        "sync sync.yaml {} {}/deep --strip-host dir:layouts store:store oci:oci",
        a.host(),
        b.host()
    );
    let _ = env.run_line(&line).success();
    let names = |prefix: &str| {
        let tags = ["1.1.0", "1.1.5", "latest"];
        let names = tags.map(|tag| (format!("{prefix}lab/web:{tag}"), tag));
        let names: Vec<_> = names
            .iter()
            .map(|(name, tag)| (name.as_str(), *tag))
            .collect();
        expect(&names)
    };
    assert_eq!(content(&a), names(""));
    assert_eq!(content(&b), names("deep/"));
    for end in ["dir:layouts", "store:store", "oci:oci"] {
        let listed = env.run_line(&format!("ls {end} --json")).success();
        let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
        assert_eq!(listed["images"].as_array().unwrap().len(), 3, "{end}");
    }
    // A second run, to ends that are asked what they have, reads no blob.
    let _ = from.take_seen();
    let line = format!("sync sync.yaml {} store:store --strip-host", a.host());
    let again = env.run_line(&line).success();
    assert_eq!(from.n_blob_gets(), 0, "{}", again.stderr);
}

#[test]
fn a_dry_run_says_what_would_be_copied() {
    let (env, from, to) = (TestEnv::in_memory(), source(), TestRegistry::start());
    let (host, to_host) = (from.host(), to.host());
    let list =
        format!("{host}/lab/web:1.0.0 to={to_host}/x/web\n{host}/lab/web:latest to={to_host}/y\n");
    env.write("list.txt", list);
    let planned = env.run_line("sync list.txt --dry-run").success();
    for name in ["x/web:1.0.0", "y:latest"] {
        let line = planned.stdout.lines().find(|line| line.contains(name));
        assert!(
            line.is_some_and(|line| line.ends_with("(new)")),
            "{}",
            planned.stdout
        );
    }
    assert!(content(&to).is_empty());
    let document = env.run_line("sync list.txt --dry-run --json").success();
    let document: Value = serde_json::from_str(&document.stdout).unwrap();
    assert_eq!(document["verb"], "sync");
    for image in document["images"].as_array().unwrap() {
        assert_eq!(
            (&image["status"], &image["target"]),
            (&"planned".into(), &"new".into())
        );
        assert_eq!(image["registry"], to_host);
    }
    assert!(content(&to).is_empty());
    assert_eq!(from.n_blob_gets(), 0);

    env.write(
        "more.txt",
        format!(
            "{}{host}/lab/none:1 to={to_host}/none\n",
            env.read("list.txt")
        ),
    );
    let _ = env.run_line("sync more.txt --dry-run").exits(3);
    assert!(content(&to).is_empty());
}

#[test]
fn what_fails_is_left_for_the_retry_list() {
    let (env, from) = (TestEnv::in_memory(), source());
    let (a, b) = (TestRegistry::start(), TestRegistry::start());
    let (host, a_host, b_host) = (from.host(), a.host(), b.host());
    let line = format!("{host}/lab/web:~1\\.1.* to={a_host}/x/web to={b_host}/y/web:/\n");
    let line = line.replace(":/\n", "\n");
    env.write(
        "list.txt",
        format!("{host}/lab/web:latest to={a_host}/l\n{line}"),
    );
    let is_one = path_contains("/manifests/1.1.5");
    b.fail(
        Fault::on("PUT", move |path| manifest_path(path) && is_one(path)).does(Effect::Status(500)),
    );
    let sync = "sync list.txt --retries 0 --retry-list retry.txt --json";
    let partly = env.run_line(sync).exits(3);
    let document: Value = serde_json::from_str(&partly.stdout).unwrap();
    let failed: Vec<_> = document["images"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|image| image["status"] == "failed")
        .collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["registry"], b_host);
    let left = env.read("retry.txt");
    let left: Vec<&str> = left.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(left, [format!("{host}/lab/web:1.1.5 to={b_host}/y/web")]);

    b.heal();
    let _ = (a.take_seen(), b.take_seen());
    let _ = env
        .run_line("sync retry.txt --retry-list rest.txt")
        .success();
    assert_eq!(requests(&a), [] as [String; 0]);
    assert_eq!(
        content(&b),
        expect(&[("y/web:1.1.0", "1.1.0"), ("y/web:1.1.5", "1.1.5")])
    );
    assert!(
        env.read("rest.txt")
            .lines()
            .all(|line| line.starts_with('#'))
    );
}

#[test]
fn what_cannot_be_used_fails_alone() {
    let (env, from, to) = (TestEnv::in_memory(), source(), TestRegistry::start());
    let (host, to_host) = (from.host(), to.host());
    let one = expect(&[("lab/web:latest", "latest")]);
    let bad = [
        // A repository that cannot be listed, and one that is not there.
        "images: {lab/none: [], lab/web: [latest]}",
        "images: {lab/none: [1], lab/web: [latest]}",
        // No name, no tag, no expression, no range.
        "images: {Lab/Web: [], lab/web: [latest]}",
        "images: {lab/web: [latest, 'a b']}",
        "images: {lab/web: [latest]}\n  images-by-tag-regex: {lab/web: '('}",
        "images: {lab/web: [latest]}\n  images-by-semver: {lab/web: 'one'}",
        // Nothing matches.
        "images: {lab/web: [latest]}\n  images-by-semver: {lab/web: '>9'}",
    ];
    for section in bad {
        let to = TestRegistry::start();
        env.write("sync.yaml", format!("{host}:\n  {section}\n"));
        let line = format!("sync sync.yaml {} --strip-host --retries 0", to.host());
        let partly = env.run_line(&line).exits(3);
        assert_eq!(content(&to), one, "{section}: {}", partly.stderr);
        let _ = env.run_line(&format!("{line} --fail-fast"));
    }
    // The same in a text list; the retry list says what is wrong where nothing can be tried again.
    env.write(
        "list.txt",
        format!("{host}/lab/web:latest to={to_host}/lab/web\n{host}/LAB/x:1 to={to_host}/y\n{host}/lab/web:1.0.0\n"),
    );
    let partly = env
        .run_line("sync list.txt --retry-list retry.txt")
        .exits(3);
    assert_eq!(content(&to), one);
    assert!(
        partly.stderr.contains("list.txt:2") && partly.stderr.contains("list.txt:3"),
        "{}",
        partly.stderr
    );
    let left = env.read("retry.txt");
    assert!(left.lines().all(|line| line.starts_with('#')), "{left}");
    assert_eq!(left.lines().count(), 3, "{left}");

    // Stopping at the first failure, a bad line is one.
    let stopped = TestRegistry::start();
    let host_too = env.read("list.txt").replace(to_host, stopped.host());
    env.write("stop.txt", host_too);
    let refused = env.run_line("sync stop.txt --fail-fast");
    assert!(matches!(refused.code, Some(2 | 3)), "{}", refused.stderr);
    assert!(content(&stopped).is_empty());

    // Nothing but bad lines is a bad list.
    env.write("bad.txt", "A:1\nB:2\n");
    let _ = env.run_line("sync bad.txt h.corp").exits(2);
}

#[test]
fn a_destination_that_cannot_be_used_does_not_hold_up_the_others() {
    let (env, from, to) = (TestEnv::in_memory(), source(), TestRegistry::start());
    let (host, to_host, dead) = (from.host(), to.host(), "127.0.0.1:1");
    env.write(
        "list.txt",
        format!("{host}/lab/web:latest to={dead}/x/web to={to_host}/x/web\n"),
    );
    let partly = env
        .run_line("sync list.txt --retries 0 --retry-list retry.txt")
        .exits(3);
    assert_eq!(content(&to), expect(&[("x/web:latest", "latest")]));
    assert!(partly.stderr.contains(dead), "{}", partly.stderr);
    let left = env.read("retry.txt");
    assert!(
        left.ends_with(&format!("{host}/lab/web:latest to={dead}/x/web\n")),
        "{left}"
    );

    env.write("plain.txt", format!("{host}/lab/web:1.0.0\n"));
    let line = format!("sync plain.txt {dead} {to_host} --strip-host --retries 0");
    let _ = env.run_line(&line).exits(3);
    assert_eq!(content(&to).len(), 2);
    let _ = env
        .run_line(&format!("sync plain.txt {dead} --retries 0"))
        .exits(5);
}

#[test]
fn a_file_that_goes_nowhere_is_a_mistake() {
    let (env, from) = (TestEnv::in_memory(), source());
    let host = from.host();
    env.write("list.txt", format!("{host}/lab/web:latest\n"));
    env.write(
        "sync.yaml",
        format!("{host}:\n  images: {{lab/web: [latest]}}\n"),
    );
    env.write("to.txt", format!("{host}/lab/web:latest to=h.corp/x\n"));
    for line in [
        "sync".to_owned(),
        "sync list.txt".to_owned(),
        "sync sync.yaml".to_owned(),
        format!("sync {host}"),
        "sync to.txt --strip-host".to_owned(),
        "sync --images a.json --config b.json".to_owned(),
        "sync --config none.json".to_owned(),
        "sync --images to.txt --platform linux/amd64 --arch amd64".to_owned(),
        "sync to.txt --proc 0".to_owned(),
    ] {
        let refused = env.run_line(&line).exits(2);
        assert!(refused.stdout.is_empty(), "{line}: {}", refused.stdout);
    }
    assert_eq!(from.n_blob_gets(), 0);
}

#[test]
fn two_images_for_one_place_are_told_and_not_mixed() {
    let (env, from, to) = (TestEnv::in_memory(), source(), TestRegistry::start());
    let (host, to_host) = (from.host(), to.host());
    let list = format!(
        "{host}/lab/web:1.0.0 to={to_host}/x:1\n{host}/lab/web:1.1.0 to={to_host}/x:1\n{host}/lab/web:latest to={to_host}/y\n"
    );
    env.write("list.txt", list);
    let _ = env.run_line("sync list.txt").exits(3);
    assert_eq!(
        content(&to),
        expect(&[("x:1", "1.0.0"), ("y:latest", "latest")])
    );
}

#[test]
fn a_hostile_file_cannot_harm() {
    let (env, to) = (TestEnv::in_memory(), TestRegistry::start());
    let to_host = to.host();
    let deep = "[".repeat(100_000);
    let mut bomb = "a0: &a0 [x, x]\n".to_owned();
    for n in 1..40 {
        let below = n - 1;
        bomb.extend([format!("a{n}: &a{n} [*a{below}, *a{below}]\n")]);
    }
    for (name, text) in [
        ("deep.json", format!("{{\"q.io/a:1\": {deep}}}")),
        ("bomb.yaml", bomb),
        (
            "escape.json",
            format!("{{\"q.io/a\\u001b[2J:1\": \"{to_host}/x\"}}"),
        ),
        (
            "target.json",
            format!("{{\"{to_host}/a:1\": \"\\u001b]0;h.corp/\\u0007x\"}}"),
        ),
        (
            "up.json",
            format!("{{\"{to_host}/../a:1\": \"{to_host}/../x\"}}"),
        ),
        (
            "regex.json",
            format!(
                "{{\"{to_host}/a:/({}/\": \"{to_host}/x\"}}",
                "a{1000}".repeat(1000)
            ),
        ),
        ("null.json", "{\"q.io/a:1\": null}".to_owned()),
        ("array.json", "[1, 2]".to_owned()),
        ("empty.json", String::new()),
    ] {
        env.write(name, text);
        let refused = env.run_line(&format!("sync --images {name} --retries 0"));
        let code = refused.code;
        assert!(
            matches!(code, Some(1..=5)),
            "{name}: {code:?} {}",
            refused.stderr
        );
        let said = format!("{}{}", refused.stdout, refused.stderr);
        assert!(!said.contains(['\u{1b}', '\u{7}']), "{name}: {said:?}");
    }
    assert!(content(&to).is_empty());
}
