//! A registry whose storage lost bytes: the blob is damaged there, and the manifest is right.

use hod_testkit::env::TestEnv;
use hod_testkit::faults::{Effect, Fault, blob_path};
use hod_testkit::images::{Compression, ImageBuilder, image, layer};
use hod_testkit::registry::TestRegistry;

#[test]
fn lost_bytes_are_not_blamed_on_the_manifest() {
    let bytes = |len| vec![b'x'; len];
    for lost in [bytes(0), bytes(100), bytes(9_000)] {
        let (env, registry) = (TestEnv::new(), TestRegistry::start());
        let bad = ImageBuilder::docker(741)
            .layer(&layer(741, 3_000, Compression::Uncompressed))
            .build();
        registry.add("a/good:1", &image(740));
        registry.add("a/bad:1", &bad);
        env.write("list.txt", "a/good:1\na/bad:1\n");
        let blob = bad.blobs.iter().max_by_key(|blob| blob.bytes.len());
        let digest = &blob.unwrap().digest;
        hod_fsx::write_file(&registry.store().blob_path(digest), &lost).unwrap();
        let host = registry.host();
        let line = format!("pull list.txt --store s --source {host} --retries 0");
        let output = env.run_line(&line).exits(4);
        let stderr = &output.stderr;
        assert!(stderr.contains("a/bad:1"), "{stderr}");
        assert!(stderr.contains(digest.hex()), "{stderr}");
        assert!(stderr.contains("damaged or truncated copy"), "{stderr}");
        assert!(stderr.contains("--recheck"), "{stderr}");
        assert!(!stderr.contains("manifest is wrong"), "{stderr}");
    }
}

/// An upload from where the image is whole puts it right, as the hint says.
#[test]
fn what_a_registry_lost_is_repaired_as_the_hint_says() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    let image = image(742);
    image.put_in(&env.store("store"), "a/b:1");
    env.write("list.txt", "a/b:1\n");
    let host = registry.host();
    env.run_line(&format!("push store {host}")).success();
    let blob = &image.blobs[0];
    hod_fsx::write_file(&registry.store().blob_path(&blob.digest), b"").unwrap();
    let pull = format!("pull list.txt --store s --source {host} --retries 0");
    env.run_line(&pull).exits(4);
    env.run_line(&format!("push store {host} --recheck"))
        .success();
    env.run_line(&pull).success();
}

#[test]
fn a_blob_that_is_gone_is_repaired_by_a_recheck() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    registry.add("a/b:1", &image(743));
    registry.fail(Fault::on("GET", blob_path).does(Effect::Status(404)));
    env.write("list.txt", "a/b:1\n");
    let line = format!(
        "pull list.txt --store s --source {} --retries 0",
        registry.host()
    );
    let output = env.run_line(&line).exits(1);
    assert!(output.stderr.contains("--recheck"), "{}", output.stderr);
}
