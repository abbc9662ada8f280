//! `docker-registry garbage-collect` finds nothing to delete in our trees.

use super::{pull, source_of, write_list, zoo};
use hod_testkit::docker_registry::{self, DockerRegistry, garbage_collect};
use hod_testkit::env::TestEnv;
use hod_testkit::programs;

/// Passes when the collection would delete nothing, and went through all repositories.
#[track_caller]
fn assert_no_garbage(env: &TestEnv, root: &str, flags: &[&str]) {
    let output = garbage_collect(env, root, flags).success();
    let last = "0 blobs and 0 manifests eligible for deletion";
    assert!(output.stdout.contains(last), "{root}:\n{}", output.stdout);
    for (name, _) in zoo() {
        let (repository, _) = name.split_once(':').unwrap();
        let is_seen = output.stdout.lines().any(|line| line == repository);
        assert!(is_seen, "{root}: {repository} was not looked at");
    }
}

#[test]
fn there_is_no_garbage_in_what_was_pulled_selected_and_unpacked() {
    if !programs::are_here(&[docker_registry::PROGRAM]) {
        return;
    }
    let (env, zoo) = (TestEnv::new(), zoo());
    pull(&env, &zoo, source_of(&zoo).host());
    for line in [
        "select list.txt --store store --output selected",
        "pack list.txt --store store --output site.tar",
        "pack list.txt --store store --output site.tar.zst",
        "unpack site.tar --output unpacked",
        "unpack site.tar.zst --output unpacked-zst",
    ] {
        env.run_line(line).success();
    }
    for root in ["store", "selected", "unpacked", "unpacked-zst"] {
        assert_no_garbage(&env, root, &["--dry-run"]);
    }
    // Not a dry run: it is as good as its word.
    assert_no_garbage(&env, "unpacked", &[]);
    env.run_line("verify unpacked").success();
    let registry = DockerRegistry::serve(&env, "unpacked");
    for (name, image) in &zoo {
        registry.assert_serves(name, image);
    }
}

/// `-m` takes all manifests without a tag: of an index's children this registry knows no better,
/// so it holds for images of one platform.
#[test]
fn there_is_nothing_untagged_in_what_was_pulled_for_one_platform() {
    if !programs::are_here(&[docker_registry::PROGRAM]) {
        return;
    }
    let (env, mut zoo) = (TestEnv::new(), zoo());
    let source = source_of(&zoo);
    zoo.retain(|(name, _)| name != "zoo/nested:1.0");
    write_list(&env, &zoo);
    let line = "pull list.txt --store store --platform linux/amd64 --source";
    env.run_line(&format!("{line} {}", source.host())).success();
    env.run_line("select list.txt --store store --output selected")
        .success();
    for root in ["store", "selected"] {
        let output = garbage_collect(&env, root, &["--dry-run", "-m"]).success();
        let last = "0 blobs and 0 manifests eligible for deletion";
        assert!(output.stdout.contains(last), "{root}:\n{}", output.stdout);
    }
}
