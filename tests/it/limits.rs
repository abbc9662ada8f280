//! What registries allow is respected, and shown.

use std::time::{Duration, Instant};

use hod_testkit::env::TestEnv;
use hod_testkit::faults::{Effect, Fault, any_path, blob_path, manifest_path};
use hod_testkit::images::{Compression, image};
use hod_testkit::images::{Format, ImageBuilder, Layer, index, layer};
use hod_testkit::registry::{Auth, RegistryOptions, Seen, TestRegistry};
use hod_testkit::tree::whole_images;
use hod_testkit::zoo::Zoo;

/// What was asked, but for what is about images, of which `referrers` has the tests.
fn lines(seen: &[Seen]) -> Vec<String> {
    let is_about = |path: &str| path.contains("/referrers/") || path.ends_with("/tags/list");
    let lines = seen
        .iter()
        .filter(|seen| !is_about(&seen.path))
        .map(|seen| format!("{} {}", seen.method, seen.path));
    lines.collect()
}

#[test]
fn an_unchanged_image_costs_one_head() {
    let (zoo, _) = Zoo::pulled();
    let first = whole_images(&zoo.env.path("store"));
    let _ = zoo.registry.take_seen();
    let _ = zoo.pull("store").success();
    let mut seen = lines(&zoo.registry.take_seen());
    seen.sort();
    let greeting = ["GET /v2/".to_owned()];
    let heads = zoo
        .lines
        .iter()
        .map(|line| format!("HEAD /v2/{}", line.replace(':', "/manifests/")));
    let mut expect: Vec<String> = heads.chain(greeting).collect();
    expect.sort();
    assert_eq!(seen, expect);
    assert_eq!(whole_images(&zoo.env.path("store")), first);
    // What changed is fetched, and nothing else.
    zoo.registry.add("zoo/oci:1", &image(77));
    let _ = zoo.pull("store").success();
    let gets = lines(&zoo.registry.take_seen());
    let gets: Vec<&String> = gets.iter().filter(|line| line.starts_with("GET")).collect();
    assert_eq!(gets.len(), 1 + 1 + 3, "{gets:?}");
    assert_eq!(gets[0], "GET /v2/");
    assert_eq!(gets[1], "GET /v2/zoo/oci/manifests/1");
    let images = whole_images(&zoo.env.path("store"));
    assert_eq!(images.get("zoo/oci:1"), Some(image(77).digest()));
}

#[test]
fn one_platform_of_an_unchanged_index_costs_one_head_too() {
    let of = |architecture: &str, seed: u64| {
        let own: Layer = layer(seed, 900, Compression::Gzip);
        let builder = ImageBuilder::oci(seed).platform("linux", architecture);
        builder.layer(&own).build()
    };
    let images = [of("amd64", 1), of("arm64", 2), of("s390x", 3)];
    let registry = TestRegistry::start();
    registry.add("app/a:1", &index(Format::Oci, &images));
    let env = TestEnv::in_memory();
    env.write("all.txt", "app/a:1");
    for platforms in ["linux/amd64", "linux/amd64,linux/arm64"] {
        let store = platforms.replace(['/', ','], "-");
        let line = format!(
            "pull all.txt --store {store} --source {} --platform {platforms} --lock lock",
            registry.host()
        );
        let first = env.run_line(&line).success();
        let lock = env.read("lock");
        let _ = registry.take_seen();
        let second = env.run_line(&line).success();
        assert_eq!(
            lines(&registry.take_seen()),
            ["GET /v2/", "HEAD /v2/app/a/manifests/1"]
        );
        assert_eq!(second.stdout, first.stdout);
        assert_eq!(env.read("lock"), lock);
        // What is kept for that is no part of the tree, and may be damaged.
        let _ = env.run_line(&format!("verify {store}")).success();
        let originals = env.path(format!("{store}/.hod/originals"));
        for name in hod_fsx::read_dir_names(&originals).unwrap() {
            hod_fsx::write_file(&originals.join(name), b"{}").unwrap();
        }
        let third = env.run_line(&line).success();
        assert_eq!(third.stdout, first.stdout);
    }
}

/// A registry that counts pulls, and has `remaining` left.
fn counting(remaining: u64) -> Zoo {
    let zoo = Zoo::new();
    for (name, value) in [
        ("ratelimit-limit", "100;w=21600".to_owned()),
        ("ratelimit-remaining", format!("{remaining};w=21600")),
    ] {
        let fault = Fault::on("*", manifest_path);
        zoo.registry.fail(fault.does(Effect::Header(name, value)));
    }
    zoo
}

#[test]
fn what_is_left_of_a_budget_is_shown() {
    let zoo = counting(76);
    let output = zoo.pull("store").success();
    let host = zoo.registry.host();
    let note = format!("note: `{host}`: 76 of 100 pulls left in a window of 6h00m");
    assert!(output.stderr.contains(&note), "{}", output.stderr);
    assert!(!output.stderr.contains("warning"), "{}", output.stderr);
}

#[test]
fn a_budget_that_will_not_do_is_warned_of() {
    let zoo = counting(2);
    let mut lines = zoo.lines.clone();
    lines.extend((0..60).map(|n| format!("zoo/more-{n}:1")));
    zoo.env.write("all.txt", lines.join("\n"));
    for n in 0..60 {
        zoo.registry.add(&format!("zoo/more-{n}:1"), &image(500));
    }
    let output = zoo.pull("store").success();
    let words = "and allows 2 more in a window of 6h00m; the rest can be pulled when it has passed";
    let text: Vec<&str> = output.stderr.split_whitespace().collect();
    let text = text.join(" ");
    assert_eq!(text.matches(words).count(), 1, "{}", output.stderr);
    // A second run needs nothing of it.
    let output = zoo.pull("store").success();
    assert!(!output.stderr.contains("warning"), "{}", output.stderr);
}

#[test]
fn a_spent_budget_says_when_to_run_again() {
    let zoo = counting(0);
    zoo.registry.fail(
        Fault::on("GET", manifest_path)
            .after(3)
            .does(Effect::Status(429)),
    );
    let start = Instant::now();
    let output = zoo.pull("store").exits(3);
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "nobody waits for hours"
    );
    assert!(
        output.stderr.contains("does not allow more requests until"),
        "{}",
        output.stderr
    );
    let hint = "hint: Run the same command again in 6h00m: it does only what is missing";
    assert!(output.stderr.contains(hint), "{}", output.stderr);
    // What was given out is carried.
    let n_pulled = whole_images(&zoo.env.path("store")).len();
    assert!((1..=3).contains(&n_pulled), "{n_pulled}");
    zoo.registry.heal();
    let _ = zoo.pull("store").success();
    assert_eq!(whole_images(&zoo.env.path("store")).len(), zoo.lines.len());
}

#[test]
fn a_429_holds_up_manifests_that_are_put_too() {
    let (zoo, _) = Zoo::pulled();
    let registry = TestRegistry::start();
    let refusal = Fault::on("PUT", manifest_path).first(1);
    registry.fail(refusal.does(Effect::RetryAfter(429, "2")));
    let start = Instant::now();
    let line = format!("push store {} --jobs 1", registry.host());
    let _ = zoo.env.run_line(&line).success();
    assert!(start.elapsed() >= Duration::from_secs(2));
    assert_eq!(whole_images(registry.store().path()).len(), zoo.lines.len());
}

#[test]
fn what_a_registry_warns_of_is_said_once() {
    let zoo = Zoo::new();
    let warning = r#"299 - "this registry moves on Friday""#.to_owned();
    let fault = Fault::on("*", any_path);
    zoo.registry
        .fail(fault.does(Effect::Header("warning", warning)));
    let output = zoo.pull("store").success();
    let host = zoo.registry.host();
    let text = format!("warning: `{host}` says: this registry moves on Friday");
    assert_eq!(output.stderr.matches(&text).count(), 1, "{}", output.stderr);
}

#[test]
fn a_rate_holds_in_both_directions() {
    let registry = TestRegistry::start();
    let big = ImageBuilder::oci(1)
        .layer(&layer(2, 300_000, Compression::Uncompressed))
        .layer(&layer(3, 300_000, Compression::Uncompressed))
        .build();
    registry.add("app/big:1", &big);
    let env = TestEnv::in_memory();
    env.write("all.txt", "app/big:1");
    let host = registry.host();
    let second = TestRegistry::start();
    for line in [
        format!("pull all.txt --store store --source {host} --max-rate 300K"),
        format!("push store {} --max-rate 300K", second.host()),
    ] {
        let start = Instant::now();
        let _ = env.run_line(&line).success();
        let took = start.elapsed();
        // 600 KB; a fifth of a second is caught up on.
        assert!(took >= Duration::from_millis(1700), "{line}: {took:?}");
    }
    assert_eq!(whole_images(second.store().path()).len(), 1);
    let output = env
        .run_line("push store 127.0.0.1:1 --max-rate fast")
        .exits(2);
    assert!(
        output.stderr.contains("such as 500K, 10M or 1G"),
        "{}",
        output.stderr
    );
}

#[test]
fn the_limits_of_a_host_do_not_keep_a_login_from_getting_through() {
    // Each request is refused first, holds nothing then, and all want a token of the same host.
    let registry = TestRegistry::with(RegistryOptions {
        auth: Auth::Bearer { login: None },
        ..RegistryOptions::default()
    });
    let env = TestEnv::in_memory();
    let mut lines = Vec::new();
    for n in 0..40 {
        registry.add(&format!("app/{n}:1"), &image(n * 10));
        lines.push(format!("app/{n}:1"));
    }
    env.write("all.txt", lines.join("\n"));
    let slow = Fault::on("GET", |path: &str| blob_path(path) || path == "/token");
    registry.fail(slow.does(Effect::Delay(5)));
    let line = format!("pull all.txt --store store --source {}", registry.host());
    let _ = env.run_line(&line).success();
    assert_eq!(whole_images(&env.path("store")).len(), 40);
}
