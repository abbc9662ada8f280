//! `hod push`: what it asks for and in which order, names, and sources of every kind.

use hod_oci::RepositoryName;

use hod_testkit::env::TestEnv;
use hod_testkit::faults::{Effect, Fault, any_path, manifest_path, upload_path};
use hod_testkit::images::{Image, image, menagerie, repository, tag};
use hod_testkit::registry::TestRegistry;

#[track_caller]
fn has(registry: &TestRegistry, name: &str, at: &str, image: &Image) {
    let digest = registry
        .store()
        .resolve_tag(&repository(name), &tag(at))
        .unwrap();
    assert_eq!(digest.as_ref(), Some(image.digest()), "{name}:{at}");
}

#[test]
fn every_kind_of_source_gives_the_same_registry() {
    let env = TestEnv::new();
    let store = env.store("store");
    let kinds: Vec<_> = menagerie()
        .into_iter()
        .filter(|(name, _)| *name != "foreign")
        .collect();
    for (name, image) in &kinds {
        image.put_in(&store, &format!("kinds/{name}:1"));
    }
    drop(store);
    env.run_line("pack store --output all.tar").success();
    env.run_line("pack store --output all.tar.zst").success();
    env.run_line("export store --output layouts").success();
    for source in ["store", "all.tar", "all.tar.zst", "layouts"] {
        let registry = TestRegistry::start();
        let host = registry.host();
        env.run_line(&format!("push {source} {host}")).success();
        for (name, image) in &kinds {
            has(&registry, &format!("kinds/{name}"), "1", image);
        }
        let _ = registry.take_seen();
        let again = env.run_line(&format!("push {source} {host}")).success();
        assert!(again.stderr.contains("unchanged"), "{}", again.stderr);
        let seen: Vec<String> = registry
            .take_seen()
            .into_iter()
            .map(|seen| seen.method)
            .collect();
        assert_eq!(
            seen,
            vec!["HEAD"; kinds.len()],
            "an unchanged image costs one HEAD"
        );
    }
    assert!(
        hod_fsx::read_dir_names(&env.tmp()).unwrap().is_empty(),
        "nothing is staged elsewhere"
    );
}

#[test]
fn a_new_blob_costs_three_requests_and_the_tag_comes_last() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    let (_, list) = menagerie()
        .into_iter()
        .find(|(name, _)| *name == "list")
        .unwrap();
    list.put_in(&env.store("store"), "kinds/list:1");
    env.run_line(&format!("push store {}", registry.host()))
        .success();
    let seen = registry.take_seen();
    let n_blobs = list.blobs.len();
    // A GET confirms once that what a HEAD does not find is not there.
    assert_eq!(seen.len(), 2 + 3 * n_blobs + list.manifests.len());
    let puts: Vec<&str> = seen
        .iter()
        .filter(|seen| seen.method == "PUT" && manifest_path(&seen.path))
        .filter_map(|seen| seen.path.rsplit('/').next())
        .collect();
    assert_eq!(puts.last(), Some(&"1"));
    let digests: Vec<&str> = list.manifests[..list.manifests.len() - 1]
        .iter()
        .map(|manifest| manifest.digest().as_str())
        .collect();
    assert_eq!(puts[..puts.len() - 1], digests);
    let first_manifest = seen
        .iter()
        .position(|s| s.method == "PUT" && manifest_path(&s.path));
    let last_blob = seen.iter().rposition(|s| upload_path(&s.path));
    assert!(
        last_blob < first_manifest,
        "blobs go before the manifests that need them"
    );
}

#[test]
fn a_blob_is_uploaded_once_and_mounted_elsewhere() {
    let refusals = [
        Effect::NoMount,
        Effect::RefuseMount(401),
        Effect::RefuseMount(404),
    ];
    for refusal in std::iter::once(None).chain(refusals.map(Some)) {
        let (env, registry) = (TestEnv::new(), TestRegistry::start());
        let store = env.store("store");
        let image = image(500);
        image.put_in(&store, "a/one:1");
        image.put_in(&store, "b/two:1");
        drop(store);
        let expect = image.blobs.len() * if refusal.is_some() { 2 } else { 1 };
        if let Some(effect) = refusal.clone() {
            registry.fail(Fault::on("POST", any_path).does(effect));
        }
        env.run_line(&format!("push store {}", registry.host()))
            .success();
        has(&registry, "a/one", "1", &image);
        has(&registry, "b/two", "1", &image);
        let n_puts = registry.count("PUT", upload_path);
        assert_eq!(n_puts, expect, "{refusal:?}");
    }
}

#[test]
fn names_follow_the_rules() {
    #[track_caller]
    fn check(rest: &str, expect: [&str; 3]) {
        let (env, registry) = (TestEnv::new(), TestRegistry::start());
        let store = env.store("store");
        image(600).put_in(&store, "library/redis:7");
        image(610).put_in(&store, "quay.io/coreos/etcd:v3");
        image(620).put_in(&store, "team/app:1");
        drop(store);
        let (target, flags) = rest.split_once(' ').unwrap_or((rest, ""));
        env.run_line(&format!("push store {}{target} {flags}", registry.host()))
            .success();
        let names = registry.store().repositories().unwrap();
        let names: Vec<&str> = names.iter().map(RepositoryName::as_str).collect();
        let mut expect = expect.to_vec();
        expect.sort_unstable();
        assert_eq!(names, expect, "{rest}");
    }
    check("", ["library/redis", "quay.io/coreos/etcd", "team/app"]);
    check(
        " --strip-host",
        ["library/redis", "coreos/etcd", "team/app"],
    );
    check(
        " --project p",
        ["p/redis", "p/quay.io/coreos/etcd", "p/team/app"],
    );
    check(
        " --strip-host --project p",
        ["p/redis", "p/coreos/etcd", "p/team/app"],
    );
    check(
        "/x/y --strip-host",
        ["x/y/library/redis", "x/y/coreos/etcd", "x/y/team/app"],
    );
    check(
        " --rename quay.io/*=platform/*",
        ["library/redis", "platform/coreos/etcd", "team/app"],
    );
}

#[test]
fn what_lands_on_one_name_is_refused_before_anything_moves() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    let store = env.store("store");
    image(600).put_in(&store, "quay.io/team/app:1");
    image(610).put_in(&store, "team/app:1");
    drop(store);
    let output = env
        .run_line(&format!("push store {} --strip-host", registry.host()))
        .exits(2);
    assert!(
        output.stderr.contains("quay.io/team/app:1"),
        "{}",
        output.stderr
    );
    assert!(output.stderr.contains("team/app:1"), "{}", output.stderr);
    assert!(registry.seen().is_empty());
}

#[test]
fn a_list_narrows_the_push() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    let store = env.store("store");
    image(600).put_in(&store, "library/redis:7");
    image(610).put_in(&store, "team/app:1");
    drop(store);
    env.run_line("pack store --output all.tar").success();
    env.write("only.txt", "redis:7\n");
    let host = registry.host();
    for source in ["store", "all.tar"] {
        let output = env
            .run_line(&format!("push {source} {host} --only only.txt"))
            .success();
        assert!(
            output.stdout.starts_with("library/redis:7 sha256:"),
            "{}",
            output.stdout
        );
    }
    assert!(
        registry
            .store()
            .tags(&repository("team/app"))
            .unwrap()
            .is_empty()
    );
    env.write("more.txt", "redis:7\nteam/app:2\nother/app:1\n");
    let _ = registry.take_seen();
    let output = env
        .run_line(&format!("push store {host} --only more.txt"))
        .exits(5);
    assert_eq!(
        output.stderr,
        "\
error: 2 of 3 images are not in `store`; nothing was done
  team/app:2
  other/app:1

hint: Check the names and tags: `hod ls` lists the images that exist.
"
    );
    assert!(registry.seen().is_empty());
}

#[test]
fn a_dry_run_asks_and_sends_nothing() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    image(600).put_in(&env.store("store"), "team/app:1");
    let output = env
        .run_line(&format!("push store {} --dry-run", registry.host()))
        .success();
    assert!(
        output.stderr.contains("1 image would be pushed: "),
        "{}",
        output.stderr
    );
    let reads = |method: &str| matches!(method, "HEAD" | "GET");
    assert!(registry.seen().iter().all(|seen| reads(&seen.method)));
    let line = format!("push store {}", registry.host());
    let _ = env.run_line(&line).success();
    let output = env.run_line(&format!("{line} --dry-run")).success();
    assert!(
        output
            .stderr
            .contains("0 images would be pushed (1 unchanged): nothing to transfer"),
        "{}",
        output.stderr
    );
}

#[test]
fn an_image_without_a_tag_goes_by_its_digest() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    let store = env.store("store");
    let (pinned, old, new) = (image(600), image(610), image(620));
    pinned.put_in(&store, "team/pinned");
    old.put_in(&store, "team/app:1");
    new.put_in(&store, "team/app:1");
    drop(store);
    env.run_line(&format!("push store {}", registry.host()))
        .success();
    let revisions = |name: &str| registry.store().revisions(&repository(name)).unwrap();
    assert_eq!(revisions("team/pinned"), [pinned.digest().clone()]);
    assert!(
        registry
            .store()
            .tags(&repository("team/pinned"))
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        revisions("team/app"),
        [new.digest().clone()],
        "what a tag left behind stays"
    );
}
