//! Registries that say whatever they like.

use hod_oci::Digest;

use super::Site;
use hod_testkit::env::TestEnv;
use hod_testkit::faults::{Effect, Fault, blob_path, manifest_path, path_contains};
use hod_testkit::puppet::{Puppet, Reply};

/// Runs every verb, and checks that it ends in an orderly way and lets no control characters through.
#[track_caller]
fn check(env: &TestEnv, word: &str) {
    let digest = Digest::of(b"");
    for line in [
        format!("ls {word}"),
        format!("verify {word}"),
        format!("verify {word} --deep"),
        format!("diff {word} {word}"),
        format!("why {digest} {word}"),
        format!("receipt {word} --output have.json"),
    ] {
        let output = env.run_line(&format!("{line} --retries 0"));
        let code = output.code.unwrap_or(-1);
        assert!([0, 1, 3, 4, 5].contains(&code), "{line}: {output:?}");
        assert!(!output.stderr.contains("panicked"), "{line}: {output:?}");
        for text in [&output.stdout, &output.stderr] {
            let is_control = |c: char| c.is_control() && c != '\n';
            assert!(!text.contains(is_control), "{line}: {text:?}");
        }
    }
}

#[test]
fn hostile_names_and_answers_are_no_more_than_findings() {
    let names: &[&str] = &[
        r#"{"repositories":["../../etc/passwd","a\u001b[31m/b","p/acme/api","UPPER","",null]}"#,
        r#"{"repositories":["p/\u202Eacme","p//x","p/acme/api","p/acme/api"]}"#,
        r#"{"repositories":null}"#,
        r#"{"repositories":{"a":1}}"#,
        "[",
        "<html>\u{1b}[31m</html>",
    ];
    for page in names {
        let site = Site::new();
        site.registry
            .fail(Fault::on("GET", path_contains("_catalog")).does(Effect::Page(200, page)));
        check(&site.env, &site.place());
    }
    let tags: &[&str] = &[
        r#"{"name":"x","tags":["1","a\u001b[2J","../..","-rf","","latest\n"]}"#,
        r#"{"tags":null}"#,
        r#"{"tags":[{}]}"#,
    ];
    for page in tags {
        let site = Site::new();
        site.registry
            .fail(Fault::on("GET", path_contains("tags/list")).does(Effect::Page(200, page)));
        check(&site.env, &site.place());
    }
    let manifests: &[&str] = &[
        "{}",
        r#"{"schemaVersion":2,"config":{"digest":"sha256:\u001b","size":-1},"layers":[]}"#,
        r#"{"schemaVersion":2,"manifests":[{"digest":"md5:00","size":18446744073709551615}]}"#,
        "\u{1b}]0;title\u{7}",
    ];
    for page in manifests {
        let site = Site::new();
        site.registry
            .fail(Fault::on("GET", manifest_path).does(Effect::Page(200, page)));
        check(&site.env, &site.place());
    }
    for effect in [
        Effect::Header("content-length", "18446744073709551615".to_owned()),
        Effect::Header("docker-content-digest", "sha256:zz".to_owned()),
        Effect::NoHeader("content-length"),
        Effect::Status(204),
        Effect::HangUp,
    ] {
        let site = Site::new();
        site.registry
            .fail(Fault::on("HEAD", blob_path).does(effect));
        check(&site.env, &site.place());
    }
}

/// An index that lists itself in other words: indexes that list each other for ever.
#[test]
fn manifests_without_end_have_an_end() {
    let env = TestEnv::new();
    // No two answers are alike, and each lists a child that is asked for next.
    let puppet = Puppet::start(|_, target| {
        let name = target.rsplit('/').next().unwrap_or_default();
        if !target.contains("/manifests/") {
            return (target == "/v2/").then(|| Reply::ok("{}"));
        }
        let child = Digest::of(name.as_bytes());
        let index = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"{child}","size":7}}]}}"#
        );
        let media_type = "application/vnd.oci.image.index.v1+json";
        Some(Reply::ok(index).header("Content-Type", media_type))
    });
    check(&env, &format!("{}/a/b:1", puppet.host()));
}
