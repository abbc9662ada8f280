//! Archives that are damaged where none of their files is: at the start of the tar, behind its end,
//! and in what a compressed stream ends with.

use std::io::Write as _;
use std::process::Stdio;

use super::{plain_images, put};
use hod_testkit::env::{TestEnv, finish};
use hod_testkit::images::{Compression, ImageBuilder, layer};
use hod_testkit::tree::{assert_same, tree};

/// An archive of each kind, by the transport that says what it is.
fn archives(env: &TestEnv) -> [(&'static str, Vec<u8>); 2] {
    put(env, &plain_images());
    ["oci-archive", "docker-archive"].map(|kind| {
        let line = format!("export store --format {kind} --output whole.tar");
        env.run_line(&line).success();
        let bytes = hod_fsx::read(&env.path("whole.tar"), u64::MAX - 1).unwrap();
        hod_fsx::remove_file(&env.path("whole.tar")).unwrap();
        (kind, bytes)
    })
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// With a checksum, as the `zstd` program writes it.
pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What is neither text nor zeros.
pub(super) fn garbage(n: usize) -> Vec<u8> {
    [0xa5, 0].into_iter().cycle().take(n).collect()
}

/// With a bit of the `n`th byte from the end flipped.
pub(super) fn flipped(bytes: &[u8], n: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = bytes.len() - n;
    bytes[at] ^= 1;
    bytes
}

/// Passes when every verb says that the content is wrong, and where, and writes nothing.
#[track_caller]
fn check_damaged(env: &TestEnv, kind: &str, (case, bytes): (&str, &[u8])) {
    env.write("damaged.tar", bytes);
    let before = tree(&env.work());
    for word in ["damaged.tar".to_owned(), format!("{kind}:damaged.tar")] {
        for line in [
            format!("verify {word}"),
            format!("ls {word}"),
            format!("copy {word} store:new"),
            format!("copy {word} 127.0.0.1:1"),
        ] {
            let output = env.run_line(&line);
            let text = format!("{}{}", output.stdout, output.stderr);
            assert_eq!(output.code, Some(4), "{line}: {case}: {text}");
            assert!(text.contains("`damaged.tar`"), "{line}: {case}: {text}");
        }
    }
    assert_same(&tree(&env.work()), &before, case);
}

#[test]
fn archives_are_read_to_the_end_of_their_streams() {
    let env = TestEnv::in_memory();
    for (kind, tar) in archives(&env) {
        let (gz, zst) = (gzip(&tar), zstd(&tar));
        let cut = |bytes: &[u8], n: usize| bytes[..bytes.len() - n].to_vec();
        for (case, bytes) in [
            ("gzip: CRC32", flipped(&gz, 8)),
            ("gzip: ISIZE", flipped(&gz, 4)),
            ("gzip: a byte is missing", cut(&gz, 1)),
            ("gzip: the trailer is missing", cut(&gz, 8)),
            ("gzip: garbage", [&gz[..], b"garbage"].concat()),
            (
                "gzip: garbage behind padding",
                [&gz[..], &[0; 512], b"x"].concat(),
            ),
            (
                "gzip: garbage in another member",
                [gz.clone(), gzip(b"x")].concat(),
            ),
            (
                "gzip: a damaged member of zeros",
                [gz.clone(), flipped(&gzip(&[0; 512]), 8)].concat(),
            ),
            ("zstd: checksum", flipped(&zst, 1)),
            ("zstd: a byte is missing", cut(&zst, 1)),
            ("zstd: the checksum is missing", cut(&zst, 4)),
            ("zstd: garbage", [&zst[..], b"garbage"].concat()),
            (
                "zstd: garbage in another frame",
                [zst.clone(), zstd(b"x")].concat(),
            ),
            ("plain: garbage", [&tar[..], b"x"].concat()),
            (
                "plain: garbage behind padding",
                [&tar[..], &[0; 8192], b"x"].concat(),
            ),
            ("plain: a second tar", [&tar[..], &tar].concat()),
        ] {
            check_damaged(&env, kind, (case, &bytes));
        }
    }
}

#[test]
fn archives_may_be_padded_and_compressed_in_parts() {
    let env = TestEnv::in_memory();
    for (kind, tar) in archives(&env) {
        let (first, second) = tar.split_at(tar.len() / 2);
        let padded = [&tar[..], &[0; 10240]].concat();
        for (case, bytes) in [
            ("gzip: members", [gzip(first), gzip(second)].concat()),
            (
                "gzip: a member of padding",
                [gzip(&tar), gzip(&[0; 512])].concat(),
            ),
            ("gzip: zeros", [gzip(&tar), vec![0; 10240]].concat()),
            ("zstd: frames", [zstd(first), zstd(second)].concat()),
            ("gzip: padded", gzip(&padded)),
            ("zstd: padded", zstd(&padded)),
            ("plain: padded", padded),
            // GNU tar takes it too.
            ("plain: a lone empty block", tar[..tar.len() - 512].to_vec()),
        ] {
            env.write("whole.tar", &bytes);
            let output = env.run_line(&format!("verify {kind}:whole.tar"));
            assert_eq!(output.code, Some(0), "{kind}: {case}: {}", output.stderr);
        }
    }
}

/// Passes when `word` does not verify, and is not said to be something else.
#[track_caller]
fn check_unverified(env: &TestEnv, word: &str, case: &str) {
    for verb in ["verify", "ls"] {
        let output = env.run_line(&format!("{verb} {word}"));
        let text = format!("{}{}", output.stdout, output.stderr);
        assert_eq!(output.code, Some(4), "{verb} {word}: {case}: {text}");
        let is_other = text.contains("is not a hod bundle");
        assert!(!is_other, "{verb} {word}: {case}: {text}");
    }
}

#[test]
fn an_archive_with_a_damaged_start_is_still_one() {
    let env = TestEnv::in_memory();
    let [oci, docker] = archives(&env);
    env.run_line("pack store --output b.tar --no-tool")
        .success();
    let bundle = hod_fsx::read(&env.path("b.tar"), u64::MAX - 1).unwrap();
    for (kind, tar) in [oci, docker, ("bundle", bundle)] {
        let garbled = |n: usize| [&garbage(n), &tar[n..]].concat();
        let mut damages: Vec<(String, Vec<u8>)> = [0, 99, 100, 124, 150, 156, 257, 262, 300, 511]
            .map(|at| (format!("bit of byte {at}"), flipped(&tar, tar.len() - at)))
            .to_vec();
        damages.extend([
            ("first header".to_owned(), garbled(512)),
            ("empty block".to_owned(), [&[0; 512], &tar[512..]].concat()),
            ("three blocks".to_owned(), garbled(3 * 512)),
        ]);
        damages.extend([262, 511, 513, 5000].map(|n| (format!("cut at {n}"), tar[..n].to_vec())));
        for (case, bytes) in damages {
            // With and without a name that says what it is.
            env.write("a.tar", &bytes);
            env.write("image", &bytes);
            for word in ["a.tar", "image"].map(str::to_owned) {
                check_unverified(&env, &word, &case);
                check_unverified(&env, &format!("{kind}:{word}"), &case);
            }
        }
        // Of these nothing tells but what they are called.
        for (case, bytes) in [
            ("all of it", garbled(tar.len())),
            ("zeros", vec![0; tar.len()]),
            ("cut at 100", tar[..100].to_vec()),
            ("nothing", Vec::new()),
            ("gzip", gzip(&garbled(tar.len()))),
            ("magic of gzip", [b"\x1f".as_slice(), &gzip(&tar)].concat()),
        ] {
            for name in ["a.tar", "a.tar.gz", "a.tgz", "a.tar.zst"] {
                env.write(name, &bytes);
                check_unverified(&env, name, case);
            }
            env.write("image", &bytes);
            check_unverified(&env, &format!("{kind}:image"), case);
        }
    }
}

#[test]
fn a_bundle_with_a_damaged_start_does_not_verify_from_a_pipe_or_as_a_volume() {
    let env = TestEnv::in_memory();
    for (seed, name) in [(1, "ns/a:1"), (2, "ns/b:1"), (3, "ns/c:1")] {
        let large = layer(seed, 150_000, Compression::Uncompressed);
        put(
            &env,
            &[(name, ImageBuilder::oci(seed).layer(&large).build())],
        );
    }
    for line in [
        "pack store --output b.tar --no-tool",
        "pack store --output v.tar --no-tool --volume-size 250000",
    ] {
        env.run_line(line).success();
    }
    let garbled = |name: &str, n: usize| {
        let mut bytes = hod_fsx::read(&env.path(name), u64::MAX - 1).unwrap();
        let n = n.min(bytes.len());
        bytes[..n].copy_from_slice(&garbage(n));
        env.write(name, bytes);
    };
    garbled("b.tar", 3 * 512);
    let mut command = env.hod();
    command
        .args(["verify", "-"])
        .stdin(Stdio::from(hod_fsx::open(&env.path("b.tar")).unwrap()));
    let piped = finish(&mut command).exits(4);
    assert!(piped.stdout.contains("its header is damaged"), "{piped:?}");
    for n in [1, 512, 3 * 512, usize::MAX] {
        garbled("v.002.tar", n);
        let output = env.run_line("verify v.001.tar").exits(4);
        let text = format!("{}{}", output.stdout, output.stderr);
        assert!(text.contains("v.002.tar"), "{n}: {text}");
    }
}

#[test]
fn a_source_of_which_nothing_verifies_is_no_partial_failure() {
    let env = TestEnv::in_memory();
    let images = plain_images();
    let damage = |name: &str| {
        let digest = images
            .iter()
            .find(|(image, _)| *image == name)
            .unwrap()
            .1
            .digest();
        let mut bytes = hod_fsx::read(&env.path("a.tar"), u64::MAX - 1).unwrap();
        let tar = tar::Archive::new(&bytes[..])
            .entries()
            .unwrap()
            .map(Result::unwrap)
            .find(|entry| entry.path().unwrap().ends_with(digest.hex()))
            .unwrap()
            .raw_file_position();
        bytes[usize::try_from(tar).unwrap() + 20] ^= 1;
        env.write("a.tar", bytes);
    };
    put(&env, &images[2..4]);
    env.run_line("export store --format oci-archive --output a.tar")
        .success();
    damage("ns/two:1.0");
    let output = env.run_line("ls a.tar").exits(4);
    assert!(output.stdout.contains("three"), "{}", output.stdout);
    damage("quay.io/ns/three:1");
    env.run_line("ls a.tar").exits(4);
}

/// The codes of `verify` of a file, and of the same from a pipe, with what they say.
fn verify_both_ways(env: &TestEnv, name: &str) -> [(Option<i32>, String); 2] {
    let stdin = Stdio::from(hod_fsx::open(&env.path(name)).unwrap());
    let mut command = env.hod();
    command.args(["verify", "-"]).stdin(stdin);
    [
        env.run_line(&format!("verify {name}")),
        finish(&mut command),
    ]
    .map(|output| (output.code, format!("{}{}", output.stdout, output.stderr)))
}

/// A frame of the first bytes, with a window of two to the power of `log`, and one of the rest.
fn zstd_with_window(log: u8, bytes: &[u8]) -> Vec<u8> {
    let (first, rest) = bytes.split_at(1000);
    let block = 1 | 1000_u32 << 3;
    let head = [
        b"\x28\xb5\x2f\xfd\0",
        &[(log - 10) << 3][..],
        &block.to_le_bytes()[..3],
    ]
    .concat();
    [&head, first, &zstd(rest)].concat()
}

#[test]
fn every_kind_of_zstd_is_read_or_said_to_need_too_much_memory() {
    let env = TestEnv::in_memory();
    let [(_, oci), (_, docker)] = archives(&env);
    env.run_line("pack store --output b.tar --no-tool")
        .success();
    let bundle = hod_fsx::read(&env.path("b.tar"), u64::MAX - 1).unwrap();
    for (kind, tar, n_ways) in [
        ("oci-archive", oci, 1),
        ("docker-archive", docker, 1),
        ("bundle", bundle, 2),
    ] {
        // As `pzstd` writes it: a skippable frame with the length of each frame behind it.
        for first in [0x50, 0x5a, 0x5f] {
            let skippable = [first, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4];
            let (head, rest) = tar.split_at(tar.len() / 2);
            let frames = [&skippable, &zstd(head)[..], &skippable, &zstd(rest)];
            env.write("a.tar.zst", frames.concat());
            for (code, text) in &verify_both_ways(&env, "a.tar.zst")[..n_ways] {
                assert_eq!(*code, Some(0), "{kind}: {first:x}: {text}");
            }
        }
        env.write("a.tar.zst", zstd_with_window(23, &tar));
        for (code, text) in &verify_both_ways(&env, "a.tar.zst")[..n_ways] {
            assert_eq!(*code, Some(0), "{kind}: {text}");
        }
        // It may be a bit that is flipped, too.
        let too_large = if kind == "bundle" { 25 } else { 28 };
        for log in [too_large, 31] {
            env.write("a.tar.zst", zstd_with_window(log, &tar));
            for (code, text) in &verify_both_ways(&env, "a.tar.zst")[..n_ways] {
                assert_eq!(*code, Some(4), "{kind}: {log}: {text}");
                assert!(
                    text.contains("window is too large"),
                    "{kind}: {log}: {text}"
                );
                // Of a bundle, it is advised to get it again.
                assert!(
                    kind == "bundle" || text.contains("zstd -dc --long=31"),
                    "{kind}: {log}: {text}"
                );
            }
        }
    }
}
