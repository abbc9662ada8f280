//! `fixtures/registry`, which the demo and the README's commands pull from: it is made here, and
//! nowhere else. `HOD_WRITE_FIXTURES=1 cargo test fixtures` writes it anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hod_fsx::WalkKind;
use hod_store::Store;

use hod_testkit::env::TestEnv;
use hod_testkit::images::{Compression, Format, Image, ImageBuilder, index, layer};
use hod_testkit::tree::remove_tree;

/// Where the fixtures are.
pub(crate) fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// The images of `images-list.txt`: both formats, both kinds of index, a layer that most share.
fn product() -> Vec<(&'static str, Image)> {
    let system = layer(1000, 70_000, Compression::Gzip);
    let runtime = layer(1001, 20_000, Compression::Gzip);
    let data = |seed, format: fn(u64) -> ImageBuilder, architectures: &[&str]| -> Vec<Image> {
        let children = architectures.iter().zip(seed..);
        let child = |(architecture, seed): (&&str, u64)| {
            let own = layer(seed + 100, 9_000, Compression::Gzip);
            let image = format(seed).platform("linux", architecture);
            image.layer(&own).build()
        };
        children.map(child).collect()
    };
    let gateway =
        ImageBuilder::docker(1010)
            .layer(&system)
            .layer(&layer(1011, 5_000, Compression::Gzip));
    let api = ImageBuilder::docker(1020)
        .layer(&system)
        .layer(&runtime)
        .layer(&layer(1021, 12_000, Compression::Gzip));
    let web = ImageBuilder::docker(1030).layer(&system).layer(&layer(
        1031,
        8_000,
        Compression::Uncompressed,
    ));
    let worker = ImageBuilder::oci(1040)
        .layer(&system)
        .layer(&runtime)
        .layer(&layer(1041, 3_000, Compression::Gzip));
    let cache = data(1100, ImageBuilder::docker, &["amd64", "arm64"]);
    let db = data(1200, ImageBuilder::oci, &["amd64", "arm64", "s390x"]);
    vec![
        ("library/gateway:1.27", gateway.build()),
        ("acme/api:2.4.0", api.build()),
        ("acme/web:2.4.0", web.build()),
        ("acme/worker:2.4.0", worker.build()),
        ("acme/cache:7.0", index(Format::Docker, &cache)),
        ("acme/db:15.2", index(Format::Oci, &db)),
    ]
}

/// Every file of a store's tree, by its path below the store; without hod's own state.
fn files(store: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in hod_fsx::walk(&store.join("docker"), |_| true) {
        let entry = entry.unwrap();
        if entry.kind == WalkKind::File {
            let bytes = hod_fsx::read(&entry.path, 1 << 20).unwrap();
            files.insert(entry.path.strip_prefix(store).unwrap().to_owned(), bytes);
        }
    }
    files
}

#[expect(
    clippy::disallowed_methods,
    reason = "who works on hod asks for new fixtures by a variable"
)]
pub(crate) fn must_write() -> bool {
    std::env::var_os("HOD_WRITE_FIXTURES").is_some_and(|value| value == "1")
}

#[test]
fn the_registry_is_as_it_is_made_here_and_whole() {
    let env = TestEnv::new();
    let store = env.path("registry");
    for (name, image) in product() {
        image.put_in(&Store::create(&store).unwrap(), name);
    }
    let (made, registry) = (files(&store), dir().join("registry"));
    if must_write() {
        if hod_fsx::try_stat(&registry).unwrap().is_some() {
            remove_tree(&registry).unwrap();
        }
        for (path, bytes) in &made {
            hod_fsx::write_file(&registry.join(path), bytes).unwrap();
        }
    }
    let kept = files(&registry);
    let differing: Vec<_> = made
        .keys()
        .chain(kept.keys())
        .filter(|path| made.get(*path) != kept.get(*path))
        .collect();
    assert!(
        differing.is_empty(),
        "fixtures/registry is not what this test makes; `HOD_WRITE_FIXTURES=1 cargo test fixtures` \
         writes it anew: {differing:#?}"
    );
    let len: usize = made.values().map(Vec::len).sum();
    assert!(len < 300_000, "the fixtures are {len} bytes");

    let registry = registry.to_str().unwrap();
    let output = env.run(["verify", registry]).success();
    assert_eq!(output.stdout, "");
    let list = dir().join("images-list.txt");
    let output = env
        .hod()
        .args(["select", list.to_str().unwrap(), "--store", registry])
        .args(["--output", "all", "--link", "copy"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "the list has what the registry has not"
    );
    assert_eq!(
        env.store("all").images().unwrap().images.len(),
        product().len()
    );
}
