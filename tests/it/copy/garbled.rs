//! Content that a registry garbles on the way: the right length, and other bytes.

use super::{has, layouts};
use crate::support::env::TestEnv;
use crate::support::faults::{Effect, Fault, blob_path, manifest_path, path_contains, upload_path};
use crate::support::images::{Compression, Image, ImageBuilder, image, layer};
use crate::support::registry::TestRegistry;
use crate::support::tree::whole_images;

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
fn beside_what_is_done_a_garbled_image_is_one_of_those_that_failed() {
    let (env, from, to, one) = site();
    let other = image(17);
    from.add("ns/other:1", &other);
    env.write("both.txt", "ns/one:1\nns/other:1\n");
    from.fail(Fault::on("GET", path_contains(layer_of(&one))).does(Effect::FlipByte));
    for target in [to.host(), "store:store", "oci:oci", "dir:layouts"] {
        let line = format!("copy both.txt --source {} {target}", from.host());
        env.run_line(&line).exits(3);
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
    // Another reason is another code.
    from.heal();
    from.fail(Fault::on("GET", path_contains(layer_of(&one))).does(Effect::FlipByte));
    from.fail(Fault::on("GET", path_contains(layer_of(&other))).does(Effect::Status(403)));
    let line = format!("pull both.txt --source {} --store newest", from.host());
    env.run_line(&line).exits(1);
}
