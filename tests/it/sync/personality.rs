//! hod called as `image-syncer`: flags, logs and exit codes of version 1.5.5.

use std::os::unix::fs::symlink;

use serde_json::json;

use super::{closed, content, expect, source};
use hod_testkit::env::{Output, TestEnv, finish, has_program, program};
use hod_testkit::images::image;
use hod_testkit::programs::note;
use hod_testkit::registry::TestRegistry;

/// Runs hod by the name of image-syncer, through a link.
fn syncer(env: &TestEnv, line: &str, variables: &[(&str, &str)]) -> Output {
    let called = env.path("image-syncer");
    if !called.exists() {
        symlink(program(), &called).unwrap();
    }
    let mut command = env.command(&called);
    command.args(line.split_whitespace());
    finish(command.envs(variables.iter().copied()))
}

#[test]
fn a_script_for_it_runs_unchanged() {
    let (env, from, to) = (TestEnv::in_memory(), source(), closed("s3cret"));
    let (host, to_host) = (from.host(), to.host());
    env.write(
        "auth.json",
        json!({ to_host: {"username": "robot", "password": "${PWX}", "insecure": true} })
            .to_string(),
    );
    env.write(
        "images.json",
        json!({
            (format!("{host}/lab/web:1.0.0,1.1.0")): format!("{to_host}/x/web:a,b"),
            (format!("{host}/lab/web:latest")): [format!("{to_host}/y/web")],
        })
        .to_string(),
    );
    let line = "--proc=6 --auth=./auth.json --images=./images.json --retries 3 --output-success-images ok.yaml";
    let pwx = [("PWX", "s3cret")];
    let done = syncer(&env, line, &pwx).success();
    assert_eq!(done.stdout, "");
    let expected = expect(&[
        ("x/web:a", "1.0.0"),
        ("x/web:b", "1.1.0"),
        ("y/web:latest", "latest"),
    ]);
    assert_eq!(content(&to), expected);
    assert!(!done.stderr.contains("s3cret"), "{}", done.stderr);
    let mut lines = done.stderr.lines();
    let first = lines.next().unwrap();
    assert!(
        first.ends_with(" level=info msg=\"Failed to log to file, using default stderr\""),
        "{first}"
    );
    let last = lines.next_back().unwrap();
    assert!(
        last.contains("msg=\"Synchronization finished, 0 tasks failed, cost "),
        "{last}"
    );
    for line in lines {
        assert!(
            line.starts_with("time=\"") && line.contains(" level=info msg=\""),
            "{line}"
        );
    }
    assert_eq!(env.read("ok.yaml").lines().count(), 6);

    let again = syncer(
        &env,
        "-p 6 -r 3 --auth auth.json --images images.json --log out.log",
        &pwx,
    )
    .success();
    assert_eq!((again.stdout.as_str(), again.stderr.as_str()), ("", ""));
    let log = env.read("out.log");
    assert_eq!(
        log.matches("skip synchronization because destination image exists")
            .count(),
        3,
        "{log}"
    );
    let forced = syncer(&env, "--auth auth.json --images images.json --force", &pwx).success();
    assert!(!forced.stderr.contains("s3cret"), "{}", forced.stderr);
}

#[test]
fn every_failure_exits_with_255() {
    let (env, from, to) = (TestEnv::in_memory(), source(), TestRegistry::start());
    let (host, to_host) = (from.host(), to.host());
    env.write(
        "images.json",
        json!({
            (format!("{host}/lab/none:1")): format!("{to_host}/none"),
            (format!("{host}/lab/web:latest")): format!("{to_host}/y/web"),
        })
        .to_string(),
    );
    let failed = syncer(&env, "--images images.json --retries 0", &[]).exits(255);
    assert_eq!(failed.stdout, "failed tasks exist\n");
    assert!(
        failed
            .stderr
            .contains("level=error msg=\"Failed to executed "),
        "{}",
        failed.stderr
    );
    assert!(
        failed.stderr.contains("finished, 1 tasks failed"),
        "{}",
        failed.stderr
    );
    assert!(
        failed
            .stderr
            .contains("[Warning] No authentication information found"),
        "{}",
        failed.stderr
    );
    assert_eq!(content(&to), expect(&[("y/web:latest", "latest")]));

    env.write("bad.json", "{\"q.io/A:1\": \"h.corp/x\"}");
    for line in [
        "",
        "--auth auth.json",
        "--images none.json",
        "--images bad.json",
        "--config none.json",
    ] {
        let refused = syncer(&env, line, &[]).exits(255);
        assert!(
            refused.stdout.starts_with("init sync client error: "),
            "{line}: {}",
            refused.stdout
        );
        assert!(
            refused.stderr.contains("Usage:\n  image-syncer [flags]"),
            "{}",
            refused.stderr
        );
    }
    let refused = syncer(&env, "--nope", &[]).exits(255);
    assert_eq!(refused.stdout, "unknown flag: --nope\n");
    assert!(
        refused
            .stderr
            .starts_with("Error: unknown flag: --nope\nUsage:\n")
    );
    let refused = syncer(&env, "--proc=x", &[]).exits(255);
    let said = "invalid argument \"x\" for \"-p, --proc\" flag: strconv.ParseInt: parsing \"x\": invalid syntax\n";
    assert_eq!(refused.stdout, said);
}

#[test]
fn the_flags_of_old_versions_have_their_meaning() {
    let (env, to) = (TestEnv::in_memory(), TestRegistry::start());
    let from = source();
    let (host, to_host) = (from.host(), to.host());
    let images = json!({ (format!("{host}/lab/web:latest")): "" });
    env.write("images.json", images.to_string());
    let config = json!({"auth": {to_host: {"username": "u", "password": "p", "insecure": true}}, "images": images});
    env.write("config.json", config.to_string());
    let place = format!("--registry {to_host} --namespace team/sub");
    let _ = syncer(
        &env,
        &format!("--images images.json {place} --records ./records"),
        &[],
    )
    .success();
    assert_eq!(content(&to), expect(&[("team/sub/web:latest", "latest")]));
    let _ = syncer(
        &env,
        &format!("--config ./config.json --registry={to_host} --namespace=old"),
        &[],
    )
    .success();
    let variables = [("DEFAULT_REGISTRY", to_host), ("DEFAULT_NAMESPACE", "env")];
    let _ = syncer(&env, "--images images.json", &variables).success();
    let names = ["team/sub/web:latest", "old/web:latest", "env/web:latest"];
    assert_eq!(content(&to), expect(&names.map(|name| (name, "latest"))));
    // Without a place they go nowhere.
    let _ = syncer(&env, "--images images.json", &[]).exits(255);
}

#[test]
fn the_verb_is_the_same_as_the_link() {
    let env = TestEnv::in_memory();
    for line in ["--help", "--version", "version"] {
        let verb = env.run_line(&format!("image-syncer {line}")).success();
        let link = syncer(&env, line, &[]).success();
        assert_eq!(
            (&verb.stdout, &verb.stderr),
            (&link.stdout, &link.stderr),
            "{line}"
        );
        assert_eq!(link.stderr, "");
        if line == "--help" {
            for flag in [
                "--arch",
                "--auth",
                "--force",
                "--images",
                "--log",
                "--os",
                "--proc",
                "--registry",
            ] {
                assert!(link.stdout.contains(&format!("{flag} ")), "{flag}");
            }
        } else {
            assert!(
                link.stdout.starts_with("image-syncer version 1.5"),
                "{}",
                link.stdout
            );
        }
    }
}

/// Both programs, where image-syncer is installed: what arrives is the same.
#[test]
fn the_same_images_arrive_as_with_the_program_itself() {
    if !has_program("image-syncer") {
        note("note: not compared with image-syncer, which is not here");
        return;
    }
    let (env, from) = (TestEnv::in_memory(), source());
    let host = from.host();
    let web = format!("{host}/lab/web");
    let digest = image(10).digest().to_string();
    let arrived = [true, false].map(|is_hod| {
        let to = TestRegistry::start();
        let to_host = to.host();
        env.write("images.json", json!({
            web.clone(): format!("{to_host}/all/web"),
            (format!("{web}:1.0.0,1.1.0")): format!("{to_host}/pos/web:a,b"),
            (format!("{web}:/^1\\.1.*/")): format!("{to_host}/re/web"),
            (format!("{web}@{digest}")): format!("{to_host}/dig/web"),
            (format!("{web}:latest")): [format!("{to_host}/one/web:x"), format!("{to_host}/two/web")],
        }).to_string());
        env.write("auth.json", json!({ host: {"insecure": true}, to_host: {"insecure": true} }).to_string());
        let line = "--auth auth.json --images images.json --output-success-images ok.json --output-images-format json";
        if is_hod {
            let _ = syncer(&env, line, &[]).success();
        } else {
            let mut command = env.command("image-syncer");
            let _ = finish(command.args(line.split_whitespace())).success();
        }
        let mut written: serde_json::Value = serde_json::from_str(&env.read("ok.json").replace(to_host, "to")).unwrap();
        for places in written.as_object_mut().unwrap().values_mut() {
            let places = places.as_array_mut().unwrap();
            places.sort_by_key(ToString::to_string);
        }
        (content(&to), written)
    });
    assert_eq!(arrived[0], arrived[1]);
}
