//! Side by side with the real programs: Docker's registry, skopeo, tar.
//!
//! Each test is one promise: what hod writes they read, what they write hod reads, and every digest
//! stays what it was. Where the programs are missing the tests fail in CI, and say so elsewhere.

mod foreign;
mod garbage;
mod layouts;
mod live;
mod same_tree;
mod served;
mod untar;

use std::collections::BTreeMap;
use std::path::Path;

use hod_fsx::WalkKind;

use hod_testkit::docker_registry::DockerRegistry;
use hod_testkit::env::TestEnv;
use hod_testkit::images::{Blob, Image, image, menagerie};
use hod_testkit::registry::TestRegistry;
use hod_testkit::skopeo;

/// An image and the `repository:tag` that it has everywhere.
type Named = (String, Image);

/// One of everything, and what names can do: a deep one, a tag of all legal characters, two tags of
/// one image, two images of one repository, one image in two repositories.
fn zoo() -> Vec<Named> {
    let mut zoo: Vec<Named> = menagerie()
        .into_iter()
        .map(|(kind, image)| (format!("zoo/{kind}:1.0"), image))
        .collect();
    for (name, seed) in [
        ("apps/web:1", 100),
        ("apps/web:2", 200),
        ("apps/web:latest", 200),
        ("a/b-c/d.e/f__g/deep:v1.2_3-X", 100),
    ] {
        zoo.push((name.to_owned(), image(seed)));
    }
    zoo
}

/// That part of [`zoo`] which skopeo can carry.
fn skopeo_zoo() -> Vec<Named> {
    let mut zoo = zoo();
    zoo.retain(|(name, _)| {
        let kind = name.strip_prefix("zoo/").and_then(|n| n.split(':').next());
        kind.is_none_or(skopeo::takes)
    });
    zoo
}

/// What is left of an image when only linux/amd64 is taken; in the zoo that comes first.
fn for_amd64(image: &Image) -> Image {
    let first = image.manifests[0].clone();
    let is_needed = |blob: &&Blob| first.blobs().any(|needed| needed.digest == blob.digest);
    let blobs = image.blobs.iter().filter(is_needed).cloned().collect();
    Image {
        manifests: vec![first],
        blobs,
    }
}

/// A registry with these images.
fn source_of(images: &[Named]) -> TestRegistry {
    let registry = TestRegistry::start();
    for (name, image) in images {
        registry.add(name, image);
    }
    registry
}

/// Writes `list.txt` with these images.
fn write_list(env: &TestEnv, images: &[Named]) {
    let lines: Vec<String> = images.iter().map(|(name, _)| format!("{name}\n")).collect();
    env.write("list.txt", lines.concat());
}

/// Pulls these images whole into `store`, from the registry at `host`.
fn pull(env: &TestEnv, images: &[Named], host: &str) {
    write_list(env, images);
    let line = format!("pull list.txt --store store --platform all --source {host}");
    let _ = env.run_line(&line).success();
}

/// Puts these images into `store`, where pulling is not what is tried.
fn put(env: &TestEnv, images: &[Named]) {
    write_list(env, images);
    let store = env.store("store");
    for (name, image) in images {
        image.put_in(&store, name);
    }
}

/// Has skopeo copy these images, all platforms of them, into the registry at `to`.
#[track_caller]
fn push_with_skopeo(env: &TestEnv, from: &TestRegistry, (to, names): (&str, &[Named])) {
    for (name, _) in names {
        let source = format!("docker://{}/{name}", from.host());
        let target = format!("docker://{to}/{name}");
        skopeo::copy(env, "--all", (&source, &target));
    }
}

/// Passes when the registry serves every byte of these images, and skopeo gets them out of it, one
/// platform and all of them, with the digests that they had.
#[track_caller]
fn assert_served(env: &TestEnv, registry: &DockerRegistry, images: &[Named]) {
    for (name, image) in images {
        registry.assert_serves(name, image);
    }
    for (name, image) in skopeo_zoo() {
        assert!(images.iter().any(|(n, _)| *n == name), "{name} is missing");
        let from = format!("docker://{}/{name}", registry.host());
        assert_copies(env, &from, &image);
    }
}

/// Passes when skopeo copies the image from there, alone and with `--all`, byte for byte.
#[track_caller]
fn assert_copies(env: &TestEnv, from: &str, image: &Image) {
    let is_index = image.manifests.len() > 1;
    if is_index {
        let dir = fresh_dir(env);
        skopeo::copy(env, "", (from, &format!("dir:{dir}")));
        assert_is_layout(&env.path(dir), &for_amd64(image));
    }
    let dir = fresh_dir(env);
    skopeo::copy(env, "--all", (from, &format!("dir:{dir}")));
    assert_is_layout(&env.path(dir), image);
}

/// Passes when the `dir:` layout at `dir` is the whole image, and nothing else.
#[track_caller]
fn assert_is_layout(dir: &Path, image: &Image) {
    let mut expected = BTreeMap::from([
        (
            "version".to_owned(),
            b"Directory Transport Version: 1.1\n".to_vec(),
        ),
        ("manifest.json".to_owned(), image.top().bytes().to_vec()),
    ]);
    for manifest in &image.manifests[..image.manifests.len() - 1] {
        let name = format!("{}.manifest.json", manifest.digest().hex());
        expected.insert(name, manifest.bytes().to_vec());
    }
    for blob in &image.blobs {
        expected.insert(blob.digest.hex().to_owned(), blob.bytes.to_vec());
    }
    assert_same_files(&files(dir), &expected);
}

/// The name of a directory that is not there yet.
fn fresh_dir(env: &TestEnv) -> String {
    let n_used = hod_fsx::read_dir_names(&env.work()).unwrap().len();
    format!("copy-{n_used}")
}

/// All files below a directory, by path.
#[track_caller]
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in hod_fsx::walk(root, |_| true) {
        let entry = entry.unwrap();
        assert_ne!(entry.kind, WalkKind::Special, "{}", entry.path.display());
        if entry.kind == WalkKind::File {
            let path = entry.path.strip_prefix(root).unwrap();
            files.insert(path.to_str().unwrap().to_owned(), read(&entry.path));
        }
    }
    files
}

/// Passes when both have the same files with the same bytes; names those that differ.
#[track_caller]
fn assert_same_files(found: &BTreeMap<String, Vec<u8>>, expected: &BTreeMap<String, Vec<u8>>) {
    let mut problems = Vec::new();
    for (path, bytes) in expected {
        match found.get(path) {
            None => problems.push(format!("missing: {path}")),
            Some(found) if found != bytes => problems.push(format!("differs: {path}")),
            Some(_) => {}
        }
    }
    let more = found.keys().filter(|path| !expected.contains_key(*path));
    problems.extend(more.map(|path| format!("unexpected: {path}")));
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[track_caller]
fn read(path: &Path) -> Vec<u8> {
    hod_fsx::read(path, u64::MAX - 1).unwrap()
}
