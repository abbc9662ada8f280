//! The files of image-syncer with their meanings, as measured with version 1.5.5.

use serde_json::{Value, json};

use super::{content, expect, run, source};
use hod_testkit::env::TestEnv;
use hod_testkit::images::{Compression, Format, ImageBuilder, image, index, layer};
use hod_testkit::registry::TestRegistry;

/// Writes `images.json`, or as YAML `images.yaml`.
fn write(env: &TestEnv, images: &Value) {
    env.write("images.json", images.to_string());
    let pairs = images.as_object().unwrap().iter();
    let yaml = pairs.map(|(from, to)| format!("{}: {to}\n", json!(from)));
    env.write("images.yaml", yaml.collect::<String>());
}

#[test]
fn each_form_of_a_pair_means_what_it_means_there() {
    let from = source();
    let host = from.host();
    let digest = image(20).digest().to_string();
    let web = format!("{host}/lab/web");
    let all = ["1.0.0", "1.1.0", "1.1.5", "2.0.0-rc1", "latest"];
    let every: Vec<(String, &str)> = all
        .iter()
        .map(|tag| (format!("all/web:{tag}"), *tag))
        .collect();
    let every: Vec<_> = every
        .iter()
        .map(|(name, tag)| (name.as_str(), *tag))
        .collect();
    for (source, place, found) in [
        (web.clone(), "all/web", every),
        (
            format!("{web}:1.0.0,1.1.0"),
            "pos/web:a,b",
            vec![("pos/web:a", "1.0.0"), ("pos/web:b", "1.1.0")],
        ),
        (
            format!("{web}:1.0.0,1.1.0"),
            "keep/web",
            vec![("keep/web:1.0.0", "1.0.0"), ("keep/web:1.1.0", "1.1.0")],
        ),
        (
            format!("{web}:latest"),
            "one/web:x",
            vec![("one/web:x", "latest")],
        ),
        (
            format!("{web}:latest"),
            "one/web",
            vec![("one/web:latest", "latest")],
        ),
        (
            format!("{web}:/^1\\.1.*/"),
            "re/web",
            vec![("re/web:1.1.0", "1.1.0"), ("re/web:1.1.5", "1.1.5")],
        ),
        (
            format!("{web}@{digest}"),
            "dig/web:t",
            vec![("dig/web:t", "1.1.5")],
        ),
        (
            format!("{web}@{digest}"),
            "dig/web",
            vec![("dig/web@", "1.1.5")],
        ),
    ] {
        for file in ["images.json", "images.yaml"] {
            let (env, to) = (TestEnv::in_memory(), TestRegistry::start());
            write(
                &env,
                &json!({ (source.clone()): format!("{}/{place}", to.host()) }),
            );
            let synced = env.run_line(&format!("sync --images {file}")).success();
            let expected = expect(&found);
            assert_eq!(content(&to), expected, "{source}: {}", synced.stderr);
        }
    }
}

#[test]
fn a_source_goes_to_all_its_destinations() {
    let (env, from) = (TestEnv::in_memory(), source());
    let (a, b) = (TestRegistry::start(), TestRegistry::start());
    let web = format!("{}/lab/web:latest", from.host());
    write(
        &env,
        &json!({ web: ["$PLACE/x/web", "${PLACE}/y/web:two", format!("{}/z", b.host())] }),
    );
    // Without the variable, its destinations fail alone.
    let partly = env.run_line("sync --images images.json").exits(3);
    assert!(partly.stderr.contains("`$PLACE`"), "{}", partly.stderr);
    let place = [("PLACE", a.host())];
    let _ = from.take_seen();
    let _ = run(&env, "sync --images images.json", &place).success();
    assert_eq!(
        content(&a),
        expect(&[("x/web:latest", "latest"), ("y/web:two", "latest")])
    );
    assert_eq!(content(&b), expect(&[("z:latest", "latest")]));
    let manifest = format!("/blobs/{}", image(40).top().blobs().next().unwrap().digest);
    assert!(from.count("GET", |path| path.ends_with(&manifest)) <= 1);
    // A file is recognised without the flag, and words replace its destinations.
    let _ = run(&env, "sync images.yaml", &place).success();
    let other = TestRegistry::start();
    let line = format!("sync --images images.json {} --strip-host", other.host());
    let _ = run(&env, &line, &place).success();
    assert_eq!(content(&other), expect(&[("lab/web:latest", "latest")]));
}

/// A registry with an index of two platforms in Docker's format, `lab/idx:1`, its children, and
/// one image for `amd64`, `lab/one:1`.
fn platforms() -> (TestRegistry, String) {
    let registry = TestRegistry::start();
    let child = |seed, arch| {
        let builder = ImageBuilder::docker(seed).platform("linux", arch);
        builder.layer(&layer(seed, 400, Compression::Gzip)).build()
    };
    let (amd, arm) = (child(1, "amd64"), child(2, "arm64"));
    let both = index(Format::Docker, &[amd.clone(), arm]);
    registry.add("lab/idx:1", &both);
    registry.add("lab/one:1", &amd);
    (registry, both.digest().to_string())
}

#[test]
fn an_index_keeps_its_bytes_and_that_is_said_once() {
    let (env, (from, digest)) = (TestEnv::in_memory(), platforms());
    let to = TestRegistry::start();
    let (host, to_host) = (from.host(), to.host());
    write(
        &env,
        &json!({
            format!("{host}/lab/idx:1"): format!("{to_host}/a"),
            format!("{host}/lab/one:1"): format!("{to_host}/b"),
        }),
    );
    let synced = env.run_line("sync --images images.json --json").success();
    let document: Value = serde_json::from_str(&synced.stdout).unwrap();
    assert_eq!(document["images"][0]["digest"], digest);
    assert_eq!(
        synced
            .stderr
            .matches("image-syncer writes them anew")
            .count(),
        1,
        "{}",
        synced.stderr
    );
}

#[test]
fn a_filter_of_platforms_rewrites_indexes_and_leaves_out_the_rest() {
    let (env, (from, digest)) = (TestEnv::in_memory(), platforms());
    let to = TestRegistry::start();
    let (host, to_host) = (from.host(), to.host());
    write(
        &env,
        &json!({
            format!("{host}/lab/idx:1"): format!("{to_host}/a"),
            format!("{host}/lab/one:1"): format!("{to_host}/b"),
        }),
    );
    let synced = env
        .run_line("sync --images images.json --arch arm64 --json")
        .success();
    let document: Value = serde_json::from_str(&synced.stdout).unwrap();
    let images = document["images"].as_array().unwrap();
    assert_eq!(images.len(), 1, "{}", synced.stdout);
    assert_ne!(images[0]["digest"], digest);
    let listed = env.run_line(&format!("ls {to_host} --json")).success();
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!(listed["images"].as_array().unwrap().len(), 1);
    assert_eq!(listed["images"][0]["platforms"], json!(["linux/arm64"]));

    // Several are a choice; a filter that fits nothing leaves nothing to do.
    let line = "sync --images images.json --os linux --arch arm64 --arch amd64 --json";
    let synced = env.run_line(line).success();
    let document: Value = serde_json::from_str(&synced.stdout).unwrap();
    assert_eq!(document["images"].as_array().unwrap().len(), 2);
    let nothing = env
        .run_line("sync --images images.json --os windows")
        .success();
    assert!(nothing.stderr.contains("left out"), "{}", nothing.stderr);
}

#[test]
fn the_images_that_were_transferred_are_written() {
    let (env, from, to) = (TestEnv::in_memory(), source(), TestRegistry::start());
    let (host, to_host) = (from.host(), to.host());
    write(
        &env,
        &json!({
            format!("{host}/lab/web:1.0.0"): [format!("{to_host}/x/web:b"), format!("{to_host}/x/web:a")],
            format!("{host}/lab/none:1"): format!("{to_host}/none"),
        }),
    );
    let line = "sync --images images.json --output-success-images ok.yaml --retries 0";
    let _ = env.run_line(line).exits(3);
    let expected = format!("{host}/lab/web:1.0.0:\n- {to_host}/x/web:b\n- {to_host}/x/web:a\n");
    assert_eq!(env.read("ok.yaml"), expected);
    // What is written is a file of images again, and of nothing new there is nothing.
    let again = "sync --images ok.yaml --output-success-images ok.json --output-images-format json";
    let _ = env.run_line(again).success();
    assert_eq!(env.read("ok.json"), "{}\n");
    let again = format!("{again} --recheck");
    let _ = to.store();
    let _ = env.run_line(&again);
    // It never replaces what is read.
    let _ = env
        .run_line("sync --images ok.yaml --output-success-images ok.yaml")
        .exits(2);
    assert_eq!(env.read("ok.yaml"), expected);
}
