//! Text from outside reaches no terminal as it is: it moves no cursor, and begins no line.

use hod_testkit::env::{Output, TestEnv, finish};
use hod_testkit::images::{Format, ImageBuilder, index};

/// A text that would change its colour, end its line and set the title of the window.
const EVIL: &str = "x\u{1b}[31m\nFAKE \u{9b}2J\u{202e}\u{1b}]0;pwn\u{7}";

#[track_caller]
fn check(what: &str, output: &Output) {
    for said in [&output.stdout, &output.stderr] {
        let is_raw = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!said.contains(is_raw), "{what}: {said:?}");
        assert!(
            !said.lines().any(|line| line.starts_with("FAKE")),
            "{what}: {said}"
        );
    }
}

#[test]
fn names_of_strangers_are_escaped() {
    let env = TestEnv::new();
    let store = env.store("store");
    let child = ImageBuilder::oci(1).platform("linux", EVIL).build();
    let manifest = child.top().digest().clone();
    let both = index(Format::Oci, &[child]);
    both.put_in(&store, "app/a:1");
    drop(store);
    let tags = env.path("store/docker/registry/v2/repositories/app/a/_manifests/tags");
    let mut mkdir = env.command("mkdir");
    let _ = finish(mkdir.arg(tags.join(EVIL))).success();
    let lines = [
        format!("why {manifest} store"),
        "verify store".to_owned(),
        "ls store".to_owned(),
        "inspect store".to_owned(),
        "tags store".to_owned(),
        "pack store --output b.tar --no-tool".to_owned(),
        "push store 127.0.0.1:1 --retries 0".to_owned(),
        "export store --output out".to_owned(),
    ];
    for line in &lines {
        for more in [&[][..], &["--json"]] {
            let mut command = env.hod();
            command.args(line.split_whitespace()).args(more);
            check(line, &finish(&mut command));
        }
    }
}

#[test]
fn paths_are_escaped() {
    let env = TestEnv::new();
    let dir = env.path(EVIL);
    let mut mkdir = env.command("mkdir");
    let _ = finish(mkdir.arg("-p").arg(dir.join(EVIL))).success();
    for verb in [
        "ls", "inspect", "tags", "digest", "verify", "push", "unpack", "receipt", "serve", "pull",
        "export",
    ] {
        for path in [dir.clone(), dir.join(EVIL), dir.join("gone")] {
            let mut command = env.hod();
            command.arg(verb).arg(&path);
            match verb {
                "push" => command.arg("127.0.0.1:1"),
                "pull" => command.arg("--store").arg(&path),
                "serve" => command.args(["--listen", "192.0.2.1:1"]),
                "ls" | "inspect" | "tags" | "digest" | "verify" => &mut command,
                _ => command.arg("--output").arg(env.path(EVIL).join("out.tar")),
            };
            check(verb, &finish(&mut command));
        }
    }
    assert!(hod_fsx::try_stat(&dir).unwrap().is_some());
}
