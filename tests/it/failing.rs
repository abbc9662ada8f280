//! Registries that fail for a moment, and registries that fail for good.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use hod_oci::Digest;

use hod_testkit::env::{Output, TestEnv};
use hod_testkit::faults::{
    Effect, Fault, any_path, blob_path, manifest_path, path_contains, upload_path,
};
use hod_testkit::images::menagerie;
use hod_testkit::registry::{Auth, RegistryOptions, TestRegistry};
use hod_testkit::tree::{exists, whole_images};
use hod_testkit::zoo::Zoo;

/// What passes when it is tried again.
fn passing() -> Vec<Effect> {
    vec![
        Effect::HangUp,
        Effect::DoneButHangUp,
        Effect::CutBody(10),
        Effect::Status(500),
        Effect::Status(408),
        Effect::Page(502, "<html><h1>Bad Gateway</h1></html>"),
        Effect::RetryAfter(429, "1"),
        Effect::RetryAfter(503, "1"),
    ]
}

/// What is no failure at all.
fn harmless() -> Vec<Effect> {
    vec![
        Effect::NoHeader("docker-content-digest"),
        Effect::NoHeader("content-length"),
        Effect::NoHeader("docker-distribution-api-version"),
        Effect::NoMount,
        Effect::OpaqueLocation,
    ]
}

/// What does not pass, with what is said of it.
fn lasting() -> Vec<(Effect, &'static str)> {
    vec![
        (Effect::Status(500), "500"),
        (Effect::Status(403), "403"),
        (Effect::Page(200, "<html>Welcome</html>"), ""),
        (Effect::Page(413, "<html>Too Large</html>"), "413"),
        (Effect::ShortBody(3), ""),
        (Effect::FlipByte, ""),
        (Effect::HangUp, ""),
        (Effect::Header("docker-content-digest", wrong()), "sha256:"),
    ]
}

fn wrong() -> String {
    Digest::of(b"something else").to_string()
}

/// The images of the menagerie by the names that they have in a registry.
fn all() -> BTreeMap<String, Digest> {
    let images = menagerie().into_iter();
    images
        .map(|(kind, image)| (format!("zoo/{kind}:1"), image.digest().clone()))
        .collect()
}

/// Runs `check` for each case in a thread of its own, since they mostly wait.
fn at_once<C: Send>(cases: Vec<C>, check: impl Fn(C) + Sync) {
    let check = &check;
    std::thread::scope(|scope| {
        let threads: Vec<_> = cases
            .into_iter()
            .map(|case| scope.spawn(move || check(case)))
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_pull_outlasts_what_passes() {
    at_once(passing(), |effect| {
        let zoo = Zoo::new();
        zoo.registry
            .fail(Fault::on("GET", manifest_path).nth(3).does(effect.clone()));
        zoo.registry
            .fail(Fault::on("GET", blob_path).nth(2).does(effect.clone()));
        let output = zoo.pull("store");
        assert_eq!(output.code, Some(0), "{effect:?}: {}", output.stderr);
        let images = whole_images(&zoo.env.path("store"));
        assert_eq!(images, all(), "{effect:?}");
        // Each is said, since it costs time.
        assert!(
            output.stderr.contains("retry:"),
            "{effect:?}: {}",
            output.stderr
        );
    });
}

#[test]
fn a_push_outlasts_what_passes() {
    let (zoo, _) = Zoo::pulled();
    let zoo = &zoo;
    at_once(passing(), |effect| {
        let registry = TestRegistry::start();
        for fault in [
            Fault::on("HEAD", manifest_path).nth(2),
            Fault::on("HEAD", blob_path).nth(3),
            Fault::on("POST", upload_path).nth(2),
            Fault::on("PATCH", upload_path).nth(2),
            Fault::on("PUT", upload_path).nth(3),
            Fault::on("PUT", manifest_path).nth(4),
        ] {
            registry.fail(fault.does(effect.clone()));
        }
        let line = format!("push store {}", registry.host());
        let output = zoo.env.run_line(&line);
        assert_eq!(output.code, Some(0), "{effect:?}: {}", output.stderr);
        assert_eq!(whole_images(registry.store().path()), all(), "{effect:?}");
    });
}

#[test]
fn what_a_registry_may_leave_out_is_not_missed() {
    let (zoo, _) = Zoo::pulled();
    let zoo = &zoo;
    at_once(harmless(), |effect| {
        let registry = TestRegistry::start();
        let method = if effect == Effect::NoMount {
            "POST"
        } else {
            "*"
        };
        registry.fail(Fault::on(method, any_path).does(effect.clone()));
        let line = format!("push store {}", registry.host());
        let output = zoo.env.run_line(&line);
        assert_eq!(output.code, Some(0), "{effect:?}: {}", output.stderr);
        assert_eq!(whole_images(registry.store().path()), all(), "{effect:?}");
        let env = TestEnv::in_memory();
        env.write("all.txt", zoo.lines.join("\n"));
        let host = registry.host();
        let line = format!("pull all.txt --store store --source {host} --platform all");
        let output = env.run_line(&line);
        assert_eq!(output.code, Some(0), "{effect:?}: {}", output.stderr);
        assert_eq!(whole_images(&env.path("store")), all(), "{effect:?}");
    });
}

/// Checks that some images failed, each with its name, and the others are there.
#[track_caller]
fn check_some(effect: &Effect, code: i32, words: &str, output: &Output, store: &Path) {
    let text = &output.stderr;
    assert_eq!(output.code, Some(code), "{effect:?}: {text}");
    assert!(text.contains("zoo/artifact:1"), "{effect:?}: {text}");
    assert!(text.contains(words), "{effect:?}: no `{words}` in {text}");
    assert!(text.contains("hint:"), "{effect:?}: {text}");
    assert!(text.contains("9 of 10 images"), "{effect:?}: {text}");
    let mut expected = all();
    expected.remove("zoo/artifact:1");
    assert_eq!(whole_images(store), expected, "{effect:?}");
    assert!(
        !output.stdout.contains("zoo/artifact:1"),
        "{}",
        output.stdout
    );
}

#[test]
fn an_image_that_cannot_be_pulled_fails_alone() {
    at_once(lasting(), |(effect, words)| {
        for of in [manifest_path as fn(&str) -> bool, blob_path] {
            let is_header = matches!(effect, Effect::Header(..));
            if is_header && of("/v2/x/blobs/x") {
                // What a registry says of a blob's digest is not asked: its bytes are.
                continue;
            }
            let is_blob = of("/v2/x/blobs/x");
            let is_damage = match effect {
                Effect::FlipByte | Effect::Header(..) => true,
                // A blob that breaks off is a failure of the network; a manifest is compared with its
                // digest.
                Effect::ShortBody(_) => !is_blob,
                // In place of a manifest, it shows that this is not a registry.
                Effect::Page(200, _) => is_blob,
                _ => false,
            };
            let code = if is_damage { 4 } else { 3 };
            let zoo = Zoo::new();
            let path = move |path: &str| of(path) && path.starts_with("/v2/zoo/artifact/");
            zoo.registry
                .fail(Fault::on("GET", path).does(effect.clone()));
            let line = format!("{} --retries 1", zoo.pull_line("store"));
            let output = zoo.env.run_line(&line);
            let store = zoo.env.path("store");
            check_some(&effect, code, words, &output, &store);
            // Only what is missing is fetched when it is well again.
            zoo.registry.heal();
            let _ = zoo.registry.take_seen();
            let _ = zoo.pull("store").success();
            assert_eq!(whole_images(&store), all());
            assert!(zoo.registry.n_blob_gets() <= 2, "{effect:?}");
        }
    });
}

#[test]
fn an_image_that_cannot_be_pushed_fails_alone() {
    let (zoo, store) = Zoo::pulled();
    let (zoo, _store) = (&zoo, &store);
    let cases = [
        Effect::Status(500),
        Effect::Status(403),
        Effect::Status(400),
        Effect::Page(413, "<html>Too Large</html>"),
        Effect::HangUp,
    ];
    let methods = ["HEAD", "POST", "PUT"];
    let cases = cases
        .iter()
        .flat_map(|effect| methods.map(|method| (effect.clone(), method)));
    at_once(cases.collect(), |(effect, method)| {
        let registry = TestRegistry::start();
        let path = path_contains("/v2/zoo/artifact/");
        registry.fail(Fault::on(method, path).does(effect.clone()));
        let line = format!("push store {} --retries 1", registry.host());
        let output = zoo.env.run_line(&line);
        check_some(&effect, 3, "", &output, registry.store().path());
        registry.heal();
        let _ = zoo.env.run_line(&line).success();
        assert_eq!(whole_images(registry.store().path()), all());
    });
}

#[test]
fn when_all_fails_nothing_is_left_and_the_exit_says_so() {
    let zoo = Zoo::new();
    zoo.registry
        .fail(Fault::on("*", any_path).does(Effect::Status(503)));
    // Whether it is found before the images are asked for, or with each of them.
    let line = format!("{} --retries 0", zoo.pull_line("store"));
    let output = zoo.env.run_line(&line).exits(5);
    assert!(output.stderr.contains("503"), "{}", output.stderr);
    let output = zoo.env.run_line(&format!("{line} --no-preflight")).exits(1);
    assert!(output.stderr.contains("503"), "{}", output.stderr);
    assert!(output.stderr.contains("hint:"), "{}", output.stderr);
    assert_eq!(output.stdout, "");
    let store = zoo.env.path("store");
    assert!(!exists(&store) || whole_images(&store).is_empty());
}

#[test]
fn a_retry_waits_as_long_as_it_is_told() {
    let zoo = Zoo::new();
    let fault = Fault::on("GET", blob_path).first(1);
    zoo.registry.fail(fault.does(Effect::RetryAfter(429, "2")));
    let start = Instant::now();
    let _ = zoo.pull("store").success();
    assert!(
        start.elapsed() >= Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_token_that_expires_on_the_way_is_renewed() {
    let auth = Auth::Bearer { login: None };
    let registry = TestRegistry::with(RegistryOptions {
        auth,
        ..RegistryOptions::default()
    });
    let (zoo, _) = Zoo::pulled();
    let host = registry.host();
    let lines = [
        format!("push store {host} --jobs 1"),
        format!("pull all.txt --store new --source {host} --platform all --jobs 1"),
    ];
    for line in lines {
        registry.heal();
        let slow = Fault::on("*", blob_path).does(Effect::Delay(15));
        registry.fail(slow.clone());
        std::thread::scope(|scope| {
            let run = scope.spawn(|| zoo.env.run_line(&line));
            let start = Instant::now();
            while slow.n_seen() < 4 && start.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(Duration::from_millis(2));
            }
            registry.expire_tokens();
            let _ = run.join().unwrap().success();
        });
        assert!(slow.n_seen() > 4, "{line}");
    }
    assert_eq!(whole_images(registry.store().path()), all());
    assert_eq!(whole_images(&zoo.env.path("new")), all());
    // The registry does refuse what comes without a token.
    assert_eq!(registry.send("GET", "/v2/zoo/oci/manifests/1").status, 401);
}

#[test]
fn a_refusal_without_a_reason_to_try_again_is_not_tried_again() {
    let (zoo, _) = Zoo::pulled();
    let second = TestRegistry::start();
    second.fail(Fault::on("*", any_path).does(Effect::Status(401)));
    let start = Instant::now();
    let line = format!("push store {}", second.host());
    let output = zoo.env.run_line(&line).exits(5);
    assert!(output.stderr.contains("401"), "{}", output.stderr);
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    assert!(second.count("*", any_path) <= 2 * (1 + zoo.lines.len()));
}
