//! The real `registry:2`, which has no referrers API, and skopeo, which knows tags.

use super::{Signed, pulled};
use hod_testkit::docker_registry::{self, DockerRegistry};
use hod_testkit::env::TestEnv;
use hod_testkit::programs;
use hod_testkit::referrers::{cosign_tag, index_tag};
use hod_testkit::registry::TestRegistry;
use hod_testkit::skopeo;
use hod_testkit::tree::{assert_same, read, registry_tree, whole_images};

const PROGRAMS: [&str; 2] = [docker_registry::PROGRAM, skopeo::PROGRAM];

#[track_caller]
fn assert_served(env: &TestEnv, registry: &DockerRegistry, signed: &Signed) {
    let get = |path: &str| registry.get(&format!("/v2/app/signed/{path}"));
    for (subject, artifact) in signed.by_subject() {
        let index = get(&format!("manifests/{}", index_tag(subject)));
        assert_eq!(index.status, 200, "{subject}");
        let listed = index.json();
        assert_eq!(listed["manifests"][0]["digest"], artifact.digest().as_str());
        registry.assert_serves_by_digest("app/signed", artifact);
    }
    let sig = cosign_tag(signed.index.digest(), "sig");
    let from = format!("docker://{}/app/signed:{sig}", registry.host());
    skopeo::copy(env, "", (&from, "dir:copied"));
    assert_eq!(
        read(&env.path("copied/manifest.json")),
        *signed.signature.top().bytes()
    );
}

#[test]
fn docker_registry_serves_them_from_a_pulled_tree_and_a_bundle() {
    if !programs::are_here(&PROGRAMS) {
        return;
    }
    let source = TestRegistry::start();
    let (env, signed) = pulled(&source);
    assert_served(&env, &DockerRegistry::serve(&env, "store"), &signed);
    let _ = env.run_line("pack store --output b.tar").success();
    let _ = env.run_line("unpack b.tar --output unpacked").success();
    assert_served(&env, &DockerRegistry::serve(&env, "unpacked"), &signed);
    // Its garbage collection takes nothing of them.
    let before = registry_tree(&env.path("unpacked"));
    let _ = docker_registry::garbage_collect(&env, "unpacked", &[]).success();
    assert_same(&registry_tree(&env.path("unpacked")), &before, "collected");
}

#[test]
fn docker_registry_takes_them_and_gives_them_back() {
    if !programs::are_here(&PROGRAMS) {
        return;
    }
    let source = TestRegistry::start();
    let (env, signed) = pulled(&source);
    hod_fsx::create_dir_all(&env.path("real")).unwrap();
    let registry = DockerRegistry::serve(&env, "real");
    let host = registry.host().to_owned();
    let _ = env.run_line(&format!("push store {host}")).success();
    assert_served(&env, &registry, &signed);
    let again = env.run_line(&format!("push store {host}")).success();
    assert!(again.stderr.contains("(1 unchanged)"), "{}", again.stderr);
    let line = format!("pull list.txt --store again --source {host} --platform all");
    let _ = env.run_line(&line).success();
    let store = registry_tree(&env.path("store"));
    assert_same(&registry_tree(&env.path("again")), &store, "there and back");
    let logged = registry.stop();
    let is_lookup = |path: &str| path.contains("/referrers/");
    let n_asked = logged.iter().filter(|line| is_lookup(&line.path)).count();
    // Once a run: it does not know the path, and says so to the first.
    assert!(n_asked <= 3, "{n_asked}");
}

#[test]
fn a_tree_of_a_registry_with_an_api_has_them_without_any_tag() {
    let source = TestRegistry::start();
    let signed = Signed::new();
    signed.add_to(&source, "app/signed");
    let (env, target) = (TestEnv::in_memory(), TestRegistry::start());
    let tree = source.store().path().to_owned();
    let run = |args: [&str; 3]| {
        let mut command = env.hod();
        command.arg(args[0]).arg(&tree).args(&args[1..]);
        hod_testkit::env::finish(&mut command).success()
    };
    let _ = run(["push", target.host(), "--jobs=2"]);
    signed.assert_at(&target, "app/signed", true);
    let _ = run(["pack", "--output", "b.tar"]);
    let _ = env.run_line("unpack b.tar --output unpacked").success();
    assert_eq!(whole_images(&env.path("unpacked")).len(), 6);
}
