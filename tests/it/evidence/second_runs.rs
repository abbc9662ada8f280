//! The second run finds what the first found, whatever a HEAD says.

use serde_json::Value;

use hod_testkit::env::TestEnv;
use hod_testkit::faults::{Effect, Fault, manifest_path};
use hod_testkit::images::{Blob, Image, ImageBuilder, image, index};
use hod_testkit::referrers::{about, cosign_tag, signatures};
use hod_testkit::registry::TestRegistry;

/// How registries answer the HEAD of a manifest that a GET gives.
const HEADS: [u16; 5] = [400, 403, 404, 405, 412];

#[test]
fn a_second_pull_finds_what_the_first_found() {
    for status in HEADS {
        let (env, registry) = (TestEnv::new(), TestRegistry::start());
        registry.add("a/b:1", &image(740));
        registry.add("c/d:1", &image(741));
        registry.fail(Fault::on("HEAD", manifest_path).does(Effect::Status(status)));
        env.write("list.txt", "a/b:1\nc/d:1\n");
        let line = format!("pull list.txt --store s --source {}", registry.host());
        let first = env.run_line(&line).success();
        let second = env.run_line(&line).success();
        assert_eq!(first.stdout, second.stdout, "{status}");
        assert!(
            second.stderr.contains("nothing to transfer"),
            "{}",
            second.stderr
        );
    }
}

#[test]
fn a_second_push_finds_what_the_first_pushed() {
    for status in HEADS {
        let (env, registry) = (TestEnv::new(), TestRegistry::start());
        let store = env.store("store");
        image(742).put_in(&store, "a/b:1");
        image(743).put_in(&store, "c/d:1");
        drop(store);
        registry.fail(Fault::on("HEAD", manifest_path).does(Effect::Status(status)));
        let line = format!("push store {}", registry.host());
        let first = env.run_line(&line).success();
        let second = env.run_line(&line).success();
        assert_eq!(first.stdout, second.stdout, "{status}");
        assert!(
            second.stderr.contains("(2 unchanged)"),
            "{status}: {}",
            second.stderr
        );
    }
}

/// Harbor's rules for pulls: only signed images, or none with vulnerabilities.
fn hide_manifests(registry: &TestRegistry) {
    for method in ["HEAD", "GET"] {
        registry.fail(Fault::on(method, manifest_path).does(Effect::Status(412)));
    }
}

#[test]
fn what_a_policy_hides_can_be_pushed_again() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    let store = env.store("store");
    let image = image(744);
    image.put_in(&store, "a/b:1");
    let tag = cosign_tag(image.digest(), "att");
    signatures(&[1]).put_in(&store, &format!("a/b:{tag}"));
    drop(store);
    let line = format!("push store {}", registry.host());
    env.run_line(&line).success();
    hide_manifests(&registry);
    for _ in 0..2 {
        env.run_line(&line).success();
    }
    let dry = env.run_line(&format!("{line} --dry-run")).success();
    let says = "a/b:1 ";
    let of_image = dry
        .stdout
        .lines()
        .find(|line| line.starts_with(says))
        .unwrap();
    assert!(
        of_image.ends_with("(cannot be read because of a policy)"),
        "{of_image}"
    );
    let json = env.run_line(&format!("{line} --dry-run --json")).success();
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["images"][0]["target"], "unreadable");
    assert_eq!(json["would_move"]["bytes"], 0);
}

#[test]
fn a_dry_run_says_what_the_real_run_does() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    let (old, new) = (image(745), image(746));
    let host = registry.host();
    let before = env.store("before");
    for (name, image) in [("a/moved:1", &old), ("a/same:1", &old)] {
        image.put_in(&before, name);
    }
    drop(before);
    env.run_line(&format!("push before {host}")).success();
    let store = env.store("store");
    for (name, image) in [("a/moved:1", &new), ("a/new:1", &old), ("a/same:1", &old)] {
        image.put_in(&store, name);
    }
    drop(store);
    let line = format!("push store {host}");
    let dry = env.run_line(&format!("{line} --dry-run")).success();
    let digests = (new.digest(), old.digest());
    let expect = format!(
        "a/moved:1 {0} (replaces {1})\na/new:1 {1} (new)\na/same:1 {1} (unchanged)\n",
        digests.0, digests.1
    );
    assert_eq!(dry.stdout, expect);
    let dry = env.run_line(&format!("{line} --dry-run --json")).success();
    let dry: Value = serde_json::from_str(&dry.stdout).unwrap();
    let targets: Vec<&str> = dry["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| image["target"].as_str().unwrap())
        .collect();
    assert_eq!(targets, ["replaces", "new", "unchanged"]);
    assert_eq!(dry["images"][0]["replaces"], old.digest().as_str());
    let real = env.run_line(&format!("{line} --json")).success();
    let real: Value = serde_json::from_str(&real.stdout).unwrap();
    // The base is mounted from where it is.
    assert_eq!(dry["would_move"]["bytes"], real["moved_bytes"]);
    assert_eq!(dry["would_move"]["blobs"], real["moved_blobs"]);
    // Back again, which is told.
    let back = env.run_line(&format!("push before {host}")).success();
    let moved = format!("a/moved:1 {} (replaces {})\n", old.digest(), new.digest());
    assert!(back.stdout.starts_with(&moved), "{}", back.stdout);
}

#[test]
fn a_dry_run_finds_what_the_real_run_finds() {
    type Harm = fn(&TestEnv, &Blob);
    let harms: [(&str, Harm); 3] = [
        ("gone", |env, blob| {
            hod_fsx::remove_file(&blob_path(env, blob)).unwrap();
        }),
        ("directory", |env, blob| {
            hod_fsx::remove_file(&blob_path(env, blob)).unwrap();
            hod_fsx::create_dir_all(&blob_path(env, blob)).unwrap();
        }),
        ("cut", |env, blob| {
            hod_fsx::write_file(&blob_path(env, blob), b"x").unwrap();
        }),
    ];
    for (name, harm) in harms {
        let (env, registry) = (TestEnv::new(), TestRegistry::start());
        let (good, bad) = (image(750), image(760));
        let store = env.store("store");
        good.put_in(&store, "a/good:1");
        bad.put_in(&store, "a/bad:1");
        drop(store);
        harm(&env, &bad.blobs[1]);
        let line = format!("push store {}", registry.host());
        let dry = env.run_line(&format!("{line} --dry-run"));
        let real = env.run_line(&line);
        assert_eq!(
            dry.code, real.code,
            "{name}: {} {}",
            dry.stderr, real.stderr
        );
        assert!(matches!(real.code, Some(3 | 4)), "{name}: {}", real.stderr);
        for output in [dry, real] {
            let stderr = &output.stderr;
            assert!(
                stderr.contains(bad.blobs[1].digest.hex()),
                "{name}: {stderr}"
            );
            assert!(output.stdout.contains("a/good:1"), "{name}: {stderr}");
        }
    }
}

fn blob_path(env: &TestEnv, blob: &Blob) -> std::path::PathBuf {
    let store = hod_store::Store::open(&env.path("store")).unwrap();
    store.blob_path(&blob.digest)
}

/// An image of two platforms.
fn two_platforms() -> Image {
    let child = |seed: u64, architecture: &str| {
        ImageBuilder::oci(seed)
            .platform("linux", architecture)
            .layer(&hod_testkit::images::layer(
                seed,
                3000,
                hod_testkit::images::Compression::Gzip,
            ))
            .build()
    };
    index(
        hod_testkit::images::Format::Oci,
        &[child(770, "amd64"), child(771, "arm64")],
    )
}

#[test]
fn a_target_that_lost_something_is_mended() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    let (plain, multi) = (image(772), two_platforms());
    let store = env.store("store");
    plain.put_in(&store, "a/plain:1");
    multi.put_in(&store, "a/multi:1");
    drop(store);
    let push = format!("push store {}", registry.host());
    env.run_line(&push).success();
    let lost = &plain.blobs[1];
    let cut = &multi.blobs[1];
    let child = multi.manifests[0].digest();
    let at = registry.store();
    let whole = [&lost.digest, &cut.digest, child];
    hod_fsx::remove_file(&at.blob_path(&lost.digest)).unwrap();
    hod_fsx::write_file(&at.blob_path(&cut.digest), b"").unwrap();
    hod_fsx::remove_file(&at.blob_path(child)).unwrap();
    // One HEAD an image does not tell.
    let blind = env.run_line(&push).success();
    assert!(blind.stderr.contains("(2 unchanged)"), "{}", blind.stderr);
    let dry = env
        .run_line(&format!("{push} --recheck --dry-run --json"))
        .success();
    let dry: Value = serde_json::from_str(&dry.stdout).unwrap();
    assert_eq!(dry["would_move"]["blobs"], 2, "{dry}");
    assert_eq!(dry["images"][0]["status"], "planned", "{dry}");
    let mended = env.run_line(&format!("{push} --recheck")).success();
    assert!(!mended.stderr.contains("unchanged"), "{}", mended.stderr);
    for digest in whole {
        let bytes = hod_fsx::read(&at.blob_path(digest), u64::MAX - 1).unwrap();
        assert!(digest.matches(&bytes));
    }
    let _ = registry.take_seen();
    let again = env.run_line(&format!("{push} --recheck")).success();
    assert!(again.stderr.contains("(2 unchanged)"), "{}", again.stderr);
    assert!(
        registry
            .seen()
            .iter()
            .all(|seen| seen.method == "HEAD" || seen.method == "GET")
    );
    let dry = env
        .run_line(&format!("{push} --recheck --dry-run"))
        .success();
    assert!(dry.stderr.contains("nothing to transfer"), "{}", dry.stderr);
}

/// A registry with a cache of lengths: every HEAD is right, and the content of a blob is gone.
#[test]
fn what_a_cache_knows_is_no_proof_of_a_repair() {
    // How many reads find nothing: two before the blob is sent again, and those after it.
    let cases = [
        (2, 0, "transferred"),
        (usize::MAX, 1, "even after it was sent again"),
    ];
    for (n_reads, code, says) in cases {
        let (env, registry) = (TestEnv::new(), TestRegistry::start());
        let store = env.store("store");
        let image = image(775);
        image.put_in(&store, "a/plain:1");
        drop(store);
        let push = format!("push store {}", registry.host());
        env.run_line(&push).success();
        let lost = image.blobs[1].digest.to_string();
        let read = move |path: &str| path.contains("/blobs/") && path.ends_with(&lost);
        registry.fail(
            Fault::on("GET", read)
                .first(n_reads)
                .does(Effect::CutBody(0)),
        );
        let mended = env.run_line(&format!("{push} --recheck"));
        assert_eq!(mended.code, Some(code), "{}", mended.stderr);
        assert!(mended.stderr.contains(says), "{}", mended.stderr);
        assert!(!mended.stderr.contains("unchanged"), "{}", mended.stderr);
    }
}

#[test]
fn only_referrers_that_are_missing_are_put() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    let image = image(780);
    let store = env.store("store");
    image.put_in(&store, "a/b:1");
    about(image.top(), "x/one", 781).put_in(&store, "a/b");
    about(image.top(), "x/two", 782).put_in(&store, "a/b");
    drop(store);
    let push = format!("push store {}", registry.host());
    env.run_line(&push).success();
    about(image.top(), "x/three", 783).put_in(&env.store("store"), "a/b");
    let _ = registry.take_seen();
    env.run_line(&push).success();
    assert_eq!(registry.count("PUT", manifest_path), 1);
}
