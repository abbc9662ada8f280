//! Other people's programs: a test that needs one that is not there must not pass unseen.

use std::io::Write as _;

use super::env::has_program;

/// What `tests/setup` installs.
const SET_UP: [&str; 11] = [
    "bsdtar",
    "busybox",
    "docker-registry",
    "minisign",
    "nginx",
    "openssl",
    "podman",
    "shellcheck",
    "skopeo",
    "strace",
    "zstd",
];

/// Whether all these programs are here; a test ends early otherwise.
///
/// Under `CI=true` a missing program fails the test. Elsewhere a note is printed past the test
/// runner, which shows nothing else of a test that passes.
#[must_use = "without the programs the test must end"]
#[track_caller]
pub fn are_here(programs: &[&str]) -> bool {
    match look(programs, is_ci()) {
        Look::Here => true,
        Look::LeaveOut(text) => {
            note(&text);
            false
        }
        Look::Fail(text) => panic!("{text}"),
    }
}

/// What becomes of a test that needs programs.
#[derive(Debug, PartialEq, Eq)]
pub enum Look {
    Here,
    /// It ends early, and says this.
    LeaveOut(String),
    /// It fails, for this reason.
    Fail(String),
}

/// Looks for the programs, where none may be missing or some may.
pub fn look(programs: &[&str], is_ci: bool) -> Look {
    let missing = missing(programs);
    if missing.is_empty() {
        Look::Here
    } else if is_ci {
        Look::Fail(advice("this test cannot be left out here", &missing))
    } else {
        Look::LeaveOut(advice("note: a test was left out", &missing))
    }
}

fn missing<'p>(programs: &[&'p str]) -> Vec<&'p str> {
    let is_missing = |name: &&&str| !has_program(name);
    programs.iter().filter(is_missing).copied().collect()
}

fn advice(what: &str, missing: &[&str]) -> String {
    let packages: Vec<&str> = missing
        .iter()
        .map(|name| match *name {
            "bsdtar" => "libarchive-tools",
            "busybox" => "busybox-static",
            "nginx" => "nginx-light",
            name => name,
        })
        .collect();
    let is_set_up = missing.iter().all(|name| SET_UP.contains(name));
    let set_up = if is_set_up { "`make test` or " } else { "" };
    format!(
        "{what}: no {} here; on Debian or Ubuntu: {set_up}`sudo apt-get install {}`",
        missing.join(" and no "),
        packages.join(" ")
    )
}

/// Says something that is seen even when the test passes.
pub fn note(text: &str) {
    let name = std::thread::current().name().unwrap_or("?").to_owned();
    let line = format!("{name}: {text}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

pub fn is_ci() -> bool {
    environment("CI").is_some_and(|value| value == "true" || value == "1")
}

/// Another registry's program to run in place of Debian's `docker-registry`: one that takes the
/// same commands and configuration, such as a later release (`make test-registries`).
pub fn other_registry() -> Option<std::ffi::OsString> {
    environment("HOD_TEST_REGISTRY").filter(|value| !value.is_empty())
}

/// The skopeo that the recordings of its outputs are made with, where they are to be made.
pub fn other_skopeo() -> Option<std::ffi::OsString> {
    environment("HOD_TEST_SKOPEO").filter(|value| !value.is_empty())
}

/// Whether every error is to be tried at many places instead of some, which takes an hour.
pub fn is_sweep() -> bool {
    environment("HOD_TEST_SWEEP").is_some()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one reader of the environment that the tests run in"
)]
fn environment(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}
