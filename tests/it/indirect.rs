//! In a store or tree nothing is written through a symbolic link: not where a blob, a repository or
//! a tag would be. A link at the store itself, or above it, is followed.

use std::os::unix::fs::symlink;

use hod_testkit::env::{TestEnv, finish};
use hod_testkit::images::image;
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::{Tree, tree, whole_images};

const TREE: &str = "docker/registry/v2";

/// A store with two images, a bundle of it, a tree with one of them, and a registry with both.
fn site() -> (TestEnv, TestRegistry) {
    let (env, registry) = (TestEnv::in_memory(), TestRegistry::start());
    for (at, name) in [(1, "acme/api:1"), (2, "acme/web:1")] {
        image(at).put_in(&env.store("store"), name);
        registry.add(name, &image(at));
    }
    env.write("api.txt", "acme/api:1\n");
    env.write("web.txt", "acme/web:1\n");
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
    if hod_fsx::try_stat(&from).unwrap().is_none() {
        hod_fsx::create_dir_all(&to).unwrap();
        hod_fsx::create_dir_all(from.parent().unwrap()).unwrap();
    } else {
        hod_fsx::rename(&from, &to).unwrap();
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
    for dir in [".hod", "docker", "docker/registry", TREE] {
        check(dir, Affected::All);
    }
    for dir in ["blobs", "blobs/sha256", "repositories", "repositories/acme"] {
        check(&format!("{TREE}/{dir}"), Affected::All);
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
        check(&format!("{TREE}/{dir}"), Affected::Web);
    }
}

/// The images that a link affects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Affected {
    All,
    Web,
}

/// Diverts a directory, and checks that every verb fails and that nothing comes to be elsewhere.
#[track_caller]
fn check(dir: &str, affected: Affected) {
    let (env, registry) = site();
    divert(&env, dir);
    let before: Tree = tree(&env.path("elsewhere"));
    let mut all = lines(&registry);
    all.extend(
        lines(&registry)
            .iter()
            .map(|line| line.replace("all.txt", "web.txt")),
    );
    for line in all {
        let output = env.run_line(&line);
        // Where only some of the images are affected, the others are done, if one can be.
        let is_alone = ["web.txt", "--replace", "unpack"]
            .iter()
            .any(|word| line.contains(word));
        let code = match affected {
            Affected::Web if !is_alone => 3,
            Affected::All | Affected::Web => 5,
        };
        let said = format!("{dir}: {line}: {:?} {}", output.code, output.stderr);
        assert_eq!(output.code, Some(code), "{said}");
        assert!(output.stderr.contains("symbolic link"), "{said}");
        assert_eq!(tree(&env.path("elsewhere")), before, "{said}");
    }
}

#[test]
fn nothing_is_removed_from_a_tree_with_links() {
    let web = image(2);
    let (hex, name) = (web.digest().hex(), "repositories/acme/web");
    for place in [
        "repositories/acme",
        name,
        &format!("{name}/_layers"),
        &format!("{name}/_manifests"),
        &format!("{name}/_manifests/revisions"),
        &format!("{name}/_manifests/tags"),
        &format!("{name}/_manifests/tags/1"),
        &format!("{name}/_manifests/tags/1/current"),
        &format!("{name}/_manifests/tags/1/current/link"),
        &format!("blobs/sha256/{}", &hex[..2]),
        &format!("blobs/sha256/{}/{hex}/data", &hex[..2]),
    ] {
        let (env, _registry) = site();
        env.run_line("select all.txt --store store --output out --add")
            .success();
        divert(&env, &format!("{TREE}/{place}"));
        let before = everything(&env);
        for more in ["--dry-run", ""] {
            let line = format!("select api.txt --store store --output out --replace {more}");
            let output = env.run_line(&line);
            let said = format!("{place}: {line}: {:?} {}", output.code, output.stderr);
            assert_eq!(output.code, Some(5), "{said}");
            assert!(output.stderr.contains("symbolic link"), "{said}");
            assert_eq!(everything(&env), before, "{said}");
        }
    }
}

/// All files and links, with their inodes and lengths.
fn everything(env: &TestEnv) -> String {
    let format = "%p %y %i %s\\n";
    let mut find = env.command("find");
    let output = finish(find.args([".", "!", "-type", "d", "-printf", format]));
    let mut lines: Vec<&str> = output.stdout.lines().collect();
    assert!(lines.len() > 20, "{lines:?}");
    lines.sort_unstable();
    lines.join("\n")
}

#[test]
fn only_the_image_behind_a_link_fails() {
    let (env, registry) = site();
    for (at, name) in [(3, "acme/db:1"), (4, "acme/worker:1")] {
        registry.add(name, &image(at));
    }
    env.write(
        "four.txt",
        "acme/api:1\nacme/db:1\nacme/web:1\nacme/worker:1\n",
    );
    hod_fsx::create_dir_all(&env.path("elsewhere")).unwrap();
    hod_fsx::create_dir_all(&env.path("new").join(TREE).join("repositories/acme")).unwrap();
    let web = env.path("new").join(TREE).join("repositories/acme/web");
    symlink(env.path("elsewhere"), web).unwrap();
    let line = format!(
        "pull four.txt --store new --source {} --json",
        registry.host()
    );
    let output = env.run_line(&line).exits(3);
    let result: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let images = result["images"].as_array().unwrap();
    for image in images {
        let is_web = image.to_string().contains("acme/web");
        assert_eq!(image["status"] == "failed", is_web, "{image}");
    }
    assert_eq!(images.len(), 4);
    assert!(tree(&env.path("elsewhere")).is_empty());
}

#[test]
fn a_link_that_the_user_named_is_followed() {
    for line in [0, 1, 3, 4] {
        let (env, registry) = site();
        hod_fsx::create_dir_all(&env.path("disk")).unwrap();
        hod_fsx::rename(&env.path("out"), &env.path("disk/real")).unwrap();
        symlink("disk/real", env.path("out")).unwrap();
        env.run_line(&lines(&registry)[line]).success();
        assert_eq!(whole_images(&env.path("disk/real")).len(), 2);
    }
    let (env, _registry) = site();
    hod_fsx::create_dir_all(&env.path("disk")).unwrap();
    symlink("disk", env.path("above")).unwrap();
    env.run_line("unpack all.tar --output above/new").success();
    assert_eq!(whole_images(&env.path("disk/new")).len(), 2);
}

#[test]
fn layouts_are_not_written_through_a_link() {
    let (env, _registry) = site();
    hod_fsx::create_dir_all(&env.path("elsewhere")).unwrap();
    hod_fsx::create_dir_all(&env.path("layouts")).unwrap();
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
        let hint = format!("copy, remove `{dir}/.hod`");
        assert!(output.stderr.contains(&hint), "{}", output.stderr);
        assert!(output.stderr.contains("`cp -al`"), "{}", output.stderr);
    }
    // What it says helps both.
    hod_testkit::tree::remove_tree(&env.path("copy/.hod")).unwrap();
    for dir in ["copy", "out"] {
        let line = format!("select all.txt --store store --output {dir} --add");
        env.run_line(&line).success();
        assert_eq!(whole_images(&env.path(dir)).len(), 2);
    }
}
