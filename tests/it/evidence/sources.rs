//! A damaged source is found by the sender, named, and leads to no image.

use std::path::{Path, PathBuf};

use hod_testkit::env::{TestEnv, finish};
use hod_testkit::faults::manifest_path;
use hod_testkit::images::{Compression, Image, ImageBuilder, image, layer};
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::{files, read};

/// Flips a bit in the middle of `content` wherever a file has it; returns the files.
pub(super) fn damage(root: &Path, content: &[u8]) -> Vec<PathBuf> {
    let needle = &content[..content.len().min(200)];
    let is_file = hod_fsx::stat(root).unwrap().is_file;
    let candidates = if is_file {
        vec![root.to_owned()]
    } else {
        files(root)
    };
    let mut damaged = Vec::new();
    for path in candidates {
        let mut bytes = read(&path);
        let found = bytes.windows(needle.len()).position(|w| w == needle);
        let Some(at) = found else { continue };
        bytes[at + needle.len() / 2] ^= 1;
        hod_fsx::remove_file(&path).unwrap();
        hod_fsx::write_file(&path, &bytes).unwrap();
        damaged.push(path);
    }
    damaged
}

/// The largest blob of an image, which is a layer.
pub(super) fn layer_of(image: &Image) -> &hod_testkit::images::Blob {
    image
        .blobs
        .iter()
        .max_by_key(|blob| blob.bytes.len())
        .unwrap()
}

#[test]
fn every_kind_of_damaged_source_is_named_and_not_sent_twice() {
    let env = TestEnv::new();
    let store = env.store("store");
    let good = image(720);
    let large = layer(721, 400_000, Compression::Uncompressed);
    let bad = ImageBuilder::oci(721).layer(&large).build();
    good.put_in(&store, "a/good:1");
    bad.put_in(&store, "a/bad:1");
    drop(store);
    for line in [
        "pack store --output b.tar --no-tool",
        "pack store --output b.tar.zst --no-tool",
        "pack store --output v.tar --volume-size 140000 --no-tool",
        "export store --output dirs --link copy",
        "export store --output oci --format oci --link copy",
        "export store --output o.tar --format oci-archive",
    ] {
        env.run_line(line).success();
    }
    let blob = layer_of(&bad);
    // A compressed bundle is damaged before it is compressed.
    let mut inner = read(&env.path("b.tar"));
    let at = inner
        .windows(64)
        .position(|w| w == &blob.bytes[..64])
        .unwrap();
    inner[at + 40] ^= 1;
    env.write("b.tar.zst", zstd::encode_all(&inner[..], 1).unwrap());
    for source in [
        "store",
        "b.tar",
        "v.001.tar",
        "dirs",
        "oci",
        "o.tar",
        "b.tar.zst",
        "-",
    ] {
        let root = match source {
            "v.001.tar" => env.work(),
            "-" | "b.tar.zst" => PathBuf::new(),
            other => env.path(other),
        };
        let hurt = if source == "v.001.tar" {
            let volumes = files(&root);
            let is_volume = |path: &&PathBuf| {
                path.file_name()
                    .unwrap()
                    .to_string_lossy()
                    .starts_with("v.0")
            };
            let volumes = volumes.iter().filter(is_volume);
            volumes.flat_map(|path| damage(path, &blob.bytes)).collect()
        } else if root.as_os_str().is_empty() {
            Vec::new()
        } else {
            damage(&root, &blob.bytes)
        };
        assert!(root.as_os_str().is_empty() || !hurt.is_empty(), "{source}");
        let registry = TestRegistry::start();
        let mut command = env.hod();
        command.args(["push", source, registry.host(), "--retries", "3"]);
        if source == "-" {
            command.stdin(hod_fsx::open(&env.path("b.tar")).unwrap());
        }
        let output = finish(&mut command).exits(4);
        let stderr = &output.stderr;
        assert!(stderr.contains(blob.digest.hex()), "{source}: {stderr}");
        assert!(stderr.contains("is damaged"), "{source}: {stderr}");
        assert!(stderr.contains("a/bad:1"), "{source}: {stderr}");
        assert!(!stderr.contains("retry"), "{source}: {stderr}");
        if let Some(path) = hurt.first() {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            assert!(stderr.contains(&name), "{source}: {stderr}");
        }
        let bad_put = registry.count("PUT", |path| manifest_path(path) && path.contains("a/bad"));
        assert_eq!(bad_put, 0, "{source}");
        let digests = registry.store().blob_len(&blob.digest).unwrap();
        assert_eq!(digests, None, "{source}");
    }
}

/// What a verb that reads a damaged source is asked to do with it; `N` is another output each time.
const READERS: [&str; 6] = [
    "push SOURCE REGISTRY --retries 3",
    "unpack SOURCE --output N",
    "export SOURCE --output N --link copy",
    "export SOURCE --output N.oci --format oci --link copy",
    "export SOURCE --output N.o.tar --format oci-archive",
    "pack SOURCE --output N.tar --no-tool",
];

#[test]
fn every_verb_names_the_damaged_file_of_its_source() {
    let env = TestEnv::new();
    let store = env.store("store");
    let large = layer(731, 400_000, Compression::Uncompressed);
    let bad = ImageBuilder::oci(731).layer(&large).build();
    image(730).put_in(&store, "a/good:1");
    bad.put_in(&store, "a/bad:1");
    drop(store);
    for line in [
        "pack store --output b.tar --no-tool",
        "pack store --output v.tar --volume-size 200000 --no-tool",
    ] {
        env.run_line(line).success();
    }
    let registry = TestRegistry::start();
    let mut n = 0;
    for content in [&layer_of(&bad).bytes[..], &bad.top().bytes()[..]] {
        for (source, prefix) in [
            ("store", "store/"),
            ("b.tar", "b.tar"),
            ("v.001.tar", "v.0"),
        ] {
            let is_bundle = source != "store";
            let is_of_source = |path: &PathBuf| {
                let name = path.strip_prefix(env.work()).unwrap();
                name.to_str().unwrap().starts_with(prefix)
            };
            let files = files(&env.work()).into_iter().filter(is_of_source);
            let whole: Vec<(PathBuf, Vec<u8>)> =
                files.map(|path| (path.clone(), read(&path))).collect();
            let hurt: Vec<PathBuf> = whole
                .iter()
                .flat_map(|(path, _)| damage(path, content))
                .collect();
            assert!(!hurt.is_empty(), "{source}");
            for reader in READERS {
                if reader.starts_with("unpack") && !is_bundle {
                    continue;
                }
                n += 1;
                let line = reader
                    .replace("SOURCE", source)
                    .replace("REGISTRY", registry.host())
                    .replace('N', &format!("out{n}"));
                let stderr = env.run_line(&line).exits(4).stderr;
                let is_named = |path: &PathBuf| {
                    let name = path.strip_prefix(env.work()).unwrap();
                    stderr.contains(&format!("{}`", name.display()))
                };
                assert!(hurt.iter().any(is_named), "{line}: {stderr}");
                assert!(stderr.contains("hint: "), "{line}: {stderr}");
                assert!(!stderr.contains("same command again"), "{line}: {stderr}");
                if is_bundle {
                    assert!(!stderr.contains("pull"), "{line}: {stderr}");
                }
            }
            let stderr = env.run_line(&format!("verify {source}")).exits(4).stderr;
            assert_eq!(stderr.contains("opy the bundle"), is_bundle, "{stderr}");
            for (path, bytes) in whole {
                hod_fsx::remove_file(&path).unwrap();
                hod_fsx::write_file(&path, &bytes).unwrap();
            }
        }
    }
}
