//! `docker-daemon:` beside Debian's skopeo, at podman's service; answers that no engine should give.

use serde_json::Value;

use hod_testkit::engine::{self, Engine};
use hod_testkit::env::{Output, TestEnv};
use hod_testkit::programs;
use hod_testkit::puppet::{Puppet, Reply};
use hod_testkit::skopeo as real;

use super::{lab, skopeo};

/// What a copy wrote into its digest file.
fn digest(env: &TestEnv, run: impl Fn(&TestEnv, &str) -> Output, line: &str) -> String {
    let _ = run(env, &format!("copy -q --digestfile digest {line}")).success();
    env.read("digest")
}

/// The digest of the configuration of an image.
fn config(env: &TestEnv, flags: &str, image: &str) -> String {
    let raw = skopeo(env, &format!("inspect --raw {flags} {image}")).success();
    let raw: Value = serde_json::from_str(&raw.stdout).unwrap();
    raw["config"]["digest"].as_str().unwrap().to_owned()
}

#[test]
fn engines_get_and_give_what_skopeo_gives_and_gets() {
    if !programs::are_here(&[engine::PROGRAM, real::PROGRAM]) {
        return;
    }
    let env = TestEnv::new();
    let (engine, registry) = (Engine::start(&env), lab());
    let (host, from) = (engine.host(), registry.host());
    let hosts = format!("--src-daemon-host {host} --dest-daemon-host {host}");
    let tls = "--src-tls-verify=false --dest-tls-verify=false";
    for kind in ["oci", "s2"] {
        // From everywhere to the engine.
        let registry_image = format!("docker://{from}/lab/{kind}:v1");
        let mut sources = vec![registry_image.clone()];
        for place in [
            "dir:D",
            "oci:D:v1",
            "oci-archive:D.o:v1",
            "docker-archive:D.d:a/b:v1",
        ] {
            let place = place.replace('D', &format!("{kind}-{}", sources.len()));
            let _ = skopeo(&env, &format!("copy -q {tls} {registry_image} {place}")).success();
            sources.push(place);
        }
        for source in &sources {
            let line = |name: &str| format!("{hosts} {tls} {source} docker-daemon:lab/{name}:v1");
            let own = digest(&env, skopeo, &line("own"));
            let other = digest(&env, real::run, &line("other"));
            assert_eq!(own, other, "{source}");
            let digest_of = |name: &str| {
                let line = format!(
                    "inspect --daemon-host {host} --format {{{{.Digest}}}} docker-daemon:lab/{name}:v1"
                );
                real::run(&env, &line).success().stdout
            };
            assert_eq!(digest_of("own"), digest_of("other"), "{source}");
        }
        // From the engine to everywhere.
        let engine_image = "docker-daemon:lab/own:v1";
        let daemon = format!("--daemon-host {host}");
        let (id, own_host) = (config(&env, &daemon, engine_image), format!("{from}/out"));
        for (n, place) in ["dir:T", "docker-archive:T.d", "oci:T", "oci-archive:T.o"]
            .into_iter()
            .enumerate()
        {
            let to = |who: &str| place.replace('T', &format!("{who}-{kind}-{n}"));
            let line = |who: &str| format!("{hosts} {engine_image} {}", to(who));
            let own = digest(&env, skopeo, &line("own"));
            let other = digest(&env, real::run, &line("other"));
            if n < 2 {
                assert_eq!(own, other, "{place}");
            }
            // Elsewhere layers are compressed, by another program to other bytes.
            let configs = [to("own"), to("other")].map(|image| config(&env, "", &image));
            assert_eq!(configs[0], configs[1], "{place}");
        }
        let to = format!("docker://{own_host}/{kind}:v1");
        let _ = skopeo(&env, &format!("copy -q {hosts} {tls} {engine_image} {to}")).success();
        assert_eq!(config(&env, "--tls-verify=false", &to), id);
        let by_id = format!("copy -q {hosts} docker-daemon:{id} docker-daemon:lab/again:v2");
        let _ = skopeo(&env, &by_id).success();
        assert_eq!(config(&env, &daemon, "docker-daemon:lab/again:v2"), id);
    }
    let absent = format!("inspect --daemon-host {host} docker-daemon:lab/none:v1");
    let absent = skopeo(&env, &absent).exits(1);
    assert!(
        absent
            .stderr
            .contains("loading image from docker engine: Error response from daemon: ")
    );
    assert!(
        absent.stderr.contains("image not known"),
        "{}",
        absent.stderr
    );
}

/// An engine that speaks a version of the API, and answers a call as the test says.
fn fake(version: &'static str, reply: impl Fn() -> Reply + Send + Sync + 'static) -> Puppet {
    Puppet::start(move |method, target| {
        if target == "/_ping" {
            return Some(Reply::ok("OK").header("Api-Version", version));
        }
        let is_right = target.starts_with(&format!("/v{version}/"));
        assert!(method == "GET" || method == "POST");
        is_right.then(&reply)
    })
}

#[track_caller]
fn check_save(reply: impl Fn() -> Reply + Send + Sync + 'static, expect: &str) {
    let (env, engine) = (TestEnv::new(), fake("1.44", reply));
    let line = format!(
        "copy --src-daemon-host http://{} docker-daemon:lab/a:v1 dir:out",
        engine.host()
    );
    let output = skopeo(&env, &line).exits(1);
    assert!(output.stderr.contains(expect), "{}", output.stderr);
    assert!(!output.stderr.contains('\u{1b}'), "{}", output.stderr);
    let call = "GET /v1.44/images/get?names=lab%2Fa%3Av1".to_owned();
    assert_eq!(engine.seen().last(), Some(&call));
    assert_eq!(hod_fsx::read_dir_names(&env.tmp()).unwrap().len(), 0);
}

#[test]
fn refusals_and_broken_answers_fail() {
    let json = |status: u16, text: &'static str| {
        move || Reply::status(status, text).header("Content-Type", "application/json")
    };
    check_save(
        json(
            400,
            "{\"message\":\"client version 1.22 is too old.\\u001b[2J\"}",
        ),
        "Error response from daemon: client version 1.22 is too old",
    );
    check_save(
        json(404, "{\"message\":\"No such image: lab/a:v1\"}"),
        "No such image: lab/a:v1",
    );
    check_save(json(500, "{"), "error reading JSON");
    check_save(
        || Reply::status(500, ""),
        "check if the server supports the requested API version",
    );
    check_save(|| Reply::ok("<html>"), "level=fatal");
    check_save(|| Reply::ok(vec![0; 1024]), "is not a tar archive");
}

#[test]
fn an_engine_that_does_not_load_fails_the_copy() {
    let (env, registry) = (TestEnv::new(), lab());
    let check = |reply: Reply, code: i32, expect: &str| {
        let engine = fake("1.24", move || reply.clone());
        let line = format!(
            "copy --src-tls-verify=false --dest-daemon-host http://{} docker://{}/lab/oci:v1 \
             docker-daemon:lab/a:v1",
            engine.host(),
            registry.host()
        );
        let output = skopeo(&env, &line).exits(code);
        assert!(output.stderr.contains(expect), "{}", output.stderr);
        let call = "POST /v1.24/images/load?quiet=1".to_owned();
        assert_eq!(engine.seen().last(), Some(&call));
    };
    let error =
        "{\"stream\":\"x\"}\n{\"errorDetail\":{\"message\":\"no space left\"},\"error\":\"x\"}";
    check(
        Reply::ok(error),
        1,
        "docker engine reported: \\\"no space left\\\"",
    );
    check(
        Reply::ok("{\"stream\":"),
        1,
        "parsing docker load progress: unexpected EOF",
    );
    check(
        Reply::status(500, "oh"),
        1,
        "Error response from daemon: oh",
    );
    check(
        Reply::ok("{\"stream\":\"Loaded image: lab/a:v1\\n\"}\n"),
        0,
        "",
    );
}

#[test]
fn addresses_that_lead_nowhere_and_names_that_cannot_be_written_are_refused() {
    let env = TestEnv::new();
    let check = |line: &str, expect: &str| {
        let output = skopeo(&env, line).exits(1);
        assert!(output.stderr.contains(expect), "{}", output.stderr);
    };
    let inspect = |host: &str| format!("inspect --daemon-host {host} docker-daemon:a:v1");
    check(
        &inspect("unix:///none.sock"),
        "connect: no such file or directory",
    );
    check(
        &inspect("http://127.0.0.1:1"),
        "Is the docker daemon running?",
    );
    check(&inspect("foo"), "unable to parse docker host `foo`");
    let digest = format!("sha256:{:064}", 0);
    for name in [digest.clone(), format!("lab/a@{digest}")] {
        let line = format!("copy dir:none docker-daemon:{name}");
        check(&line, "a destination must be a name:tag");
    }
    check(
        "delete docker-daemon:lab/a:v1",
        "Deleting images not implemented for docker-daemon: images",
    );
    check(
        "list-tags docker-daemon:lab/a:v1",
        "Unsupported transport 'docker-daemon'",
    );
}
