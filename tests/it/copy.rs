//! `hod copy`: from anywhere to one or several registries, in one go.

mod garbled;
mod layouts;
mod targets;

use hod_testkit::env::{TestEnv, finish};
use hod_testkit::faults::{Effect, Fault, manifest_path, upload_path};
use hod_testkit::images::{
    Compression, Image, ImageBuilder, image, layer, menagerie, repository, tag,
};
use hod_testkit::registry::{Auth, RegistryOptions, Seen, TestRegistry};

#[track_caller]
fn has(registry: &TestRegistry, name: &str, image: &Image) {
    let digest = registry
        .store()
        .resolve_tag(&repository(name), &tag("1"))
        .unwrap();
    assert_eq!(digest.as_ref(), Some(image.digest()), "{name}");
}

/// What there is in the working directory.
fn names(env: &TestEnv) -> Vec<std::ffi::OsString> {
    let mut names = hod_fsx::read_dir_names(&env.work()).unwrap();
    names.sort();
    names
}

pub(crate) fn kinds() -> Vec<(&'static str, Image)> {
    let kinds = menagerie().into_iter();
    kinds.filter(|(name, _)| *name != "foreign").collect()
}

/// A registry with an image of each kind, and a list of them.
pub(crate) fn source(env: &TestEnv) -> TestRegistry {
    let registry = TestRegistry::start();
    let mut list = Vec::new();
    for (name, image) in &kinds() {
        let name = format!("kinds/{name}:1");
        registry.add(&name, image);
        list.push(name);
    }
    env.write("list.txt", list.join("\n"));
    registry
}

/// Makes a store with an image of each kind.
pub(crate) fn put_kinds(env: &TestEnv, path: &str) {
    let store = env.store(path);
    for (name, image) in &kinds() {
        image.put_in(&store, &format!("kinds/{name}:1"));
    }
}

#[test]
fn a_list_goes_to_several_registries_and_nothing_is_stored() {
    let env = TestEnv::new();
    let from = source(&env);
    let (a, b) = (TestRegistry::start(), TestRegistry::start());
    let line = format!(
        "copy list.txt --source {} {} {}/mirror",
        from.host(),
        a.host(),
        b.host()
    );
    let before = names(&env);
    let copied = env.run_line(&line).success();
    for (name, image) in &kinds() {
        has(&a, &format!("kinds/{name}"), image);
        has(&b, &format!("mirror/kinds/{name}"), image);
        let line = format!("{}/mirror/kinds/{name}:1 {}", b.host(), image.digest());
        assert!(copied.stdout.contains(&line), "{}", copied.stdout);
    }
    assert_eq!(names(&env), before, "nothing is stored");
    let blobs: std::collections::BTreeSet<String> = from
        .seen()
        .into_iter()
        .filter(|seen| seen.method == "GET" && seen.path.contains("/blobs/"))
        .map(|seen| seen.path)
        .collect();
    assert_eq!(blobs.len(), from.n_blob_gets(), "each blob is fetched once");
    from.take_seen();
    a.take_seen();
    let again = env.run_line(&line).success();
    assert_eq!(from.n_blob_gets(), 0);
    assert!(a.seen().iter().all(|seen| seen.method == "HEAD"));
    assert!(again.stderr.contains("unchanged"), "{}", again.stderr);
}

#[test]
fn every_kind_of_source_is_told_by_what_it_is() {
    let env = TestEnv::new();
    put_kinds(&env, "store");
    for line in [
        "pack store --output all.tar",
        "pack store --output all.tar.zst",
        "export store --output layouts",
        "export store --format oci --output oci",
    ] {
        env.run_line(line).success();
    }
    let from = source(&env);
    let registry = from.host().to_owned();
    for text in [
        "store",
        "store:store",
        "all.tar",
        "bundle:all.tar",
        "all.tar.zst",
        "layouts",
        "dir:layouts",
        "oci",
        "oci:oci",
        registry.as_str(),
        &format!("{registry}/kinds"),
        &format!("docker://{registry}/kinds"),
        &format!("list.txt --source {registry}"),
    ] {
        let target = TestRegistry::start();
        let line = format!("copy {text} {} --index keep", target.host());
        env.run_line(&line).success();
        for (name, image) in &kinds() {
            has(&target, &format!("kinds/{name}"), image);
        }
    }
}

#[test]
fn one_image_is_copied_by_its_name() {
    let env = TestEnv::new();
    let from = TestRegistry::start();
    let one = image(7);
    from.add("library/one:1", &one);
    let target = TestRegistry::start();
    let line = format!("copy one:1 --source {} {}/p", from.host(), target.host());
    env.run_line(&line).success();
    has(&target, "p/library/one", &one);
    let host = from.host().replace(':', "_");
    let line = format!(
        "copy docker://{}/library/one:1 {}",
        from.host(),
        target.host()
    );
    env.run_line(&line).success();
    has(&target, &format!("{host}/library/one"), &one);
}

#[test]
fn within_one_registry_blobs_are_mounted() {
    let env = TestEnv::new();
    let registry = source(&env);
    let host = registry.host().to_owned();
    env.run_line(&format!("copy {host}/kinds {host}/copies"))
        .success();
    for (name, image) in &kinds() {
        has(&registry, &format!("copies/kinds/{name}"), image);
    }
    assert_eq!(registry.n_blob_gets(), 0, "nothing is fetched");
    assert_eq!(registry.count("PATCH", |_| true), 0, "nothing is sent");
}

#[test]
fn nothing_is_changed_anywhere_while_one_target_is_not_ready() {
    let env = TestEnv::new();
    let from = source(&env);
    let a = TestRegistry::start();
    // Of no server.
    let (b, c) = ("127.0.0.1:1", "127.0.0.1:2");
    let line = format!(
        "copy list.txt --source {} {} {b} {c} --retries 0",
        from.host(),
        a.host()
    );
    let refused = env.run_line(&line).exits(5);
    assert!(refused.stderr.contains(b) && refused.stderr.contains(c));
    assert!(a.store().repositories().unwrap().is_empty());
    assert_eq!(from.n_blob_gets(), 0);
}

#[test]
fn a_registry_that_refuses_every_image_is_not_ready() {
    let env = TestEnv::new();
    put_kinds(&env, "store");
    for status in [401, 403, 405, 451] {
        let target = TestRegistry::start();
        target.fail(Fault::on("*", manifest_path).does(Effect::Status(status)));
        let host = target.host();
        for verb in ["push", "copy"] {
            let line = format!("{verb} store {host}");
            let refused = env.run_line(&line).exits(5);
            assert!(refused.stdout.is_empty(), "{line}: {}", refused.stdout);
        }
        assert!(target.store().repositories().unwrap().is_empty());
    }
}

#[test]
fn a_target_that_fails_does_not_take_the_others_with_it() {
    let env = TestEnv::new();
    let from = source(&env);
    let (a, b) = (TestRegistry::start(), TestRegistry::start());
    b.fail(Fault::on("*", upload_path).does(Effect::Status(400)));
    let line = format!(
        "copy list.txt --source {} {} {} --report r.json --retry-list retry.txt",
        from.host(),
        a.host(),
        b.host()
    );
    let output = env.run_line(&line).exits(3);
    let at_b = format!(" to {}: ", b.host());
    assert!(output.stderr.contains(&at_b), "{}", output.stderr);
    for (name, image) in &kinds() {
        has(&a, &format!("kinds/{name}"), image);
    }
    assert!(b.store().repositories().unwrap().is_empty());
    // What failed at one of them is to be done again, once.
    let retry = env.read("retry.txt");
    let lines = retry.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(lines.count(), kinds().len(), "{retry}");
    b.heal();
    let line = format!(
        "copy retry.txt --source {} {} {}",
        from.host(),
        a.host(),
        b.host()
    );
    env.run_line(&line).success();
    for (name, image) in &kinds() {
        has(&b, &format!("kinds/{name}"), image);
    }
}

#[test]
fn usage_is_refused_before_anything_is_asked() {
    let env = TestEnv::new();
    let from = source(&env);
    let target = TestRegistry::start();
    let (source, host) = (from.host(), target.host());
    for (line, code) in [
        (format!("copy nothing {host}"), 2),
        (format!("copy oci: {host}"), 2),
        (format!("copy list.txt --source {source} {host} {host}"), 2),
        (format!("copy list.txt {host} --only list.txt"), 2),
        (format!("copy {source} {host} --section a"), 2),
        (format!("copy ./missing.tar {host}"), 2),
        (
            format!("copy list.txt --source {source} harbor.corp/UPPER"),
            2,
        ),
    ] {
        let refused = env.run_line(&line);
        assert_eq!(refused.code, Some(code), "{line}: {}", refused.stderr);
    }
    assert!(target.seen().is_empty());
}

/// An image of one large layer at a registry.
fn large(from: &TestRegistry) -> Image {
    let large = layer(1, 7_000_000, Compression::Uncompressed);
    let image = ImageBuilder::oci(1).layer(&large).build();
    from.add("app/large:1", &image);
    image
}

/// Fetches of layers, with their ranges.
fn ranges(from: &TestRegistry) -> Vec<Option<String>> {
    let seen = from.seen().into_iter();
    let blobs = seen.filter(|seen| seen.method == "GET" && seen.path.contains("/blobs/"));
    let range = |seen: Seen| seen.header("range").map(str::to_owned);
    blobs.map(range).collect()
}

#[test]
fn an_upload_reads_on_where_the_source_was_cut() {
    let env = TestEnv::new();
    let (from, target) = (TestRegistry::start(), TestRegistry::start());
    let image = large(&from);
    let cut_at = 5_000_000;
    let is_blob = |path: &str| path.contains("/blobs/");
    from.fail(
        Fault::on("GET", is_blob)
            .once_each()
            .does(Effect::CutBody(cut_at)),
    );
    let line = format!("copy {} {} --jobs 1", from.host(), target.host());
    env.run_line(&line).success();
    has(&target, "app/large", &image);
    let ranges: Vec<String> = ranges(&from).into_iter().flatten().collect();
    assert_eq!(ranges.len(), 1, "{ranges:?}");
    assert!(!ranges[0].starts_with("bytes=0-"), "{ranges:?}");
    let n_begun = target.count("POST", |path| path.ends_with("/blobs/uploads/"));
    assert_eq!(n_begun, 2, "one upload for each of two blobs");
}

#[test]
fn chunks_are_streamed_from_one_fetch() {
    let env = TestEnv::new();
    let (from, target) = (TestRegistry::start(), TestRegistry::start());
    let image = large(&from);
    let line = format!("copy {} {} --chunk-size 1MiB", from.host(), target.host());
    env.run_line(&line).success();
    has(&target, "app/large", &image);
    assert_eq!(ranges(&from), [None, None], "the layer and the config");
    assert_eq!(target.count("PATCH", |_| true), 7);
    // A chunk that is refused is fetched again, from its first byte on.
    let target = TestRegistry::start();
    target.fail(
        Fault::on("PATCH", upload_path)
            .nth(3)
            .does(Effect::Status(503)),
    );
    from.take_seen();
    let line = format!("copy {} {} --chunk-size 1MiB", from.host(), target.host());
    env.run_line(&line).success();
    has(&target, "app/large", &image);
    let again: Vec<String> = ranges(&from).into_iter().flatten().collect();
    assert_eq!(again, ["bytes=2097152-"]);
}

#[test]
fn a_list_chooses_images_of_a_registry() {
    let env = TestEnv::new();
    let from = source(&env);
    let target = TestRegistry::start();
    let (name, image) = kinds().swap_remove(0);
    env.write(
        "some.txt",
        format!("##some\nkinds/{name}:1\n##rest\nnot/there:1"),
    );
    let line = format!(
        "copy {} {}/p --only some.txt --section some",
        from.host(),
        target.host()
    );
    env.run_line(&line).success();
    assert_eq!(target.store().repositories().unwrap().len(), 1);
    has(&target, &format!("p/kinds/{name}"), &image);
}

/// The logins that a registry was sent.
fn logins(registry: &TestRegistry) -> usize {
    let seen = registry.seen().into_iter();
    seen.filter(|seen| seen.header("authorization").is_some())
        .count()
}

#[test]
fn a_login_that_does_not_say_whom_it_is_for_is_for_the_target() {
    let env = TestEnv::new();
    let from = source(&env);
    let target = TestRegistry::with(RegistryOptions {
        auth: Auth::Basic {
            user: "robot".to_owned(),
            password: "sesame-23".to_owned(),
        },
        ..RegistryOptions::default()
    });
    let mut command = env.hod();
    command
        .args(["copy", "list.txt", "--source", from.host(), target.host()])
        .env("HOD_USERNAME", "robot")
        .env("HOD_PASSWORD", "sesame-23");
    let _ = finish(&mut command).success();
    assert!(logins(&target) > 0);
    assert_eq!(
        logins(&from),
        0,
        "the source is not sent the target's login"
    );
}
