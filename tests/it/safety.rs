//! Nothing is lost that hod did not make: not what came in between, and not what a link leads to.

use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use hod_testkit::env::TestEnv;
use hod_testkit::fault_proxy::wait_until;
use hod_testkit::images::{Compression, ImageBuilder, layer, menagerie};
use hod_testkit::registry::{RegistryOptions, TestRegistry};
use hod_testkit::tree::{exists, read, whole_images};

/// A store with images, a bundle of it that is more than a pipe holds, and a truncated one.
fn site() -> TestEnv {
    let env = TestEnv::in_memory();
    let store = env.store("store");
    for (name, image) in menagerie() {
        image.put_in(&store, &format!("kinds/{name}:1"));
    }
    let large = layer(7, 900_000, Compression::Uncompressed);
    let image = ImageBuilder::oci(7).layer(&large).build();
    image.put_in(&store, "app/large:1");
    drop(store);
    let _ = env.run_line("pack store --output good.tar").success();
    let good = read(&env.path("good.tar"));
    env.write("bad.tar", &good[..good.len() - 300_000]);
    env
}

fn start(command: &mut Command) -> Child {
    let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Unpacks `bad.tar` into `out` from a pipe, and has `between` done when the output is open.
#[track_caller]
fn fail_around(env: &TestEnv, between: impl FnOnce()) {
    let mut command = env.hod();
    command.args(["unpack", "-", "--output", "out"]);
    let mut child = start(command.stdin(Stdio::piped()));
    let mut pipe = child.stdin.take().unwrap();
    let bad = read(&env.path("bad.tar"));
    let (first, rest) = bad.split_at(400_000);
    pipe.write_all(first).unwrap();
    wait_until(|| exists(&env.path("out/.hod/tmp")));
    between();
    pipe.write_all(rest).unwrap();
    drop(pipe);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
}

#[test]
fn a_failing_unpack_leaves_what_another_run_pulled() {
    let env = site();
    let registry = TestRegistry::with(RegistryOptions {
        store: Some(env.store("store")),
        ..RegistryOptions::default()
    });
    let images = whole_images(&env.path("store"));
    let lines: Vec<&str> = images.keys().map(String::as_str).collect();
    env.write("all.txt", lines.join("\n"));
    for is_there in [false, true] {
        if is_there {
            env.write("out/notes.txt", "precious");
        }
        fail_around(&env, || {
            let host = registry.host();
            let line = format!("pull all.txt --store out --source {host} --platform all");
            let _ = env.run_line(&line).success();
        });
        assert_eq!(whole_images(&env.path("out")), images);
        let _ = env.run_line("verify out").success();
        hod_testkit::tree::remove_tree(&env.path("out")).unwrap();
    }
}

#[test]
fn a_failing_unpack_leaves_what_a_person_put_there() {
    let env = site();
    fail_around(&env, || {
        env.write("out/notes.txt", "precious");
        env.write("out/docker/registry/v2/repositories/x/y", "precious");
        env.write("out/.hod/notes.txt", "precious");
    });
    for path in [
        "notes.txt",
        "docker/registry/v2/repositories/x/y",
        ".hod/notes.txt",
    ] {
        assert_eq!(env.read(Path::new("out").join(path)), "precious");
    }
}

#[test]
fn of_two_unpacks_that_start_at_once_one_may_fail() {
    let env = site();
    let images = whole_images(&env.path("store"));
    for round in 0..8 {
        let unpack = |bundle: &str| {
            let mut command = env.hod();
            let output = format!("new/{round}");
            start(command.args(["unpack", bundle, "--output", &output]))
        };
        let (bad, good) = (unpack("bad.tar"), unpack("good.tar"));
        let (bad, good) = (
            bad.wait_with_output().unwrap(),
            good.wait_with_output().unwrap(),
        );
        assert_eq!(bad.status.code(), Some(4));
        let said = String::from_utf8_lossy(&good.stderr);
        assert_eq!(good.status.code(), Some(0), "{said}");
        assert_eq!(whole_images(&env.path(format!("new/{round}"))), images);
    }
}

#[test]
fn a_report_in_a_refused_output_is_written() {
    let env = site();
    let line = "unpack bad.tar --output nd --report nd/r.json";
    let _ = env.run_line(line).exits(4);
    assert_eq!(
        hod_fsx::read_dir_names(&env.path("nd")).unwrap(),
        ["r.json"]
    );
    let report: serde_json::Value = serde_json::from_str(&env.read("nd/r.json")).unwrap();
    assert_eq!(report["verb"], "unpack");
}

#[test]
fn a_state_that_is_a_link_is_refused_by_name() {
    let env = site();
    env.write("list.txt", "app/large:1\n");
    for (link, dir) in [
        (".hod", ""),
        (".hod/tmp", "blob-aaaaaa"),
        (".hod/partial", "x"),
    ] {
        let victim = env.path("victim");
        for path in ["tmp/blob-aaaaaa/f", "blob-aaaaaa/f", "file"] {
            hod_fsx::write_file(&victim.join(path), b"precious").unwrap();
        }
        let output = env.path("out");
        hod_fsx::create_dir_all(output.join(link).parent().unwrap()).unwrap();
        symlink(&victim, output.join(link)).unwrap();
        for line in [
            "unpack good.tar --output out",
            "select list.txt --store store --output out",
        ] {
            let said = env.run_line(line).exits(5).stderr;
            let expected = format!("out/{link}`");
            assert!(said.contains(&expected), "{said}");
            assert!(said.contains("symbolic link"), "{said}");
            assert!(said.contains("hint: "), "{said}");
        }
        let left = hod_testkit::tree::files(&victim).len();
        assert_eq!(left, 3, "{link} {dir}");
        hod_testkit::tree::remove_tree(&output).unwrap();
    }
}

#[test]
fn a_blob_that_is_a_directory_is_named() {
    let env = site();
    env.write("list.txt", "app/large:1\n");
    let blob = hod_testkit::tree::registry_files(&env.path("store"))
        .into_iter()
        .find(|path| path.ends_with("data"))
        .unwrap();
    let relative = blob.strip_prefix(env.path("store")).unwrap().to_owned();
    hod_fsx::create_dir_all(&env.path("out").join(&relative)).unwrap();
    let said = env.run_line("unpack good.tar --output out").exits(1).stderr;
    assert!(said.contains(relative.to_str().unwrap()), "{said}");
    assert!(
        said.contains("is a directory, but a file is expected there"),
        "{said}"
    );
}

/// A directory in the making that somebody else put there is not filled for them.
#[test]
fn an_export_does_not_build_in_a_directory_of_others() {
    let env = site();
    if hod_fsx::user_id() == 0 {
        let planted = env.path("sticky/.e.partial");
        hod_fsx::create_dir_all(&planted).unwrap();
        std::os::unix::fs::chown(&planted, Some(12_345), Some(12_345)).unwrap();
        let line = "export store --format oci --output sticky/e";
        let said = env.run_line(line).exits(1).stderr;
        assert!(
            said.contains("belongs to another user (uid 12345)"),
            "{said}"
        );
        assert!(!exists(&env.path("sticky/e")));
        hod_fsx::remove_dir_if_empty(&planted).unwrap();
        let _ = env.run_line(line).success();
    }
    // As any user: what is in it is not hod's.
    env.write("other/.e.partial/notes.txt", "precious");
    for format in ["oci", "dir"] {
        let output = if format == "oci" { "other/e" } else { "other" };
        env.write("other/app/.large:1.partial/notes.txt", "precious");
        let line = format!("export store --format {format} --output {output}");
        let output = env.run_line(&line);
        assert_ne!(output.code, Some(0), "{}", output.stderr);
        assert!(output.stderr.contains("notes.txt"), "{}", output.stderr);
    }
    assert_eq!(env.read("other/.e.partial/notes.txt"), "precious");
    assert_eq!(env.read("other/app/.large:1.partial/notes.txt"), "precious");
}

/// Runs a script in which `$HOD` is the program.
fn shell(env: &TestEnv, script: &str) -> hod_testkit::env::Output {
    let mut shell = env.command("bash");
    let shell = shell.args(["-c", script]);
    hod_testkit::env::finish(shell.env("HOD", env!("CARGO_BIN_EXE_hod")))
}

#[test]
fn a_file_beyond_the_limit_is_an_error_and_leaves_nothing() {
    let env = site();
    let before = hod_fsx::read_dir_names(&env.work()).unwrap();
    for output in ["b.tar", "b.tar.zst"] {
        let script = format!("ulimit -f 100; exec $HOD pack store --output {output}");
        let said = shell(&env, &script).exits(1).stderr;
        assert!(said.contains("File too large"), "{said}");
        assert_eq!(hod_fsx::read_dir_names(&env.work()).unwrap(), before);
    }
}

#[test]
fn an_unpack_without_files_to_open_says_so() {
    let env = site();
    for limit in 10..30 {
        let script = format!("ulimit -n {limit}; exec $HOD unpack good.tar --output out");
        let output = shell(&env, &script);
        if output.code == Some(0) {
            break;
        }
        let said = &output.stderr;
        assert!(said.contains("Too many open files"), "{limit}: {said}");
        assert!(!said.contains("failed to remove"), "{limit}: {said}");
        assert_eq!(output.code, Some(1), "{limit}: {said}");
    }
    let _ = env.run_line("unpack good.tar --output out").success();
    let _ = env.run_line("verify out").success();
}

#[test]
fn help_that_cannot_be_written_is_an_error() {
    let env = TestEnv::new();
    for line in ["--help", "--version", "pack --help"] {
        let output = shell(&env, &format!("$HOD {line} >/dev/full")).exits(1);
        let said = &output.stderr;
        assert!(
            said.contains("failed to write to standard output"),
            "{said}"
        );
        let _ = shell(&env, &format!("$HOD {line}")).success();
    }
}

/// Two mounts of one disk are one device, and hardlinks between them are impossible: so it is in
/// every container with two volumes.
#[test]
fn an_export_copies_between_two_mounts_of_one_disk_and_a_select_says_how() {
    let env = site();
    env.write("list.txt", "app/large:1\n");
    hod_fsx::create_dir_all(&env.path("mounted")).unwrap();
    let mounted = |line: &str| {
        let mount = "mount --bind store store && mount --bind mounted mounted || exit 77";
        shell(&env, &format!("unshare -m bash -c '{mount}; $HOD {line}'"))
    };
    let probe = mounted("--version");
    if probe.code != Some(0) {
        // Only root may mount, and not in every container.
        let what = "no mounts here: exports between them are not tested";
        hod_testkit::programs::note(what);
        return;
    }
    for format in ["dir", "oci"] {
        let line = format!("export store --format {format} --output mounted/{format}");
        let _ = mounted(&line).success();
        let _ = env
            .run_line(&format!("ls mounted/{format} --quiet"))
            .success();
        let line = format!("{line}-linked --link hard");
        let output = mounted(&line);
        assert_ne!(output.code, Some(0), "{}", output.stderr);
        assert!(output.stderr.contains("`--link copy`"), "{}", output.stderr);
        let left = env.path(format!("mounted/{format}-linked"));
        assert!(!exists(&left), "empty directories are left");
    }
    let line = "select list.txt --store store --output mounted/tree";
    let said = mounted(line).exits(5).stderr;
    assert!(said.contains("`--link copy`"), "{said}");
    let _ = mounted(&format!("{line} --link copy")).success();
    let _ = env.run_line("verify mounted/tree").success();
}
