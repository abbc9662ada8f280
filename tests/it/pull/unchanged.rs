//! What a run asks of the disk that has nothing to do: a store has thousands of blobs, perhaps on
//! a disk across a network.

use std::collections::BTreeMap;

use hod_testkit::env::{TestEnv, finish};
use hod_testkit::images::{Compression, ImageBuilder, layer};
use hod_testkit::programs::are_here;
use hod_testkit::registry::TestRegistry;

/// How often each path is looked at or opened by a run of `line`.
fn looks(env: &TestEnv, line: &str) -> BTreeMap<String, usize> {
    let mut strace = env.command("strace");
    strace.args(["-f", "-q", "-o", "strace.log"]);
    strace.args(["-e", "trace=openat,statx,newfstatat"]);
    strace.arg(env!("CARGO_BIN_EXE_hod"));
    let _ = finish(strace.args(line.split_whitespace())).success();
    let mut looks = BTreeMap::new();
    for line in env.read("strace.log").lines() {
        // What is open already has no path, and a call that was interrupted is told of once.
        if let Some(path) = line.split('"').nth(1).filter(|path| !path.is_empty()) {
            *looks.entry(path.to_owned()).or_default() += 1;
        }
    }
    looks
}

/// The digests of manifests and configurations, which are read as well.
fn read_blobs(env: &TestEnv, root: &str) -> Vec<String> {
    let store = env.store(root);
    let mut read = Vec::new();
    for image in store.images().unwrap().images {
        let manifest = store.read_manifest(&image.digest).unwrap().unwrap();
        let config = manifest.blobs().next().unwrap().digest.hex().to_owned();
        read.extend([image.digest.hex().to_owned(), config]);
    }
    read
}

#[test]
fn what_is_there_is_looked_at_once() {
    if !are_here(&["strace"]) {
        return;
    }
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    let mut list = Vec::new();
    for at in 0..4 {
        let builder = ImageBuilder::oci(at).layer(&layer(70, 900, Compression::Gzip));
        let image = builder
            .layer(&layer(71 + at, 900, Compression::Gzip))
            .build();
        registry.add(&format!("team/app{at}:1"), &image);
        list.push(format!("team/app{at}:1"));
    }
    env.write("list.txt", list.join("\n"));
    let pull = format!("pull list.txt --store store --source {}", registry.host());
    let _ = env.run_line(&pull).success();
    let _ = env
        .run_line("select list.txt --store store --output tree")
        .success();
    for (line, root) in [
        (pull.as_str(), "store"),
        ("select list.txt --store store --output tree", "tree"),
    ] {
        let looks = looks(&env, line);
        let blobs = format!("{root}/docker/registry/v2/blobs/sha256/");
        let read = read_blobs(&env, root);
        let (mut n_blobs, mut n_links) = (0, 0);
        for (path, n) in &looks {
            if path.starts_with(&blobs) && path.ends_with("/data") {
                let is_read = read.iter().any(|hex| path.contains(hex.as_str()));
                let n_max = if is_read { 2 } else { 1 };
                assert!(*n <= n_max, "{line}: {n} times `{path}`");
                n_blobs += 1;
            } else if path.starts_with(&format!("{root}/")) && path.contains("/_layers/sha256/") {
                // Its link is read, and its directory is not a symbolic link.
                assert_eq!(*n, 1, "{line}: `{path}`");
                n_links += usize::from(path.ends_with("/link"));
            }
        }
        // Four configurations, four layers and one that they share; four manifests.
        assert_eq!((n_blobs, n_links), (13, 12), "{line}: {looks:#?}");
    }
}
