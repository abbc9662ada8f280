//! An error belongs to its unit of work: what cannot be read, named or written for one image fails
//! that image, by name, and the others are carried.

use super::{says, write_layout, write_tar};
use hod_testkit::env::TestEnv;
use hod_testkit::faults::{Effect, Fault, blob_path, manifest_path, path_contains};
use hod_testkit::images::{Blob, Compression, ImageBuilder, image, layer};
use hod_testkit::indexes::IndexBuilder;
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::exists;

/// A store of three images in two repositories, with one tag's link as a crash leaves it.
fn with_link(content: &str) -> TestEnv {
    let env = TestEnv::new();
    let store = env.store("store");
    for (seed, name) in [(1, "a/b:1"), (2, "a/b:2"), (3, "c/d:1")] {
        image(seed).put_in(&store, name);
    }
    let link = "store/docker/registry/v2/repositories/a/b/_manifests/tags/1/current/link";
    hod_fsx::remove_file(&env.path(link)).unwrap();
    env.write(link, content);
    env
}

#[test]
fn a_tag_that_cannot_be_read_fails_alone() {
    for content in ["", "garbage", "sha256:12", "\n\n"] {
        let (env, target) = (with_link(content), TestRegistry::start());
        write_tar(&env, "store", "tree.tar");
        for source in ["store", "tree.tar"] {
            let output = env.run_line(&format!("ls {source}")).exits(4);
            says(&output, &["a/b:1: ", "c/d:1"]);
            let output = env.run_line(&format!("verify {source}")).exits(4);
            says(&output, &["tags/1/current/link"]);
            let output = env.run_line(&format!("push {source} {}", target.host()));
            says(
                &output.exits(4),
                &["2 of 3 images", "a/b:1: ", "a/b:2 sha256:", "c/d:1 sha256:"],
            );
            for format in ["dir", "oci", "oci-archive", "docker-archive"] {
                let line = format!("export {source} --format {format} --output {source}-{format}");
                let output = env.run_line(&line).exits(4);
                says(&output, &["exported 2 of 3 images", "a/b:1: "]);
            }
            let line = format!("pack {source} --output {source}.bundle.tar --no-tool");
            let output = env.run_line(&line).exits(4);
            says(&output, &["packed 2 of 3 images", "a/b:1: "]);
            let _ = env
                .run_line(&format!("verify {source}.bundle.tar"))
                .success();
        }
        env.write("list.txt", "a/b:1\na/b:2\nc/d:1\n");
        let output = env.run_line("select list.txt --store store --output tree");
        says(&output.exits(4), &["selected 2 of 3 images", "a/b:1: "]);
        let _ = env.run_line("verify tree").success();
    }
}

#[test]
fn an_entry_that_cannot_be_read_fails_alone() {
    let (env, target) = (TestEnv::new(), TestRegistry::start());
    let (one, two) = (image(1), image(2));
    write_layout(
        &env,
        "layout",
        &[("Quay.io/Bad:1", &one), ("ns/good:1", &two)],
    );
    write_tar(&env, "layout", "layout.tar");
    let layer = layer(5, 500, Compression::Uncompressed);
    let saved = ImageBuilder::docker(50).layer(&layer).build();
    let config = saved.top().blobs().next().unwrap();
    env.write("saved/c.json", &saved.blob(&config.digest).unwrap().bytes);
    env.write("saved/l.tar", &layer.blob.bytes);
    let list = serde_json::json!([
        {"Config": "absent.json", "RepoTags": ["ns/bad:1"], "Layers": ["l.tar"]},
        {"Config": "c.json", "RepoTags": ["ns/good:1", "Ns/Bad:1"], "Layers": ["l.tar"]},
    ]);
    env.write("saved/manifest.json", list.to_string());
    write_tar(&env, "saved", "saved.tar");
    // A name is not content; a missing file is.
    for (source, bad, code) in [
        ("layout", "Quay.io/Bad:1", 3),
        ("layout.tar", "Quay.io/Bad:1", 3),
        ("saved.tar", "ns/bad:1", 4),
        ("saved.tar", "Ns/Bad:1", 4),
    ] {
        let output = env.run_line(&format!("push {source} {}", target.host()));
        says(&output.exits(code), &[bad, "ns/good:1 sha256:"]);
        says(&env.run_line(&format!("verify {source}")).exits(4), &[bad]);
        says(
            &env.run_line(&format!("ls {source}")).exits(code),
            &[bad, "ns/good:1"],
        );
    }
}

#[test]
fn a_layer_that_a_docker_archive_cannot_hold_fails_its_image_alone() {
    let env = TestEnv::new();
    let store = env.store("store");
    let (one, two) = (
        layer(5, 500, Compression::Gzip),
        layer(6, 500, Compression::Gzip),
    );
    let lying = hod_testkit::images::Layer {
        diff_id: two.diff_id.clone(),
        ..one.clone()
    };
    ImageBuilder::docker(1)
        .layer(&lying)
        .build()
        .put_in(&store, "d/lying:1");
    ImageBuilder::docker(2)
        .layer(&one)
        .build()
        .put_in(&store, "d/good:1");
    let line = "export store --format docker-archive --output saved.tar";
    let output = env.run_line(line).exits(4);
    says(
        &output,
        &[
            "exported 1 of 2 images; 1 failed",
            "d/lying:1: ",
            "d/good:1 sha256:",
        ],
    );
    let output = env.run_line("ls saved.tar").success();
    assert!(output.stdout.contains("d/good:1") && !output.stdout.contains("d/lying"));
    let _ = env.run_line("verify saved.tar").success();
}

#[test]
fn a_name_that_is_too_long_for_a_file_fails_alone() {
    let env = TestEnv::new();
    let store = env.store("store");
    let long = format!("d/{}:{}", "c".repeat(200), "t".repeat(128));
    image(1).put_in(&store, &long);
    image(2).put_in(&store, "ok/x:1");
    let output = env.run_line("export store --output dirs").exits(3);
    says(&output, &["exported 1 of 2 images", &format!("{long}: ")]);
    assert!(exists(&env.path("dirs/ok/x:1/manifest.json")));
    let _ = env.run_line("verify dirs").success();
}

/// Blobs that only a failed image needs are not asked for any more.
#[test]
fn nothing_is_fetched_for_an_image_that_has_failed() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    let mut builder = ImageBuilder::docker(1);
    let layers: Vec<_> = (0..300)
        .map(|at| layer(1_000 + at, 10, Compression::Uncompressed))
        .collect();
    for layer in &layers {
        builder = builder.layer(layer);
    }
    let broken = builder.build();
    registry.add("a/broken:1", &broken);
    registry.add("a/fine:1", &image(2));
    registry.fail(Fault::on("GET", path_contains("a/broken/blobs")).does(Effect::Status(404)));
    env.write("list.txt", "a/broken:1\na/fine:1\n");
    let line = format!(
        "pull list.txt --store s --source {} --jobs 2",
        registry.host()
    );
    says(&env.run_line(&line).exits(3), &["a/fine:1 sha256:"]);
    let n_asked = registry.count("GET", |path| path.contains("a/broken/blobs"));
    assert!(n_asked < 100, "{n_asked} blobs were asked for");
}

#[test]
fn fail_fast_says_what_was_done_and_what_was_not_tried() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    let mut list = vec!["a/missing:1".to_owned()];
    for at in 0..60 {
        registry.add(&format!("a/i{at}:1"), &image(at * 10));
        list.push(format!("a/i{at}:1"));
    }
    env.write("list.txt", list.join("\n"));
    let pull = format!(
        "pull list.txt --source {} --fail-fast --store",
        registry.host()
    );
    let output = env.run_line(&format!("{pull} s")).exits(5);
    assert_eq!(output.stdout, "");
    let text = "pulled 0 of 61 images; stopped at the first failure; 60 not tried";
    says(&output, &[text]);
    let n_asked = registry.count("GET", manifest_path) + registry.count("HEAD", manifest_path);
    assert!(n_asked < 60, "{n_asked} manifests were asked for");
    assert_eq!(registry.count("GET", blob_path), 0);
    let output = env.run_line(&format!("{pull} s --json")).exits(5);
    let document: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(document["images"][0]["status"], "failed");
    for at in 1..61 {
        assert_eq!(document["images"][at]["status"], "not-tried", "{at}");
    }
    // What was published before is said to be.
    env.write("two.txt", "a/i0:1\na/i1:1\n");
    let layer = image(10).top().blobs().nth(1).unwrap().digest.clone();
    registry
        .fail(Fault::on("GET", path_contains(layer.as_str().to_owned())).does(Effect::Status(404)));
    let line = format!(
        "pull two.txt --source {} --jobs 1 --fail-fast --store s",
        registry.host()
    );
    let output = env.run_line(&line);
    let n_done = output.stdout.lines().count();
    let output = output.exits(if n_done == 0 { 1 } else { 3 });
    says(&output, &[&format!("pulled {n_done} of 2 images")]);
}

#[test]
fn what_an_image_says_of_its_platform_stops_nothing() {
    let long = format!("linux/{}", "a".repeat(400));
    for (config, entry) in [
        ("linux/amd64", "lin\nux/amd64"),
        ("linux/amd64", "linux/amd64:1\u{1b}[2J"),
        ("lin\u{7}ux/amd64", "linux/amd64"),
        ("lin\u{7}ux/amd64", "linux/\u{7f}"),
        ("linux/amd64", long.as_str()),
    ] {
        let env = TestEnv::new();
        let store = env.store("store");
        image(1).put_in(&store, "a/good:1");
        let index = IndexBuilder::new(10).child(config, Some(entry)).build();
        index.put_in(&store, "a/index:1");
        let target = TestRegistry::start();
        for line in [
            "pack store --output site.tar --no-tool",
            "verify site.tar",
            "ls site.tar",
            "ls store",
            &format!("why {} store", index.manifests[0].digest()),
            &format!("push site.tar {}", target.host()),
        ] {
            let output = env.run_line(line).success();
            let text = output.stdout + &output.stderr;
            let is_strange = |c: char| c.is_control() && c != '\n';
            assert!(!text.contains(is_strange), "{line}: {text:?}");
            assert!(!text.contains("lin\nux"), "{line}: {text}");
        }
    }
}

#[test]
fn a_manifest_among_the_layers_fails_that_image_alone() {
    let env = TestEnv::new();
    let store = env.store("store");
    image(1).put_in(&store, "a/good:1");
    let manifest = Blob::new(image(1).top().bytes().to_vec());
    let odd = ImageBuilder::oci(10).raw_layer(manifest).build();
    odd.put_in(&store, "a/odd:1");
    let output = env.run_line("pack store --output site.tar --no-tool");
    says(&output.exits(3), &["packed 1 of 2 images", "a/odd:1: "]);
    let _ = env.run_line("verify site.tar").success();
}
