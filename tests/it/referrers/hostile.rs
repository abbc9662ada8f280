//! Registries and trees whose referrers go in circles, do not end, or are not what they seem.

use hod_oci::MediaType;
use serde_json::{Value, json};

use super::pull;
use hod_testkit::env::TestEnv;
use hod_testkit::faults::{Effect, Fault, path_contains};
use hod_testkit::images::{Image, image};
use hod_testkit::referrers::{about, artifact, cosign_tag, index_tag, signatures};
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::whole_images;

/// A registry with one image, and a list of it.
fn one() -> (TestEnv, TestRegistry, Image) {
    let (env, source, image) = (TestEnv::in_memory(), TestRegistry::start(), image(100));
    source.add("app/a:1", &image);
    env.write("list.txt", "app/a:1\n");
    (env, source, image)
}

/// Answers every question for referrers with these descriptors.
fn answer(source: &TestRegistry, manifests: &Value) {
    let page =
        json!({"schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": manifests});
    let page: &'static str = page.to_string().leak();
    source.fail(Fault::on("GET", path_contains("/referrers/")).does(Effect::Page(200, page)));
}

#[test]
fn circles_of_tags_end() {
    let (env, source, image) = one();
    // The image as its own signature, and two signatures of each other.
    let (x, y) = (signatures(&[1]), signatures(&[2]));
    source.add(
        &format!("app/a:{}", cosign_tag(image.digest(), "sig")),
        &image,
    );
    source.add(&format!("app/a:{}", cosign_tag(image.digest(), "att")), &x);
    source.add(&format!("app/a:{}", cosign_tag(x.digest(), "sig")), &y);
    source.add(&format!("app/a:{}", cosign_tag(y.digest(), "sig")), &x);
    let _ = pull(&env, &source, "").success();
    assert_eq!(whole_images(&env.path("store")).len(), 5);
    for line in ["verify store", "pack store --output b.tar", "verify b.tar"] {
        let _ = env.run_line(line).success();
    }
    // A circle that nothing leads into is not lost with a whole store.
    let (lost, image_alone) = (env.store("lost"), hod_testkit::images::image(300));
    x.put_in(&lost, &format!("b/b:{}", cosign_tag(y.digest(), "sig")));
    y.put_in(&lost, &format!("b/b:{}", cosign_tag(x.digest(), "sig")));
    let tag = cosign_tag(image_alone.digest(), "sig");
    image_alone.put_in(&lost, &format!("b/c:{tag}"));
    let _ = env.run_line("pack lost --output lost.tar").success();
    let _ = env.run_line("unpack lost.tar --output found").success();
    assert_eq!(whole_images(&env.path("found")).len(), 3);
}

#[test]
fn a_chain_without_end_is_given_up() {
    let (env, source, image) = one();
    let mut subject = image;
    for seed in 0..12 {
        let next = about(subject.top(), "x/chain", seed);
        source.add("app/a", &next);
        subject = next;
    }
    let output = pull(&env, &source, "").exits(1);
    assert!(
        output.stderr.contains("nested more than 8 deep"),
        "{}",
        output.stderr
    );
}

#[test]
fn a_flood_is_given_up() {
    let (env, source, image) = one();
    let digest = |n: u32| format!("sha256:{n:064x}");
    let entries: Vec<Value> = (0..1500)
        .map(|n| json!({"mediaType": MediaType::OCI_MANIFEST, "digest": digest(n), "size": 1}))
        .collect();
    answer(&source, &json!(entries));
    let output = pull(&env, &source, "").exits(1);
    assert!(
        output.stderr.contains("there are more than 1000 referrers"),
        "{}",
        output.stderr
    );
    assert!(source.seen().len() < 10, "{}", source.seen().len());
    source.heal();
    // By the index under the tag.
    let index =
        json!({"schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": entries});
    let manifest = hod_oci::Manifest::parse(index.to_string().into_bytes().into(), None).unwrap();
    let index = Image {
        manifests: vec![manifest],
        blobs: Vec::new(),
    };
    source.add(&format!("app/a:{}", index_tag(image.digest())), &index);
    let _ = source.take_seen();
    let output = pull(&env, &source, "").exits(1);
    assert!(
        output.stderr.contains("more than 1000 referrers"),
        "{}",
        output.stderr
    );
    assert!(source.seen().len() < 10, "{}", source.seen().len());
}

#[test]
fn pages_without_end_are_given_up() {
    let (env, source, image) = one();
    // Each page leads to another.
    let page = json!({"manifests": []}).to_string().leak();
    source.fail(Fault::on("GET", path_contains("/referrers/")).does(Effect::Page(200, page)));
    for (is_first, to) in [(true, "/more"), (false, "")] {
        let link = format!("</v2/app/a/referrers/{}{to}>; rel=\"next\"", image.digest());
        let is_turn =
            move |path: &str| path.contains("/referrers/") && path.ends_with("/more") != is_first;
        source.fail(Fault::on("GET", is_turn).does(Effect::Header("link", link)));
    }
    let output = pull(&env, &source, "--retries 0").exits(1);
    assert!(
        output.stderr.contains("100 pages of them"),
        "{}",
        output.stderr
    );
}

#[test]
fn what_is_gone_or_does_not_say_so_is_told_and_left_out() {
    let (env, source, image) = one();
    let (good, other) = (
        about(image.top(), "x/good", 1),
        artifact(&Value::Null, "x/other", 2),
    );
    source.add("app/a", &good);
    source.add("app/a", &other);
    let gone = format!("sha256:{}", "0".repeat(64));
    // Sizes as Harbor says them: of the whole artifact.
    let entry = |digest: &str| json!({"mediaType": MediaType::OCI_MANIFEST, "digest": digest, "size": 99_999});
    answer(
        &source,
        &json!([
            entry(good.digest().as_str()),
            entry(other.digest().as_str()),
            entry(&gone)
        ]),
    );
    let output = pull(&env, &source, "").success();
    let gone = format!("referrer `{gone}` of `{}` not found", image.digest());
    assert!(output.stderr.contains(&gone), "{}", output.stderr);
    assert!(
        output.stderr.contains("but its subject is another"),
        "{}",
        output.stderr
    );
    let revisions = env
        .store("store")
        .revisions(&hod_testkit::images::repository("app/a"));
    assert_eq!(
        revisions.unwrap().len(),
        3,
        "the image, the referrer and the index of it"
    );
}

#[test]
fn answers_that_are_no_lists_mean_no_api_or_an_error() {
    #[track_caller]
    fn check(effect: Effect, code: i32) {
        let (env, source, image) = one();
        source.add("app/a", &about(image.top(), "x/y", 1));
        source.fail(Fault::on("GET", path_contains("/referrers/")).does(effect));
        let _ = pull(&env, &source, "--retries 0").exits(code);
    }
    // Harbor's answer for what it does not know, and pages of web servers.
    check(Effect::Page(200, "{}"), 0);
    check(Effect::Page(200, "<html>hello</html>"), 0);
    check(Effect::Page(404, "<html>hello</html>"), 0);
    check(Effect::Status(404), 0);
    check(Effect::Status(405), 0);
    check(Effect::Status(400), 0);
    check(Effect::Status(401), 1);
    check(Effect::Status(429), 1);
    check(
        Effect::Page(200, r#"{"manifests":[{"digest":"sha256:1"}]}"#),
        0,
    );
    check(Effect::CutBody(20), 1);
}
