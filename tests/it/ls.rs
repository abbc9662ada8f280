//! `hod ls`: every kind of source says the same, and a bundle from its own list alone.

use hod_bundle::{Bundle, ReadOptions};
use serde_json::Value;

use hod_testkit::env::TestEnv;
use hod_testkit::images::{Compression, Image, ImageBuilder, index, layer};
use hod_testkit::referrers::{about, cosign_tag, signatures};
use hod_testkit::tree;
use hod_testkit::zoo::Zoo;

fn listed(env: &TestEnv, line: &str) -> Value {
    let output = env.run_line(&format!("ls {line} --json")).success();
    serde_json::from_str(&output.stdout).unwrap()
}

/// Three images: two share a layer of 3000 bytes, the third shares nothing and is the smallest.
pub(crate) fn three(env: &TestEnv) -> [Image; 3] {
    let shared = layer(1, 3_000, Compression::Gzip);
    let with = |seed, len| {
        ImageBuilder::oci(seed)
            .layer(&shared)
            .layer(&layer(seed + 1, len, Compression::Gzip))
            .build()
    };
    let alone = ImageBuilder::oci(50)
        .layer(&layer(51, 700, Compression::Gzip))
        .build();
    let images = [with(10, 1_000), with(20, 9_000), alone];
    let store = env.store("store");
    for (image, name) in images.iter().zip(["acme/api", "acme/web", "acme/cli"]) {
        image.put_in(&store, &format!("{name}:1"));
    }
    let _ = env
        .run_line("pack --force store --output site.tar")
        .success();
    images
}

#[test]
fn a_bundle_lists_what_its_store_lists() {
    let (zoo, _) = Zoo::pulled();
    let _ = zoo
        .env
        .run_line("pack --force store --output zoo.tar")
        .success();
    let _ = zoo
        .env
        .run_line("pack --force store --output zoo.tar.zst")
        .success();
    let store = listed(&zoo.env, "store");
    for name in ["zoo.tar", "zoo.tar.zst"] {
        let bundle = listed(&zoo.env, name);
        for key in ["images", "total_bytes", "common_bytes", "damaged"] {
            assert_eq!(bundle[key], store[key], "{name}: {key}");
        }
    }
}

/// Its own list says it, so that nothing else is needed.
#[test]
fn a_bundle_knows_platforms_without_configs() {
    let env = TestEnv::in_memory();
    three(&env);
    let _ = env
        .run_line("pack --force store --since site.tar --output delta.tar")
        .success();
    let images = listed(&env, "delta.tar")["images"].clone();
    for image in images.as_array().unwrap() {
        assert_ne!(image["base_blobs"], 0, "the config is left out");
        assert_eq!(image["platforms"], serde_json::json!(["linux/amd64"]));
    }
}

#[test]
fn what_a_config_should_not_say_is_not_said_for_it() {
    let env = TestEnv::in_memory();
    let long = "x".repeat(300);
    for (n, os) in ["li\u{1b}[1mnux", &long, ""].into_iter().enumerate() {
        let image = ImageBuilder::oci(n as u64).platform(os, "amd64").build();
        image.put_in(&env.store("odd"), &format!("acme/odd:{n}"));
    }
    let _ = env.run_line("pack --force odd --output odd.tar").success();
    let images = listed(&env, "odd.tar")["images"].clone();
    for image in images.as_array().unwrap() {
        assert_eq!(image["platforms"], serde_json::json!([]), "{image}");
    }
}

#[test]
fn own_bytes_are_what_leaving_an_image_out_saves() {
    let env = TestEnv::in_memory();
    three(&env);
    let all = listed(&env, "site.tar");
    let total = all["total_bytes"].as_u64().unwrap();
    for image in all["images"].as_array().unwrap() {
        let name = image["image"].as_str().unwrap();
        let rest: Vec<&str> = ["acme/api:1", "acme/web:1", "acme/cli:1"]
            .into_iter()
            .filter(|other| *other != name)
            .collect();
        env.write("rest.txt", rest.join("\n"));
        let _ = env
            .run_line("pack --force rest.txt --store store --output rest.tar")
            .success();
        let left = listed(&env, "rest.tar")["total_bytes"].as_u64().unwrap();
        assert_eq!(image["own_bytes"].as_u64().unwrap(), total - left, "{name}");
    }
}

#[test]
fn by_size_the_image_that_costs_most_is_first() {
    let env = TestEnv::in_memory();
    three(&env);
    let order = |flags: &str| -> Vec<String> {
        let images = listed(&env, &format!("site.tar {flags}"))["images"].clone();
        let images = images.as_array().unwrap().clone();
        let name = |image: &Value| image["image"].as_str().unwrap().to_owned();
        images.iter().map(name).collect()
    };
    assert_eq!(order(""), ["acme/api:1", "acme/cli:1", "acme/web:1"]);
    assert_eq!(
        order("--by size"),
        ["acme/web:1", "acme/api:1", "acme/cli:1"]
    );
    let output = env.run_line("ls site.tar --by size").success();
    insta::assert_snapshot!(output.snapshot(&[]), @"
    exit code: 0
    --- stdout
    IMAGE       PLATFORMS    DIGEST                                                                        OWN   SHARED
    acme/web:1  linux/amd64  sha256:29c5ed6f814ba2e76e8d2a074707e8dc468e07cbf36755f0c4315240b49bbad6  11.4 KiB  4.5 KiB
    acme/api:1  linux/amd64  sha256:2033525d81e58268118a390052efd5a289602a44dd18d86a2127d336c2f5a2b5   3.4 KiB  4.5 KiB
    acme/cli:1  linux/amd64  sha256:44a3ed579170e99c251282379e98e479e2380a869bfc3edcab3ed1a5420f3c84   3.2 KiB      0 B
    --- stderr
    3 images, 22.6 KiB in all, 4.5 KiB shared
    ");
}

#[test]
fn what_is_about_images_belongs_to_them() {
    let env = TestEnv::in_memory();
    let store = env.store("store");
    let platforms = ["amd64", "arm64"].map(|architecture| {
        ImageBuilder::oci(7)
            .platform("linux", architecture)
            .layer(&layer(9, 500, Compression::Gzip))
            .build()
    });
    let image = index(hod_testkit::images::Format::Oci, &platforms);
    image.put_in(&store, "acme/api:1");
    let sbom = about(platforms[0].top(), "x/sbom", 2);
    sbom.put_in(&store, "acme/api");
    about(sbom.top(), "x/seal", 3).put_in(&store, "acme/api");
    let tag = cosign_tag(image.digest(), "sig");
    signatures(&[7]).put_in(&store, &format!("acme/api:{tag}"));
    let _ = env
        .run_line("pack --force store --output site.tar")
        .success();
    let (from_store, from_bundle) = (listed(&env, "store"), listed(&env, "site.tar"));
    let images = from_bundle["images"].as_array().unwrap();
    assert_eq!(images.len(), 1, "{images:#?}");
    assert_eq!(images[0]["referrers"], 3);
    for key in ["referrers", "platforms", "digest", "media_type"] {
        assert_eq!(images[0][key], from_store["images"][0][key], "{key}");
    }
}

#[test]
fn a_bundle_is_listed_without_its_layers() {
    let env = TestEnv::in_memory();
    let images = three(&env);
    let before = listed(&env, "site.tar");
    let path = env.path("site.tar");
    let mut bytes = tree::read(&path);
    let layer = &images[1]
        .top()
        .stored_blobs()
        .last()
        .unwrap()
        .digest
        .clone();
    let bundle = Bundle::open(&path, &ReadOptions::default()).unwrap();
    let ranges = bundle.open_blob(layer).unwrap();
    let start = usize::try_from(ranges[0].offset).unwrap();
    bytes[start..start + 100].fill(0);
    hod_fsx::write_file(&path, &bytes).unwrap();
    let _ = env.run_line("verify site.tar").exits(4);
    assert_eq!(listed(&env, "site.tar"), before);
}
