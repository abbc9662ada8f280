//! `hod unpack`: what stays behind when a bundle is refused.

use hod_bundle::{Bundle, ReadOptions};

use hod_testkit::env::TestEnv;
use hod_testkit::images::{image, menagerie};
use hod_testkit::registry::TestRegistry;

/// A bundle of two images, and the same with one byte of its last blob flipped.
fn bundles() -> TestEnv {
    let env = TestEnv::new();
    let store = env.store("store");
    for (name, image) in menagerie() {
        image.put_in(&store, &format!("kinds/{name}:1"));
    }
    drop(store);
    for name in ["good.tar", "good.tar.zst"] {
        env.run_line(&format!("pack store --output {name}"))
            .success();
    }
    let mut bytes = hod_fsx::read(&env.path("good.tar"), u64::MAX - 1).unwrap();
    let last = offset_of_last_blob(&env);
    let at = usize::try_from(last).unwrap();
    bytes[at] ^= 1;
    env.write("bad.tar", &bytes);
    let compressed = zstd::encode_all(&bytes[..], 1).unwrap();
    env.write("bad.tar.zst", compressed);
    env
}

/// Where the blob lies that is read last.
fn offset_of_last_blob(env: &TestEnv) -> u64 {
    let bundle = Bundle::open(&env.path("good.tar"), &ReadOptions::default()).unwrap();
    let blobs = bundle.manifest().blobs.iter();
    blobs
        .filter_map(|blob| bundle.open_blob(&blob.digest))
        .map(|ranges| ranges[0].offset)
        .max()
        .unwrap()
}

#[test]
fn a_refused_bundle_leaves_no_output() {
    let env = bundles();
    for name in ["bad.tar", "bad.tar.zst"] {
        let output = env
            .run_line(&format!("unpack {name} --output out"))
            .exits(4);
        assert!(output.stderr.contains("error: "), "{}", output.stderr);
        assert!(
            hod_fsx::try_stat(&env.path("out")).unwrap().is_none(),
            "{name}"
        );
    }
}

#[test]
fn a_refused_bundle_leaves_other_peoples_files() {
    let env = bundles();
    env.write("out/docker/compose.yaml", "services: {}\n");
    for name in ["bad.tar", "bad.tar.zst"] {
        env.run_line(&format!("unpack {name} --output out"))
            .exits(4);
        assert_eq!(
            hod_fsx::read_dir_names(&env.path("out")).unwrap(),
            ["docker"]
        );
        assert_eq!(
            hod_fsx::read_dir_names(&env.path("out/docker")).unwrap(),
            ["compose.yaml"]
        );
    }
}

#[test]
fn a_refused_bundle_leaves_an_existing_store_as_it_was() {
    let env = bundles();
    image(900).put_in(&env.store("out"), "team/app:1");
    let before = paths(&env, "out");
    for name in ["bad.tar", "bad.tar.zst"] {
        env.run_line(&format!("unpack {name} --output out"))
            .exits(4);
        assert_eq!(paths(&env, "out"), before, "{name}");
    }
    for name in ["good.tar", "good.tar.zst"] {
        env.run_line(&format!("unpack {name} --output out"))
            .success();
        let output = env.run_line("ls out --quiet").success();
        assert_eq!(
            output.stdout.matches("sha256:").count(),
            1 + menagerie().len()
        );
    }
    env.run_line("verify out").success();
}

fn paths(env: &TestEnv, root: &str) -> Vec<std::path::PathBuf> {
    let root = env.path(root);
    let entries = hod_fsx::walk(&root, |_| true);
    entries.map(|entry| entry.unwrap().path).collect()
}

#[test]
fn files_besides_images_are_named_and_left_in_the_bundle() {
    let env = TestEnv::new();
    image(1).put_in(&env.store("store"), "team/app:1");
    let _ = env.run_line("pack store --output bare.tar").success();
    let output = env.run_line("unpack bare.tar --output a --json").success();
    assert!(!output.stderr.contains("left in it"), "{}", output.stderr);
    let document: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    assert!(document.get("left_files").is_none(), "{document}");

    env.write("extra/charts/app.tgz", "chart");
    env.write("extra/rpm.txt", "rpm");
    let pack = "pack store --no-tool --file extra=extra --output";
    for name in ["full.tar", "full.tar.zst"] {
        let _ = env.run_line(&format!("{pack} {name}")).success();
        let line = format!("unpack {name} --output {name}.d");
        let output = env.run_line(&format!("{line} --json")).success();
        let said = "did not unpack 2 extra files of the bundle";
        assert!(output.stderr.contains(said), "{}", output.stderr);
        let document: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
        let expected = ["extra/charts/app.tgz", "extra/rpm.txt"];
        assert_eq!(document["left_files"], serde_json::json!(expected));
        let out = env.path(format!("{name}.d"));
        assert!(hod_fsx::try_stat(&out.join("extra")).unwrap().is_none());
    }
}

/// What a refusal hints at, on one line.
fn hint_of(env: &TestEnv, line: &str) -> String {
    let output = env.run_line(line).exits(2);
    let (_, hint) = output.stderr.split_once("hint: ").unwrap();
    hint.replace("\n      ", " ")
}

#[test]
fn a_bundle_becomes_a_selected_tree() {
    let env = TestEnv::new();
    image(1).put_in(&env.store("store"), "team/app:1");
    image(100).put_in(&env.store("store"), "team/web:1");
    env.write("LIST", "team/app:1\n");
    let _ = env.run_line("pack store --output site.tar").success();
    let registry = TestRegistry::start();
    for line in [
        "select LIST --store site.tar --output tree",
        "unpack site.tar --only LIST --output part",
        "pack LIST --store site.tar --output PART.tar",
        "export site.tar --only LIST --output DIR",
        "select LIST --store DIR --output of-layouts",
        &format!("push site.tar {} --only LIST", registry.host()),
    ] {
        let _ = env.run_line(line).success();
    }
    for source in ["tree", "part", "PART.tar", "DIR", "of-layouts"] {
        let _ = env.run_line(&format!("verify {source}")).success();
        let listed = env.run_line(&format!("ls {source} --quiet")).success();
        assert_eq!(listed.stdout.matches("sha256:").count(), 1, "{source}");
    }
    assert_eq!(registry.store().repositories().unwrap().len(), 1);
    let again = env.run_line("select LIST --store site.tar --output tree --replace");
    assert!(again.exits(2).stderr.contains("hint: "));
}

/// The command of the hint, followed word by word, leads to the end.
#[test]
fn what_to_do_instead_with_a_source_of_the_wrong_kind() {
    let env = TestEnv::new();
    image(1).put_in(&env.store("store"), "team/app:1");
    let _ = env.run_line("pack store --output site.tar.zst").success();
    let said = hint_of(&env, "serve site.tar.zst");
    assert!(
        said.contains("`hod unpack site.tar.zst --output STORE`"),
        "{said}"
    );
    for line in [
        "unpack site.tar.zst --output STORE",
        "unpack STORE --output again",
        "verify again",
    ] {
        let _ = env.run_line(line).success();
    }
}
