//! `docker save` archives whose layers are compressed, as `crane pull` writes them: only the diff ids
//! in the configuration say what the layers are.

use hod_oci::{Algorithm, Digest};
use serde_json::json;

use super::damaged::{flipped, garbage, gzip, zstd};
use super::sources::tar;
use hod_testkit::env::TestEnv;
use hod_testkit::images::noise;
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::tree;

/// An image of an archive: its name, and for each layer the member and the diff id.
struct Saved<'a> {
    name: &'a str,
    layers: Vec<(&'a str, Digest)>,
}

/// An archive of these images, with these layers as stored.
fn archive(images: &[Saved<'_>], members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut list = Vec::new();
    for image in images {
        let diff_ids: Vec<&Digest> = image.layers.iter().map(|(_, diff_id)| diff_id).collect();
        let config = json!({
            "architecture": "amd64", "os": "linux", "author": image.name,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let config = serde_json::to_vec(&config).unwrap();
        let config_name = Digest::of(&config).to_string();
        let layers: Vec<&str> = image.layers.iter().map(|(member, _)| *member).collect();
        list.push(json!({"Config": config_name, "RepoTags": [image.name], "Layers": layers}));
        files.push((config_name, config));
    }
    let members = members.iter();
    files.extend(members.map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())));
    let list = serde_json::to_vec(&list).unwrap();
    files.push(("manifest.json".to_owned(), list));
    let files: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (n.as_str(), &b[..])).collect();
    tar(&files)
}

/// What a layer has, of which only a part can be compressed.
fn content() -> Vec<u8> {
    [noise(7, 50_000), vec![b'x'; 50_000]].concat()
}

/// The image `ns/app:1` of two layers, of which the second is stored as `member`.
fn app(member: &[u8]) -> Vec<u8> {
    let base = b"the first layer";
    let image = Saved {
        name: "ns/app:1",
        layers: vec![
            ("base.tar.gz", Digest::of(base)),
            ("big.tar.gz", Digest::of(&content())),
        ],
    };
    archive(
        &[image],
        &[("base.tar.gz", &gzip(base)), ("big.tar.gz", member)],
    )
}

/// Passes when every verb says that the content is wrong, naming the image and `name`, and no image
/// comes out of it.
#[track_caller]
fn check_damaged(env: &TestEnv, (case, tar): (&str, &[u8]), name: &str) {
    let registry = TestRegistry::start();
    for (file, bytes) in [
        ("damaged.tar", tar.to_vec()),
        ("damaged.tar.gz", gzip(tar)),
        ("damaged.tar.zst", zstd(tar)),
    ] {
        env.write(file, bytes);
        let mut lines = vec![
            format!("verify {file}"),
            format!("copy {file} store:new"),
            format!("push {file} {}", registry.host()),
            format!("unpack {file} --output new"),
        ];
        // What is compressed is not packed.
        lines.extend((file == "damaged.tar").then(|| format!("pack {file} --output new.tar")));
        for line in lines {
            let output = env.run_line(&line);
            let text = format!("{}{}", output.stdout, output.stderr);
            assert_eq!(output.code, Some(4), "{line}: {case}: {text}");
            for part in ["ns/app:1", name] {
                assert!(text.contains(part), "{line}: {case}: {part}: {text}");
            }
        }
        // Other blobs are kept for the next run.
        let after = format!("{:?}", tree(&env.work()));
        let has_image = after.contains("_manifests") || after.contains("new.tar");
        assert!(!has_image, "{case}: {after}");
        hod_fsx::remove_file(&env.path(file)).unwrap();
    }
    let answer = registry.send("GET", "/v2/ns/app/manifests/1");
    assert_eq!(answer.status, 404, "{case}");
}

#[test]
fn a_compressed_layer_must_unpack_to_its_diff_id() {
    let env = TestEnv::in_memory();
    let (content, other) = (content(), noise(8, 100_000));
    let diff_id = Digest::of(&content);
    let (gz, zst) = (gzip(&content), zstd(&content));
    let cut = |bytes: &[u8], n: usize| bytes[..bytes.len() - n].to_vec();
    for (case, member) in [
        ("gzip: a bit", flipped(&gz, gz.len() / 2)),
        ("gzip: a bit of the magic", flipped(&gz, gz.len())),
        ("gzip: a bit of the CRC32", flipped(&gz, 8)),
        ("gzip: of other bytes", gzip(&other)),
        ("gzip: garbage", [&gz[..], &garbage(100)].concat()),
        ("gzip: another member", [gz.clone(), gzip(b"x")].concat()),
        ("gzip: cut off", cut(&gz, 8)),
        ("zstd: a bit", flipped(&zst, zst.len() / 2)),
        ("zstd: a bit of the checksum", flipped(&zst, 1)),
        ("zstd: of other bytes", zstd(&other)),
        ("zstd: garbage", [&zst[..], &garbage(100)].concat()),
        ("zstd: another frame", [zst.clone(), zstd(b"x")].concat()),
        ("zstd: cut off", cut(&zst, 8)),
        ("plain: a bit", flipped(&content, 1000)),
        ("plain: of other bytes", other.clone()),
        ("nothing", Vec::new()),
    ] {
        // What does not start as a compressed layer is one that is not, and has its diff id as digest.
        let is_packed = member.starts_with(&gz[..3]) || member.starts_with(&zst[..4]);
        let name = if is_packed {
            "big.tar.gz"
        } else {
            diff_id.as_str()
        };
        check_damaged(&env, (case, &app(&member)), name);
    }
}

#[test]
fn layers_and_diff_ids_must_be_of_one_number() {
    let env = TestEnv::in_memory();
    let content = content();
    let of = |names: &[&str], layers: &[&str], n_ids: usize| {
        let diff_ids = vec![Digest::of(&content); n_ids];
        let config = json!({
            "architecture": "amd64", "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let config = serde_json::to_vec(&config).unwrap();
        let list = json!([{"Config": "c.json", "RepoTags": ["ns/app:1"], "Layers": layers}]);
        let list = serde_json::to_vec(&list).unwrap();
        let gz = gzip(&content);
        let mut files: Vec<(&str, &[u8])> = names.iter().map(|name| (*name, &gz[..])).collect();
        files.extend([("c.json", &config[..]), ("manifest.json", &list[..])]);
        tar(&files)
    };
    for (case, bytes) in [
        ("a layer too many", of(&["a", "b"], &["a", "b"], 1)),
        ("a diff id too many", of(&["a"], &["a"], 2)),
        ("a layer is not found", of(&["a"], &["a", "b"], 2)),
    ] {
        check_damaged(&env, (case, &bytes), "manifest.json");
    }
}

#[test]
fn a_damaged_layer_fails_the_images_that_have_it() {
    let env = TestEnv::in_memory();
    let (shared, own) = (content(), noise(9, 1000));
    let [shared_id, own_id] = [&shared, &own].map(|bytes| Digest::of(bytes));
    let both = || {
        vec![
            ("s.tar.gz", shared_id.clone()),
            ("o.tar.gz", own_id.clone()),
        ]
    };
    let images = [
        Saved {
            name: "ns/one:1",
            layers: both(),
        },
        Saved {
            name: "ns/two:1",
            layers: both(),
        },
        Saved {
            name: "ns/sound:1",
            layers: vec![("o.tar.gz", own_id.clone())],
        },
    ];
    let damaged = flipped(&gzip(&shared), 1000);
    let bytes = archive(
        &images,
        &[("s.tar.gz", &damaged), ("o.tar.gz", &gzip(&own))],
    );
    for (file, bytes) in [("some.tar", bytes.clone()), ("some.tar.gz", gzip(&bytes))] {
        env.write(file, bytes);
        let output = env.run_line(&format!("verify {file}")).exits(4);
        for image in ["ns/one:1", "ns/two:1"] {
            assert!(output.stdout.contains(image), "{}", output.stdout);
        }
        let _ = env.run_line(&format!("ls {file}")).exits(4);
        let output = format!("of-{file}");
        let line = format!("copy {file} store:{output}");
        let _ = env.run_line(&line).exits(4);
        let listed = env.run_line(&format!("ls {output}")).success().stdout;
        assert!(listed.contains("ns/sound"), "{listed}");
        assert!(!listed.contains("ns/one"), "{listed}");
    }
}

#[test]
fn sound_layers_are_taken_however_they_are_compressed() {
    let env = TestEnv::in_memory();
    let content = content();
    let (first, second) = content.split_at(30_000);
    let skippable = [&b"\x5f\x2a\x4d\x18\x04\0\0\0skip"[..], &zstd(&content)].concat();
    for (case, member) in [
        ("gzip", gzip(&content)),
        ("gzip: members", [gzip(first), gzip(second)].concat()),
        ("gzip: zeros", [gzip(&content), vec![0; 512]].concat()),
        ("zstd", zstd(&content)),
        ("zstd: frames", [zstd(first), zstd(second)].concat()),
        ("zstd: a skippable frame", skippable),
    ] {
        let tar = app(&member);
        for (file, bytes) in [("sound.tar", tar.clone()), ("sound.tar.gz", gzip(&tar))] {
            env.write(file, bytes);
            let output = env.run_line(&format!("verify {file}"));
            assert_eq!(output.code, Some(0), "{case}: {output:?}");
            let line = format!("copy {file} store:new");
            assert_eq!(env.run_line(&line).code, Some(0), "{case}");
            let blob = env.store("new").blob_path(&Digest::of(&member));
            assert!(blob.exists(), "{case}: {file}");
        }
    }
}

#[test]
fn a_diff_id_may_be_of_any_algorithm() {
    let env = TestEnv::in_memory();
    let content = content();
    let of = |diff_id| {
        let layers = vec![("a.tar.gz", diff_id)];
        let name = "ns/app:1";
        archive(&[Saved { name, layers }], &[("a.tar.gz", &gzip(&content))])
    };
    let sound = of(Algorithm::Sha512.digest(&content));
    env.write("sound.tar", &sound);
    env.run_line("verify sound.tar").success();
    env.write("other.tar", of(Algorithm::Sha512.digest(b"other")));
    let _ = env.run_line("verify other.tar").exits(4);
    // It is read once, before it is known by which algorithm.
    env.write("sound.tar.gz", gzip(&sound));
    let output = env.run_line("copy sound.tar.gz store:new").exits(1);
    assert!(output.stderr.contains("gzip -d"), "{}", output.stderr);
}
