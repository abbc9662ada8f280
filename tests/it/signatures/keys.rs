//! `hod keygen`.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Stdio;

use hod_bundle::{Password, PublicKey, SecretKey};

use hod_testkit::env::{Output, TestEnv};

/// The mode of a file, without its kind.
fn mode(path: &Path) -> u32 {
    hod_fsx::open(path).unwrap().metadata().unwrap().mode() & 0o777
}

/// Runs `hod` with `line` split at spaces and `input` on stdin.
pub(super) fn run_with_input(env: &TestEnv, line: &str, input: &str) -> Output {
    let mut command = env.hod();
    command
        .args(line.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    Output {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn a_pair_of_keys_is_made_here() {
    let env = TestEnv::new();
    let made = env.run_line("keygen").success();
    let public: PublicKey = env.read("hod.pub").parse().unwrap();
    let secret = SecretKey::open(&env.read("hod.key"), None).unwrap();
    assert_eq!(secret.public_key(), &public);
    assert_eq!(made.stdout, format!("{public}\n"));
    assert_eq!(
        made.stderr,
        format!(
            "created key `{}`: the secret key is `hod.key`, not encrypted: anyone who can read it \
             can sign; the public key is `hod.pub`\n",
            public.id()
        )
    );
    assert_eq!(mode(&env.path("hod.key")), 0o600);
    assert_eq!(mode(&env.path("hod.pub")), 0o644);
    assert_eq!(hod_fsx::read_dir_names(&env.work()).unwrap().len(), 2);
}

#[test]
fn a_pair_of_keys_has_the_name_it_was_given() {
    let env = TestEnv::new();
    let made = run_with_input(
        &env,
        "keygen --output release-1.2 --password-stdin --json",
        "correct horse\n",
    )
    .success();
    let outcome: serde_json::Value = serde_json::from_str(&made.stdout).unwrap();
    let public: PublicKey = env.read("release-1.2.pub").parse().unwrap();
    assert_eq!(outcome["key_id"], public.id().to_string());
    assert_eq!(outcome["public_key_text"], public.to_string());
    assert_eq!(outcome["secret_key"], "release-1.2.key");
    assert_eq!(outcome["is_sealed"], true);
    let file = env.read("release-1.2.key");
    assert!(SecretKey::open(&file, None).is_err());
    let password = Password::new("correct horse");
    let secret = SecretKey::open(&file, Some(&password)).unwrap();
    assert_eq!(secret.public_key(), &public);
}

#[test]
fn no_key_is_ever_replaced() {
    for name in ["hod.key", "hod.pub"] {
        let env = TestEnv::new();
        env.write(name, "precious");
        let output = env.run_line("keygen").exits(5);
        insta::allow_duplicates!(insta::assert_snapshot!(
            output.snapshot(&[(name, "[NAME]")]), @"
        exit code: 5
        --- stdout
        --- stderr
        error: `[NAME]` already exists; nothing was written

        hint: Choose another name with `--output NAME`.
        "));
        assert_eq!(env.read(name), "precious");
        assert_eq!(hod_fsx::read_dir_names(&env.work()).unwrap().len(), 1);
    }
}

#[test]
fn where_keys_cannot_be_written_none_are() {
    let env = TestEnv::new();
    let output = env.run_line("keygen --output no/such/dir/hod").exits(1);
    assert!(output.stderr.contains("no/such/dir"), "{}", output.stderr);
    let output = run_with_input(&env, "keygen --password-stdin", "\n").exits(2);
    assert!(output.stderr.contains("no password"), "{}", output.stderr);
    assert_eq!(hod_fsx::read_dir_names(&env.work()).unwrap().len(), 0);
}
