//! The exit codes of README's table are the same in all verbs: what is missing on the command line
//! is 2, what is refused before anything is done is 5.

use std::process::Stdio;

use hod_store::Store;
use serde_json::Value;

use hod_testkit::env::{Output, TestEnv, finish};
use hod_testkit::images::{Compression, ImageBuilder, image, layer};
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::{Tree, exists, read, remove_tree, tree};

/// A store, a bundle of it, a second one in volumes of which the last are missing, a list of an
/// image that is nowhere, and things where outputs would be.
fn site() -> TestEnv {
    let env = TestEnv::in_memory();
    for (at, name) in (1..).zip(["acme/api:1", "acme/web:1", "acme/zoo:1"]) {
        let large = layer(at, 150_000, Compression::Uncompressed);
        let image = ImageBuilder::oci(at).layer(&large).build();
        image.put_in(&env.store("store"), name);
    }
    for line in [
        "pack store --output whole.tar --no-tool",
        "pack store --output cut.tar --no-tool --volume-size 250000",
        "keygen --output there",
        "export store --output there-oci.tar --format oci-archive",
    ] {
        env.run_line(line).success();
    }
    hod_fsx::remove_file(&env.path("cut.003.tar")).unwrap();
    env.write("absent.txt", "acme/none:1\n");
    env.write("present.txt", "acme/api:1\n");
    env.write("file", "text");
    env.write("file.tar", "text");
    env.write("notes/file", "text");
    env
}

/// Runs a line with a file as its stdin.
fn piped(env: &TestEnv, line: &str, stdin: &str) -> Output {
    let mut command = env.hod();
    command
        .args(line.split_whitespace())
        .stdin(Stdio::from(hod_fsx::open(&env.path(stdin)).unwrap()));
    finish(&mut command)
}

/// Runs each line, and checks its code and that nothing was changed.
#[track_caller]
fn check(env: &TestEnv, lines: &[&str], code: i32) {
    let before: Tree = tree(&env.work());
    for line in lines {
        let output = env.run_line(line);
        assert_eq!(output.code, Some(code), "{line}: {}", output.stderr);
        assert!(
            output.stderr.contains("error: "),
            "{line}: {}",
            output.stderr
        );
        assert_eq!(tree(&env.work()), before, "{line}");
    }
}

#[test]
fn an_input_that_is_missing_is_a_wrong_command_line() {
    let (env, registry) = (site(), TestRegistry::start());
    let push = format!("push none.tar {}", registry.host());
    let only = format!("push whole.tar {} --only none.txt", registry.host());
    let receipt = format!(
        "receipt {} --list none.txt --output new.json",
        registry.host()
    );
    let lines = [
        "pull none.txt --store new",
        "select none.txt --store store --output new",
        "select present.txt --store none --output new",
        "pack none --output new.tar",
        "pack none.txt --store store --output new.tar",
        "pack store --since none.json --output new.tar",
        "unpack none.tar --output new",
        "export none.tar --output new",
        "verify none.tar",
        "ls none.tar",
        "why 0123456789ab none.tar",
        "diff none.tar store",
        "diff store none.tar",
        "receipt none.tar --output new.json",
        "bundle merge none.tar whole.tar --output new.tar",
        "bundle merge whole.tar none.tar --output new.tar",
        "serve none.tar --listen 127.0.0.1:0",
        "inspect none.tar",
        "tags none.tar",
        "digest none.json",
        "delete none.txt --yes",
        &push,
        &only,
        &receipt,
    ];
    check(&env, &lines, 2);
}

#[test]
fn an_output_that_exists_is_a_refusal() {
    let env = site();
    let lines = [
        "pack store --output whole.tar --no-tool",
        "bundle merge whole.tar whole.tar --output file.tar",
        "keygen --output there",
        "export store --output file",
        "export store --output file --format oci",
        "export store --output notes --format oci",
        "export store --output file --format oci-archive",
        "export store --output file --format docker-archive",
    ];
    check(&env, &lines, 5);
    // With something else where its layout would be, the one image is refused.
    env.write("layouts/acme/api:1/notes.txt", "precious");
    let one = "export store --only present.txt --output layouts";
    check(&env, &[one], 5);
    let all = env.run_line("export store --output layouts").exits(3);
    assert!(all.stderr.contains("exported 2 of 3"), "{}", all.stderr);
    assert_eq!(read(&env.path("layouts/acme/api:1/notes.txt")), b"precious");
}

#[test]
fn an_output_that_cannot_be_created_is_a_refusal() {
    let (env, registry) = (site(), TestRegistry::start());
    registry.add("acme/api:1", &image(1));
    let host = registry.host();
    let lines = [
        "pack store --output file/new.tar --no-tool",
        "bundle merge whole.tar whole.tar --output file/new.tar",
        "keygen --output file/new",
        "unpack whole.tar --output file/new",
        "select present.txt --store store --output file/new",
        "export store --output file/new",
        "export store --output file/new.tar --format oci-archive",
        "receipt store --output file/new.json",
        &format!("pull present.txt --store file/new --source {host}"),
        &format!("pull present.txt --store new --source {host} --lock file/new.txt"),
        &format!("copy {host}/acme/api:1 dir:file/new"),
    ];
    check(&env, &lines, 5);
}

#[test]
fn an_output_that_looks_like_a_registry_is_not_a_directory() {
    let env = site();
    let lines = [
        "export store --output 127.0.0.1:5000/offline",
        "export store --output harbor.example.com:8443",
    ];
    check(&env, &lines, 2);
    env.run_line("export store --output ./127.0.0.1:5000/offline")
        .success();
    // One that exists is a directory.
    env.run_line("export store --output 127.0.0.1:5000/offline")
        .success();
}

#[test]
fn a_list_is_not_a_baseline() {
    let env = site();
    let line = "pack store --since present.txt --output new.tar";
    check(&env, &[line], 2);
    let hint = env.run_line(line).stderr;
    assert!(hint.contains("hod receipt"), "{hint}");
}

#[test]
fn a_name_that_is_not_found_is_a_refusal() {
    let (env, registry) = (site(), TestRegistry::start());
    registry.add("acme/api:1", &image(1));
    let host = registry.host();
    env.write("two.txt", "acme/none:1\nacme/none:2\n");
    let push = format!("push whole.tar {host} --only absent.txt");
    let pull = format!("pull absent.txt --store new --source {host}");
    let pull_two = format!("pull two.txt --store new --source {host}");
    let pull_dry = format!("pull absent.txt --store new --source {host} --dry-run");
    let lock = format!("pull absent.txt --store new --source {host} --lock new.lock");
    let lines = [
        "select absent.txt --store store --output new",
        "pack absent.txt --store store --output new.tar",
        "export whole.tar --only absent.txt --output new",
        "why 0123456789ab whole.tar",
        "why 0123456789ab store",
        &push,
        &pull,
        &pull_two,
        &pull_dry,
        &lock,
    ];
    check(&env, &lines, 5);
    // Beside one that is found, it is one of those that failed.
    env.write("both.txt", "acme/none:1\nacme/api:1\n");
    let both = format!("pull both.txt --store new --source {host}");
    let _ = env.run_line(&both).exits(3);
    assert!(exists(&env.path("new")));
}

#[test]
fn volumes_that_are_missing_are_a_refusal() {
    let (env, registry) = (site(), TestRegistry::start());
    let host = registry.host();
    let lines = [
        "unpack cut.001.tar --output new",
        "export cut.001.tar --output new",
        "pack cut.001.tar --output new.tar",
        "verify cut.001.tar",
        "serve cut.001.tar --listen 127.0.0.1:0",
        "bundle merge cut.001.tar whole.tar --output new.tar",
        "pack store --output new.tar --no-tool --volume-size 250000 --only-volume 9",
    ];
    check(&env, &lines, 5);
    let before = tree(&env.work());
    let push = format!("push - {host}");
    for line in [
        "unpack - --output new",
        "verify -",
        "export - --output new",
        &push,
    ] {
        let output = piped(&env, line, "cut.001.tar");
        // An image that is complete in the volumes that came is done.
        let is_done = output.stderr.contains("exported 1 of 3 images")
            || output.stderr.contains("pushed 1 of 3 images");
        let code = if is_done { 3 } else { 5 };
        assert_eq!(output.code, Some(code), "{line}: {}", output.stderr);
        assert!(
            output.stderr.contains("missing"),
            "{line}: {}",
            output.stderr
        );
        if is_done && exists(&env.path("new")) {
            remove_tree(&env.path("new")).unwrap();
        }
        assert_eq!(tree(&env.work()), before, "{line}");
    }
}

#[test]
fn a_place_without_images_is_a_refusal() {
    let (env, registry) = (site(), TestRegistry::start());
    registry.add("team/api:1", &image(1));
    let host = registry.host();
    drop(Store::create(&env.path("empty")).unwrap());
    let words = [
        format!("{host}/nosuch"),
        format!("{host}/team/apis"),
        "empty".to_owned(),
    ];
    for word in &words {
        let lines = [
            format!("ls {word}"),
            format!("verify {word} --partial --deep"),
            format!("diff store {word}"),
            format!("diff {word} store"),
            format!("why 0123456789ab {word}"),
            format!("receipt {word} --output new.json"),
            format!("copy {word} {host}"),
            format!("copy {word} dir:new"),
            format!("push {word} {host}/new"),
            format!("export {word} --output new"),
        ];
        let is_store = word == "empty";
        // All of an empty store is whole.
        let lines = lines
            .iter()
            .filter(|line| !is_store || !line.starts_with("verify"))
            // That of a registry is empty before a first delivery.
            .filter(|line| is_store || !line.starts_with("receipt"));
        let lines: Vec<&str> = lines.map(String::as_str).collect();
        check(&env, &lines, 5);
    }
    let pull = format!("pull {host}/nosuch --store new");
    check(&env, &[&pull], 5);
    let line = format!("receipt {host}/nosuch --output have.json");
    let receipt = env.run_line(&line).success();
    assert!(receipt.stderr.contains("warning: "), "{}", receipt.stderr);
}

#[test]
fn a_wrong_command_line_has_a_document_too() {
    let env = site();
    for (line, verb, said) in [
        (
            "ls store --json --bye",
            Some("ls"),
            "unexpected argument '--bye'",
        ),
        ("--json pull list.txt", Some("pull"), "--store <DIR>"),
        ("pack store --json", Some("pack"), "--output <FILE>"),
        (
            "push store h --json --retries x",
            Some("push"),
            "invalid value 'x'",
        ),
        ("show a --json", None, "unrecognized subcommand 'show'"),
        ("--json", None, "requires a subcommand"),
    ] {
        let output = env.run_line(line).exits(2);
        let document: Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!(document["verb"].as_str(), verb, "{line}");
        assert_eq!(document["exit"], 2, "{line}");
        assert_eq!(document["error"]["class"], "usage", "{line}: {document}");
        let message = document["error"]["message"].as_str().unwrap();
        assert!(message.contains(said), "{line}: {message}");
        assert!(!message.contains("Usage:"), "{line}: {message}");
        assert!(!message.starts_with("error"), "{line}: {message}");
    }
    let output = env.run_line("list a --json").exits(2);
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    let hint = document["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("hod ls"), "{hint}");
    // Another result would be there, or none was asked for.
    for line in [
        "pack store --output - --json --bye",
        "receipt store -o - --json --bye",
        "receipt store --output=- --json --bye",
        "ls store --bye",
        "ls store --bye -- --json",
    ] {
        let output = env.run_line(line).exits(2);
        assert_eq!(output.stdout, "", "{line}");
    }
    let help = env.run_line("ls --help --json").success();
    assert!(help.stdout.contains("Usage: hod ls"), "{help:?}");
}
