//! `tests/demo.sh`, which `make demo` runs.

use std::net::TcpStream;
use std::path::Path;

use hod_testkit::env::{Output, TestEnv, finish};

fn demo(env: &TestEnv, hod: &str) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/demo.sh");
    finish(env.command("sh").arg(script).env("HOD", hod))
}

/// Nothing that the demo made is there: neither files nor servers.
#[track_caller]
fn expect_gone(env: &TestEnv, output: &Output) {
    let left = hod_fsx::read_dir_names(&env.tmp()).unwrap();
    assert!(left.is_empty(), "{left:?}");
    let urls = output.stdout.lines();
    for host in urls.filter_map(|line| line.strip_prefix("http://")) {
        assert!(TcpStream::connect(host).is_err(), "{host} is still served");
    }
}

#[test]
fn the_demo_carries_images_all_the_way() {
    let env = TestEnv::new();
    let output = demo(&env, env!("CARGO_BIN_EXE_hod")).success();
    assert_eq!(output.stderr, "");
    for (expected, n) in [
        ("pulled 6 images: transferred ", 1),
        ("selected 4 images: linked ", 1),
        ("packed 4 images: ", 2),
        ("verified `site-a.tar`: 4 images", 1),
        ("pushed 4 images: transferred ", 2),
        ("pushed 4 images (4 unchanged): nothing to transfer", 1),
        ("pulled 4 images: transferred ", 2),
        ("verified `back`: 4 images", 1),
        ("$ sh media/install.sh --registry ", 1),
        ("All digests are unchanged", 1),
    ] {
        let n_lines = output.stdout.lines().filter(|l| l.starts_with(expected));
        assert_eq!(n_lines.count(), n, "{expected}\n{}", output.stdout);
    }
    let n_servers = output.stdout.matches("\nhttp://127.0.0.1:").count();
    assert_eq!(n_servers, 3);
    expect_gone(&env, &output);
}

#[test]
fn a_failure_of_any_verb_fails_the_demo() {
    let env = TestEnv::new();
    let real = env!("CARGO_BIN_EXE_hod");
    for verb in ["serve", "pull", "ls", "select", "pack", "verify", "push"] {
        let broken = format!(
            "#!/bin/sh\nfor word do\n  [ \"$word\" != {verb} ] || {{ echo broken; exit 3; }} >&2\n\
             done\nexec '{real}' \"$@\"\n"
        );
        let broken = env.write(format!("{verb}.sh"), broken);
        finish(env.command("chmod").arg("+x").arg(&broken)).success();
        let output = demo(&env, broken.to_str().unwrap());
        assert_ne!(output.code, Some(0), "{verb}: {}", output.stdout);
        assert!(output.stdout.contains("\nbroken\n"), "{}", output.stdout);
        assert!(output.stdout.ends_with("\nThe demo failed.\n"), "{verb}");
        expect_gone(&env, &output);
    }
    let output = demo(&env, "/no/such/program").exits(1);
    assert!(
        output.stderr.contains("/no/such/program"),
        "{}",
        output.stderr
    );
}
