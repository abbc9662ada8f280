//! `hod why`: what a digest is, and which images need it.

use hod_oci::Manifest;
use serde_json::{Value, json};

use crate::ls::three;
use hod_testkit::env::TestEnv;
use hod_testkit::images::{Blob, Compression, Format, Image, ImageBuilder, index, layer};
use hod_testkit::referrers::{cosign_tag, signatures};

fn explain(env: &TestEnv, line: &str) -> Value {
    let output = env.run_line(&format!("why {line} --json")).success();
    serde_json::from_str(&output.stdout).unwrap()
}

#[test]
fn a_layer_is_explained_from_its_images() {
    let env = TestEnv::in_memory();
    three(&env);
    let shared = layer(1, 3_000, Compression::Gzip);
    let digest = &shared.blob.digest;
    let output = env.run_line(&format!("why {digest} site.tar")).success();
    insta::assert_snapshot!(output.snapshot(&[]), @"
    exit code: 0
    --- stdout
    sha256:7f7f8a1a8575ffa2528f82d2994b972e92f02f8dee6dd79b36e89398fd2f12f8
      a layer, 4.5 KiB
      application/vnd.oci.image.layer.v1.tar+gzip
      diff id sha256:0f6dbe25710369ac2bd1004d3b81aa9ead21edf16799f276bade572b5a9ab60a
    used by 2 images
      acme/api:1: manifest 2033525d81e5 > layer 1 of 2
      acme/web:1: manifest 29c5ed6f814b > layer 1 of 2
    --- stderr
    ");
    let _ = env.run_line("export site.tar --output layouts").success();
    let bundle = explain(&env, &format!("{digest} site.tar"));
    assert_eq!(bundle["diff_id"], shared.diff_id.as_str());
    for source in ["store", "layouts"] {
        assert_eq!(
            explain(&env, &format!("{digest} {source}")),
            bundle,
            "{source}"
        );
    }
}

#[test]
fn the_history_says_what_made_a_layer() {
    let env = TestEnv::in_memory();
    let store = env.store("store");
    let layers = [1, 2].map(|seed| layer(seed, 500, Compression::Gzip));
    let config = Blob::new(
        json!({
            "os": "linux", "architecture": "amd64",
            "rootfs": {"type": "layers", "diff_ids": layers.each_ref().map(|l| &l.diff_id)},
            "history": [
                {"created_by": "ADD base"},
                {"created_by": "ENV A=b", "empty_layer": true},
                {"created_by": "RUN make\n  install"},
            ],
        })
        .to_string(),
    );
    let image = ImageBuilder::oci(1)
        .layer(&layers[0])
        .layer(&layers[1])
        .build();
    let mut manifest: Value = serde_json::from_slice(image.top().bytes()).unwrap();
    manifest["config"]["digest"] = json!(config.digest);
    manifest["config"]["size"] = json!(config.bytes.len());
    let manifest = Manifest::parse(manifest.to_string().into_bytes().into(), None).unwrap();
    let mut blobs = vec![config];
    blobs.extend(layers.iter().map(|layer| layer.blob.clone()));
    let image = Image {
        manifests: vec![manifest],
        blobs,
    };
    image.put_in(&store, "acme/api:1");
    let _ = env.run_line("pack store --output site.tar").success();
    for source in ["store", "site.tar"] {
        for (layer, made_by) in layers.iter().zip(["ADD base", "RUN make\n  install"]) {
            let found = explain(&env, &format!("{} {source}", layer.blob.digest));
            assert_eq!(found["created_by"], made_by);
            assert_eq!(found["diff_id"], layer.diff_id.as_str());
        }
    }
    let digest = &layers[1].blob.digest;
    let text = env.run_line(&format!("why {digest} site.tar")).success();
    assert!(
        text.stdout.contains("created by RUN make   install\n"),
        "{}",
        text.stdout
    );
}

#[test]
fn every_part_of_an_image_is_known_with_the_way_to_it() {
    let env = TestEnv::in_memory();
    let store = env.store("store");
    let platforms = ["amd64", "arm64"].map(|architecture| {
        ImageBuilder::oci(7)
            .platform("linux", architecture)
            .layer(&layer(9, 500, Compression::Gzip))
            .layer(&layer(9, 500, Compression::Gzip))
            .build()
    });
    let image = index(Format::Oci, &platforms);
    image.put_in(&store, "acme/api:1");
    let signature = signatures(&[7]);
    let tag = cosign_tag(image.digest(), "sig");
    signature.put_in(&store, &format!("acme/api:{tag}"));
    let _ = env.run_line("pack store --output site.tar").success();
    for source in ["store", "site.tar"] {
        let ways = |digest: &hod_oci::Digest| -> Vec<Vec<String>> {
            let found = explain(&env, &format!("{digest} {source}"));
            assert_eq!(found["digest"], digest.as_str());
            let way = |using: &Value| {
                let path = using["path"].as_array().unwrap().iter();
                path.map(|step| step["what"].as_str().unwrap().to_owned())
                    .collect()
            };
            found["uses"].as_array().unwrap().iter().map(way).collect()
        };
        assert_eq!(ways(image.digest()), [["index"]]);
        assert_eq!(
            ways(platforms[1].digest()),
            [["index", "manifest linux/arm64"]]
        );
        let layers = ways(&layer(9, 500, Compression::Gzip).blob.digest);
        let expected: Vec<[&str; 3]> = ["amd64", "arm64"]
            .into_iter()
            .flat_map(|architecture| {
                let manifest = match architecture {
                    "amd64" => "manifest linux/amd64",
                    _ => "manifest linux/arm64",
                };
                [1, 2].map(|n| {
                    let layer = if n == 1 {
                        "layer 1 of 2"
                    } else {
                        "layer 2 of 2"
                    };
                    ["index", manifest, layer]
                })
            })
            .collect();
        assert_eq!(layers, expected);
        let of_signature = &signature.blobs.last().unwrap().digest;
        assert_eq!(ways(of_signature), [["manifest", "layer 1 of 1"]]);
        let found = explain(&env, &format!("{of_signature} {source}"));
        assert_eq!(found["uses"][0]["image"], "acme/api:1");
        assert_eq!(found["uses"][0]["referrer"], tag.as_str());
    }
}

#[test]
fn the_start_of_a_digest_is_enough_and_a_wrong_one_is_answered_with_what_is_like_it() {
    let env = TestEnv::in_memory();
    let [image, ..] = three(&env);
    let digest = image.digest();
    for text in [
        &digest.hex()[..12],
        &format!("sha256:{}", &digest.hex()[..20]),
        &digest.hex().to_uppercase(),
    ] {
        assert_eq!(
            explain(&env, &format!("{text} site.tar"))["digest"],
            digest.as_str()
        );
    }
    let other = if digest.hex().ends_with('0') {
        '1'
    } else {
        '0'
    };
    let mistyped = format!("{}{other}", &digest.as_str()[..digest.as_str().len() - 1]);
    let near = env.run_line(&format!("why {mistyped} site.tar")).exits(5);
    let hint = format!("Did you mean `{digest}`?");
    assert!(
        near.stderr.replace("\n      ", " ").contains(&hint),
        "{}",
        near.stderr
    );
    let _ = env
        .run_line(&format!("why sha512:{} site.tar", digest.hex()))
        .exits(5);
    let _ = env.run_line("why 000000000000 site.tar").exits(5);
    for short in ["12", "sha256:12345678901", "latest", "sha256:zzzzzzzzzzzz"] {
        let _ = env.run_line(&format!("why {short} site.tar")).exits(2);
    }
}
