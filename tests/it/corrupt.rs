//! A flipped bit is found wherever it is, named, and carried no further.

use std::path::Path;

use hod_testkit::env::{Output, TestEnv};
use hod_testkit::images::image;
use hod_testkit::random::Random;
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::{
    assert_same, exists, files, read, registry_files, registry_tree, tree, whole_images,
};
use hod_testkit::zoo::Zoo;

/// A bit of a file.
#[derive(Debug, Clone, Copy)]
struct Bit {
    at: usize,
    mask: u8,
}

impl Bit {
    fn any(random: &mut Random, bytes: &[u8]) -> Self {
        let at = random.below(bytes.len());
        Self::of_byte(random, at)
    }

    fn of_byte(random: &mut Random, at: usize) -> Self {
        let mask = 1 << random.below(8);
        Self { at, mask }
    }

    /// Writes `bytes` to `path` with this bit flipped, as a new file.
    fn flip(self, path: &Path, bytes: &[u8]) {
        let mut flipped = bytes.to_vec();
        flipped[self.at] ^= self.mask;
        hod_fsx::write_file(path, &flipped).unwrap();
    }
}

/// A member of a tar: its path, where its content starts, and where it ends, padding included.
struct Member {
    path: String,
    content: usize,
    end: usize,
}

/// The members of a tar in order.
fn members(tar: &[u8]) -> Vec<Member> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().unwrap();
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            let content = entry.raw_file_position();
            let end = content + entry.size().next_multiple_of(512);
            Member {
                path: String::from_utf8(entry.path_bytes().into_owned()).unwrap(),
                content: usize::try_from(content).unwrap(),
                end: usize::try_from(end).unwrap(),
            }
        })
        .collect()
}

/// Whether `text` names the file of a tree: by its path, by the digest that it stands for, or as
/// a tag.
fn names(text: &str, path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').rev().collect();
    if let ["link", "current", tag, "tags", "_manifests", ..] = parts[..] {
        let name = path.split("/repositories/").nth(1).unwrap();
        let repository = name.split("/_manifests/").next().unwrap();
        return text.contains(&format!("`{repository}:{tag}`")) || text.contains(path);
    }
    let digest = parts.get(1).filter(|part| part.len() == 64);
    text.contains(path) || digest.is_some_and(|hex| text.contains(hex))
}

/// Bits of a file: one of each of its first bytes, and `n` anywhere.
fn sample(random: &mut Random, bytes: &[u8], (n_first, n): (usize, usize)) -> Vec<Bit> {
    let mut bits: Vec<Bit> = (0..n_first.min(bytes.len()))
        .map(|at| Bit::of_byte(random, at))
        .collect();
    bits.extend((0..n).map(|_| Bit::any(random, bytes)));
    bits
}

fn pack(env: &TestEnv, bundle: &str) -> Vec<u8> {
    let line = format!("pack all.txt --store store --output {bundle}");
    let _ = env.run_line(&line).success();
    read(&env.path(bundle))
}

/// Whether a zstd stream with the bit flipped unpacks to the same: zstd passes over some bits.
fn is_ignored(bytes: &[u8], bit: Bit) -> bool {
    let mut flipped = bytes.to_vec();
    flipped[bit.at] ^= bit.mask;
    let unpacked = zstd::decode_all(&flipped[..]);
    unpacked.is_ok_and(|unpacked| unpacked == zstd::decode_all(bytes).unwrap())
}

#[test]
fn any_flipped_bit_of_a_store_is_named() {
    let mut random = Random::new();
    let (zoo, store) = Zoo::pulled();
    let files = registry_files(&store);
    assert!(files.len() > 100, "{}", files.len());
    for path in files {
        let bytes = read(&path);
        if bytes.is_empty() {
            continue;
        }
        let bit = Bit::any(&mut random, &bytes);
        bit.flip(&path, &bytes);
        let output = zoo.env.run_line("verify store --json").exits(4);
        let json: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
        let problems = json["problems"].to_string();
        let path_text = path.strip_prefix(&store).unwrap().to_str().unwrap();
        assert!(
            names(&problems, path_text),
            "{path_text} {bit:?}: {problems}"
        );
        hod_fsx::write_file(&path, &bytes).unwrap();
    }
    let output = zoo.env.run_line("verify store").success();
    assert_eq!(output.stdout, "");
}

#[test]
fn a_missing_or_cut_file_of_a_store_is_named() {
    let mut random = Random::new();
    let (zoo, store) = Zoo::pulled();
    let mut files = registry_files(&store);
    random.shuffle(&mut files);
    for path in files.into_iter().take(30) {
        let bytes = read(&path);
        let path_text = path.strip_prefix(&store).unwrap().to_str().unwrap();
        hod_fsx::remove_file(&path).unwrap();
        let output = zoo.env.run_line("verify store");
        if output.code == Some(0) {
            // Nobody reads a tag's past, and an index may be there with a part of its children.
            let is_past = path_text.contains("/tags/") && path_text.contains("/index/");
            let is_noted = output.stderr.contains("sparse");
            assert!(is_past || is_noted, "{path_text}: {}", output.stderr);
        } else {
            let output = output.exits(4);
            assert!(
                names(&output.stdout, path_text),
                "{path_text}: {}",
                output.stdout
            );
        }
        if !bytes.is_empty() {
            let cut = random.below(bytes.len());
            hod_fsx::write_file(&path, &bytes[..cut]).unwrap();
            let output = zoo.env.run_line("verify store").exits(4);
            let is_named = names(&output.stdout, path_text);
            assert!(is_named, "{path_text} at {cut}: {}", output.stdout);
        }
        hod_fsx::write_file(&path, &bytes).unwrap();
    }
    let _ = zoo.env.run_line("verify store").success();
}

#[test]
fn any_flipped_bit_of_a_bundle_is_named() {
    let mut random = Random::new();
    let (zoo, _) = Zoo::pulled();
    let bytes = pack(&zoo.env, "b.tar");
    let members = members(&bytes);
    let path = zoo.env.path("b.tar");
    // Each member is hit, in its headers, content or padding, and then any place of the file.
    let mut bits = sample(&mut random, &bytes, (40, 100));
    let mut start = 0;
    for member in &members {
        let at = start + random.below(member.end - start);
        bits.push(Bit::of_byte(&mut random, at));
        start = member.end;
    }
    for bit in bits {
        bit.flip(&path, &bytes);
        let output = zoo.env.run_line("verify b.tar").exits(4);
        let hit = members.iter().find(|member| bit.at < member.end);
        // What stands behind the last member belongs to it.
        let hit = hit.or(members.last()).unwrap();
        let is_named = names(&output.stdout, &hit.path) || hit.path.starts_with("hod/");
        assert!(is_named, "{} {bit:?}: {}", hit.path, output.stdout);
        // Where the first header is hit, nothing shows that the file is a bundle.
        let is_unknown = hit.path.starts_with("hod/") && output.stderr.contains("`b.tar`");
        assert!(!output.stdout.is_empty() || is_unknown, "{bit:?}");
    }
}

#[test]
fn any_flipped_bit_of_a_compressed_bundle_is_found() {
    let mut random = Random::new();
    let (zoo, _) = Zoo::pulled();
    let bytes = pack(&zoo.env, "b.tar.zst");
    let path = zoo.env.path("b.tar.zst");
    for bit in sample(&mut random, &bytes, (24, 150)) {
        bit.flip(&path, &bytes);
        let output = zoo.env.run_line("verify b.tar.zst");
        if output.code == Some(0) {
            assert!(is_ignored(&bytes, bit), "{bit:?} is not found");
            continue;
        }
        // What is not known for a compressed bundle by its first bytes is refused as another file.
        let refusals = [
            "is not a hod bundle",
            "is not a store, registry tree, bundle",
        ];
        let is_refused = refusals.iter().any(|text| output.stderr.contains(text));
        let output = if is_refused && bit.at < 4096 {
            assert!(matches!(output.code, Some(1 | 2)), "{bit:?}: {output:?}");
            output
        } else {
            output.exits(4)
        };
        let text = format!("{}{}", output.stdout, output.stderr);
        assert!(text.contains("b.tar.zst"), "{bit:?}: {text}");
    }
}

#[test]
fn a_cut_or_prolonged_bundle_is_found() {
    let mut random = Random::new();
    let (zoo, _) = Zoo::pulled();
    for bundle in ["b.tar", "b.tar.zst"] {
        let bytes = pack(&zoo.env, bundle);
        let path = zoo.env.path(bundle);
        for _ in 0..20 {
            let cut = 512 + random.below(bytes.len() - 512);
            hod_fsx::write_file(&path, &bytes[..cut]).unwrap();
            let _ = zoo.env.run_line(&format!("verify {bundle}")).exits(4);
            let line = format!("unpack {bundle} --output cut");
            let _ = zoo.env.run_line(&line).exits(4);
            assert!(!exists(&zoo.env.path("cut")));
        }
        let longer = [&bytes[..], b"!"].concat();
        hod_fsx::write_file(&path, &longer).unwrap();
        let _ = zoo.env.run_line(&format!("verify {bundle}")).exits(4);
        let line = format!("unpack {bundle} --output cut");
        let _ = zoo.env.run_line(&line).exits(4);
        assert!(!exists(&zoo.env.path("cut")));
    }
}

#[test]
fn a_damaged_bundle_is_not_unpacked() {
    let mut random = Random::new();
    let (zoo, _) = Zoo::pulled();
    image(900).put_in(&zoo.env.store("kept"), "app/kept:1");
    let kept = zoo.env.path("kept");
    let before = registry_tree(&kept);
    for bundle in ["b.tar", "b.tar.zst"] {
        let bytes = pack(&zoo.env, bundle);
        let path = zoo.env.path(bundle);
        let mut bits = sample(&mut random, &bytes, (0, 40));
        if bundle == "b.tar" {
            // What nobody needs to unpack is looked at all the same.
            let is_small = |member: &&Member| {
                member.path.ends_with("README.txt") || member.path.ends_with("current/link")
            };
            let members = members(&bytes);
            let small = members.iter().filter(is_small);
            bits.extend(small.map(|member| Bit::of_byte(&mut random, member.content)));
        }
        bits.retain(|bit| bit.at >= 4);
        for bit in bits {
            if bundle == "b.tar.zst" && is_ignored(&bytes, bit) {
                continue;
            }
            bit.flip(&path, &bytes);
            for output in ["new", "kept"] {
                let line = format!("unpack {bundle} --output {output}");
                let run = zoo.env.run_line(&line);
                // Without its first bytes, a compressed bundle is taken for another file.
                let is_other = bundle == "b.tar.zst" && bit.at < 4096;
                let is_refused = run.code == Some(4) || is_other && run.code != Some(0);
                assert!(is_refused, "{bundle} {bit:?}: {run:?}");
            }
            assert!(!exists(&zoo.env.path("new")), "{bundle} {bit:?}");
            assert_same(&registry_tree(&kept), &before, bundle);
            assert_eq!(files(&kept.join(".hod/tmp")), [] as [&Path; 0]);
        }
    }
}

/// The first layer of the menagerie's `oci`, which others share.
fn damage_a_layer(store: &Path) -> String {
    let images = hod_testkit::images::menagerie();
    let (_, oci) = images.iter().find(|(kind, _)| *kind == "oci").unwrap();
    let hex = oci.top().blobs().nth(1).unwrap().digest.hex().to_owned();
    let mut files = registry_files(store).into_iter();
    let path = files
        .find(|path| path.ends_with(format!("{hex}/data")))
        .unwrap();
    let bytes = read(&path);
    Bit { at: 100, mask: 4 }.flip(&path, &bytes);
    hex
}

#[track_caller]
fn check_names(output: &Output, hex: &str) {
    assert!(output.stderr.contains(hex), "{hex}: {}", output.stderr);
    assert!(output.stderr.contains("hint:"), "{}", output.stderr);
}

#[test]
fn a_damaged_blob_of_a_store_is_not_packed() {
    let (zoo, store) = Zoo::pulled();
    let hex = damage_a_layer(&store);
    for bundle in ["b.tar", "b.tar.zst"] {
        zoo.env.write(format!("out/{bundle}"), "what was there");
        let line = format!("pack all.txt --store store --force --output out/{bundle}");
        check_names(&zoo.env.run_line(&line).exits(4), &hex);
        assert_eq!(zoo.env.read(format!("out/{bundle}")), "what was there");
    }
    assert_eq!(files(&zoo.env.path("out")).len(), 2, "nothing is left");
}

#[test]
fn a_damaged_blob_of_a_store_is_not_selected_by_copy() {
    let (zoo, store) = Zoo::pulled();
    let hex = damage_a_layer(&store);
    let line = "select all.txt --store store --output tree --link copy";
    let output = zoo.env.run_line(line);
    assert!(matches!(output.code, Some(1 | 3 | 4)), "{output:?}");
    check_names(&output, &hex);
    let _ = whole_images(&zoo.env.path("tree"));
}

#[test]
fn a_damaged_blob_is_not_pushed_or_exported() {
    let (zoo, store) = Zoo::pulled();
    let line = "export store --output layouts --link copy";
    let _ = zoo.env.run_line(line).success();
    let raw = pack(&zoo.env, "b.tar");
    let hex = damage_a_layer(&store);
    let name = format!("docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]);
    let members = members(&raw);
    let hit = members.iter().find(|member| member.path == name).unwrap();
    let bit = Bit {
        at: hit.end - 600,
        mask: 1,
    };
    bit.flip(&zoo.env.path("b.tar"), &raw);
    let damaged = read(&zoo.env.path("b.tar"));
    let compressed = zstd::encode_all(&damaged[..], 1).unwrap();
    zoo.env.write("b.tar.zst", compressed);
    for path in files(&zoo.env.path("layouts")) {
        if path.ends_with(&hex) {
            Bit { at: 7, mask: 1 }.flip(&path, &read(&path));
        }
    }
    for source in ["store", "b.tar", "b.tar.zst", "layouts"] {
        let second = TestRegistry::start();
        let output = zoo
            .env
            .run_line(&format!("push {source} {}", second.host()));
        check_names(&output.exits(4), &hex);
        let pushed = whole_images(second.store().path());
        assert!(pushed.contains_key("zoo/artifact:1"), "{pushed:?}");
        assert!(!pushed.contains_key("zoo/oci:1"), "{pushed:?}");
        assert!(!pushed.contains_key("zoo/index:1"), "{pushed:?}");

        let line = format!("export {source} --output {source}.d --link copy");
        check_names(&zoo.env.run_line(&line).exits(4), &hex);
        let exported = zoo.env.path(format!("{source}.d/zoo"));
        assert!(exists(&exported.join("artifact:1/manifest.json")));
        assert!(!exists(&exported.join("oci:1")));
        let is_partial = |path: &&Path| path.to_string_lossy().contains(".partial");
        let tree = tree(&exported);
        let left = tree.keys().map(AsRef::as_ref).find(is_partial);
        assert_eq!(left, None);
    }
}
