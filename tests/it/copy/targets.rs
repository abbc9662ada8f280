//! What is found at the targets of a copy before anything is changed at any of them.

use super::{large, source};
use hod_testkit::disk::SmallDisk;
use hod_testkit::env::{TestEnv, finish};
use hod_testkit::images::image;
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::files;

#[test]
fn a_finding_at_one_target_of_any_kind_changes_nothing_at_the_others() {
    let env = TestEnv::new();
    let from = source(&env);
    env.write("notes/text", "not a layout");
    env.write("file.tar", "there");
    let _ = env.store("store");
    for bad in [
        "oci:notes",
        "oci-archive:file.tar",
        "docker-archive:file.tar",
        "bundle:file.tar",
        "store:file.tar",
        "dir:store",
    ] {
        let target = TestRegistry::start();
        let line = format!(
            "copy list.txt --source {} {} {bad}",
            from.host(),
            target.host()
        );
        let refused = env.run_line(&line);
        assert!(
            matches!(refused.code, Some(2 | 5)),
            "{line}: {}",
            refused.stderr
        );
        assert!(target.store().repositories().unwrap().is_empty(), "{line}");
    }
}

#[test]
fn a_store_is_not_made_inside_a_layout() {
    let env = TestEnv::new();
    let from = source(&env);
    for layout in ["oci:layout", "dir:layouts"] {
        let line = format!("copy list.txt --source {} {layout}", from.host());
        env.run_line(&line).success();
        let (_, path) = layout.split_once(':').unwrap();
        for line in [
            format!("copy {layout} store:{path}"),
            format!("pull list.txt --source {} --store {path}", from.host()),
        ] {
            let refused = env.run_line(&line);
            assert!(
                matches!(refused.code, Some(2 | 5)),
                "{line}: {}",
                refused.stderr
            );
        }
        env.run_line(&format!("verify {layout}")).success();
    }
}

#[test]
fn all_that_was_found_at_any_target_is_told_at_once() {
    let env = TestEnv::new();
    let from = source(&env);
    let (target, closed) = (TestRegistry::start(), "127.0.0.1:1");
    for store in ["one", "two"] {
        let _ = env.store(store);
        // Nothing is written through a link.
        hod_fsx::create_dir_all(&env.path("elsewhere")).unwrap();
        let repositories = env.path(store).join("docker/registry/v2/repositories");
        hod_fsx::create_dir_all(&repositories).unwrap();
        std::os::unix::fs::symlink(env.path("elsewhere"), repositories.join("kinds")).unwrap();
    }
    let line = format!(
        "copy list.txt --source {} one {} two {closed} --retries 0 --json",
        from.host(),
        target.host()
    );
    let refused = env.run_line(&line).exits(5);
    let document: serde_json::Value = serde_json::from_str(&refused.stdout).unwrap();
    let targets = document["targets"].as_array().unwrap();
    let named = targets.iter().map(|target| {
        let name = target["path"].as_str().or(target["registry"].as_str());
        name.unwrap().to_owned()
    });
    assert_eq!(named.collect::<Vec<_>>(), ["one", "two", closed]);
    for target in targets {
        assert_eq!(target["findings"].as_array().unwrap().len(), 1, "{target}");
    }
    assert!(target.store().repositories().unwrap().is_empty());
    assert_eq!(from.n_blob_gets(), 0);
}

#[test]
fn targets_on_one_disk_must_fit_together() {
    let env = TestEnv::in_memory();
    let from = TestRegistry::start();
    large(&from);
    let Some(disk) = SmallDisk::mount(&env, "disk", "size=12M") else {
        return;
    };
    let ends = ["store:disk/store", "oci:disk/oci"];
    let line = |targets: &str| format!("copy {} {targets}", from.host());
    let refused = env.run_line(&line(&ends.join(" "))).exits(5);
    assert!(refused.stderr.contains("space"), "{}", refused.stderr);
    assert_eq!(files(disk.path()), [] as [std::path::PathBuf; 0]);
    assert_eq!(from.n_blob_gets(), 0);
    // Each of them has room alone.
    for end in ends {
        let planned = format!("{} --dry-run", line(end));
        env.run_line(&planned).success();
    }
}

/// The targets and what was found at each, of the document of a refused copy.
fn findings(stdout: &str) -> Vec<(String, usize)> {
    let document: serde_json::Value = serde_json::from_str(stdout).unwrap();
    let targets = document["targets"].as_array().unwrap().iter();
    let found = targets.map(|target| {
        let name = target["path"].as_str().or(target["registry"].as_str());
        let n_found = target["findings"].as_array().unwrap().len();
        (name.unwrap().to_owned(), n_found)
    });
    found.collect()
}

/// The kinds of targets that are a path.
const KINDS: [&str; 6] = [
    "store",
    "bundle",
    "dir",
    "oci",
    "oci-archive",
    "docker-archive",
];

/// A target of the kind at this path, which gets the ending that a bundle's name has.
fn end(kind: &str, path: &str) -> String {
    let ending = if kind == "bundle" { ".tar" } else { "" };
    format!("{kind}:{path}{ending}")
}

#[test]
fn a_place_where_nothing_can_be_created_is_found_before_others_are_filled() {
    let env = TestEnv::new();
    let from = source(&env);
    env.write("file", "not a directory");
    std::os::unix::fs::symlink("nowhere", env.path("dangling")).unwrap();
    for kind in KINDS {
        for path in ["file/x", "file/x/y", "dangling/x"] {
            let target = TestRegistry::start();
            let bad = end(kind, path);
            let copy = format!("copy list.txt --source {}", from.host());
            let line = format!("{copy} {} oci:new {bad}", target.host());
            env.run_line(&line).exits(5);
            assert!(target.store().repositories().unwrap().is_empty(), "{line}");
            for line in [format!("{copy} {bad}"), format!("{copy} {bad} --dry-run")] {
                env.run_line(&line).exits(5);
            }
        }
    }
    assert_eq!(from.n_blob_gets(), 0);
    assert_eq!(super::names(&env), ["dangling", "file", "list.txt"]);
}

#[test]
fn what_is_read_only_is_found_before_others_are_filled() {
    let env = TestEnv::new();
    let from = source(&env);
    let Some(disk) = SmallDisk::mount(&env, "disk", "size=64M") else {
        return;
    };
    let copy = format!("copy list.txt --source {}", from.host());
    for there in ["store:disk/store", "oci:disk/oci", "dir:disk/dir"] {
        let line = format!("{copy} {there}");
        env.run_line(&line).success();
    }
    let before = files(disk.path());
    let n_gets = from.n_blob_gets();
    disk.remount("ro");
    let target = TestRegistry::start();
    let paths = KINDS.map(|kind| end(kind, &format!("disk/new-{kind}")));
    let there = ["oci:disk/oci"].map(str::to_owned);
    let ends = [&paths[..], &there[..]].concat().join(" ");
    let line = format!("{copy} {} {ends} --json", target.host());
    let refused = env.run_line(&line).exits(5);
    let names = paths.iter().chain(&there);
    let names = names.map(|end| (end.split_once(':').unwrap().1.to_owned(), 1));
    assert_eq!(findings(&refused.stdout), names.collect::<Vec<_>>());
    assert_eq!(from.n_blob_gets(), n_gets);
    assert!(target.store().repositories().unwrap().is_empty());
    assert_eq!(from.n_blob_gets(), n_gets);
    disk.remount("rw");
    assert_eq!(files(disk.path()), before);
}

#[test]
fn an_output_that_exists_is_told_with_what_is_found_at_the_others() {
    let env = TestEnv::new();
    let from = source(&env);
    env.write("file", "there");
    env.write("notes/text", "not a layout");
    let ends = ["oci-archive:file", "oci:notes", "dir:file/x", "127.0.0.1:1"];
    let line = format!(
        "copy list.txt --source {} {} --retries 0 --json",
        from.host(),
        ends.join(" ")
    );
    // One is inside another.
    env.run_line(&line).exits(2);
    let line = line.replace("file/x", "notes2/x");
    env.write("notes2", "not a directory");
    let refused = env.run_line(&line).exits(5);
    let names = ["file", "notes", "notes2/x", "127.0.0.1:1"];
    let names = names.map(|name| (name.to_owned(), 1));
    assert_eq!(findings(&refused.stdout), names);
    assert_eq!(from.n_blob_gets(), 0);
}

#[test]
fn one_target_in_other_words_is_not_a_second_one() {
    let env = TestEnv::new();
    let from = source(&env);
    hod_fsx::create_dir_all(&env.path("dir")).unwrap();
    std::os::unix::fs::symlink("dir", env.path("link")).unwrap();
    for ends in [
        "oci:new oci:./new",
        "oci:new dir:dir/../new",
        "oci:dir/new oci:link/new",
        "store:new dir:new/sub",
        "store:dir/new oci-archive:link/new/file.tar",
        "bundle:new.tar oci-archive:./new.tar",
    ] {
        let line = format!("copy list.txt --source {} {ends}", from.host());
        let refused = env.run_line(&line);
        assert_eq!(refused.code, Some(2), "{line}: {}", refused.stderr);
    }
    assert_eq!(super::names(&env), ["dir", "link", "list.txt"]);
    assert_eq!(from.n_blob_gets(), 0);
}

#[test]
fn targets_in_a_directory_that_is_gone_are_refused() {
    let env = TestEnv::new();
    let _ = env.store("store");
    hod_fsx::create_dir_all(&env.path("gone")).unwrap();
    let mut shell = env.command("sh");
    shell.current_dir(env.path("gone"));
    shell.arg("-c").arg(format!(
        "rmdir ../gone && exec {} copy {} oci:a dir:b",
        env!("CARGO_BIN_EXE_hod"),
        env.path("store").display(),
    ));
    let refused = finish(&mut shell);
    assert_eq!(refused.code, Some(5), "{}", refused.stderr);
}

#[test]
fn a_read_only_place_of_all_images_is_found_before_others_are_filled() {
    let env = TestEnv::new();
    let from = source(&env);
    let _ = env.store("store");
    for (end, inside) in [
        ("store:store", "store/docker/registry/v2/repositories/kinds"),
        ("dir:layouts", "layouts/kinds"),
    ] {
        let Some(disk) = SmallDisk::mount(&env, inside, "size=1M") else {
            return;
        };
        disk.remount("ro");
        let target = TestRegistry::start();
        let copy = format!("copy list.txt --source {}", from.host());
        for line in [
            format!("{copy} {} {end}", target.host()),
            format!("{copy} {end}"),
        ] {
            env.run_line(&line).exits(5);
        }
        assert!(target.store().repositories().unwrap().is_empty(), "{end}");
        // Beside images that can be written, they fail alone.
        from.add("elsewhere/one:1", &image(77));
        env.write(
            "more.txt",
            format!("{}\nelsewhere/one:1\n", env.read("list.txt")),
        );
        let line = format!("copy more.txt --source {} {end}", from.host());
        env.run_line(&line).exits(3);
    }
}
