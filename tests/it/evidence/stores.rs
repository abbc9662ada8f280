//! A blob that was changed after it was verified is noticed by whatever relies on it.

use std::io::Write as _;

use hod_store::Store;

use hod_testkit::env::TestEnv;
use hod_testkit::images::{Blob, Image, image};
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::read;

/// Changes a byte of a blob where it is, as a text editor or a bad disk driver would.
#[expect(clippy::disallowed_methods, reason = "a file is written in place")]
fn spoil(env: &TestEnv, store: &str, blob: &Blob) {
    let store = Store::open(&env.path(store)).unwrap();
    let path = store.blob_path(&blob.digest);
    let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all(&[blob.bytes[0] ^ 1]).unwrap();
}

fn layer_of(image: &Image) -> &Blob {
    let blobs = image.blobs.iter();
    blobs.max_by_key(|blob| blob.bytes.len()).unwrap()
}

/// Two stores with one image in each, the list of both, and the registry that has it.
fn pulled() -> (TestEnv, TestRegistry, Image) {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    let image = image(730);
    registry.add("a/b:1", &image);
    env.write("list.txt", "a/b:1\n");
    for store in ["good", "bad"] {
        let host = registry.host();
        let line = format!("pull list.txt --store {store} --source {host}");
        env.run_line(&line).success();
    }
    (env, registry, image)
}

#[test]
fn a_changed_blob_is_replaced_by_whatever_writes_to_its_store() {
    let (env, registry, image) = pulled();
    env.run_line("pack good --output good.tar --no-tool")
        .success();
    let verbs = [
        "unpack good.tar --output bad".to_owned(),
        format!("pull list.txt --store bad --source {}", registry.host()),
        "select list.txt --store good --output bad --link copy --add".to_owned(),
    ];
    for line in verbs {
        for is_verified in [false, true] {
            spoil(&env, "bad", layer_of(&image));
            // What a verification has found must not be forgotten by it.
            if is_verified {
                let output = env.run_line("verify bad").exits(4);
                let path = Store::open(&env.path("bad")).unwrap();
                let path = path.blob_path(&layer_of(&image).digest);
                let shown = path.strip_prefix(env.work()).unwrap().display().to_string();
                assert!(output.stdout.contains(&shown), "{}", output.stdout);
            }
            let output = env.run_line(&line);
            if output.code == Some(2) && line.contains("--add") {
                env.run_line(line.trim_end_matches(" --add")).success();
            } else {
                let output = output.success();
                let said = output.stderr.contains("replaced 1 damaged blob");
                assert!(
                    said || line.starts_with("select"),
                    "{line}: {}",
                    output.stderr
                );
            }
            env.run_line("verify bad").success();
        }
        let output = env.run_line(line.trim_end_matches(" --add"));
        assert!(!output.stderr.contains("replaced"), "{}", output.stderr);
    }
}

#[test]
fn a_changed_blob_is_not_claimed_and_not_left_out() {
    let (env, _registry, image) = pulled();
    let blob = layer_of(&image);
    spoil(&env, "bad", blob);
    env.run_line("receipt bad --output have.json").exits(4);
    let claimed = env.read("have.json");
    assert!(!claimed.contains(blob.digest.hex()), "{claimed}");
    let line = "pack good --since bad --output delta.tar --no-tool";
    env.run_line(line).success();
    let bundle = read(&env.path("delta.tar"));
    let mut windows = bundle.windows(blob.bytes.len());
    assert!(windows.any(|window| window == &blob.bytes[..]));
}

#[test]
fn a_changed_blob_is_not_handed_on() {
    let (env, _registry, image) = pulled();
    let blob = layer_of(&image);
    spoil(&env, "bad", blob);
    for line in [
        "select list.txt --store bad --output selected",
        "select list.txt --store bad --output copied --link copy",
        "export bad --output dirs",
        "export bad --output oci --format oci",
        "export bad --output dir-copies --link copy",
        "export bad --output o.tar --format oci-archive",
        "pack bad --output b.tar --no-tool",
    ] {
        let output = env.run_line(line).exits(4);
        assert!(
            output.stderr.contains(blob.digest.hex()),
            "{line}: {}",
            output.stderr
        );
    }
    // The same inode, and so the same stamp.
    env.run_line("export good --output linked").success();
    spoil(&env, "good", blob);
    let line = "export linked --output again --link hard";
    let output = env.run_line(line).exits(4);
    assert!(
        output.stderr.contains(blob.digest.hex()),
        "{}",
        output.stderr
    );
}
