//! Bundles that count on what their target has: packed against receipts and earlier bundles,
//! checked before anything is written.

use hod_bundle::{Bundle, BundleManifest, OriginKind, ReadOptions};

use hod_testkit::docker_registry::{self, DockerRegistry};
use hod_testkit::env::{Output, TestEnv};
use hod_testkit::faults::{Effect, Fault, path_contains};
use hod_testkit::images::{Compression, Image, ImageBuilder, layer};
use hod_testkit::programs;
use hod_testkit::registry::{Seen, TestRegistry};
use hod_testkit::tree::{assert_same, exists, registry_tree, tree, whole_images};

/// An image of these layers, which others may have too.
fn of_layers(seed: u64, layers: &[u64]) -> Image {
    let build = ImageBuilder::oci(seed);
    let layers = layers.iter();
    let build = layers.fold(build, |build, &at| {
        build.layer(&layer(at, 20_000, Compression::Gzip))
    });
    build.build()
}

/// The images of each release; each has layers of those before.
fn releases() -> [Vec<(&'static str, Image)>; 3] {
    [
        vec![
            ("acme/api:1", of_layers(1, &[100, 101])),
            ("acme/web:1", of_layers(2, &[100, 102])),
        ],
        vec![
            ("acme/api:2", of_layers(3, &[100, 101, 103])),
            ("acme/new:1", of_layers(4, &[102, 104])),
        ],
        vec![
            ("acme/api:3", of_layers(5, &[100, 103, 105])),
            ("acme/web:2", of_layers(6, &[100, 102])),
        ],
    ]
}

/// Stores `1` to `3` and `all`, the bundle of each store, and the deltas `d2.tar` and `d3.tar`,
/// each against the bundles of all releases before.
pub(crate) fn packed() -> TestEnv {
    let env = TestEnv::in_memory();
    for (at, images) in (1..).zip(releases()) {
        for (name, image) in images {
            image.put_in(&env.store(format!("{at}")), name);
            image.put_in(&env.store("all"), name);
        }
    }
    for line in [
        "pack 1 --output 1.tar --bundle-version 1.0",
        "pack 2 --output 2.tar --bundle-version 2.0",
        "pack all --output all.tar",
        "pack 2 --output d2.tar --since 1.tar --bundle-version 2.0",
        "pack 3 --output d3.tar --since 1.tar,d2.tar",
    ] {
        let _ = env.run_line(line).success();
    }
    env
}

fn manifest(env: &TestEnv, name: &str) -> BundleManifest {
    let bundle = Bundle::open(&env.path(name), &ReadOptions::default()).unwrap();
    bundle.manifest().clone()
}

/// The orders of `n` things.
pub(crate) fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(n - 1);
    let with = |order: &Vec<usize>, at: usize| {
        let mut order = order.clone();
        order.insert(at, n - 1);
        order
    };
    let longer = shorter
        .iter()
        .flat_map(|order| (0..n).map(move |at| with(order, at)));
    longer.collect()
}

/// Applies bundles in this order, those that are refused again later; `run` applies one, and
/// `look` tells the state of the target.
#[track_caller]
fn apply<S: PartialEq>(
    order: &[usize],
    run: impl Fn(&str) -> Output,
    look: impl Fn() -> S,
) -> usize {
    let mut left: Vec<&str> = order
        .iter()
        .map(|&at| ["1.tar", "d2.tar", "d3.tar"][at])
        .collect();
    let mut n_refused = 0;
    while !left.is_empty() {
        let n_left = left.len();
        left.retain(|bundle| {
            let before = look();
            let output = run(bundle);
            if output.code == Some(0) {
                return false;
            }
            let output = output.exits(5);
            assert!(
                output.stderr.contains("nothing was written"),
                "{}",
                output.stderr
            );
            assert!(look() == before, "{bundle} was refused and wrote something");
            n_refused += 1;
            true
        });
        assert!(left.len() < n_left, "nothing goes on");
    }
    n_refused
}

#[test]
fn what_the_target_has_is_left_out_and_counted_on() {
    let env = packed();
    let (first, delta) = (manifest(&env, "1.tar"), manifest(&env, "d2.tar"));
    let [one, two, _] = releases();
    let layer = |image: &Image, at: usize| image.top().stored_blobs().nth(at + 1).unwrap().clone();
    let mut base = [
        layer(&one[0].1, 0),
        layer(&one[0].1, 1),
        layer(&one[1].1, 1),
    ];
    base.sort_by(|a, b| a.digest.cmp(&b.digest));
    let found: Vec<_> = delta
        .base
        .iter()
        .map(|b| (b.digest.clone(), b.size))
        .collect();
    let base: Vec<_> = base.iter().map(|b| (b.digest.clone(), b.size)).collect();
    assert_eq!(found, base);
    let [origin] = &delta.origins[..] else {
        panic!("one origin");
    };
    assert_eq!(
        (origin.kind, origin.name.as_str(), origin.version.as_deref()),
        (OriginKind::Bundle, "1", Some("1.0"))
    );
    assert_eq!(origin.id.as_ref(), Some(&first.id));
    // Two configs and two layers of its own, and all manifests.
    let n_manifests = delta.blobs.iter().filter(|blob| blob.is_manifest).count();
    assert_eq!((n_manifests, delta.blobs.len()), (2, 6));
    assert!(
        two.iter()
            .all(|(name, _)| delta.images.iter().any(|i| i.name() == *name))
    );
    let shared = delta
        .base
        .iter()
        .find(|b| b.digest == layer(&one[0].1, 0).digest);
    let repositories = &shared.unwrap().held[0].repositories;
    let names: Vec<String> = repositories.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["acme/api", "acme/web"]);
    let output = env
        .run_line("pack 2 --output again.tar --since 1.tar --json")
        .success();
    let json: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(json["base_blobs"], 3);
    assert!(output.stderr.contains("3 blobs ("), "{}", output.stderr);
    assert!(
        output
            .stderr
            .contains("left out: the target must have them")
    );
}

#[test]
fn a_bundle_does_not_prove_what_it_counts_on_itself() {
    let env = packed();
    let _ = env
        .run_line("pack all --output d.tar --since d2.tar")
        .success();
    let carried = manifest(&env, "d2.tar").blobs;
    for blob in manifest(&env, "d.tar").base {
        assert!(carried.iter().any(|other| other.digest == blob.digest));
    }
}

#[test]
fn all_may_be_left_out() {
    let env = packed();
    let _ = env
        .run_line("pack all --output d.tar --since 1.tar,d2.tar --since d3.tar")
        .success();
    let empty = manifest(&env, "d.tar");
    assert!(empty.blobs.iter().all(|blob| blob.is_manifest));
    let _ = env.run_line("unpack all.tar --output store").success();
    let before = tree(&env.path("store"));
    let _ = env.run_line("unpack d.tar --output store").success();
    assert_same(&tree(&env.path("store")), &before, "unpacked again");
}

#[test]
fn deltas_unpacked_in_any_order_are_the_whole() {
    let env = packed();
    let _ = env.run_line("unpack all.tar --output whole").success();
    let whole = registry_tree(&env.path("whole"));
    let mut n_refused = 0;
    for (at, order) in orders(3).iter().enumerate() {
        let store = format!("store{at}");
        n_refused += apply(
            order,
            |bundle| env.run_line(&format!("unpack {bundle} --output {store}")),
            || tree(&env.path(&store)),
        );
        assert_same(&registry_tree(&env.path(&store)), &whole, &store);
    }
    assert!(n_refused > 0, "an order is wrong at first");
}

#[test]
fn deltas_pushed_in_any_order_are_the_whole() {
    let env = packed();
    let whole = whole_images(&env.path("all"));
    let mut n_refused = 0;
    for order in orders(3) {
        let registry = TestRegistry::start();
        n_refused += apply(
            &order,
            |bundle| env.run_line(&format!("push {bundle} {}/site", registry.host())),
            || tree(registry.store().path()),
        );
        let pushed = whole_images(registry.store().path());
        let expected = whole
            .iter()
            .map(|(name, digest)| (format!("site/{name}"), digest.clone()));
        assert_eq!(pushed, expected.collect());
    }
    assert!(n_refused > 0, "an order is wrong at first");
}

#[test]
fn a_missing_base_is_refused_before_anything_is_written() {
    let env = packed();
    let registry = TestRegistry::start();
    let output = env.run_line(&format!("push d2.tar {}", registry.host()));
    let seen = registry.take_seen();
    let is_look = |seen: &Seen| matches!(seen.method.as_str(), "GET" | "HEAD");
    assert!(!seen.is_empty() && seen.iter().all(is_look));
    insta::assert_snapshot!(output.snapshot(&[(registry.host(), "HOST")]), @"
    exit code: 5
    --- stdout
    --- stderr
    error: `d2.tar` requires `1 1.0` first: 3 blobs of it are not in `HOST`; nothing was written
      05b2e8056da9 (21.5 KiB), for acme/api:2; bundle `1` 1.0 (in acme/api and 1 more) contained it
      2c5a66c728e1 (21.5 KiB), for acme/new:1; bundle `1` 1.0 (in acme/web) contained it
      ce80ce4835b8 (21.5 KiB), for acme/api:2; bundle `1` 1.0 (in acme/api) contained it

    hint: Push or unpack the earlier bundle first. If you do not have it, ask your supplier for it, or
          for a bundle that is packed with `--since` a receipt of this target (`hod receipt`) or without
          `--since`.
    ");
    let output = env.run_line("unpack d2.tar --output new");
    assert!(!exists(&env.path("new")), "nothing is made");
    insta::assert_snapshot!(output.snapshot(&[]), @"
    exit code: 5
    --- stdout
    --- stderr
    error: `d2.tar` requires `1 1.0` first: 3 blobs of it are not in `new`; nothing was written
      05b2e8056da9 (21.5 KiB), for acme/api:2; bundle `1` 1.0 (in acme/api and 1 more) contained it
      2c5a66c728e1 (21.5 KiB), for acme/new:1; bundle `1` 1.0 (in acme/web) contained it
      ce80ce4835b8 (21.5 KiB), for acme/api:2; bundle `1` 1.0 (in acme/api) contained it

    hint: Push or unpack the earlier bundle first. If you do not have it, ask your supplier for it, or
          for a bundle that is packed with `--since` a receipt of this target (`hod receipt`) or without
          `--since`.
    ");
    // For programs, too, and whoever refuses.
    let registry = TestRegistry::start();
    for (line, target) in [
        (
            format!("push d2.tar {}", registry.host()),
            Some(registry.host()),
        ),
        ("unpack d2.tar --output new".to_owned(), Some("new")),
        ("export d2.tar --output layouts".to_owned(), None),
        ("pack d2.tar --output other.tar".to_owned(), None),
        ("pack d2.tar --output other.tar --dry-run".to_owned(), None),
    ] {
        let output = env.run_line(&format!("{line} --json")).exits(5);
        let document: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
        let verb = line.split(' ').next().unwrap();
        assert_eq!(document["verb"], verb);
        assert_eq!(document["source"], "d2.tar");
        assert_eq!(document["target"].as_str(), target, "{line}");
        let missing = document["missing_blobs"].as_array().unwrap();
        assert_eq!(missing.len(), 3, "{line}");
        for blob in missing {
            let digest = blob["digest"].as_str().unwrap();
            let (_, hex) = digest.split_once(':').unwrap();
            assert!(output.stderr.contains(&hex[..12]));
            assert_eq!(blob["held"][0]["kind"], "bundle");
            assert_eq!(blob["held"][0]["name"], "1");
            assert_eq!(blob["held"][0]["version"], "1.0");
            assert_ne!(blob["images"].as_array().unwrap().len(), 0);
        }
    }
    // A part of the base is not enough.
    let [one, ..] = releases();
    one[0].1.put_in(&env.store("part"), one[0].0);
    let before = tree(&env.path("part"));
    let output = env.run_line("unpack d2.tar --output part").exits(5);
    assert!(
        output.stderr.contains("1 blob of it is not in `part`"),
        "{}",
        output.stderr
    );
    assert_same(&tree(&env.path("part")), &before, "refused");
    for line in [
        "export d2.tar --output layouts",
        "pack d2.tar --output other.tar",
    ] {
        let output = env.run_line(line).exits(5);
        assert!(
            output.stderr.contains("bundle `1` 1.0"),
            "{}",
            output.stderr
        );
    }
    assert!(!exists(&env.path("layouts")) && !exists(&env.path("other.tar")));
}

#[test]
fn a_compressed_delta_is_as_good() {
    let env = packed();
    let _ = env
        .run_line("pack 2 --output d2.tar.zst --since 1.tar")
        .success();
    let registry = TestRegistry::start();
    let host = registry.host();
    let _ = env.run_line(&format!("push d2.tar.zst {host}")).exits(5);
    let _ = env.run_line("unpack d2.tar.zst --output store").exits(5);
    let _ = env.run_line(&format!("push 1.tar {host}")).success();
    let _ = env.run_line(&format!("push d2.tar.zst {host}")).success();
    assert_eq!(whole_images(registry.store().path()).len(), 4);
    let _ = env.run_line("unpack 1.tar --output store").success();
    let _ = env.run_line("unpack d2.tar.zst --output store").success();
    assert_eq!(whole_images(&env.path("store")).len(), 4);
}

#[test]
fn a_base_in_another_repository_is_mounted() {
    let env = packed();
    let registry = TestRegistry::start();
    let host = registry.host();
    let _ = env.run_line(&format!("push 1.tar {host}/site")).success();
    let _ = registry.take_seen();
    // `acme/new` has a layer of `acme/web`, and is a new repository.
    let _ = env.run_line(&format!("push d2.tar {host}/site")).success();
    let seen = registry.take_seen();
    let mounts = seen.iter().filter(|seen| {
        let query = seen.query.as_deref().unwrap_or_default();
        seen.path.contains("/site/acme/new/") && query.contains("mount=")
    });
    let mounts: Vec<&Seen> = mounts.collect();
    assert_eq!(mounts.len(), 1);
    assert!(
        mounts[0]
            .query
            .as_deref()
            .unwrap()
            .contains("from=site/acme/web")
    );
    assert_eq!(mounts[0].status, 201);
    assert_eq!(whole_images(registry.store().path()).len(), 4);
    // One look for each blob and repository, and none for what is there unchanged.
    let heads = |seen: &[Seen]| {
        let heads = seen
            .iter()
            .filter(|s| s.method == "HEAD" && s.path.contains("/blobs/"));
        let mut heads: Vec<String> = heads.map(|s| s.path.clone()).collect();
        heads.sort();
        heads
    };
    let asked = heads(&seen);
    let mut unique = asked.clone();
    unique.dedup();
    assert_eq!(asked, unique);
    let _ = env.run_line(&format!("push d2.tar {host}/site")).success();
    assert_eq!(heads(&registry.take_seen()), [""; 0]);
}

#[test]
fn a_base_that_is_not_mounted_fails_the_image_that_needs_it() {
    let env = packed();
    for effect in [Effect::NoMount, Effect::RefuseMount(403)] {
        let registry = TestRegistry::start();
        let host = registry.host();
        let _ = env.run_line(&format!("push 1.tar {host}")).success();
        let fault = Fault::on("POST", path_contains("/acme/new/")).does(effect);
        registry.fail(fault);
        let output = env.run_line(&format!("push d2.tar {host}")).exits(3);
        assert!(
            output.stderr.contains("acme/new:1: blob `sha256:"),
            "{}",
            output.stderr
        );
        assert!(output.stderr.contains("did not mount it into"));
        let pushed = whole_images(registry.store().path());
        assert!(pushed.contains_key("acme/api:2") && !pushed.contains_key("acme/new:1"));
        registry.heal();
        let _ = env.run_line(&format!("push d2.tar {host}")).success();
        assert_eq!(whole_images(registry.store().path()).len(), 4);
    }
}

#[test]
fn a_receipt_of_a_registry_makes_a_delta_for_it() {
    let env = packed();
    let registry = TestRegistry::start();
    let host = registry.host();
    let _ = env.run_line(&format!("push 1.tar {host}/site")).success();
    for form in ["", " --compact"] {
        let line = format!("receipt {host}/site --output have{form}");
        let _ = env.run_line(&line).success();
        let _ = env
            .run_line("pack 2 --force --output d.tar --since have")
            .success();
        let delta = manifest(&env, "d.tar");
        assert_eq!(delta.base.len(), 3, "{form}");
        assert_eq!(delta.origins[0].kind, OriginKind::Registry);
        assert_eq!(delta.origins[0].name, format!("{host}/site"));
    }
    let _ = env.run_line(&format!("push d.tar {host}/site")).success();
    assert_eq!(whole_images(registry.store().path()).len(), 4);
    // A store says itself what it has.
    let _ = env.run_line("pack 2 --output e.tar --since 1").success();
    assert_eq!(manifest(&env, "e.tar").base.len(), 3);
    assert_eq!(manifest(&env, "e.tar").origins[0].kind, OriginKind::Store);
}

#[test]
fn a_delta_for_one_registry_suits_another_that_has_the_same_images() {
    let env = packed();
    let (here, there) = (TestRegistry::start(), TestRegistry::start());
    let (from, to) = (
        format!("{}/m3", here.host()),
        format!("{}/prod", there.host()),
    );
    for line in [
        format!("push 1 {from}"),
        format!("push 1 {to}"),
        format!("receipt {from} --output have"),
        "pack 2 --output d.tar --since have".to_owned(),
        format!("push d.tar {to}"),
    ] {
        let _ = env.run_line(&line).success();
    }
    let repository = "prod/acme/api".parse().unwrap();
    let [_, second, _] = releases();
    let tag = there
        .store()
        .resolve_tag(&repository, &"2".parse().unwrap());
    assert_eq!(tag.unwrap().as_ref(), Some(second[0].1.digest()));
}

#[test]
fn a_registry_of_docker_takes_a_delta() {
    if !programs::are_here(&[docker_registry::PROGRAM]) {
        return;
    }
    let env = packed();
    let registry = DockerRegistry::serve(&env, "registry");
    let host = registry.host().to_owned();
    let _ = env.run_line(&format!("push d2.tar {host}/site")).exits(5);
    let _ = env.run_line(&format!("push 1.tar {host}/site")).success();
    let _ = env.run_line(&format!("push d2.tar {host}/site")).success();
    for (name, image) in releases().iter().take(2).flatten() {
        registry.assert_serves(&format!("site/{name}"), image);
    }
}

#[test]
fn a_delta_says_that_it_is_one() {
    let env = packed();
    let said = "`d2.tar` is a delta: it requires ";
    let of = "that it does not contain, from bundle `1 1.0` (bundle id sha256:";
    for line in ["verify d2.tar", "ls d2.tar"] {
        let output = env.run_line(line).success();
        let stderr = output.stderr.replace("\n      ", " ");
        assert!(
            stderr.contains(said) && stderr.contains(of),
            "{line}: {stderr}"
        );
        let json = env.run_line(&format!("{line} --json")).success().stdout;
        let document: serde_json::Value = serde_json::from_str(&json).unwrap();
        let delta = &document["delta"];
        assert_eq!(
            delta["required_blobs"],
            manifest(&env, "d2.tar").base.len(),
            "{delta}"
        );
        assert_eq!(delta["origins"][0]["name"], "1");
        assert!(delta["required_bytes"].as_u64().is_some_and(|len| len > 0));
        assert!(
            delta["origins"][0]["id"]
                .as_str()
                .is_some_and(|id| id.len() == 71)
        );
    }
    for line in ["verify 1.tar", "ls 1.tar", "verify 1", "ls 1"] {
        let output = env.run_line(line).success();
        assert!(
            !output.stderr.contains("delta"),
            "{line}: {}",
            output.stderr
        );
        let json = env.run_line(&format!("{line} --json")).success().stdout;
        assert!(!json.contains("\"delta\""), "{line}: {json}");
    }
}
