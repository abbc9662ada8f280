//! What manifests say of a blob's size: who lies fails alone, in any order, for every verb.

use std::collections::BTreeSet;

use super::{blob_of, lying, says, write_layout, write_tar};
use hod_testkit::env::TestEnv;
use hod_testkit::images::{Compression, Image, ImageBuilder, Layer, layer};
use hod_testkit::random::Random;
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::{exists, whole_images};

/// The layer, an image that says its size, and others that say others.
fn images() -> (Layer, Vec<(&'static str, Image)>) {
    let layer = layer(7, 3_000, Compression::Uncompressed);
    let images = vec![
        ("d/good:1", ImageBuilder::docker(70).layer(&layer).build()),
        ("d/more:1", lying(71, &layer, 7)),
        ("d/less:1", lying(72, &layer, -7)),
    ];
    (layer, images)
}

fn good() -> BTreeSet<String> {
    BTreeSet::from(["d/good:1".to_owned()])
}

#[test]
fn a_pull_takes_the_honest_image_in_any_order() {
    let (layer, images) = images();
    for order in [[0, 1, 2], [1, 0, 2], [2, 1, 0], [1, 2, 0]] {
        let (env, registry) = (TestEnv::new(), TestRegistry::start());
        let mut list = String::new();
        for at in order {
            let (name, image) = &images[at];
            registry.add(name, image);
            list += name;
            list += "\n";
        }
        env.write("list.txt", list);
        let line = format!(
            "pull list.txt --store s --source {} --retries 0",
            registry.host()
        );
        // The second run says what the first one said.
        for _ in 0..2 {
            let output = env.run_line(&line).exits(4);
            let (len, digest) = (blob_of(&layer).bytes.len(), &blob_of(&layer).digest);
            for (at, more) in [(1, 7), (2, -7)] {
                let manifest = images[at].1.digest();
                let said = i64::try_from(len).unwrap() + more;
                let text =
                    format!("blob `{digest}` is not {said} bytes, as manifest `{manifest}` says");
                says(&output, &[&text, &len.to_string()]);
            }
            let _ = env.run_line("verify s").success();
            let pulled: BTreeSet<String> = whole_images(&env.path("s")).into_keys().collect();
            assert_eq!(pulled, good());
        }
    }
}

/// All kinds of sources of these images.
fn write_sources(env: &TestEnv, images: &[(&str, &Image)]) -> Vec<&'static str> {
    let store = env.store("store");
    for (name, image) in images {
        image.put_in(&store, name);
        let dir = format!("dirs/{name}");
        env.write(
            format!("{dir}/version"),
            "Directory Transport Version: 1.1\n",
        );
        env.write(format!("{dir}/manifest.json"), image.top().bytes());
        for blob in &image.blobs {
            env.write(format!("{dir}/{}", blob.digest.hex()), &blob.bytes);
        }
    }
    write_layout(env, "layout", images);
    write_tar(env, "layout", "layout.tar");
    write_tar(env, "store", "tree.tar");
    vec!["store", "dirs", "layout", "layout.tar", "tree.tar"]
}

/// The names that a result lists.
fn named(stdout: &str) -> BTreeSet<String> {
    let names = stdout.lines().filter_map(|line| line.split_once(' '));
    names.map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn every_verb_fails_the_image_that_verify_names() {
    let (layer, images) = images();
    let env = TestEnv::new();
    let listed: Vec<(&str, &Image)> = images.iter().map(|(name, i)| (*name, i)).collect();
    let digest = blob_of(&layer).digest.as_str();
    for source in write_sources(&env, &listed) {
        let target = TestRegistry::start();
        let output = env.run_line(&format!("verify {source}")).exits(4);
        for at in [1, 2] {
            says(&output, &[images[at].1.digest().as_str(), digest]);
        }
        assert!(
            !output.stdout.contains(images[0].1.digest().as_str()),
            "{source}"
        );
        let output = env
            .run_line(&format!("push {source} {}", target.host()))
            .exits(4);
        assert_eq!(named(&output.stdout), good(), "{source}");
        says(&output, &[images[1].1.digest().as_str(), digest]);
        for format in ["dir", "oci"] {
            let line = format!("export {source} --format {format} --output {source}-{format}");
            let output = env.run_line(&line).exits(4);
            assert_eq!(named(&output.stdout), good(), "{source} {format}");
        }
        assert!(exists(&env.path(format!("{source}-dir/d/good:1/version"))));
        assert!(!exists(&env.path(format!("{source}-dir/d/more:1"))));
        if source == "dirs" {
            continue;
        }
        let line = format!("pack {source} --output {source}.bundle.tar --no-tool");
        let output = env.run_line(&line).exits(4);
        says(
            &output,
            &[
                "packed 1 of 3 images; 2 failed",
                images[2].1.digest().as_str(),
            ],
        );
        let _ = env
            .run_line(&format!("verify {source}.bundle.tar"))
            .success();
    }
    env.write("list.txt", "d/more:1\nd/good:1\nd/less:1\n");
    let output = env
        .run_line("select list.txt --store store --output tree")
        .exits(4);
    assert_eq!(named(&output.stdout), good());
    let _ = env.run_line("verify tree").success();
}

#[test]
fn an_image_that_contradicts_itself_or_its_index_fails() {
    let (env, target) = (TestEnv::new(), TestRegistry::start());
    let layer = layer(7, 3_000, Compression::Uncompressed);
    let one = ImageBuilder::docker(70).layer(&layer).build();
    let mut json: serde_json::Value = serde_json::from_slice(one.top().bytes()).unwrap();
    let mut second = json["layers"][0].clone();
    second["size"] = serde_json::json!(1);
    json["layers"].as_array_mut().unwrap().push(second);
    let bytes = json.to_string().into_bytes();
    let twice = Image {
        manifests: vec![hod_oci::Manifest::parse(bytes.into(), None).unwrap()],
        blobs: one.blobs.clone(),
    };
    write_layout(&env, "twice", &[("d/twice:1", &twice)]);
    write_layout(&env, "index", &[("d/one:1", &one)]);
    let index = env.read("index/index.json");
    let size = format!("\"size\":{}", one.top().bytes().len());
    assert!(index.contains(&size), "{index}");
    env.write("index/index.json", index.replace(&size, "\"size\":5"));
    for (source, text) in [
        ("twice", "bytes according to manifest"),
        ("index", "`index.json` says 5"),
    ] {
        let output = env.run_line(&format!("verify {source}")).exits(4);
        says(&output, &[text]);
        let output = env
            .run_line(&format!("push {source} {}", target.host()))
            .exits(4);
        says(&output, &[text]);
    }
}

/// Any images of any layers, of which any lie, in any order: the same ones succeed for every verb,
/// and verify complains of the others.
#[test]
fn whatever_is_said_the_same_images_succeed() {
    let mut random = Random::new();
    for round in 0..4 {
        let (env, registry) = (TestEnv::new(), TestRegistry::start());
        let layers: Vec<Layer> = (0..3)
            .map(|at| layer(100 + at, 500, Compression::Uncompressed))
            .collect();
        let mut images: Vec<(String, Image)> = Vec::new();
        let mut honest = BTreeSet::new();
        for at in 0..6 {
            let layer = &layers[random.below(layers.len())];
            let more = [0, 0, 1, -1][random.below(4)];
            let name = format!("d/i{at}:1");
            let image = lying(200 + at, layer, more);
            if more == 0 {
                honest.insert(name.clone());
            }
            registry.add(&name, &image);
            images.push((name, image));
        }
        random.shuffle(&mut images);
        let list: Vec<String> = images.iter().map(|(name, _)| name.clone()).collect();
        env.write("list.txt", list.join("\n"));
        let line = format!(
            "pull list.txt --store s --source {} --retries 0",
            registry.host()
        );
        let pulled = named(&env.run_line(&line).stdout);
        assert_eq!(pulled, honest, "round {round}");
        let listed: Vec<(&str, &Image)> = images.iter().map(|(n, i)| (n.as_str(), i)).collect();
        write_sources(&env, &listed);
        for source in ["store", "layout.tar"] {
            let lines = env.run_line(&format!("verify {source}")).stdout;
            let complaints = |image: &Image| lines.contains(image.digest().as_str());
            let named_fine = images.iter().filter(|(_, image)| !complaints(image));
            let fine: BTreeSet<String> = named_fine.map(|(name, _)| name.clone()).collect();
            assert_eq!(fine, honest, "round {round} {source}\n{lines}");
            let line = format!("export {source} --output {source}.dirs");
            let exported = named(&env.run_line(&line).stdout);
            assert_eq!(exported, honest, "round {round} {source}");
        }
    }
}
