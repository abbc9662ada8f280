//! SIGINT, SIGTERM and SIGHUP end a command wherever it waits, and reports are written all the same.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use hod_testkit::env::{Output, TestEnv, finish};
use hod_testkit::faults::{Effect, Fault, path_contains};
use hod_testkit::images::image;
use hod_testkit::registry::TestRegistry;

/// Far more than an end takes; whoever waits for longer waits for good.
const END_MAX: Duration = Duration::from_secs(30);
/// SIGINT and SIGTERM in the mask of caught signals (`proc(5)`).
const CAUGHT: u64 = 1 << 1 | 1 << 14;

/// Waits until a process receives signals itself.
fn wait_until_ready(child: &Child) {
    let start = Instant::now();
    loop {
        if caught(child) & CAUGHT == CAUGHT {
            return;
        }
        assert!(start.elapsed() < END_MAX, "it never handles signals");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The mask of the signals that a process receives itself.
fn caught(child: &Child) -> u64 {
    let path = format!("/proc/{}/status", child.id());
    let status = hod_fsx::read(path.as_ref(), 1 << 16).unwrap();
    let status = String::from_utf8(status).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    u64::from_str_radix(caught.unwrap().trim(), 16).unwrap()
}

fn send(env: &TestEnv, child: &Child, signal: &str) {
    let line = format!("kill -{signal} {}", child.id());
    let _ = finish(env.command("sh").args(["-c", &line])).success();
}

/// What a process said, once it has ended.
#[track_caller]
fn end(mut child: Child) -> Output {
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > END_MAX {
            child.kill().unwrap();
            panic!("it does not end: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    Output {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn start(command: &mut Command) -> Child {
    let command = command.stdin(Stdio::piped());
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn a_command_that_waits_for_input_ends() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    image(1).put_in(&env.store("store"), "app/a:1");
    let host = registry.host();
    let _ = finish(env.command("mkfifo").arg("fifo")).success();
    let login = format!("login {host} --username me");
    let table = [
        // Nothing comes from stdin.
        format!("pull - --store new --source {host}"),
        format!("{login} --password-stdin"),
        format!("{login} --creds-stdin"),
        format!("push store {host} --creds-stdin"),
        format!("push store {host} --only -"),
        "export store --output out --only -".to_owned(),
        "keygen --output site --password-stdin".to_owned(),
        "select - --store store --output out".to_owned(),
        "pack - --store store --output out.tar".to_owned(),
        format!("push - {host}"),
        "unpack - --output new".to_owned(),
        "verify -".to_owned(),
        "ls -".to_owned(),
        // Nobody writes into the pipe.
        format!("pull fifo --store new --source {host}"),
        format!("push store {host} --only fifo"),
        "verify store --verify-key fifo".to_owned(),
        format!("push store {host} --ca fifo"),
        format!("push store {host} --authfile fifo"),
    ];
    for line in table {
        for signal in ["INT", "TERM"] {
            let mut child = start(env.hod().args(line.split_whitespace()));
            let stdin = child.stdin.take();
            wait_until_ready(&child);
            send(&env, &child, signal);
            let output = end(child);
            assert_eq!(output.code, Some(130), "{line}: {}", output.stderr);
            assert!(output.stderr.contains("interrupted"), "{line}");
            drop(stdin);
        }
    }
}

#[test]
fn a_command_outlives_its_session_only_if_it_was_told_to() {
    let env = TestEnv::new();
    for (how, is_caught) in [("default", 1), ("ignore", 0)] {
        let mut command = env.command("env");
        command.arg(format!("--{how}-signal=HUP"));
        let mut child = start(command.args([env!("CARGO_BIN_EXE_hod"), "ls", "-"]));
        let stdin = child.stdin.take();
        wait_until_ready(&child);
        assert_eq!(caught(&child) & 1, is_caught, "{how}");
        send(&env, &child, "HUP");
        if is_caught == 0 {
            assert!(child.try_wait().unwrap().is_none());
            send(&env, &child, "TERM");
        }
        let output = end(child);
        assert_eq!(output.code, Some(130), "{how}: {}", output.stderr);
        drop(stdin);
    }
}

#[test]
fn an_interrupted_run_writes_its_results() {
    let (env, source) = (TestEnv::in_memory(), TestRegistry::start());
    source.add("app/a:1", &image(100));
    source.add("app/b:1", &image(110));
    env.write("list.txt", "app/a:1\napp/b:1\n");
    let slow = Fault::on("GET", path_contains("/app/b/blobs")).does(Effect::Delay(60_000));
    let line = |store: &str| {
        format!(
            "pull list.txt --store {store} --source {} --json --report r.json --retry-list retry.txt \
         --digest-file d.txt",
            source.host()
        )
    };
    for signal in ["INT", "TERM"] {
        source.fail(slow.clone());
        let child = start(env.hod().args(line(signal).split_whitespace()));
        let begin = Instant::now();
        let tag = "docker/registry/v2/repositories/app/a/_manifests/tags/1/current";
        let tag = env.path(signal).join(tag);
        while hod_fsx::try_stat(&tag).unwrap().is_none() {
            assert!(begin.elapsed() < END_MAX, "the first image never comes");
            std::thread::sleep(Duration::from_millis(2));
        }
        send(&env, &child, signal);
        let output = end(child).exits(130);
        let document: Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!(document["verb"], "pull");
        assert_eq!(document["exit"], 130);
        assert_eq!(document["error"]["class"], "interrupted");
        let report: Value = serde_json::from_str(&env.read("r.json")).unwrap();
        assert_eq!(report["exit"], 130);
        assert_eq!(report["error"]["class"], "interrupted");
        assert_eq!(report["images"][0]["status"], "done");
        assert_eq!(report["images"][1]["image"], "app/b:1");
        assert_eq!(report["images"][1]["status"], "not-done");
        assert_eq!(
            env.read("retry.txt"),
            "# hod pull: 1 of 2 images is not done\napp/b:1\n"
        );
        assert_eq!(env.read("d.txt"), "");
        source.heal();
    }
    let _ = env.run_line(&line("INT")).success();
    assert_eq!(
        env.read("retry.txt"),
        "# hod pull: 0 of 2 images are not done\n"
    );
}

#[test]
fn a_command_that_waits_for_a_lock_says_so_and_ends() {
    let env = TestEnv::new();
    image(1).put_in(&env.store("store"), "app/a:1");
    let _ = env
        .run_line("pack store --output b.tar --no-tool")
        .success();
    env.write("list.txt", "app/a:1\n");
    let _held =
        hod_fsx::DirLock::acquire(&env.path("store/.hod/lock"), hod_fsx::LockMode::Exclusive);
    let source = TestRegistry::start();
    source.add("app/a:1", &image(1));
    let table = [
        format!("pull list.txt --store store --source {}", source.host()),
        "unpack b.tar --output store".to_owned(),
        "serve store --writable --listen 127.0.0.1:0".to_owned(),
    ];
    for line in table {
        for signal in ["INT", "TERM"] {
            let mut child = start(env.hod().args(line.split_whitespace()));
            let mut said = BufReader::new(child.stderr.take().unwrap());
            let mut text = String::new();
            while !text.contains("locked `store`") {
                assert_ne!(said.read_line(&mut text).unwrap(), 0, "{line}: {text}");
            }
            send(&env, &child, signal);
            said.read_to_string(&mut text).unwrap();
            assert_eq!(end(child).code, Some(130), "{line}: {text}");
        }
    }
}

#[test]
fn a_pipe_in_place_of_a_file_is_an_error() {
    let env = TestEnv::new();
    let repositories = "store/docker/registry/v2/repositories/app";
    for name in ["app/a:1", "app/b:1"] {
        image(1).put_in(&env.store("store"), name);
    }
    let host = TestRegistry::start();
    let host = host.host();
    let link = format!("{repositories}/a/_manifests/tags/1/current/link");
    let trusted = ".config/hod/trusted.d";
    let script =
        format!("rm {link} && mkfifo {link} && mkdir -p ~/{trusted} && mkfifo ~/{trusted}/x.pub");
    let _ = finish(env.command("sh").args(["-c", &script])).success();
    let _ = env.run_line("verify store").exits(1);
    let _ = finish(
        env.command("sh")
            .args(["-c", &format!("rm ~/{trusted}/x.pub")]),
    )
    .success();
    for line in [
        "verify store".to_owned(),
        "ls store".to_owned(),
        format!("push store {host}"),
        "export store --output out".to_owned(),
        "pack store --output b.tar --no-tool".to_owned(),
    ] {
        let output = end(start(env.hod().args(line.split_whitespace())));
        assert_ne!(output.code, Some(0), "{line}");
        let said = format!("{}{}", output.stdout, output.stderr);
        assert!(said.contains("app/a"), "{line}: {said}");
    }
}
