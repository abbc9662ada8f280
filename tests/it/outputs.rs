//! Outputs: devices, pipes and open files are written to and stay; links are followed; what cannot
//! be written is refused before any work.

use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::path::Path;
use std::process::Command;

use hod_testkit::env::{TestEnv, finish};
use hod_testkit::images::{Compression, ImageBuilder, image, layer};
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::{assert_same, exists, read, tree};

fn site() -> TestEnv {
    let env = TestEnv::in_memory();
    let store = env.store("store");
    image(1).put_in(&store, "app/one:1");
    let large = layer(5, 500_000, Compression::Uncompressed);
    let large = ImageBuilder::oci(5).layer(&large).build();
    large.put_in(&store, "app/large:1");
    env.write("list.txt", "app/one:1\n");
    env
}

fn pipe(path: &Path) {
    let status = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(status.success());
}

fn is_pipe(path: &Path) -> bool {
    #[expect(clippy::disallowed_methods, reason = "the kind of a file")]
    let metadata = std::fs::symlink_metadata(path).unwrap();
    metadata.file_type().is_fifo()
}

/// Runs a line and returns what came through the pipe at `path`.
#[track_caller]
fn through(env: &TestEnv, line: &str, path: &Path) -> Vec<u8> {
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut bytes = Vec::new();
            #[expect(clippy::disallowed_methods, reason = "waits until the pipe is written")]
            let mut pipe = std::fs::File::open(path).unwrap();
            pipe.read_to_end(&mut bytes).unwrap();
            bytes
        });
        let output = env.run_line(line);
        if output.code != Some(0) && !reader.is_finished() {
            // So that the reader ends.
            let _ = hod_fsx::open_stream(path);
        }
        let bytes = reader.join().unwrap();
        let _ = output.success();
        bytes
    })
}

#[test]
fn every_small_output_is_written_through_a_pipe() {
    let env = site();
    let registry = TestRegistry::start();
    let target = registry.host();
    let source = TestRegistry::start();
    source.add("app/one:1", &image(1));
    for (line, expected) in [
        ("receipt store --output {}".to_owned(), "sha256:"),
        (
            format!("push store {target} --digest-file {{}}"),
            "app/one:1 sha256:",
        ),
        (
            format!("push store {target} --retry-list {{}}"),
            "# hod push",
        ),
        (
            format!("push store {target} --report {{}}.json"),
            "\"verb\": \"push\"",
        ),
        (
            format!(
                "pull list.txt --source {} --store new --lock {{}}",
                source.host()
            ),
            "sha256:",
        ),
    ] {
        let name = if line.contains("{}.json") {
            "p.json"
        } else {
            "p"
        };
        let path = env.path(name);
        if !exists(&path) {
            pipe(&path);
        }
        let line = line.replace("{}", "p");
        let bytes = through(&env, &line, &path);
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains(expected), "{line}: {text}");
        assert!(is_pipe(&path), "{line}");
    }
}

#[test]
fn a_bundle_is_written_through_a_pipe() {
    let env = site();
    for name in ["b.tar", "b.tar.zst"] {
        let _ = env
            .run_line(&format!("pack store --output {name}"))
            .success();
        let path = env.path("pipes").join(name);
        hod_fsx::create_dir_all(&env.path("pipes")).unwrap();
        pipe(&path);
        hod_fsx::create_dir_all(&env.path("links")).unwrap();
        symlink(&path, env.path("links").join(name)).unwrap();
        for output in [format!("pipes/{name}"), format!("links/{name}")] {
            let bytes = through(&env, &format!("pack store --output {output}"), &path);
            assert!(bytes == read(&env.path(name)), "{output}");
        }
        assert!(is_pipe(&path));
    }
    // As bash has it: `/dev/fd/63`.
    let script = "$HOD pack store --output >(cat >from-shell.tar) --name b; wait $!";
    let mut shell = env.command("bash");
    let shell = shell.args(["-c", script]);
    let _ = finish(shell.env("HOD", env!("CARGO_BIN_EXE_hod"))).success();
    assert!(read(&env.path("from-shell.tar")) == read(&env.path("b.tar")));
}

#[test]
fn stdout_by_its_path_is_written_and_stays() {
    let env = site();
    // A link of our own, as `/dev/stdout` is one.
    symlink("/proc/self/fd/1", env.path("out")).unwrap();
    let output = env.run_line("receipt store --output out").success();
    assert!(output.stdout.contains("sha256:"), "{}", output.stdout);
    let script = "echo before; $HOD receipt store --output out; echo after";
    let mut shell = env.command("bash");
    let script = format!("{{ {script}; }} >file");
    let shell = shell.args(["-c", &script]);
    let _ = finish(shell.env("HOD", env!("CARGO_BIN_EXE_hod"))).success();
    let text = env.read("file");
    assert!(text.starts_with("before\n{"), "{text}");
    assert!(text.ends_with("after\n"), "{text}");
    let link = hod_fsx::resolve(&env.path("out")).unwrap();
    assert_eq!(link, Path::new("/proc/self/fd/1"));
}

#[test]
fn a_device_is_never_replaced() {
    let env = site();
    let node = env.path("full");
    let made = Command::new("mknod")
        .arg(&node)
        .args(["c", "1", "7"])
        .output();
    let is_made = made.is_ok_and(|output| output.status.success());
    if !is_made {
        assert_ne!(hod_fsx::user_id(), 0, "root can make devices");
        return;
    }
    for line in ["receipt store --output full", "pack store --output full"] {
        let output = env.run_line(line);
        // A container may forbid to open it; whatever it says, the device stays.
        assert_eq!(output.code, Some(1), "{}", output.stderr);
        #[expect(clippy::disallowed_methods, reason = "the kind of a file")]
        let kind = std::fs::symlink_metadata(&node).unwrap().file_type();
        assert!(kind.is_char_device(), "{line}");
    }
}

#[test]
fn a_link_to_a_file_is_followed() {
    let env = site();
    env.write("dir/receipt.json", "");
    symlink("dir/receipt.json", env.path("link")).unwrap();
    let _ = env.run_line("receipt store --output link").success();
    assert!(env.read("dir/receipt.json").contains("sha256:"));
    assert_eq!(
        hod_fsx::resolve(&env.path("link")).unwrap(),
        env.path("dir/receipt.json")
    );
    assert_eq!(hod_fsx::read_dir_names(&env.path("dir")).unwrap().len(), 1);
}

#[test]
fn what_cannot_be_written_is_refused_before_any_work() {
    let env = site();
    hod_fsx::create_dir_all(&env.path("dir")).unwrap();
    pipe(&env.path("pipe.tar"));
    let _ = env.run_line("pack store --output a.tar --name a").success();
    for line in [
        "pack store --output d.tar/",
        "pack store --output dir",
        "receipt store --output dir",
        "export store --format oci-archive --output -",
        "export store --format docker-archive --output -",
        "export store --format oci-archive --output pipe.tar",
        "bundle merge a.tar a.tar --output pipe.tar",
        "pull list.txt --store new --lock list.txt",
        "pull list.txt --store new --lock dir",
    ] {
        let said = env.run_line(line).exits(2).stderr;
        assert!(said.contains("error: "), "{line}: {said}");
        if line.ends_with(" dir") {
            let expect = "hint: `dir` is a directory. Name a file, as in `dir/FILE`.";
            assert!(said.contains(expect), "{line}: {said}");
        }
    }
    assert_eq!(env.read("list.txt"), "app/one:1\n");
    assert!(!exists(&env.path("new")));
    assert!(!exists(&env.path("d.tar")));
    assert!(!exists(&env.path("-")));
    assert!(is_pipe(&env.path("pipe.tar")));
}

#[test]
fn a_text_never_replaces_an_archive() {
    let env = site();
    let _ = env.run_line("pack store --output a.tar --name a").success();
    let _ = env.run_line("pack store --output b.tar.zst").success();
    let gzip = b"\x1f\x8b\x08\x00rest".to_vec();
    for archive in [read(&env.path("a.tar")), read(&env.path("b.tar.zst")), gzip] {
        env.write("kept.json", archive);
        let before = tree(&env.work());
        for line in [
            "receipt store --output kept.json",
            "unpack a.tar --output new --digest-file kept.json",
            "unpack a.tar --output new --report kept.json",
            "push store 127.0.0.1:1 --retry-list kept.json",
            "pull list.txt --source 127.0.0.1:1 --store new --lock kept.json",
        ] {
            let said = env.run_line(line).exits(2).stderr;
            assert!(said.contains("it is not a text file"), "{line}: {said}");
            assert!(said.contains("hint: Choose another name"), "{line}: {said}");
            assert_same(&tree(&env.work()), &before, line);
        }
    }
    env.write("old.json", "");
    let _ = env.run_line("receipt store --output old.json").success();
    assert!(env.read("old.json").contains("sha256:"));
}

#[test]
fn missing_directories_of_an_output_are_made() {
    let env = site();
    for (line, path) in [
        ("pack store --output new/1/b.tar", "new/1/b.tar"),
        ("receipt store --output new/2/r.json", "new/2/r.json"),
        (
            "export store --format oci-archive --output new/3/o.tar",
            "new/3/o.tar",
        ),
        (
            "pack store --output c.tar --report new/4/report.json",
            "new/4/report.json",
        ),
    ] {
        let _ = env.run_line(line).success();
        assert!(exists(&env.path(path)), "{line}");
    }
    // Those of an output that came to nothing are not left.
    let line = "unpack list.txt --output out --report gone/x/report.xml";
    let output = env.run_line(line);
    assert_ne!(output.code, Some(0));
    let _ = env.run_line("pack nothing --output gone/y/b.tar").exits(2);
    assert!(!exists(&env.path("gone/y")));
}

#[test]
fn no_report_replaces_what_a_run_reads_or_writes() {
    let env = TestEnv::new();
    image(1).put_in(&env.store("store"), "app/a:1");
    let _ = env
        .run_line("pack store --output b.tar --no-tool")
        .success();
    env.write("list.txt", "app/a:1\n");
    env.write("auth.json", "{}");
    let _ = env.run_line("keygen --output k").success();
    let before = tree(&env.work());
    for line in [
        "push b.tar 127.0.0.1:1 --retries 0 --retry-list b.tar",
        "push b.tar 127.0.0.1:1 --retries 0 --digest-file b.tar",
        "push b.tar 127.0.0.1:1 --retries 0 --authfile auth.json --digest-file auth.json",
        "push b.tar 127.0.0.1:1 --retries 0 --report r.json --digest-file r.json",
        "export b.tar --output out --digest-file b.tar",
        "export b.tar --format oci-archive --output o.tar --digest-file o.tar",
        "unpack b.tar --output new --digest-file b.tar",
        "pack store --output o.tar --no-tool --digest-file o.tar",
        "pack store --output o.tar --no-tool --sign k.key --digest-file k.key",
        "select list.txt --store store --output tree --digest-file list.txt",
        "pull list.txt --store new --source 127.0.0.1:1 --digest-file list.txt",
        "receipt b.tar --output b.tar",
    ] {
        let _ = env.run_line(line).exits(2);
        assert_eq!(tree(&env.work()), before, "{line}");
    }
}

#[test]
fn an_archive_never_replaces_a_bundle() {
    let env = TestEnv::new();
    image(1).put_in(&env.store("store"), "app/a:1");
    for bundle in ["b.tar", "other.tar"] {
        let line = format!("pack store --output {bundle} --no-tool");
        let _ = env.run_line(&line).success();
    }
    let before = tree(&env.work());
    for format in ["oci-archive", "docker-archive"] {
        for output in ["b.tar", "other.tar"] {
            let line = format!("export b.tar --format {format} --output {output}");
            let output = env.run_line(&line);
            assert_ne!(output.code, Some(0), "{line}");
            assert_eq!(tree(&env.work()), before, "{line}");
        }
    }
}

#[test]
fn a_file_of_another_kind_is_not_replaced() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    let host = registry.host();
    registry.add("app/a:1", &image(1));
    image(1).put_in(&env.store("store"), "app/a:1");
    env.write("list.txt", "app/a:1\n");
    let _ = env.run_line("keygen --output k").success();
    let before = tree(&env.work());
    let pull = format!("pull list.txt --store new --source {host}");
    for output in ["k.key", "k.pub", "list.txt"] {
        for line in [
            format!("receipt store --output {output}"),
            format!("{pull} --lock {output}"),
            format!("{pull} --digest-file {output}"),
        ] {
            let _ = env.run_line(&line).exits(2);
            assert_eq!(tree(&env.work()), before, "{line}");
        }
    }
    let _ = env.run_line(&format!("{pull} --retry-list k.key")).exits(2);
    // Those of an earlier run are.
    let results = "--lock lock.txt --digest-file d.txt --retry-list r.txt --report r.json";
    for _ in 0..2 {
        let _ = env.run_line(&format!("{pull} {results}")).success();
        let _ = env.run_line("receipt store --output have.json").success();
        let _ = env
            .run_line("receipt store --output have.txt --compact")
            .success();
    }
}
