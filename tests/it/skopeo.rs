//! hod called as `skopeo`, beside the real program.
//!
//! In most modules, an invocation is a line of shell, run in a directory of its own with the program
//! under test in front of `PATH`. [`golden`] compares with recordings of skopeo 1.22, which hod
//! follows; the others compare with the installed skopeo, an older one.

mod beside;
mod completion;
mod daemon;
mod failures;
mod flags;
mod golden;
mod lab;
mod normal;
mod pairs;
mod scripts;
mod stock;
mod storage;
mod sync;
mod sync_rules;

use std::ffi::OsStr;

use hod_testkit::env::{Output, TestEnv, finish};
use hod_testkit::images::{Compression, ImageBuilder, layer};
use hod_testkit::registry::TestRegistry;

/// Runs hod as skopeo with `line` split at spaces.
#[must_use = "check the exit code, or say `.success()`"]
fn skopeo(env: &TestEnv, line: &str) -> Output {
    let mut command = env.hod();
    command.args(["skopeo", "--insecure-policy"]);
    finish(command.args(line.split_whitespace().map(OsStr::new)))
}

/// A registry with the same layers as an OCI image, `lab/oci:v1`, and as Docker's, `lab/s2:v1`.
fn lab() -> TestRegistry {
    let registry = TestRegistry::start();
    let layers = [(1, 4_000), (2, 3_000)].map(|(seed, len)| layer(seed, len, Compression::Gzip));
    let build = |builder: ImageBuilder| {
        let builder = layers.iter().fold(builder, ImageBuilder::layer);
        builder.build()
    };
    registry.add("lab/oci:v1", &build(ImageBuilder::oci(10)));
    registry.add("lab/s2:v1", &build(ImageBuilder::docker(10)));
    registry
}
