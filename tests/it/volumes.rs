//! Volumes that come one at a time: what is here goes to the target, images are published when all
//! of them is there, and the rest says what it waits for.

mod dirs;

use std::collections::{BTreeMap, BTreeSet};

use hod_bundle::{Bundle, BundleBlob, ReadOptions};
use hod_oci::Digest;

use hod_testkit::bundles::{leave_out, pack_again};
use hod_testkit::env::TestEnv;
use hod_testkit::images::{Compression, Image, ImageBuilder, layer};
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::{exists, whole_images};

/// How many volumes there are.
const N_VOLUMES: u32 = 4;

/// An image of these layers of 40 KB each.
fn of_layers(seed: u64, layers: &[u64]) -> Image {
    let build = ImageBuilder::oci(seed);
    let layers = layers.iter();
    let build = layers.fold(build, |build, &at| {
        build.layer(&layer(at, 40_000, Compression::Gzip))
    });
    build.build()
}

fn images() -> Vec<(&'static str, Image)> {
    vec![
        ("acme/api:1", of_layers(1, &[10])),
        ("acme/cli:1", of_layers(2, &[11])),
        ("acme/db:1", of_layers(3, &[12, 13])),
        ("acme/web:1", of_layers(4, &[10, 14, 15, 16, 17])),
        ("acme/zoo:1", of_layers(5, &[18])),
    ]
}

/// A bundle in volumes, each in a directory of its own: `1/site.001.tar` and so on.
fn divided() -> TestEnv {
    let env = TestEnv::in_memory();
    for (name, image) in images() {
        image.put_in(&env.store("store"), name);
    }
    let _ = env.run_line("pack store --output whole.tar").success();
    let n = pack_again(&env, ("whole.tar", "site.tar"), |plan| {
        plan.volume_size = Some(200_000);
    });
    assert_eq!(n, N_VOLUMES as usize);
    for at in 1..=N_VOLUMES {
        hod_fsx::create_dir_all(&env.path(at.to_string())).unwrap();
        hod_fsx::rename(&env.path(format!("site.00{at}.tar")), &env.path(volume(at))).unwrap();
    }
    env
}

fn volume(at: u32) -> String {
    format!("{at}/site.00{at}.tar")
}

/// The images that these volumes complete, with their digests, and the volumes that the others
/// wait for.
type Expected = (BTreeMap<String, Digest>, BTreeMap<String, Vec<u32>>);

fn expected(env: &TestEnv, here: &BTreeSet<u32>) -> Expected {
    let bundle = Bundle::open(&env.path(volume(1)), &ReadOptions::default()).unwrap();
    let manifest = bundle.manifest();
    let (mut whole, mut waiting) = (BTreeMap::new(), BTreeMap::new());
    for image in &manifest.images {
        let blobs = manifest
            .blobs
            .iter()
            .filter(|b| image.blobs.contains(&b.digest));
        let needed: BTreeSet<u32> = blobs.flat_map(BundleBlob::volumes).collect();
        let missing: Vec<u32> = needed.difference(here).copied().collect();
        if missing.is_empty() {
            whole.insert(image.name(), image.digest.clone());
        } else {
            waiting.insert(image.name(), missing);
        }
    }
    (whole, waiting)
}

fn orders(n: u32) -> Vec<Vec<u32>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let with = |order: Vec<u32>| {
        (0..n as usize).map(move |at| {
            let mut order = order.clone();
            order.insert(at, n);
            order
        })
    };
    orders(n - 1).into_iter().flat_map(with).collect()
}

#[test]
fn volumes_pushed_one_by_one_in_any_order_end_complete() {
    let env = divided();
    let mut seen = BTreeSet::new();
    for order in orders(N_VOLUMES) {
        let registry = TestRegistry::start();
        let mut here = BTreeSet::new();
        for at in order {
            here.insert(at);
            let line = format!("push {} {} --json", volume(at), registry.host());
            let output = env.run_line(&line);
            let (whole, waiting) = expected(&env, &here);
            // What is published is whole, and is all that can be.
            assert_eq!(whole_images(registry.store().path()), whole, "{here:?}");
            let output = output.exits(if waiting.is_empty() { 0 } else { 3 });
            let json: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
            for image in json["images"].as_array().unwrap() {
                let name = image["image"].as_str().unwrap();
                match waiting.get(name) {
                    Some(volumes) => {
                        assert_eq!(image["status"], "waiting", "{name} at {here:?}");
                        assert_eq!(image["volumes"], serde_json::json!(volumes));
                    }
                    None => assert!(whole.contains_key(name)),
                }
            }
            // The next is one that something waits for.
            match json.get("next_volumes").and_then(|next| next[0].as_u64()) {
                Some(next) => {
                    let next = u32::try_from(next).unwrap();
                    assert!(waiting.values().any(|volumes| volumes.contains(&next)));
                }
                None => assert!(waiting.is_empty()),
            }
            seen.insert((here.clone(), whole.len()));
        }
    }
    let n_whole = |n: usize| seen.iter().filter(|(_, whole)| *whole == n).count();
    assert!(
        n_whole(0) > 0 && n_whole(2) > 0 && n_whole(images().len()) == 1,
        "{seen:?}"
    );
    assert_eq!(seen.len(), (1 << N_VOLUMES) - 1, "every subset");
}

#[test]
fn what_waits_says_for_which_volumes() {
    let env = divided();
    let registry = TestRegistry::start();
    let host = registry.host();
    let names = [(host, "HOST")];
    let output = env.run_line(&format!("push {} {host} --dry-run", volume(2)));
    insta::assert_snapshot!(output.snapshot(&names), @"
    exit code: 3
    --- stdout
    --- stderr
    found volume 2 of 4: 0 of 5 images would be pushed
      acme/api:1: waits for volume 4
      acme/cli:1: waits for volumes 1 and 4
      acme/db:1: waits for volume 4
      acme/web:1: waits for volumes 1, 3 and 4
      acme/zoo:1: waits for volumes 3 and 4
    next: volume 1
    ");
    let output = env.run_line(&format!("push {} {host}", volume(2)));
    insta::assert_snapshot!(output.snapshot(&names), @"
    exit code: 3
    --- stdout
    --- stderr
    pushed volume 2 of 4: 0 of 5 images complete
      acme/api:1: waits for volume 4
      acme/cli:1: waits for volumes 1 and 4
      acme/db:1: waits for volume 4
      acme/web:1: waits for volumes 1, 3 and 4
      acme/zoo:1: waits for volumes 3 and 4
    next: volume 1
    ");
    let line = format!("push {} {host} --report report.xml", volume(1));
    let output = env.run_line(&line);
    insta::assert_snapshot!(output.snapshot(&names), @"
    exit code: 3
    --- stdout
    --- stderr
    pushed volume 1 of 4: 0 of 5 images complete
      acme/api:1: waits for volume 4
      acme/cli:1: waits for volume 4
      acme/db:1: waits for volume 4
      acme/web:1: waits for volumes 3 and 4
      acme/zoo:1: waits for volumes 3 and 4
    next: volume 3
    ");
    assert!(env.read("report.xml").contains("waits for volumes 3 and 4"));
    assert!(env.read("report.xml").contains("value=\"waiting\""));
    for at in [4, 3] {
        let _ = env.run_line(&format!("push {} {host}", volume(at)));
    }
    let output = env.run_line(&format!("push {} {host}", volume(1)));
    assert!(output.success().stderr.contains("(5 unchanged)"));
}

#[test]
fn a_layer_in_parts_is_asked_for_with_all_of_them() {
    let env = TestEnv::in_memory();
    let store = env.store("store");
    let big = layer(1, 300_000, Compression::Gzip);
    ImageBuilder::oci(1)
        .layer(&big)
        .build()
        .put_in(&store, "acme/big:1");
    let _ = env.run_line("pack store --output whole.tar").success();
    let n = pack_again(&env, ("whole.tar", "site.tar"), |plan| {
        plan.volume_size = Some(140_000);
    });
    assert!(n > 2);
    hod_fsx::create_dir_all(&env.path("alone")).unwrap();
    hod_fsx::rename(&env.path("site.001.tar"), &env.path("alone/site.001.tar")).unwrap();
    let registry = TestRegistry::start();
    let host = registry.host();
    let output = env.run_line(&format!("push alone/site.001.tar {host}"));
    insta::assert_snapshot!(output.snapshot(&[(host, "HOST")]), @"
    exit code: 3
    --- stdout
    --- stderr
    pushed volume 1 of 3: 0 of 1 image complete
      acme/big:1: waits for volumes 2 and 3
    next: volume 3
    ");
    hod_fsx::rename(&env.path("alone/site.001.tar"), &env.path("site.001.tar")).unwrap();
    let _ = env.run_line(&format!("push site.001.tar {host}")).success();
    assert_eq!(whole_images(registry.store().path()).len(), 1);
}

#[test]
fn verbs_that_need_all_refuse_and_name_what_is_missing() {
    let env = divided();
    for line in [
        "unpack 2/site.002.tar --output out",
        "export 2/site.002.tar --output out",
        "pack 2/site.002.tar --output out.tar",
    ] {
        let output = env.run_line(line).exits(5);
        let said = "3 of its 4 volumes are missing: 1, 3, 4";
        assert!(output.stderr.contains(said), "{line}: {}", output.stderr);
    }
    assert!(!exists(&env.path("out")) && !exists(&env.path("out.tar")));
}

#[test]
fn a_volume_of_a_delta_is_refused_without_its_base_and_waits_for_the_others_with_it() {
    let env = TestEnv::in_memory();
    for (name, image) in images() {
        image.put_in(&env.store("store"), name);
    }
    let _ = env.run_line("pack store --output whole.tar").success();
    let (_, web) = &images()[3];
    let shared = web.blobs.iter().map(|blob| blob.digest.clone());
    let shared: Vec<Digest> = shared.collect();
    let base = web.top().stored_blobs().nth(1).unwrap().digest.clone();
    assert!(shared.contains(&base));
    let n = pack_again(&env, ("whole.tar", "site.tar"), |plan| {
        leave_out(plan, &base);
        plan.volume_size = Some(140_000);
    });
    assert!(n > 1);
    for at in 2..=n {
        let name = format!("site.00{at}.tar");
        hod_fsx::create_dir_all(&env.path("rest")).unwrap();
        hod_fsx::rename(&env.path(&name), &env.path(format!("rest/{name}"))).unwrap();
    }
    let registry = TestRegistry::start();
    let host = registry.host();
    let line = format!("push site.001.tar {host}");
    let output = env.run_line(&line).exits(5);
    assert!(
        output.stderr.contains(&base.hex()[..12]),
        "{}",
        output.stderr
    );
    assert!(whole_images(registry.store().path()).is_empty());
    registry.add("acme/api:1", &images()[0].1);
    let output = env.run_line(&line).exits(3);
    assert!(output.stderr.contains("waits for"), "{}", output.stderr);
    let _ = env
        .run_line(&format!("push rest/site.002.tar {host}"))
        .success();
    assert_eq!(whole_images(registry.store().path()).len(), images().len());
}

#[test]
fn what_a_shell_makes_of_a_pattern_is_one_bundle() {
    let env = divided();
    for at in 1..=N_VOLUMES {
        let name = format!("site.00{at}.tar");
        hod_fsx::rename(&env.path(volume(at)), &env.path(&name)).unwrap();
    }
    let all = "site.001.tar site.002.tar site.003.tar site.004.tar";
    let registry = TestRegistry::start();
    for line in [
        format!("verify {all}"),
        format!("ls {all}"),
        format!("unpack {all} --output unpacked"),
        format!("export --output layouts {all}"),
        format!("push {all} {}", registry.host()),
    ] {
        let one = line
            .replace(all, "site.001.tar")
            .replace("layouts", "again");
        let output = env.run_line(&line).success();
        if line.starts_with("verify") || line.starts_with("ls") {
            assert_eq!(output.stdout, env.run_line(&one).success().stdout, "{line}");
        }
    }
    assert_eq!(whole_images(registry.store().path()).len(), images().len());
    assert_eq!(whole_images(&env.path("unpacked")).len(), images().len());
    // Those of another bundle are not among them.
    let _ = env
        .run_line("pack store --output whole.001.tar --force")
        .success();
    hod_fsx::rename(&env.path("whole.001.tar"), &env.path("site.005.tar")).unwrap();
    let _ = env.run_line(&format!("verify {all} site.005.tar")).exits(2);
}
