//! What a person is told when another side refuses: in its own words, once, with a hint that fits.

mod arguments;

use hod_oci::MediaType;
use serde_json::json;

use hod_testkit::env::{Output, TestEnv};
use hod_testkit::faults::{Effect, Fault, manifest_path};
use hod_testkit::images::{Image, image};
use hod_testkit::puppet::{Puppet, Reply};
use hod_testkit::registry::TestRegistry;

/// The text on one line, as it was before it was wrapped.
fn flat(output: &Output) -> String {
    let words: Vec<&str> = output.stderr.split_whitespace().collect();
    words.join(" ")
}

#[track_caller]
fn assert_says(output: &Output, texts: &[&str]) {
    let said = flat(output);
    for text in texts {
        assert!(
            said.contains(text),
            "`{text}` is not in:\n{}",
            output.stderr
        );
    }
}

/// A registry with one image, whose blobs `blob` answers for.
fn with_blobs(image: Image, blob: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Puppet {
    Puppet::start(move |_, target| {
        if target.contains("/manifests/") {
            let manifest = image.top();
            let reply = Reply::ok(manifest.bytes().to_vec());
            return Some(reply.header("Content-Type", manifest.media_type().as_str()));
        }
        let (_, digest) = target.split_once("/blobs/")?;
        Some(blob(digest))
    })
}

fn pull(env: &TestEnv, host: &str) -> Output {
    env.write("list.txt", "proj/app:1\n");
    env.run_line(&format!(
        "pull list.txt --store store --source {host} --retries 0 --no-referrers"
    ))
}

#[test]
fn a_signed_url_that_is_refused_is_asked_for_once_more() {
    let served = image(1);
    let blobs = served.blobs.clone();
    let seen = std::sync::Mutex::new(std::collections::HashSet::new());
    let storage = Puppet::start(move |_, target| {
        let digest = target.trim_start_matches('/').split('?').next().unwrap();
        if seen.lock().unwrap().insert(digest.to_owned()) {
            let body = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code>\
                        <Message>Request has expired</Message></Error>";
            return Some(Reply::status(403, body));
        }
        let blob = blobs.iter().find(|blob| blob.digest.as_str() == digest)?;
        Some(Reply::ok(blob.bytes.clone()))
    });
    let storage_host = storage.host().to_owned();
    let registry = with_blobs(served, move |digest| {
        let url = format!("http://{storage_host}/{digest}?X-Signature=hunter2");
        Reply::status(307, "").header("Location", &url)
    });
    let env = TestEnv::new();
    let _ = pull(&env, registry.host()).success();
}

#[test]
fn a_storage_that_refuses_is_quoted_and_named() {
    let check = |reply: Reply, expect: &[&str]| {
        let storage = Puppet::start(move |_, _| Some(reply.clone()));
        let storage_host = storage.host().to_owned();
        let to = storage_host.clone();
        let registry = with_blobs(image(1), move |digest| {
            let url = format!("http://{to}/{digest}?X-Signature=hunter2");
            Reply::status(307, "").header("Location", &url)
        });
        let env = TestEnv::new();
        let output = pull(&env, registry.host()).exits(1);
        let by = format!("on {storage_host} (redirected by {})", registry.host());
        assert_says(&output, &[&by]);
        assert_says(&output, expect);
        assert!(!output.stderr.contains("hunter2"), "{}", output.stderr);
        assert!(!output.stderr.contains("hod login"), "{}", output.stderr);
    };
    check(
        Reply::status(
            403,
            "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>",
        ),
        &[
            "403 AccessDenied: Request has expired",
            "Signed URLs are refused",
        ],
    );
    check(
        Reply::status(
            404,
            "<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>",
        ),
        &["404 NoSuchKey: gone", "does not have this content"],
    );
    check(
        Reply::status(403, "<html><title>Blocked by policy</title></html>"),
        &["403 Forbidden: web page \"Blocked by policy\""],
    );
}

#[test]
fn a_blob_that_is_gone_is_no_matter_of_the_tag() {
    let registry = with_blobs(image(1), |_| {
        Reply::status(
            404,
            r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}"#,
        )
    });
    let env = TestEnv::new();
    let output = pull(&env, registry.host()).exits(1);
    assert_says(
        &output,
        &["404 BLOB_UNKNOWN: blob unknown", "but not this content"],
    );
    assert!(!output.stderr.contains("the tag"), "{}", output.stderr);
}

#[test]
fn a_token_server_that_is_none_is_named() {
    let check = |reply: Reply, expect: &[&str]| {
        let tokens = Puppet::start(move |_, _| Some(reply.clone()));
        let realm = format!("http://{}/token", tokens.host());
        let registry = Puppet::start(move |_, _| {
            let challenge = format!("Bearer realm=\"{realm}\",service=\"x\"");
            Some(Reply::status(401, "").header("WWW-Authenticate", &challenge))
        });
        let env = TestEnv::new();
        let output = pull(&env, registry.host()).exits(5);
        assert_says(&output, expect);
        assert!(!output.stderr.contains("the tag"), "{}", output.stderr);
    };
    check(
        Reply::status(404, "404 page not found\n"),
        &[
            "404 404 page not found",
            "no usable token server",
            "Correct the realm",
        ],
    );
    check(
        Reply::ok("<html><title>Sign in</title>").header("Content-Type", "text/html"),
        &["the answer is a web page \"Sign in\", not a token"],
    );
}

#[test]
fn whatever_the_registry_says_of_a_push_is_quoted() {
    let check = |(status, body): (u16, &'static str), expect: &[&str]| {
        let registry = TestRegistry::start();
        registry.fail(Fault::on("PUT", manifest_path).does(Effect::Page(status, body)));
        let env = TestEnv::new();
        image(1).put_in(&env.store("mine"), "proj/app:1");
        let line = format!("push mine {} --retries 0", registry.host());
        let output = env.run_line(&line).exits(1);
        assert_says(&output, expect);
    };
    check(
        (
            400,
            r#"{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid","detail":{"message":"failed to parse"}},{"code":"UNKNOWN","message":"more"}]}"#,
        ),
        &["400 MANIFEST_INVALID: manifest invalid (failed to parse); UNKNOWN: more"],
    );
    check(
        (
            413,
            r#"{"errors":[{"code":"DENIED","message":"quota exceeded"}]}"#,
        ),
        &["413 DENIED: quota exceeded", "storage quota at"],
    );
    check((422, "no, thank you"), &["422 no, thank you"]);
}

#[test]
fn an_image_that_is_not_found_is_told_with_the_tags_that_exist() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    for tag in ["5.0.13", "5.0.14-alpine", "7"] {
        registry.add(&format!("library/redis:{tag}"), &image(1));
    }
    let host = registry.host();
    env.write("list.txt", "redis:5.0.13-alpine\n");
    let line = format!("pull list.txt --store store --source {host}");
    let output = env.run_line(&line).exits(5);
    let found = format!("redis:5.0.13-alpine: image not found on `{host}`");
    assert_says(
        &output,
        &[&found, "These tags exist: `5.0.13`, `5.0.14-alpine`, `7`."],
    );
    // The digest stands in each line once.
    let digest = format!("sha256:{}", "1".repeat(64));
    env.write("list.txt", format!("redis@{digest}\n"));
    let output = env.run_line(&line).exits(5);
    let lines = output.stderr.lines();
    assert!(
        lines.clone().any(|line| line.contains(&digest)),
        "{}",
        output.stderr
    );
    for line in lines {
        assert!(line.matches(&digest).count() <= 1, "{}", output.stderr);
    }
}

#[test]
fn one_cause_is_told_once() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    registry.add("good/app:1", &image(1));
    let names: Vec<String> = (0..30).map(|n| format!("p{n}/app:1")).collect();
    env.write("list.txt", format!("good/app:1\n{}\n", names.join("\n")));
    registry.fail(Fault::on("*", |path: &str| path.starts_with("/v2/p")).does(Effect::Status(403)));
    let line = format!("pull list.txt --store store --source {}", registry.host());
    let output = env.run_line(&line).exits(3);
    let said = flat(&output);
    assert!(said.contains("pulled 1 of 31 images; 30 failed"), "{said}");
    assert!(
        said.contains("for the same reason: p1/app:1, p2/app:1, p3/app:1, p4/app:1, p5/app:1 and 24 more images"),
        "{said}"
    );
    assert_eq!(said.matches("hint:").count(), 1, "{said}");
    assert_eq!(
        said.matches("refuses this without a login").count(),
        1,
        "{said}"
    );
    let n_failed = said.matches("failed: p").count();
    assert!(n_failed <= 3, "{n_failed} lines as they fail");
}

#[test]
fn weather_is_told_once_too() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    let names: Vec<String> = (0..20).map(|n| format!("p{n}/app:1")).collect();
    for name in &names {
        registry.add(name, &image(1));
    }
    env.write("list.txt", names.join("\n"));
    registry.fail(
        Fault::on("*", manifest_path)
            .once_each()
            .does(Effect::Status(502)),
    );
    let line = format!("pull list.txt --store store --source {}", registry.host());
    let output = env.run_line(&line).success();
    assert_eq!(
        output.stderr.matches("retry:").count(),
        1,
        "{}",
        output.stderr
    );
}

#[test]
fn a_registry_in_the_place_of_the_source_is_told() {
    let env = TestEnv::new();
    image(1).put_in(&env.store("mine"), "a/b:1");
    let output = env.run_line("push harbor.corp:8443 mine").exits(2);
    assert_says(
        &output,
        &["Name the source first: `hod push mine harbor.corp:8443`"],
    );
    let output = env
        .run_line("pull list.txt --store s --source https://harbor.corp:8443")
        .exits(2);
    assert_says(
        &output,
        &["Write it as `harbor.corp:8443`, without a scheme"],
    );
    let output = env
        .run_line("pull list.txt --store s --insecure https://harbor.corp:8443/")
        .exits(2);
    assert_says(
        &output,
        &["write it as `harbor.corp:8443`, without a scheme or a path"],
    );
}

#[test]
fn an_answer_that_drips_is_given_up() {
    let drip = |target: &str| {
        let name = MediaType::OCI_MANIFEST;
        target
            .contains("/manifests/")
            .then(|| Reply::ok(" ").header("Content-Type", name).dripping())
    };
    let registry = Puppet::start(move |_, target| match target {
        "/v2/" => Some(Reply::ok("{}").header("Docker-Distribution-Api-Version", "registry/2.0")),
        _ => drip(target),
    });
    let env = TestEnv::new();
    env.write("list.txt", "proj/app:1\n");
    let line = format!(
        "pull list.txt --store store --source {} --stall-timeout 1",
        registry.host()
    );
    let output = env.run_line(&line).exits(1);
    assert_says(
        &output,
        &[
            "the answer is incomplete after 2 seconds",
            "--stall-timeout",
        ],
    );
}

#[test]
fn a_list_without_an_end_is_an_error() {
    let n = std::sync::atomic::AtomicUsize::new(0);
    let registry = Puppet::start(move |_, target| {
        if target == "/v2/" {
            let version = ("Docker-Distribution-Api-Version", "registry/2.0");
            return Some(Reply::ok("{}").header(version.0, version.1));
        }
        let n = n.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let page = json!({"repositories": [format!("a/r{n}")], "name": "a/b", "tags": []});
        let next = format!("</v2/_catalog?last={n}>; rel=\"next\"");
        Some(Reply::ok(page.to_string()).header("Link", &next))
    });
    let env = TestEnv::new();
    let line = format!("receipt {} --output receipt.json", registry.host());
    let output = env.run_line(&line);
    assert_ne!(output.code, Some(0));
    assert_says(&output, &["the list has more than 1000 pages"]);
    assert!(registry.seen().len() < 1100);
}

#[test]
fn a_path_near_a_registry_tree_is_told_where_the_tree_is() {
    let env = TestEnv::new();
    image(1).put_in(&env.store("data/registry"), "a/b:1");
    for (path, tree) in [
        ("data", "data/registry"),
        ("data/registry/docker", "data/registry"),
        ("data/registry/docker/registry", "data/registry"),
    ] {
        let output = env.run_line(&format!("ls {path}")).exits(2);
        assert_says(&output, &[&format!("The registry tree is at `{tree}`")]);
    }
    let _ = env
        .run_line("ls data/registry/docker/registry/v2")
        .success();
    // With two of them, neither is meant for sure.
    image(2).put_in(&env.store("data/other"), "a/b:1");
    let output = env.run_line("ls data").exits(2);
    assert!(
        !output.stderr.contains("The registry tree"),
        "{}",
        output.stderr
    );
}
