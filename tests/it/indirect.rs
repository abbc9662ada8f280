//! In a store or tree nothing is written through a symbolic link: not where a blob, a repository or
//! a tag would be. A link at the store itself, or above it, is followed.

use std::os::unix::fs::symlink;

use hod::fsx;

use crate::support::env::TestEnv;
use crate::support::images::image;
use crate::support::registry::TestRegistry;
use crate::support::tree::{Tree, tree, whole_images};

const TREE: &str = "docker/registry/v2";

/// A store with two images, a bundle of it, a tree with one of them, and a registry with both.
fn site() -> (TestEnv, TestRegistry) {
    let (env, registry) = (TestEnv::in_memory(), TestRegistry::start());
    for (at, name) in [(1, "acme/api:1"), (2, "acme/web:1")] {
        image(at).put_in(&env.store("store"), name);
        registry.add(name, &image(at));
    }
    env.write("api.txt", "acme/api:1\n");
    env.write("all.txt", "acme/api:1\nacme/web:1\n");
    for line in [
        "pack store --output all.tar --no-tool",
        "select api.txt --store store --output out",
    ] {
        env.run_line(line).success();
    }
    (env, registry)
}

/// Moves a directory of `out` elsewhere and puts a link in its place.
fn divert(env: &TestEnv, dir: &str) {
    let (from, to) = (env.path("out").join(dir), env.path("elsewhere"));
    if fsx::try_stat(&from).unwrap().is_none() {
        fsx::create_dir_all(&to).unwrap();
        fsx::create_dir_all(from.parent().unwrap()).unwrap();
    } else {
        fsx::rename(&from, &to).unwrap();
    }
    symlink(&to, &from).unwrap();
}

fn lines(registry: &TestRegistry) -> Vec<String> {
    vec![
        "select all.txt --store store --output out --add".to_owned(),
        "select all.txt --store store --output out --add --link copy".to_owned(),
        "select all.txt --store store --output out --replace".to_owned(),
        "unpack all.tar --output out".to_owned(),
        format!("pull all.txt --store out --source {}", registry.host()),
    ]
}

#[test]
fn nothing_is_written_through_a_link_in_a_tree() {
    for dir in ["docker", "docker/registry", TREE] {
        check(dir, 5);
    }
    for dir in ["blobs", "blobs/sha256", "repositories"] {
        check(&format!("{TREE}/{dir}"), 5);
    }
}

#[test]
fn nothing_is_written_through_a_link_of_one_blob_or_repository() {
    let web = image(2);
    let hex = web.digest().hex();
    let (hh, name) = (&hex[..2], "repositories/acme/web");
    for dir in [
        &format!("blobs/sha256/{hh}") as &str,
        &format!("blobs/sha256/{hh}/{hex}"),
        name,
        &format!("{name}/_manifests"),
        &format!("{name}/_manifests/tags"),
        &format!("{name}/_layers"),
        &format!("{name}/_layers/sha256"),
    ] {
        check(&format!("{TREE}/{dir}"), 1);
    }
}

/// Diverts a directory, and checks that every verb fails and that nothing comes to be elsewhere.
#[track_caller]
fn check(dir: &str, code: i32) {
    let (env, registry) = site();
    divert(&env, dir);
    let before: Tree = tree(&env.path("elsewhere"));
    for line in lines(&registry) {
        let output = env.run_line(&line);
        // Where only some of the images are affected, the others are done.
        let is_right = match code {
            5 => output.code == Some(5),
            _ => matches!(output.code, Some(1 | 3 | 5)),
        };
        let said = format!("{dir}: {line}: {:?} {}", output.code, output.stderr);
        assert!(is_right, "{said}");
        assert!(output.stderr.contains("symbolic link"), "{said}");
        assert_eq!(tree(&env.path("elsewhere")), before, "{said}");
    }
}

#[test]
fn a_link_that_the_user_named_is_followed() {
    for line in [0, 1, 3, 4] {
        let (env, registry) = site();
        fsx::create_dir_all(&env.path("disk")).unwrap();
        fsx::rename(&env.path("out"), &env.path("disk/real")).unwrap();
        symlink("disk/real", env.path("out")).unwrap();
        env.run_line(&lines(&registry)[line]).success();
        assert_eq!(whole_images(&env.path("disk/real")).len(), 2);
    }
    let (env, _registry) = site();
    fsx::create_dir_all(&env.path("disk")).unwrap();
    symlink("disk", env.path("above")).unwrap();
    env.run_line("unpack all.tar --output above/new").success();
    assert_eq!(whole_images(&env.path("disk/new")).len(), 2);
}

#[test]
fn layouts_are_not_written_through_a_link() {
    let (env, _registry) = site();
    fsx::create_dir_all(&env.path("elsewhere")).unwrap();
    fsx::create_dir_all(&env.path("layouts")).unwrap();
    symlink("../elsewhere", env.path("layouts/acme")).unwrap();
    let output = env.run_line("export store --output layouts").exits(1);
    assert!(output.stderr.contains("symbolic link"), "{}", output.stderr);
    assert!(tree(&env.path("elsewhere")).is_empty());
    symlink("elsewhere", env.path("named")).unwrap();
    env.run_line("export store --output named").success();
}

#[test]
fn a_copy_by_hardlinks_says_what_to_do() {
    let (env, _registry) = site();
    let copied = env.command("cp").args(["-al", "out", "copy"]).status();
    assert!(copied.unwrap().success());
    for dir in ["copy", "out"] {
        let line = format!("select all.txt --store store --output {dir} --add");
        let output = env.run_line(&line).exits(1);
        let hint = format!("In the copy, remove `{dir}/.hod`");
        assert!(output.stderr.contains(&hint), "{}", output.stderr);
        assert!(output.stderr.contains("`cp -al`"), "{}", output.stderr);
    }
    // What it says helps both.
    crate::support::tree::remove_tree(&env.path("copy/.hod")).unwrap();
    for dir in ["copy", "out"] {
        let line = format!("select all.txt --store store --output {dir} --add");
        env.run_line(&line).success();
        assert_eq!(whole_images(&env.path(dir)).len(), 2);
    }
}
