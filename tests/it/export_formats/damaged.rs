//! Archives that are damaged where none of their files is: behind the end of the tar, and in what a
//! compressed stream ends with.

use std::io::Write as _;

use hod::fsx;

use super::{plain_images, put};
use crate::support::env::TestEnv;
use crate::support::tree::{assert_same, tree};

/// An archive of each kind, by the transport that says what it is.
fn archives(env: &TestEnv) -> [(&'static str, Vec<u8>); 2] {
    put(env, &plain_images());
    ["oci-archive", "docker-archive"].map(|kind| {
        let line = format!("export store --format {kind} --output whole.tar");
        env.run_line(&line).success();
        let bytes = fsx::read(&env.path("whole.tar"), u64::MAX - 1).unwrap();
        fsx::remove_file(&env.path("whole.tar")).unwrap();
        (kind, bytes)
    })
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// With a checksum, as the `zstd` program writes it.
fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// With a bit of the `n`th byte from the end flipped.
fn flipped(bytes: &[u8], n: usize) -> Vec<u8> {
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
