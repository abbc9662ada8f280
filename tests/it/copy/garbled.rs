//! Content that a registry garbles on the way: the right length, and other bytes.

use std::fmt::Write as _;

use super::{has, layouts};
use hod_testkit::env::{Output, TestEnv};
use hod_testkit::faults::{Effect, Fault, blob_path, manifest_path, path_contains, upload_path};
use hod_testkit::images::{Compression, Image, ImageBuilder, image, layer};
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::whole_images;

/// The lines that carry what is named in `one.txt` from a registry to each kind of target.
fn lines(from: &TestRegistry, to: &TestRegistry) -> Vec<String> {
    let source = from.host();
    let targets = layouts::targets("to").map(|(_, word)| word);
    let targets = targets
        .into_iter()
        .chain([to.host().to_owned(), "bundle:to.tar".to_owned()]);
    let mut lines: Vec<String> = targets
        .map(|target| format!("copy one.txt --source {source} {target}"))
        .collect();
    lines.push(format!("pull one.txt --source {source} --store pulled"));
    lines
}

fn site() -> (TestEnv, TestRegistry, TestRegistry, Image) {
    let (env, from, to) = (
        TestEnv::in_memory(),
        TestRegistry::start(),
        TestRegistry::start(),
    );
    let one = image(7);
    from.add("ns/one:1", &one);
    env.write("one.txt", "ns/one:1\n");
    (env, from, to, one)
}

/// Has `env` read what `primary` has from these mirrors first.
fn mirrored(env: &TestEnv, primary: &TestRegistry, mirrors: &[&TestRegistry]) {
    let mut conf = format!("[[registry]]\nlocation = '{}'\n", primary.host());
    for mirror in mirrors {
        let host = mirror.host();
        writeln!(conf, "[[registry.mirror]]\nlocation = '{host}/cache'").unwrap();
    }
    let path = env.home().join(".config/containers/registries.conf");
    hod_fsx::write_file(&path, conf.as_bytes()).unwrap();
}

fn garbles(layer: &str) -> Fault {
    Fault::on("GET", path_contains(layer.to_owned())).does(Effect::FlipByte)
}

fn lacks(layer: &str) -> Fault {
    Fault::on("GET", path_contains(layer.to_owned())).does(Effect::Status(404))
}

/// What is said, as one line.
fn said(output: &Output) -> String {
    let words = output.stderr.split_whitespace().collect::<Vec<_>>();
    words.join(" ")
}

/// Asserts that the bytes of `layer` are blamed on `registry`, and on nobody else.
#[track_caller]
fn blames(output: &Output, (registry, name, layer): (&TestRegistry, &str, &str)) {
    let (said, host) = (said(output), registry.host());
    let request = format!("GET /v2/{name}/blobs/{layer} on {host}: expected `{layer}`");
    let hint = format!("`{host}`, or a proxy in front of it, has a damaged");
    let repair = format!("`hod push SOURCE {host} --recheck`");
    for part in [&request, &hint, &repair] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(
        said.matches("or a proxy in front of it").count(),
        1,
        "{said}"
    );
}

fn layer_of(image: &Image) -> String {
    let digest = &image.top().blobs().nth(1).unwrap().digest;
    digest.to_string()
}

#[test]
fn a_blob_that_is_garbled_for_good_is_fetched_twice_and_blamed_on_its_source() {
    let (env, from, to, one) = site();
    let layer = layer_of(&one);
    from.fail(Fault::on("GET", path_contains(layer.clone())).does(Effect::FlipByte));
    for line in lines(&from, &to) {
        from.take_seen();
        let output = env.run_line(&line).exits(4);
        let n = from.count("GET", path_contains(layer.clone()));
        assert_eq!(n, 2, "{line}: once more, and no more");
        let said = format!(
            "GET /v2/ns/one/blobs/{layer} on {}: expected `{layer}`",
            from.host()
        );
        let hint = format!(
            "`{}`, or a proxy in front of it, has a damaged",
            from.host()
        );
        // As it is wrapped for a terminal.
        let text = output.stderr.split_whitespace().collect::<Vec<_>>();
        let text = text.join(" ");
        assert!(text.contains(&said), "{line}: {text}");
        assert!(text.contains(&hint), "{line}: {text}");
        assert!(!text.contains("data to upload"), "{line}: {text}");
        assert!(
            !text.contains(&format!("on {}", to.host())),
            "{line}: {text}"
        );
    }
    assert!(whole_images(&env.path("pulled")).is_empty());
    assert_eq!(to.count("PUT", manifest_path), 0);
}

#[test]
fn a_blob_that_is_garbled_once_is_sent_whole() {
    for more in ["", "store:store"] {
        let (env, from, to, one) = site();
        let garbled = Fault::on("GET", blob_path).once_each();
        from.fail(garbled.does(Effect::FlipByte));
        let line = format!("copy one.txt --source {} {} {more}", from.host(), to.host());
        env.run_line(&line).success();
        has(&to, "ns/one", &one);
        assert!(from.count("GET", path_contains(layer_of(&one))) > 1);
    }
}

#[test]
fn several_targets_blame_the_one_source() {
    let (env, from, to, one) = site();
    from.fail(Fault::on("GET", path_contains(layer_of(&one))).does(Effect::FlipByte));
    let line = format!(
        "copy one.txt --source {} {} store:store",
        from.host(),
        to.host()
    );
    let output = env.run_line(&line).exits(4);
    let said = format!("`{}`, or a proxy in front of it,", from.host());
    assert!(output.stderr.contains(&said), "{}", output.stderr);
    assert!(!output.stderr.contains("to upload"), "{}", output.stderr);
    for targets in [
        "bundle:a.tar",
        "bundle:a.tar bundle:b.tar",
        "oci-archive:a.tar store:store",
    ] {
        let line = format!("copy one.txt --source {} {targets}", from.host());
        env.run_line(&line).exits(4);
    }
}

#[test]
fn chunks_of_a_garbled_blob_are_not_gone_on_with() {
    let (env, from, to, _) = site();
    let large = layer(3, 900_000, Compression::Uncompressed);
    let image = ImageBuilder::oci(3).layer(&large).build();
    from.add("ns/large:1", &image);
    env.write("large.txt", "ns/large:1\n");
    let layer = layer_of(&image);
    from.fail(
        Fault::on("GET", path_contains(layer))
            .nth(1)
            .does(Effect::FlipByte),
    );
    let line = format!(
        "copy large.txt --source {} {} --chunk-size 256KiB",
        from.host(),
        to.host()
    );
    env.run_line(&line).success();
    has(&to, "ns/large", &image);
    // Four chunks, of which the last did not go out, and all of them again.
    assert_eq!(to.count("PATCH", upload_path), 7);
}

#[test]
fn a_garbled_image_is_told_by_the_code_beside_what_is_done() {
    let (env, from, to, one) = site();
    let other = image(17);
    from.add("ns/other:1", &other);
    env.write("both.txt", "ns/one:1\nns/other:1\n");
    from.fail(Fault::on("GET", path_contains(layer_of(&one))).does(Effect::FlipByte));
    for target in [to.host(), "store:store", "oci:oci", "dir:layouts"] {
        let line = format!("copy both.txt --source {} {target}", from.host());
        env.run_line(&line).exits(4);
    }
    has(&to, "ns/other", &other);
    // Of which nothing verifies, with a manifest or without.
    from.fail(Fault::on("GET", path_contains(layer_of(&other))).does(Effect::FlipByte));
    let line = format!("pull both.txt --source {} --store new", from.host());
    env.run_line(&line).exits(4);
    from.heal();
    from.fail(Fault::on("GET", manifest_path).does(Effect::FlipByte));
    let line = format!("pull both.txt --source {} --store newer", from.host());
    env.run_line(&line).exits(4);
    // Whatever the reason of the others.
    from.heal();
    from.fail(Fault::on("GET", path_contains(layer_of(&one))).does(Effect::FlipByte));
    from.fail(Fault::on("GET", path_contains(layer_of(&other))).does(Effect::Status(403)));
    let line = format!("pull both.txt --source {} --store newest", from.host());
    env.run_line(&line).exits(4);
}

#[test]
fn a_mirror_that_garbles_gives_way_to_the_next_and_to_the_registry() {
    let (env, from, to, one) = site();
    let layer = layer_of(&one);
    let (first, second) = (TestRegistry::start(), TestRegistry::start());
    for mirror in [&first, &second] {
        mirror.add("cache/ns/one:1", &one);
        mirror.fail(garbles(&layer));
    }
    mirrored(&env, &from, &[&first, &second]);
    let all = [&first, &second, &from];
    for line in lines(&from, &to) {
        for place in all {
            place.take_seen();
        }
        env.run_line(&line).success();
        let counts = all.map(|place| place.count("GET", path_contains(layer.clone())));
        assert_eq!(counts, [1, 1, 1], "{line}");
    }
    has(&to, "ns/one", &one);
    assert_eq!(whole_images(&env.path("pulled")).len(), 1);
}

#[test]
fn a_mirror_is_blamed_for_what_it_garbles_and_the_registry_is_not() {
    let (env, from, to, one) = site();
    let layer = layer_of(&one);
    let mirror = TestRegistry::start();
    mirror.add("cache/ns/one:1", &one);
    mirror.fail(garbles(&layer));
    from.fail(lacks(&layer));
    mirrored(&env, &from, &[&mirror]);
    for line in lines(&from, &to) {
        mirror.take_seen();
        let output = env.run_line(&line).exits(4);
        blames(&output, (&mirror, "cache/ns/one", &layer));
        let n = mirror.count("GET", path_contains(layer.clone()));
        assert_eq!(n, 2, "{line}: once more, since nobody else has it");
    }
}

#[test]
fn of_two_places_of_a_blob_the_one_is_blamed_that_sent_it() {
    let (env, from, to, one) = site();
    let layer = layer_of(&one);
    let other = TestRegistry::start();
    other.add("ns/two:1", &one);
    let both = format!("{}/ns/one:1\n{}/ns/two:1\n", from.host(), other.host());
    env.write("both.txt", &both);
    from.fail(lacks(&layer));
    other.fail(garbles(&layer));
    for line in [
        format!("copy both.txt {}", to.host()),
        "copy both.txt bundle:to.tar".to_owned(),
        format!("copy both.txt {} store:store", to.host()),
        "pull both.txt --store pulled".to_owned(),
    ] {
        let output = env.run_line(&line).exits(4);
        blames(&output, (&other, "ns/two", &layer));
    }
    // The other way round, the place that has it is asked after one that garbles it.
    from.heal();
    other.heal();
    from.fail(garbles(&layer));
    for line in [
        format!("copy both.txt {}", to.host()),
        "pull both.txt --store pulled".to_owned(),
    ] {
        from.take_seen();
        env.run_line(&line).success();
    }
    for (place, name) in [(&from, "ns/one"), (&other, "ns/two")] {
        let host = place.host().replace(':', "_");
        has(&to, &format!("{host}/{name}"), &one);
    }
}
