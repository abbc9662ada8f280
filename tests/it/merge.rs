//! `hod bundle merge`: bundles folded into one.

use std::collections::BTreeSet;

use hod_bundle::{Bundle, BundleFile, BundleManifest, FileContent, ReadOptions};
use hod_oci::Digest;

use crate::delta::{orders, packed};
use hod_testkit::bundles::pack_again;
use hod_testkit::env::TestEnv;
use hod_testkit::images::{Compression, Image, ImageBuilder, image, layer};
use hod_testkit::tree::{assert_same, exists, registry_tree, whole_images};

fn manifest(env: &TestEnv, name: &str) -> BundleManifest {
    let bundle = Bundle::open(&env.path(name), &ReadOptions::default()).unwrap();
    bundle.manifest().clone()
}

/// The images and blobs of a bundle.
fn content(env: &TestEnv, name: &str) -> (BTreeSet<String>, BTreeSet<Digest>) {
    let manifest = manifest(env, name);
    let images = manifest.images.iter();
    let images = images.map(|image| format!("{} {}", image.name(), image.digest));
    let blobs = manifest.blobs.iter().map(|blob| blob.digest.clone());
    (images.collect(), blobs.collect())
}

#[test]
fn deltas_merged_in_any_order_are_the_whole() {
    let env = packed();
    for order in orders(3) {
        let names = order.iter().map(|&at| ["1.tar", "d2.tar", "d3.tar"][at]);
        let names: Vec<&str> = names.collect();
        let line = format!("bundle merge --force {} --output site.tar", names.join(" "));
        let _ = env.run_line(&line).success();
        assert_eq!(
            content(&env, "site.tar"),
            content(&env, "all.tar"),
            "{names:?}"
        );
        let merged = manifest(&env, "site.tar");
        assert!(merged.base.is_empty() && merged.origins.is_empty());
        let _ = env.run_line("verify site.tar").success();
    }
    let _ = env.run_line("unpack site.tar --output merged").success();
    let _ = env.run_line("unpack all.tar --output whole").success();
    let whole = registry_tree(&env.path("whole"));
    assert_same(&registry_tree(&env.path("merged")), &whole, "merged");
    let whole = hod_fsx::read(&env.path("all.tar"), 1 << 30).unwrap();
    // All that is not said on the command line is as if it had been packed so.
    let line = "bundle merge --force 1.tar d2.tar d3.tar --output all.tar --name all";
    let _ = env.run_line(line).success();
    assert_eq!(
        manifest(&env, "all.tar").version,
        None,
        "as the last has none"
    );
    assert!(hod_fsx::read(&env.path("all.tar"), 1 << 30).unwrap() == whole);
}

#[test]
fn what_none_of_them_carries_stays_the_base() {
    let env = packed();
    let output = env
        .run_line(
            "bundle merge --force d2.tar d3.tar --output d.tar --name d --bundle-version 3 --json",
        )
        .success();
    let json: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let merged = manifest(&env, "d.tar");
    assert_eq!(
        (merged.name.as_str(), merged.version.as_deref()),
        ("d", Some("3"))
    );
    assert_eq!(json["base_blobs"], merged.base.len());
    let carried = manifest(&env, "1.tar").blobs;
    assert!(!merged.base.is_empty());
    for blob in &merged.base {
        assert!(carried.iter().any(|other| other.digest == blob.digest));
        let held = blob
            .held
            .iter()
            .map(|held| merged.origins[held.origin].name.as_str());
        assert_eq!(held.collect::<Vec<_>>(), ["1"]);
    }
    let _ = env.run_line("unpack d.tar --output store").exits(5);
    let _ = env.run_line("unpack 1.tar --output store").success();
    let _ = env.run_line("unpack d.tar --output store").success();
    assert_eq!(whole_images(&env.path("store")).len(), 6);
}

/// Two bundles with the file `conf/site` and the image `acme/app:1`, both different.
fn differing() -> (TestEnv, [Image; 2]) {
    let env = TestEnv::in_memory();
    let images = [image(1), image(50)];
    for (name, image) in ["a", "b"].iter().zip(&images) {
        image.put_in(&env.store(name), "acme/app:1");
        let _ = env
            .run_line(&format!("pack --force {name} --output plain.tar"))
            .success();
        let to = format!("{name}.tar");
        pack_again(&env, ("plain.tar", &to), |plan| {
            plan.files.push(BundleFile {
                path: "conf/site".parse().unwrap(),
                content: FileContent::Bytes(name.as_bytes().to_vec()),
                executable: false,
                is_everywhere: false,
            });
        });
    }
    (env, images)
}

#[test]
fn bundles_that_differ_are_merged_as_preferred_or_not_at_all() {
    let (env, [first, last]) = differing();
    let output = env.run_line("bundle merge --force a.tar b.tar --output c.tar");
    assert!(!exists(&env.path("c.tar")));
    insta::assert_snapshot!(output.snapshot(&[]), @"
    exit code: 5
    --- stdout
    --- stderr
    error: the bundles have 2 conflicts; nothing was written
      image acme/app:1 is sha256:7dd4092a4a91c4383b620479da6f9839b2f45ff0320e80088f44132ac55c2880 and sha256:ae2b09f1165d7de297388f66724ea508bb68fb871d91db29eb69683149a8adcb
      file conf/site is sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb and sha256:3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d

    hint: List the bundles from the oldest to the newest, and pass `--prefer last` to take the content
          of the newest, or `--prefer first` to take that of the oldest.
    ");
    for (prefer, image, file) in [("first", &first, "a"), ("last", &last, "b")] {
        let line = format!("bundle merge --force a.tar b.tar --output c.tar --prefer {prefer}");
        let _ = env.run_line(&line).success();
        let merged = manifest(&env, "c.tar");
        assert_eq!(merged.images.len(), 1);
        assert_eq!(merged.images[0].digest, *image.digest());
        let n_blobs = image.blobs.len() + image.manifests.len();
        assert_eq!(merged.blobs.len(), n_blobs, "nothing of the other");
        let files = merged
            .files
            .iter()
            .filter(|f| f.path.as_str() == "conf/site");
        let digests: Vec<Digest> = files.map(|file| file.digest.clone()).collect();
        assert_eq!(digests, [Digest::of(file.as_bytes())]);
        let _ = env.run_line("verify c.tar").success();
    }
    let output = env.run_line("bundle merge --force a.tar b.tar --output c.tar.zst");
    insta::assert_snapshot!(output.snapshot(&[]), @"
    exit code: 2
    --- stdout
    --- stderr
    error: the name of merged bundle `c.tar.zst` must end in `.tar`

    hint: It is not compressed, since layers are compressed already.
    ");
    let _ = env
        .run_line("bundle merge --force a.tar --output c.tar")
        .exits(2);
}

#[test]
fn a_layer_in_parts_is_whole_again() {
    let env = TestEnv::in_memory();
    let store = env.store("store");
    let big = layer(1, 300_000, Compression::Gzip);
    let big = ImageBuilder::oci(1).layer(&big).build();
    big.put_in(&store, "acme/big:1");
    image(9).put_in(&env.store("other"), "acme/app:1");
    let _ = env
        .run_line("pack --force store --output whole.tar")
        .success();
    let _ = env
        .run_line("pack --force other --output other.tar")
        .success();
    let n = pack_again(&env, ("whole.tar", "site.tar"), |plan| {
        plan.volume_size = Some(140_000);
    });
    assert!(n > 2);
    for line in [
        "bundle merge --force other.tar site.002.tar --output merged.tar --fsync",
        "pack --force site.001.tar --output merged.tar",
    ] {
        let _ = env.run_line(line).success();
        let _ = env.run_line("verify merged.tar").success();
        let merged = manifest(&env, "merged.tar");
        assert!(
            merged
                .images
                .iter()
                .any(|image| image.digest == *big.digest())
        );
    }
    hod_fsx::remove_file(&env.path("site.002.tar")).unwrap();
    let output = env
        .run_line("bundle merge --force other.tar site.001.tar --output no.tar")
        .exits(5);
    assert!(output.stderr.contains("is missing: 2"), "{}", output.stderr);
    let names = hod_fsx::read_dir_names(&env.work()).unwrap();
    assert!(
        names
            .iter()
            .all(|name| !name.to_string_lossy().starts_with('.')),
        "{names:?}"
    );
}

#[test]
fn a_store_is_to_be_packed_first() {
    let env = TestEnv::new();
    image(1).put_in(&env.store("dir/store"), "app/one:1");
    let _ = env
        .run_line("pack dir/store --output b.tar --no-tool")
        .success();
    let said = env
        .run_line("bundle merge dir/store b.tar --output m.tar")
        .exits(2)
        .stderr;
    assert!(said.contains("which is a registry tree"), "{said}");
    let expect = "`hod pack dir/store --output dir/store.tar`";
    assert!(said.contains(expect), "{said}");
}
