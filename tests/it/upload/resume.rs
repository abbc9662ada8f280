//! Uploads over the end of the program: stopped, killed, and gone on with.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use hod_testkit::docker_registry::{self, DockerRegistry};
use hod_testkit::env::{Output, TestEnv};
use hod_testkit::programs::are_here;
use hod_testkit::relay::{Deed, Passed, Relay};
use hod_testkit::tree::remove_tree;

use super::{MIB, blobs_len, large, of, push, sent_len, site};

fn start(env: &TestEnv, line: &str) -> Child {
    let mut command = env.hod();
    command.args(line.split_whitespace());
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn signal(child: &Child, signal: &str) {
    let pid = child.id().to_string();
    let sent = std::process::Command::new("kill")
        .args([&format!("-{signal}"), &pid])
        .status();
    assert!(sent.unwrap().success());
}

fn end(child: Child) -> Output {
    let output = child.wait_with_output().unwrap();
    Output {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Does something to the third PATCH.
fn third(deed: Deed) -> impl Fn(&Passed) -> Deed {
    let n = AtomicUsize::new(0);
    move |passed| {
        let is_third = passed.method == "PATCH" && n.fetch_add(1, Ordering::SeqCst) == 2;
        if is_third { deed.clone() } else { Deed::Pass }
    }
}

fn sessions(env: &TestEnv) -> PathBuf {
    env.home().join(".local/state/hod/uploads")
}

/// The files that tell of sessions.
fn kept(dir: &Path) -> Vec<PathBuf> {
    let names = hod_fsx::try_read_dir_names(dir)
        .unwrap()
        .unwrap_or_default();
    let paths = names.into_iter().map(|name| dir.join(name));
    paths
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect()
}

#[test]
fn a_push_that_is_killed_between_chunks_goes_on_there() {
    if !are_here(&[docker_registry::PROGRAM]) {
        return;
    }
    let image = large(40, 9 * MIB / 2);
    let (env, root) = site(&image);
    let registry = DockerRegistry::serve(&env, &root);
    let relay = Relay::to(registry.host(), third(Deed::Hold));
    let line = push(&relay, "--chunk-size 1MiB");
    let mut child = start(&env, &line);
    relay.wait_for_held();
    child.kill().unwrap();
    child.wait().unwrap();
    let [session] = &kept(&sessions(&env))[..] else {
        panic!("the session is kept");
    };
    assert_eq!(mode(session), 0o600);
    assert_eq!(mode(&sessions(&env)), 0o700);
    let first = relay.take_passed();
    assert_eq!(sent_len(&of(&first, "PATCH")), 2 * MIB as u64);

    // What is held comes to nothing, as its client is gone; another relay, the same registry.
    let output = env.run_line(&line).success();
    let said = " after 2.0 MiB of 4.5 MiB";
    assert!(output.stderr.contains(said), "{}", output.stderr);
    // What the first run sent is not counted as moved again.
    let said = "2.0 MiB resumed";
    assert!(output.stderr.contains(said), "{}", output.stderr);
    let second = relay.take_passed();
    assert_eq!(of(&second, "GET").len(), 1);
    let patches = of(&second, "PATCH");
    assert_eq!(patches[0].header("content-range"), Some("2097152-3145727"));
    let total = sent_len(&first) + sent_len(&second);
    assert_eq!(total, blobs_len(&image), "nothing is sent twice");
    registry.assert_serves("team/app:1", &image);
    assert_eq!(kept(&sessions(&env)), [] as [PathBuf; 0]);
}

#[expect(clippy::disallowed_methods, reason = "a mode is looked at")]
fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_push_that_is_stopped_ends_its_chunk_and_the_next_goes_on_there() {
    if !are_here(&[docker_registry::PROGRAM]) {
        return;
    }
    for name in ["INT", "TERM"] {
        let image = large(41, 9 * MIB / 2);
        let (env, root) = site(&image);
        let registry = DockerRegistry::serve(&env, &root);
        let relay = Relay::to(registry.host(), third(Deed::HoldHalf));
        let line = push(&relay, "--chunk-size 1MiB");
        let mut child = start(&env, &line);
        relay.wait_for_held();
        signal(&child, name);
        // It says so, and only then does the line go on.
        let stderr = child.stderr.take().unwrap();
        let said = read_until(stderr, "interrupt again to stop at once");
        relay.release();
        let output = end(child);
        assert_eq!(output.code, Some(130), "{said}");
        let first = relay.take_passed();
        assert_eq!(sent_len(&of(&first, "PATCH")), 3 * MIB as u64);

        env.run_line(&line).success();
        let second = relay.take_passed();
        let total = sent_len(&first) + sent_len(&second);
        assert_eq!(total, blobs_len(&image), "nothing is sent twice");
        registry.assert_serves("team/app:1", &image);
    }
}

/// Reads until a text comes, and leaves the rest to be read by nobody.
fn read_until(mut from: impl std::io::Read + Send + 'static, text: &str) -> String {
    let mut said = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&said).contains(text) {
        assert_eq!(
            from.read(&mut byte).unwrap(),
            1,
            "{}",
            String::from_utf8_lossy(&said)
        );
        said.push(byte[0]);
    }
    std::thread::spawn(move || std::io::copy(&mut from, &mut std::io::sink()));
    String::from_utf8(said).unwrap()
}

#[test]
fn a_second_interrupt_stops_at_once() {
    if !are_here(&[docker_registry::PROGRAM]) {
        return;
    }
    let image = large(42, 9 * MIB / 2);
    let (env, root) = site(&image);
    let registry = DockerRegistry::serve(&env, &root);
    let relay = Relay::to(registry.host(), third(Deed::HoldHalf));
    let line = push(&relay, "--chunk-size 1MiB");
    let mut child = start(&env, &line);
    relay.wait_for_held();
    signal(&child, "INT");
    let stderr = child.stderr.take().unwrap();
    let _ = read_until(stderr, "interrupt again to stop at once");
    signal(&child, "INT");
    assert_eq!(end(child).code, Some(130));
    relay.release();
    // The session ended with the chunk, and the next run begins again.
    env.run_line(&line).success();
    registry.assert_serves("team/app:1", &image);
    assert_eq!(kept(&sessions(&env)), [] as [PathBuf; 0]);
}

#[test]
fn a_session_that_the_registry_forgot_is_begun_again() {
    if !are_here(&[docker_registry::PROGRAM]) {
        return;
    }
    let image = large(43, 9 * MIB / 2);
    let (env, root) = site(&image);
    let registry = DockerRegistry::serve(&env, &root);
    let relay = Relay::to(registry.host(), third(Deed::Hold));
    let line = push(&relay, "--chunk-size 1MiB");
    let mut child = start(&env, &line);
    relay.wait_for_held();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(kept(&sessions(&env)).len(), 1);
    let uploads = root.join("docker/registry/v2/repositories/team/app/_uploads");
    remove_tree(&uploads).unwrap();
    let _ = relay.take_passed();
    env.run_line(&line).success();
    registry.assert_serves("team/app:1", &image);
    assert_eq!(sent_len(&relay.passed()), layer_of(&image));
}

/// What the second run has to send: all but the config, which is there.
fn layer_of(image: &hod_testkit::images::Image) -> u64 {
    super::layer_len(image)
}

#[test]
fn without_a_place_for_sessions_all_else_works() {
    let image = large(44, 9 * MIB / 2);
    let (env, _) = site(&image);
    let registry = hod_testkit::registry::TestRegistry::start();
    let line = format!("push store {} --chunk-size 1MiB", registry.host());
    let mut command = env.hod();
    command.args(line.split_whitespace()).env_remove("HOME");
    hod_testkit::env::finish(&mut command).success();
    assert!(hod_fsx::try_stat(&sessions(&env)).unwrap().is_none());

    // One that cannot be written to is said, once.
    let (env, _) = site(&image);
    let registry = hod_testkit::registry::TestRegistry::start();
    let line = format!("push store {} --chunk-size 1MiB", registry.host());
    let mut command = env.hod();
    command.args(line.split_whitespace());
    command.env("XDG_STATE_HOME", "/proc/nowhere");
    let output = hod_testkit::env::finish(&mut command).success();
    let said = "the next run cannot resume uploads";
    assert_eq!(output.stderr.matches(said).count(), 1, "{}", output.stderr);
}
