//! Uploads of large blobs: through bad lines and proxies, and over the end of the program.

mod proxies;
mod resume;
mod rules;

use std::path::PathBuf;

use hod_testkit::env::TestEnv;
use hod_testkit::images::{Compression, Image, ImageBuilder, layer};
use hod_testkit::relay::{Passed, Relay};

pub(crate) const MIB: usize = 1024 * 1024;

/// An image with one layer of about so many bytes.
fn large(seed: u64, len: usize) -> Image {
    let layer = layer(seed, len, Compression::Uncompressed);
    ImageBuilder::oci(seed).layer(&layer).build()
}

/// The length of the largest blob.
fn layer_len(image: &Image) -> u64 {
    let lens = image.blobs.iter().map(|blob| blob.bytes.len() as u64);
    lens.max().unwrap()
}

/// A place with `image` in its store, as `app:1`, and a directory for a registry.
fn site(image: &Image) -> (TestEnv, PathBuf) {
    let env = TestEnv::in_memory();
    image.put_in(&env.store("store"), "team/app:1");
    let root = env.path("registry");
    hod_fsx::create_dir_all(&root).unwrap();
    (env, root)
}

fn is_upload(passed: &Passed) -> bool {
    passed.target.contains("/blobs/uploads/")
}

/// The requests of the uploads with this method.
fn of(passed: &[Passed], method: &str) -> Vec<Passed> {
    let is_it = |passed: &&Passed| passed.method == method && is_upload(passed);
    passed.iter().filter(is_it).cloned().collect()
}

/// How many bytes the registry was sent for uploads.
fn sent_len(passed: &[Passed]) -> u64 {
    let uploads = passed.iter().filter(|passed| is_upload(passed));
    uploads.map(|passed| passed.len).sum()
}

/// The bytes of all blobs.
fn blobs_len(image: &Image) -> u64 {
    image.blobs_len()
}

fn push(relay: &Relay, rest: &str) -> String {
    format!("push store {} --jobs 1 {rest}", relay.host())
}
