//! The real client: skopeo 1.9, as Debian packs it.

use super::env::{Output, TestEnv, finish};

pub const PROGRAM: &str = "skopeo";

/// What this skopeo cannot carry, of the kinds in the menagerie: it takes no index within an
/// index, and it fetches foreign layers from where their URLs say.
pub fn takes(kind: &str) -> bool {
    !matches!(kind, "nested" | "foreign")
}

/// Runs skopeo with `line` split at spaces, for linux/amd64 where it has to choose.
pub fn run(env: &TestEnv, line: &str) -> Output {
    let mut command = env.command(PROGRAM);
    command.args(["--insecure-policy", "--override-os", "linux"]);
    command.args(["--override-arch", "amd64"]);
    finish(command.args(line.split_whitespace()))
}

/// Copies one image as it is; `flags` may say `--all`.
#[track_caller]
pub fn copy(env: &TestEnv, flags: &str, (from, to): (&str, &str)) {
    let _ = run(
        env,
        &format!(
            "copy --preserve-digests --src-tls-verify=false --dest-tls-verify=false \
             {flags} {from} {to}"
        ),
    )
    .success();
}

/// Copies many images; `rest` says from where to where.
#[track_caller]
pub fn sync(env: &TestEnv, rest: &str) {
    let _ = run(
        env,
        &format!("sync --preserve-digests --src-tls-verify=false --dest-tls-verify=false {rest}"),
    )
    .success();
}
