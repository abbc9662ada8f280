//! A way out for every source whose index has less than it lists, and for every verb.

use serde_json::{Value, json};

use super::{built, stored};
use crate::export_formats::tar;
use hod_testkit::env::TestEnv;
use hod_testkit::faults::{Effect, Fault};
use hod_testkit::harbor::Harbor;
use hod_testkit::images::{Image, repository, tag};
use hod_testkit::registry::TestRegistry;

const SOURCES: [&str; 6] = ["store", "b.tar", "b.tar.zst", "layouts", "oci", "saved.tar"];

/// Only amd64 and its attestation are there, as in a `docker save` of Docker 29.
fn saved() -> Image {
    let (index, _) = built(1000, |at| !matches!(at, 0 | 3));
    index
}

/// The image in each kind of source.
fn sources(image: &Image) -> TestEnv {
    let env = TestEnv::in_memory();
    image.put_in(&env.store("store"), "a/multi:1");
    for line in [
        "pack store --output b.tar --no-tool",
        "pack store --output b.tar.zst --no-tool",
        "export store --output layouts",
        "export store --format oci --output oci",
    ] {
        let _ = env.run_line(line).success();
    }
    env.write("saved.tar", saved_archive(image));
    env
}

/// What `docker save` writes from containerd's store: a layout, and a `manifest.json` beside it.
fn saved_archive(image: &Image) -> Vec<u8> {
    let descriptor = image.top().descriptor();
    let index = json!({"schemaVersion": 2, "manifests": [{
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size,
        "annotations": {
            "io.containerd.image.name": "docker.io/a/multi:1",
            "org.opencontainers.image.ref.name": "1",
        },
    }]});
    let path = |hex: &str| format!("blobs/sha256/{hex}");
    let needed = image.manifests[0].blobs();
    let needed: Vec<String> = needed.map(|blob| path(blob.digest.hex())).collect();
    let docker = json!([{
        "Config": needed[0], "RepoTags": ["a/multi:1"], "Layers": needed[1..],
    }]);
    let layout = json!({"imageLayoutVersion": "1.0.0"});
    let mut files: Vec<(String, Vec<u8>)> = [
        ("oci-layout", layout),
        ("index.json", index),
        ("manifest.json", docker),
    ]
    .map(|(name, json)| (name.to_owned(), json.to_string().into_bytes()))
    .to_vec();
    let manifests = image.manifests.iter();
    files.extend(manifests.map(|m| (path(m.digest().hex()), m.bytes().to_vec())));
    let blobs = image.blobs.iter();
    files.extend(blobs.map(|blob| (path(blob.digest.hex()), blob.bytes.to_vec())));
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(path, bytes)| (&path[..], &bytes[..]))
        .collect();
    tar(&files)
}

#[track_caller]
fn assert_says(text: &str, needles: &[&str]) {
    for needle in needles {
        assert!(text.contains(needle), "no `{needle}` in {text}");
    }
}

#[test]
fn every_source_can_be_pushed_by_the_platform_that_is_there() {
    let image = saved();
    let env = sources(&image);
    let top = |registry: &TestRegistry| {
        let top = registry
            .store()
            .resolve_tag(&repository("a/multi"), &tag("1"));
        top.unwrap().unwrap()
    };
    for source in SOURCES {
        let registry = TestRegistry::start();
        let push = format!("push {source} {} --retries 0", registry.host());
        let output = env
            .run_line(&format!("{push} --platform linux/amd64"))
            .success();
        assert!(
            !output.stderr.contains("warning"),
            "{source}: {}",
            output.stderr
        );
        assert_eq!(top(&registry), *image.manifests[0].digest(), "{source}");

        let _ = env.run_line(&format!("{push} --index rewrite")).success();
        let index = registry
            .store()
            .read_manifest(&top(&registry))
            .unwrap()
            .unwrap();
        let children: Vec<_> = index.children().iter().map(|c| c.digest.clone()).collect();
        let expected: Vec<_> = image.manifests[..2]
            .iter()
            .map(|m| m.digest().clone())
            .collect();
        assert_eq!(children, expected, "{source}");

        let output = env
            .run_line(&format!("{push} --platform linux/arm64"))
            .exits(1);
        let says = [
            "linux/arm64 (`sha256:",
            "was not found in",
            "which has linux/amd64",
            "`--platform linux/amd64`",
        ];
        assert_says(&output.stderr, &says);
    }
}

#[test]
fn every_verb_takes_a_platform_and_rewrites() {
    let image = saved();
    let env = sources(&image);
    let amd = image.manifests[0].digest();
    for (n, (flags, is_index)) in [("--platform linux/amd64", false), ("--index rewrite", true)]
        .into_iter()
        .enumerate()
    {
        for (m, source) in ["b.tar", "b.tar.zst", "saved.tar"].into_iter().enumerate() {
            let output = format!("un{n}{m}");
            let _ = env
                .run_line(&format!("unpack {source} --output {output} {flags}"))
                .success();
            let digest = stored(&env, &output, "a/multi");
            assert_eq!(digest == *amd, !is_index, "{source} {flags}");
            let _ = env.run_line(&format!("verify {output}")).success();
        }
        for (m, source) in ["store", "b.tar", "saved.tar"].into_iter().enumerate() {
            let output = format!("p{n}{m}.tar");
            let line = format!("pack {source} --output {output} --no-tool {flags}");
            let _ = env.run_line(&line).success();
            let verified = env.run_line(&format!("verify {output}")).success();
            assert!(!verified.stderr.contains("note"), "{}", verified.stderr);
            let listed = env.run_line(&format!("ls {output} --json")).success();
            let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
            let digest = listed["images"][0]["digest"].as_str().unwrap();
            assert_eq!(digest == amd.as_str(), !is_index, "{source} {flags}");
        }
        for format in ["dir", "oci", "oci-archive"] {
            let line = format!("export saved.tar --format {format} --output {format}{n} {flags}");
            let exported = env.run_line(&line).success();
            // What is left out of an index is told.
            let is_told = exported.stderr.contains("linux/arm64 (`sha256:");
            assert_eq!(is_told, is_index, "{}", exported.stderr);
        }
    }
    let line = "export saved.tar --format docker-archive --output docker.tar";
    let refused = env.run_line(line).exits(1);
    assert_says(&refused.stderr, &["`--platform OS/ARCH`"]);
    let _ = env
        .run_line(&format!("{line} --platform linux/amd64"))
        .success();
}

#[test]
fn a_line_of_the_list_chooses_for_itself() {
    let env = TestEnv::in_memory();
    let (index, digests) = built(1000, |_| false);
    index.put_in(&env.store("store"), "a/multi:1");
    index.put_in(&env.store("store"), "b/multi:1");
    env.write("list.txt", "a/multi:1\nb/multi:1 platform=linux/arm64\n");
    let select = "select list.txt --store store --output";
    let _ = env
        .run_line(&format!("{select} tree --platform linux/s390x"))
        .success();
    assert_eq!(stored(&env, "tree", "a/multi"), digests[2]);
    assert_eq!(stored(&env, "tree", "b/multi"), digests[1]);
    // Without the flag, what the other line leaves open is carried as it is.
    let _ = env.run_line(&format!("{select} whole")).success();
    assert_eq!(stored(&env, "whole", "a/multi"), *index.digest());
    assert_eq!(stored(&env, "whole", "b/multi"), digests[1]);
}

#[test]
fn a_registry_that_refuses_it_is_quoted_with_the_way_out() {
    let (image, registry) = (saved(), TestRegistry::start());
    let env = sources(&image);
    let body =
        r#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry"}]}"#;
    for name in ["1", image.digest().as_str()] {
        let end = format!("/manifests/{name}");
        let path = move |path: &str| path.ends_with(&end);
        registry.fail(Fault::on("PUT", path).does(Effect::Page(400, body)));
    }
    let push = format!("push saved.tar {} --retries 0", registry.host());
    let dry = env.run_line(&format!("{push} --dry-run")).success();
    let real = env.run_line(&push).exits(1);
    for output in [&dry, &real] {
        let says = [
            "warning: ",
            "linux/arm64 (`sha256:",
            "linux/s390x (`sha256:",
            "`--index rewrite`",
        ];
        assert_says(&output.stderr, &says);
    }
    assert_says(&real.stderr, &["MANIFEST_BLOB_UNKNOWN", "`--platform all`"]);
    for text in ["again does only", "hod verify", "garbage"] {
        assert!(!real.stderr.contains(text), "{text}: {}", real.stderr);
    }
}

#[test]
fn a_harbor_is_not_even_asked() {
    let (env, harbor) = (sources(&saved()), Harbor::start());
    let config = json!({"auths": {harbor.host(): {"auth": "YWRtaW46SGFyYm9yMTIzNDU="}}});
    let path = env.home().join(".docker/config.json");
    hod_fsx::write_file(&path, config.to_string().as_bytes()).unwrap();
    for source in SOURCES {
        let push = format!("push {source} {} --create-projects", harbor.host());
        for flags in ["", "--dry-run"] {
            let output = env.run_line(&format!("{push} {flags}")).exits(5);
            let says = [
                "linux/arm64 (`sha256:",
                "`--platform linux/amd64`",
                "`--index rewrite`",
                "`--platform all`",
            ];
            assert_says(&output.stderr, &says);
        }
        for seen in harbor.take_seen() {
            let is_upload = seen.path.starts_with("/v2/") && seen.method != "HEAD";
            assert!(!is_upload || seen.method == "GET", "{seen:?}");
        }
    }
    let push = format!("push saved.tar {} --create-projects", harbor.host());
    let _ = env
        .run_line(&format!("{push} --platform linux/amd64"))
        .success();
}

#[test]
fn pulling_and_packing_a_kept_index_says_what_it_is_good_for() {
    let (env, registry) = (TestEnv::in_memory(), TestRegistry::start());
    registry.add("a/multi:1", &built(1000, |_| false).0);
    env.write("list.txt", "a/multi:1\n");
    let pull = format!("pull list.txt --store store --source {}", registry.host());
    let keep = format!("{pull} --platform linux/amd64 --index keep");
    let pulled = env.run_line(&keep).success();
    assert_says(&pulled.stderr, &["warning: ", "`--platform all`", "Harbor"]);
    let packed = env
        .run_line("pack store --output b.tar --no-tool")
        .success();
    assert_says(
        &packed.stderr,
        &["warning: ", "`--index rewrite`", "Harbor"],
    );
    let whole = env
        .run_line(&format!("{pull} --platform all --index keep"))
        .success();
    assert!(!whole.stderr.contains("warning"), "{}", whole.stderr);
}
