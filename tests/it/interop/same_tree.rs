//! The tree that `hod` pulls is the one that `docker-registry` writes: the same blobs, links and
//! tags, file for file.

use std::collections::BTreeMap;
use std::path::Path;

use hod_fsx::WalkKind;

use super::{assert_same_files, files, pull, push_with_skopeo, skopeo_zoo, source_of, zoo};
use hod_testkit::docker_registry::{self, DockerRegistry};
use hod_testkit::env::TestEnv;
use hod_testkit::images::{image, menagerie};
use hod_testkit::programs;
use hod_testkit::registry::TestRegistry;
use hod_testkit::skopeo;

const TREE: &str = "docker/registry/v2";

/// All of the tree's files; of those that a registry has and `hod` never writes, the only ones that
/// are left out are of uploads under way, and here there are none.
fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = files(&root.join(TREE));
    let uploads: Vec<&String> = files.keys().filter(|p| p.contains("/_uploads/")).collect();
    assert_eq!(uploads, Vec::<&String>::new());
    files
}

/// All of the tree's directories, but for those that finished uploads leave behind.
fn dirs(root: &Path) -> Vec<String> {
    let root = root.join(TREE);
    let entries = hod_fsx::walk(&root, |_| true).map(Result::unwrap);
    let dirs = entries.filter(|entry| entry.kind == WalkKind::Dir);
    dirs.map(|dir| dir.path.strip_prefix(&root).unwrap().to_owned())
        .filter(|dir| !dir.ends_with("_uploads"))
        .map(|dir| dir.to_str().unwrap().to_owned())
        .collect()
}

#[track_caller]
pub(super) fn assert_same_tree(env: &TestEnv, ours: &str, theirs: &str) {
    let (ours, theirs) = (env.path(ours), env.path(theirs));
    assert_same_files(&tree(&ours), &tree(&theirs));
    assert_eq!(dirs(&ours), dirs(&theirs));
}

#[test]
fn a_pulled_tree_is_the_one_that_docker_registry_writes() {
    if !programs::are_here(&[docker_registry::PROGRAM, skopeo::PROGRAM]) {
        return;
    }
    let (env, zoo) = (TestEnv::new(), skopeo_zoo());
    let source = source_of(&zoo);
    let registry = DockerRegistry::serve(&env, "theirs");
    push_with_skopeo(&env, &source, (registry.host(), &zoo));
    registry.stop();
    pull(&env, &zoo, source.host());
    assert_same_tree(&env, "store", "theirs");
}

/// What `hod push` makes of the kinds that skopeo cannot push, foreign layers and nested indexes.
#[test]
fn a_pulled_tree_is_the_one_that_hod_pushes_into_docker_registry() {
    if !programs::are_here(&[docker_registry::PROGRAM]) {
        return;
    }
    let (env, zoo) = (TestEnv::new(), zoo());
    pull(&env, &zoo, source_of(&zoo).host());
    let registry = DockerRegistry::serve(&env, "theirs");
    env.run_line(&format!("push store {}", registry.host()))
        .success();
    registry.stop();
    assert_same_tree(&env, "store", "theirs");
}

/// A tag that moved: both keep what it was, by tag and by digest.
#[test]
fn a_tag_that_moved_is_kept_in_both_trees() {
    if !programs::are_here(&[docker_registry::PROGRAM, skopeo::PROGRAM]) {
        return;
    }
    let env = TestEnv::new();
    let (source, registry) = (TestRegistry::start(), DockerRegistry::serve(&env, "theirs"));
    let (_, list) = menagerie().swap_remove(1);
    for image in [image(100), list, image(300)] {
        let names = [("apps/web:1".to_owned(), image)];
        source.add(&names[0].0, &names[0].1);
        push_with_skopeo(&env, &source, (registry.host(), &names));
        pull(&env, &names, source.host());
    }
    assert_same_tree(&env, "store", "theirs");

    // The exception: who pulls only now has only what the tag is now.
    env.run_line(&format!(
        "pull list.txt --store late --source {} --platform all",
        source.host()
    ))
    .success();
    let (late, theirs) = (tree(&env.path("late")), tree(&env.path("theirs")));
    let mut more: Vec<&str> = theirs.keys().map(String::as_str).collect();
    more.retain(|path| !late.contains_key(*path) && path.contains("/tags/"));
    assert_eq!(more.len(), 2, "the tag's history: {more:?}");
    assert!(
        more.iter()
            .all(|path| path.contains("/tags/1/index/sha256/"))
    );
    assert!(
        late.iter()
            .all(|(path, bytes)| theirs.get(path) == Some(bytes))
    );
}
