//! Targets that answer success and have nothing.

use hod_testkit::docker_registry::{self, DockerRegistry};
use hod_testkit::env::{Output, TestEnv, finish};
use hod_testkit::faults::{Effect, Fault, blob_path, manifest_path};
use hod_testkit::images::{Image, image};
use hod_testkit::programs;
use hod_testkit::puppet::{Puppet, Reply};
use hod_testkit::registry::TestRegistry;

const PAGE: &str = "<!DOCTYPE html><html><head><title>Access denied</title></head></html>";

/// What answers everything, and is not a registry.
fn impostors() -> Vec<(&'static str, Puppet)> {
    let page = |status| Reply::status(status, PAGE).header("Content-Type", "text/html");
    let always = |reply: fn() -> Reply| Puppet::start(move |_: &str, _: &str| Some(reply()));
    vec![
        ("page", Puppet::start(move |_, _| Some(page(200)))),
        ("page without a type", always(|| Reply::ok(PAGE))),
        (
            "login page",
            Puppet::start(move |_, target| match target {
                "/login" => Some(page(200)),
                _ => Some(Reply::status(302, "").header("Location", "/login")),
            }),
        ),
        (
            "elsewhere",
            Puppet::start(|_, target| match target {
                "/home" => Some(Reply::ok("{}").header("Content-Type", "application/json")),
                _ => Some(Reply::status(302, "").header("Location", "/home")),
            }),
        ),
        ("nothing", always(|| Reply::status(204, ""))),
        ("web server", Puppet::start(move |_, _| Some(page(404)))),
        ("ok", always(|| typed("OK", "text/plain"))),
        ("empty", always(|| Reply::ok(""))),
        (
            "empty data",
            always(|| typed("", "application/octet-stream")),
        ),
        ("object", always(|| typed("{}", "application/json"))),
        (
            "list",
            always(|| typed("[]", "application/json; charset=utf-8")),
        ),
        ("true", always(|| Reply::ok("true"))),
        (
            "health",
            always(|| {
                typed(
                    r#"{"status":"UP"}"#,
                    "application/vnd.oci.image.manifest.v1+json",
                )
            }),
        ),
        ("no length", always(|| Reply::ok("OK").of_no_length())),
        (
            "not found",
            always(|| Reply::status(404, "404 page not found\n")),
        ),
        (
            "gone",
            always(|| Reply::status(404, r#"{"error":"no such route"}"#)),
        ),
        (
            "error of a registry",
            always(|| {
                typed(
                    r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#,
                    "application/json",
                )
            }),
        ),
        (
            "any digest",
            always(|| {
                let digest = format!("sha256:{}", "1".repeat(64));
                typed("{}", "application/vnd.oci.image.manifest.v1+json")
                    .header("Docker-Content-Digest", &digest)
            }),
        ),
        (
            "api",
            Puppet::start(|_, target| match target {
                "/v2/" => Some(typed("{}", "application/json")),
                _ => Some(page_of_404()),
            }),
        ),
    ]
}

fn typed(body: &str, media_type: &str) -> Reply {
    Reply::ok(body).header("Content-Type", media_type)
}

fn page_of_404() -> Reply {
    Reply::status(404, PAGE).header("Content-Type", "text/html")
}

/// What a registry may leave out and still be one; each with what it answers.
fn plain_registries() -> Vec<(&'static str, Puppet)> {
    let errors = |code| format!(r#"{{"errors":[{{"code":"{code}"}}]}}"#);
    vec![
        (
            "no version header",
            Puppet::start(move |method, target| match (method, target) {
                (_, "/v2/") => Some(Reply::ok("{}")),
                ("GET", _) => Some(Reply::status(404, errors("NAME_UNKNOWN"))),
                _ => None,
            }),
        ),
        (
            "no bodies",
            Puppet::start(|_, target| (target == "/v2/").then(|| Reply::ok(""))),
        ),
        (
            "no root",
            Puppet::start(move |_, _| Some(Reply::status(404, errors("NOT_FOUND")))),
        ),
        (
            "version header",
            Puppet::start(|_, target| {
                let version = ("Docker-Distribution-Api-Version", "registry/2.0");
                let reply = Reply::ok("OK").header(version.0, version.1);
                (target == "/v2/").then_some(reply)
            }),
        ),
    ]
}

fn login(env: &TestEnv, host: &str) -> Output {
    let input = env.write("password", "secret");
    let mut command = env.hod();
    command
        .args(["login", host, "--username", "alice", "--password-stdin"])
        .stdin(hod_fsx::open(&input).unwrap());
    finish(&mut command)
}

#[test]
fn what_answers_everything_is_not_a_registry() {
    let env = TestEnv::new();
    image(701).put_in(&env.store("store"), "a/b:1");
    env.run_line("pack store --output b.tar").success();
    for (name, puppet) in impostors() {
        let host = puppet.host();
        env.write("list.txt", format!("{host}/a/b:1\n"));
        let verbs: [(String, i32); 10] = [
            (format!("push b.tar {host}"), 5),
            (format!("push b.tar {host} --dry-run"), 5),
            (format!("push store {host}"), 5),
            (format!("doctor {host}"), 1),
            (format!("doctor {host}/a/b"), 1),
            ("pull list.txt --store pulled".to_owned(), 5),
            ("pull list.txt --store pulled --dry-run".to_owned(), 5),
            (format!("receipt {host} --output have.json"), 5),
            (
                format!("receipt {host} --list list.txt --output have.json"),
                5,
            ),
            (
                format!("receipt {host}/a --list list.txt --output have.json --json"),
                5,
            ),
        ];
        let mut outputs: Vec<(String, Output)> = Vec::new();
        for (line, code) in verbs {
            let output = env.run_line(&line).exits(code);
            outputs.push((line, output));
        }
        outputs.push(("login".to_owned(), login(&env, host).exits(5)));
        for (line, output) in outputs {
            let said = [output.stdout, output.stderr].concat();
            assert!(said.contains("is not a registry"), "{name}: {line}: {said}");
        }
        // Nothing can prove an image there, even where nobody looks first.
        let line = format!("push b.tar {host} --no-preflight --retries 0");
        env.run_line(&line).exits(1);
        let sent = puppet.seen();
        let put = sent.iter().any(|line| line.starts_with("PUT"));
        assert!(!put, "{name}: {sent:?}");
    }
    let titled = &impostors()[0].1;
    let output = env
        .run_line(&format!("push b.tar {}", titled.host()))
        .exits(5);
    assert!(output.stderr.contains("Access denied"), "{}", output.stderr);
}

#[test]
fn a_registry_may_leave_out_its_version_header() {
    let env = TestEnv::new();
    image(706).put_in(&env.store("store"), "a/b:1");
    for (name, puppet) in plain_registries() {
        let host = puppet.host();
        env.run_line(&format!("push store {host} --dry-run"))
            .success();
        // There an answer is wanted.
        if name == "no root" {
            continue;
        }
        let doctor = env.run_line(&format!("doctor {host}"));
        assert_eq!(doctor.code, Some(0), "{name}: {}", doctor.stdout);
        let output = login(&env, host);
        assert_eq!(output.code, Some(0), "{name}: {}", output.stderr);
    }
}

/// Not one request more than before is sent to a registry that says what it is.
#[test]
fn what_says_that_it_is_a_registry_is_not_tested() {
    let env = TestEnv::new();
    image(707).put_in(&env.store("store"), "a/b:1");
    let registry = TestRegistry::start();
    let host = registry.host();
    env.run_line(&format!("push store {host} --dry-run"))
        .success();
    env.run_line(&format!("doctor {host}")).success();
    login(&env, host).success();
    env.run_line(&format!("push store {host}")).success();
    env.write("list.txt", format!("{host}/a/b:1\n"));
    env.run_line("pull list.txt --store pulled").success();
    let tests = registry.count("HEAD", |path| path.contains(&"0".repeat(64)));
    assert_eq!(tests, 0);
}

/// Makes the registry's own copy of a blob another one.
fn replace_blob(registry: &TestRegistry, image: &Image, bytes: &[u8]) {
    let digest = &image.blobs[0].digest;
    let path = registry.store().blob_path(digest);
    hod_fsx::write_file(&path, bytes).unwrap();
}

#[test]
fn a_blob_of_another_length_is_sent_again() {
    let env = TestEnv::new();
    let (one, two) = (image(702), image(702));
    one.put_in(&env.store("store"), "a/one:1");
    two.put_in(&env.store("store"), "a/one:2");
    env.write("one.txt", "a/one:1\n");
    let registry = TestRegistry::start();
    let push = format!("push store {}", registry.host());
    env.run_line(&format!("{push} --only one.txt")).success();
    replace_blob(&registry, &one, b"");
    env.run_line(&push).success();
    let digest = &one.blobs[0].digest;
    let path = registry.store().blob_path(digest);
    let there = hod_fsx::read(&path, u64::MAX - 1).unwrap();
    assert!(digest.matches(&there));
}

#[test]
fn a_length_of_zero_for_every_head_is_not_believed_alone() {
    let env = TestEnv::new();
    image(703).put_in(&env.store("store"), "a/b:1");
    image(703).put_in(&env.store("store"), "a/b:2");
    env.write("one.txt", "a/b:1\n");
    let registry = TestRegistry::start();
    let push = format!("push store {}", registry.host());
    env.run_line(&format!("{push} --only one.txt")).success();
    let zero = Effect::Header("content-length", "0".to_owned());
    registry.fail(Fault::on("HEAD", blob_path).does(zero));
    let _ = registry.take_seen();
    env.run_line(&push).success();
    assert_eq!(registry.count("POST", |_| true), 0, "nothing is sent again");
}

/// distribution keeps what it has under a digest, and throws away what is sent.
#[test]
fn what_the_registry_keeps_damaged_fails_its_images_by_name() {
    if !programs::are_here(&[docker_registry::PROGRAM]) {
        return;
    }
    let env = TestEnv::new();
    let (sound, damaged) = (image(704), image(705));
    let store = env.store("store");
    damaged.put_in(&store, "a/b:1");
    damaged.put_in(&store, "a/b:2");
    damaged.put_in(&store, "c/d:1");
    sound.put_in(&store, "e/f:1");
    drop(store);
    env.write("one.txt", "a/b:1\n");
    hod_fsx::create_dir_all(&env.path("registry")).unwrap();
    let registry = DockerRegistry::serve(&env, "registry");
    let host = registry.host();
    let push = format!("push store {host}");
    env.run_line(&format!("{push} --only one.txt")).success();
    let blob = &damaged.blobs[0];
    // Its memory would hide what is on its disk.
    drop(registry);
    let at = hod_store::Store::open(&env.path("registry")).unwrap();
    hod_fsx::write_file(&at.blob_path(&blob.digest), b"").unwrap();
    let registry = DockerRegistry::serve(&env, "registry");
    let host = registry.host();
    let push = format!("push store {host}");
    let output = env.run_line(&push).exits(3);
    let stderr = &output.stderr;
    assert!(stderr.contains(blob.digest.as_str()), "{stderr}");
    let lens = format!("expected {} bytes", blob.bytes.len());
    assert!(
        stderr.contains("0 bytes") && stderr.contains(&lens),
        "{stderr}"
    );
    assert!(output.stdout.contains("e/f:1"), "{}", output.stdout);
    assert!(!output.stdout.contains("c/d:1"), "{}", output.stdout);
    // What the registry has of this image is as damaged, though its tag is as it was.
    let output = env.run_line(&format!("{push} --json")).exits(3);
    let report: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    for image in report["images"].as_array().unwrap() {
        let is_sound = image["image"] == "e/f:1";
        let expect = if is_sound { "unchanged" } else { "failed" };
        assert_eq!(image["status"], expect, "{image}");
    }
    // Nor is it claimed to be there.
    env.write("all.txt", "a/b:1\ne/f:1\n");
    let line = format!("receipt {host} --list all.txt --output have.json");
    env.run_line(&line).exits(4);
    let claimed = env.read("have.json");
    assert!(!claimed.contains(blob.digest.hex()), "{claimed}");
    assert!(claimed.contains(sound.blobs[0].digest.hex()), "{claimed}");
}

#[test]
fn the_put_of_a_manifest_is_proved() {
    // How a PUT is answered, and whether that, with the GET that may follow, proves it.
    let answers = [
        (Effect::NoHeader("docker-content-digest"), true),
        (
            Effect::Header(
                "docker-content-digest",
                format!("sha256:{}", "1".repeat(64)),
            ),
            true,
        ),
        (Effect::Page(200, "{}"), false),
        (Effect::Page(202, PAGE), false),
        (Effect::Status(201), false),
        (Effect::Status(204), false),
    ];
    for (seed, (effect, is_proved)) in (0..).zip(answers) {
        let env = TestEnv::new();
        image(710 + seed).put_in(&env.store("store"), "a/b:1");
        let registry = TestRegistry::start();
        registry.fail(Fault::on("PUT", manifest_path).does(effect.clone()));
        let line = format!("push store {} --retries 0", registry.host());
        let output = env.run_line(&line);
        let code = i32::from(!is_proved);
        assert_eq!(output.code, Some(code), "{effect:?}: {}", output.stderr);
        if !is_proved {
            assert!(
                output.stderr.contains("does not have `sha256:"),
                "{}",
                output.stderr
            );
        }
    }
}
