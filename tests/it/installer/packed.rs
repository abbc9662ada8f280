//! What `hod pack` puts beside images.

use super::{Site, contains};
use hod_testkit::env::{TestEnv, finish};
use hod_testkit::images::ImageBuilder;
use hod_testkit::static_hod::static_hod;

fn store() -> TestEnv {
    let env = TestEnv::in_memory();
    ImageBuilder::oci(1)
        .build()
        .put_in(&env.store("store"), "a:1");
    env
}

fn member(env: &TestEnv, bundle: &str, path: &str) -> String {
    finish(env.command("tar").args(["-xOf", bundle, path]))
        .success()
        .stdout
}

#[test]
fn files_keep_their_place_bytes_and_permission() {
    let env = store();
    for file in ["charts/b/c.tgz", "charts/a.tgz", "tool.sh"] {
        hod_fsx::create_dir_all(env.path(file).parent().unwrap()).unwrap();
        env.write(file, file);
    }
    let _ = finish(env.command("chmod").args(["755", "tool.sh"])).success();
    let line = "pack store --no-tool --file charts=extra/charts --file tool.sh=bin/ --output";
    for bundle in ["a.tar", "b.tar"] {
        let output = env.run_line(&format!("{line} {bundle}")).success();
        assert!(!output.stderr.contains("warning"), "{}", output.stderr);
    }
    assert!(
        env.read("a.tar") == env.read("b.tar").replace("b.tar", "a.tar") || {
            // The name of the bundle is in it.
            env.read("a.tar").len() == env.read("b.tar").len()
        }
    );
    let list = finish(env.command("tar").args(["-tvf", "a.tar"]))
        .success()
        .stdout;
    for (mode, path) in [
        ("-rw-r--r--", "extra/charts/a.tgz"),
        ("-rw-r--r--", "extra/charts/b/c.tgz"),
        ("-rwxr-xr-x", "bin/tool.sh"),
        ("-rwxr-xr-x", "install.sh"),
    ] {
        let line = list
            .lines()
            .find(|line| line.ends_with(&format!(" {path}")));
        assert!(
            line.is_some_and(|line| line.starts_with(mode)),
            "{path}\n{list}"
        );
    }
    assert_eq!(member(&env, "a.tar", "extra/charts/a.tgz"), "charts/a.tgz");
    assert!(member(&env, "a.tar", "README.txt").contains("\nextra/charts/b/c.tgz\n    sha256:"));
    let document = member(&env, "a.tar", "hod/bundle.json");
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    let files = document["files"].as_array().unwrap();
    let file = files
        .iter()
        .find(|file| file["path"] == "bin/tool.sh")
        .unwrap();
    assert_eq!(file["digest"], hod_oci::Digest::of(b"tool.sh").as_str());
    assert_eq!(file["executable"], true);
    let _ = env.run_line("verify a.tar").success();
}

#[test]
fn what_cannot_be_carried_is_refused_and_nothing_is_written() {
    let env = store();
    env.write("f", "f");
    hod_fsx::create_dir_all(&env.path("empty")).unwrap();
    let dynamic = env!("CARGO_BIN_EXE_hod");
    for (flags, expected) in [
        ("--file f=../f", "component `..`"),
        ("--file f=hod/x", "which is reserved for hod"),
        ("--file f=docker/x", "which is reserved for hod"),
        ("--file f=README.txt", "two files would be `README.txt`"),
        ("--file f=a --file f=a", "two files would be `a`"),
        ("--file empty=a", "does not contain files"),
        ("--file none=a", "not found"),
        ("--file f", "expected a file and its path"),
        ("--tool f", "it is not a Linux program"),
        (&format!("--tool {dynamic}"), "it is dynamically linked"),
        ("--set 1=2", "expected `KEY=VALUE`"),
        ("--set registry=https://h.io", "without `https://`"),
        ("--template-dir none", "not found"),
    ] {
        let output = env
            .run_line(&format!("pack store --output out.tar {flags}"))
            .exits(2);
        contains(&output, expected);
        assert!(!hod_testkit::tree::exists(&env.path("out.tar")), "{flags}");
    }
}

#[test]
fn templates_and_settings_fill_the_texts() {
    let env = store();
    hod_fsx::create_dir_all(&env.path("t/docs")).unwrap();
    env.write("t/README.txt", "{{ title }} for {{ set.site }}\n");
    env.write("t/docs/more.txt", "{{ n_images }}\n");
    let line = "pack store --no-tool --template-dir t --name p --bundle-version 2 --output a.tar";
    let _ = env
        .run_line(&format!(
            "{line} --set site=x --set site=y --set registry=r/p"
        ))
        .success();
    assert_eq!(member(&env, "a.tar", "README.txt"), "p 2 for y\n");
    assert_eq!(member(&env, "a.tar", "docs/more.txt"), "1\n");
    let installer = member(&env, "a.tar", "install.sh");
    assert!(
        installer.contains("registry=${HOD_INSTALL_REGISTRY:-'r/p'}\n"),
        "{installer}"
    );
    env.write("t/README.txt", "a\n{{ set.nothing }}\n");
    contains(
        &env.run_line(line).exits(2),
        "template `README.txt`, line 2, cannot be rendered",
    );
}

#[test]
fn a_dynamic_hod_is_not_carried_and_a_static_one_is() {
    let env = store();
    let output = env.run_line("pack store --output a.tar").success();
    contains(
        &output,
        "did not add this hod to the bundle: it is dynamically linked",
    );
    contains(&output, "make dist");
    assert!(member(&env, "a.tar", "README.txt").contains("does not contain hod"));
    let pack = |bundle: &str| {
        let mut command = env.command(static_hod().to_str().unwrap());
        finish(command.args(["pack", "store", "--name", "n", "--output", bundle])).success()
    };
    assert!(!pack("b.tar").stderr.contains("warning"));
    let mut tar = env.command("tar");
    let _ = finish(tar.args(["-xf", "b.tar", "hod/bin"])).success();
    let carried = hod_fsx::read(&env.path("hod/bin/hod-linux-amd64"), u64::MAX - 1).unwrap();
    assert!(carried == hod_fsx::read(static_hod(), u64::MAX - 1).unwrap());
    // The same from a tool that is given.
    let tool = format!("--tool {}", static_hod().display());
    hod_fsx::create_dir_all(&env.path("c")).unwrap();
    let _ = env
        .run_line(&format!("pack store --name n {tool} --output c/b.tar"))
        .success();
    let read = |path: &str| hod_fsx::read(&env.path(path), u64::MAX - 1).unwrap();
    assert!(read("b.tar") == read("c/b.tar"));
}

/// Without hod, the commands of the README make a registry's storage of a bundle.
#[test]
fn the_readme_is_true() {
    let site = Site::new("site");
    let readme = member(&site.env, "site/site.tar", "README.txt");
    let (english, _) = readme.split_once("\n安装说明\n").unwrap();
    let commands = english.lines().filter_map(|line| line.strip_prefix("    "));
    let is_run = |line: &&str| {
        ["mkdir ", "tar -x -f", "cd ", "for "]
            .iter()
            .any(|c| line.starts_with(c))
    };
    let script: Vec<&str> = commands.filter(is_run).collect();
    assert_eq!(script.len(), 4, "{readme}");
    let mut sh = site.env.command("sh");
    sh.args(["-e", "-c", &script.join("\n")]);
    let output = finish(sh.current_dir(site.path(""))).success();
    assert!(output.stdout.lines().count() > 4 && !output.stdout.contains("FAILED"));
}
