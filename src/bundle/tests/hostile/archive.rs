//! Members, headers and ends that are not as they must be.

use std::io::Read;
use std::path::Path;

use tar::{EntryType, Header};

use super::{README, at, check, entry, good, pax, stream};
use crate::format::volume::Member;
use crate::{BlobCheck, BundleBlob, BundleError, BundleManifest, StreamSink, Trust, read_stream};

#[test]
fn the_good_one_is_good() {
    let good = good();
    let outcome = check(&good.sample.path("good.tar")).unwrap();
    assert_eq!((outcome.problems.len(), outcome.n_blobs), (0, 4));
    // And still is when nothing was rewritten, so that `rewrite` can be trusted.
    assert!(good.rewrite(str::to_owned, str::to_owned) == good.bytes);
}

#[test]
fn paths_that_leave_the_directory_are_refused() {
    let good = good();
    for before in [
        2,
        good.find("/data"),
        good.find("/link"),
        good.members.len() - 1,
    ] {
        let check = |path: &str, expect: &str| {
            let evil = entry(path, EntryType::Regular, b"evil");
            good.check(&good.insert(before, &evil), expect);
        };
        check(
            "/etc/cron.d/x",
            "member `/etc/cron.d/x`: its path is not safe: it is absolute",
        );
        check(
            "../../x",
            "member `../../x`: its path is not safe: it has a component `..`",
        );
        check(
            "docker/../../x",
            "member `docker/../../x`: its path is not safe",
        );
        check(
            "a\\..\\x",
            r"member `a\\..\\x`: its path is not safe: it has a backslash",
        );
        check("a\u{1b}[2Jx", r"member `a\u{1b}[2Jx`: its path is not safe");
        check(
            "./README.txt",
            "member `./README.txt`: its path is not safe",
        );
    }
}

#[test]
fn paths_of_extended_headers_are_refused_too() {
    let good = good();
    let data = good.find("/data");
    let plain = entry("x", EntryType::Regular, b"evil");
    let evil = [pax("path", "../../pax"), plain.clone()].concat();
    good.check(
        &good.insert(data, &evil),
        "member `../../pax`: its path is not safe",
    );
    let long = entry("././@LongLink", EntryType::GNULongName, b"/gnu\0");
    let evil = [long, plain].concat();
    good.check(
        &good.insert(data, &evil),
        "member `/gnu`: its path is not safe",
    );
    // A good member that is given another name, or another size.
    let path = good.members[data].path.clone();
    for (key, value) in [("path", "../../pax"), ("size", "1")] {
        let expect = if key == "path" { "../../pax" } else { &path };
        good.check(
            &good.insert(data, &pax(key, value)),
            &format!("member `{expect}`: "),
        );
    }
}

#[test]
fn links_and_devices_are_refused() {
    let good = good();
    for (kind, name) in [
        (EntryType::Symlink, "symbolic link"),
        (EntryType::Link, "hard link"),
        (EntryType::Char, "character device"),
        (EntryType::Block, "block device"),
        (EntryType::Fifo, "named pipe"),
        (EntryType::GNUSparse, "sparse file"),
        (EntryType::XGlobalHeader, "global extended header"),
        (EntryType::Continuous, "member of an unknown kind"),
    ] {
        let expect = |path: &str| {
            format!("member `{path}`: it is a {name}, where only files and directories are allowed")
        };
        let before = good.find("_manifests/revisions");
        let evil = good.insert(before, &entry("evil", kind, b""));
        good.check(&evil, &expect("evil"));
        // In place of a file that is expected, under its name.
        let evil = good.replace(good.find(README), &entry(README, kind, b""));
        good.check(&evil, &expect(README));
        // After the last.
        let end = at(good.members.last().unwrap().end());
        let evil = [&good.bytes[..end], &entry("evil", kind, b""), &[0; 1024]].concat();
        good.check(&evil, &expect("evil"));
    }
    let evil = good.replace(good.find(README), &entry(README, EntryType::Directory, b""));
    good.check(&evil, "member `README.txt`: it is a directory");
}

#[test]
fn duplicate_unlisted_and_missing_members_are_refused() {
    let good = good();
    let last = good.members.len() - 1;
    for (member, before) in [(2, 3), (2, last), (good.find("/data"), last)] {
        let Member {
            lead_offset, path, ..
        } = &good.members[member];
        let twin = &good.bytes[at(*lead_offset)..at(good.members[member].end())];
        let expect = format!("member `{path}`: it occurs twice");
        good.check(&good.insert(before, twin), &expect);
        let end = at(good.members[last].end());
        good.check(&[&good.bytes[..end], twin, &[0; 1024]].concat(), &expect);
    }
    for path in [
        "evil",
        "hod/bin/evil",
        "docker/registry/v2/repositories/a/b/_uploads/evil",
    ] {
        let evil = entry(path, EntryType::Regular, b"evil");
        let expect = format!("member `{path}`: it is not listed");
        for before in 2..=last {
            good.check(&good.insert(before, &evil), &expect);
        }
    }
    for member in 2..=last {
        let expect = format!("member `{}`: it is missing", good.members[member].path);
        let [_, verified, passed, unpacked] = good.refusals(&good.replace(member, b""));
        for refusal in [verified, passed, unpacked] {
            assert!(refusal.contains(&expect), "`{refusal}` without `{expect}`");
        }
    }
}

#[test]
fn wrong_content_is_refused() {
    let good = good();
    for member in 2..good.members.len() {
        let Member {
            offset, len, path, ..
        } = &good.members[member];
        if *len == 0 {
            continue;
        }
        let problem = if path.ends_with("/link") {
            "it does not hold the digest"
        } else {
            "expected digest"
        };
        let expect = format!("member `{path}`: {problem}");
        for offset in [*offset, offset + len - 1] {
            good.check_content(&good.change(offset, 1), &expect);
        }
    }
}

#[test]
fn archives_that_end_early_are_refused() {
    let good = good();
    let mut cuts = vec![0, 1, 511, 512, 1000];
    for member in &good.members {
        let Member {
            lead_offset,
            offset,
            len,
            ..
        } = member;
        cuts.extend([
            lead_offset + 1,
            *offset,
            offset + len / 2,
            offset + len,
            member.end(),
        ]);
    }
    let total = good.bytes.len() as u64;
    cuts.extend([total - 1, total - 512, total - 1023]);
    for cut in cuts {
        good.refusals(&good.bytes[..at(cut)]);
    }
    let Member { offset, path, .. } = &good.members[good.find("/data")];
    let expect = format!("member `{path}`: the archive is truncated");
    // A file says how long it should be, a stream where it broke off.
    for said in good.refusals(&good.bytes[..at(offset + 10)]) {
        let is_file = said.contains("is truncated: expected ");
        assert!(is_file || said.contains(&expect), "{said}");
    }
    // A compressed stream that breaks off.
    let compressed = zstd::encode_all(&good.bytes[..], 1).unwrap();
    for cut in [5, compressed.len() / 2, compressed.len() - 1] {
        let error = stream(&compressed[..cut]);
        assert!(error.contains("its zstd stream is truncated"), "{error}");
    }
}

#[test]
fn archives_that_go_on_are_refused() {
    let good = good();
    let path = &good.members.last().unwrap().path;
    for more in [&[0; 512][..], b"x", &good.bytes] {
        let evil = [&good.bytes, more].concat();
        good.check(&evil, &format!("member `{path}`: there is data after it"));
    }
}

#[test]
fn extended_headers_without_end_are_refused() {
    let good = good();
    let mut bomb = pax("comment", "x");
    let mut header = Header::new_ustar();
    header.as_mut_bytes().copy_from_slice(&bomb[..512]);
    header.set_size(1 << 50);
    header.set_cksum();
    bomb[..512].copy_from_slice(header.as_bytes());
    let data = good.find("/data");
    let path = &good.members[data].path;
    let expect = format!(
        "member `{path}`: it has an extended header of {} bytes",
        1_u64 << 50
    );
    good.check(&good.insert(data, &bomb), &expect);
    // Many small ones.
    let many = pax("comment", "x").repeat(1000);
    good.check(&good.insert(data, &many), &format!("member `{path}`: "));
}

#[test]
fn other_files_are_no_bundles() {
    let good = good();
    let check = |bytes: &[u8], expect: &str| good.check(bytes, expect);
    check(b"", "is not a hod bundle: it is empty");
    check(b"hello", "is not a hod bundle: it is not a tar archive");
    check(&[0; 10240], "is not a hod bundle: it is not a tar archive");
    for path in [".dockerenv", "bin/", "./etc/"] {
        let export = entry(path, EntryType::Regular, b"");
        check(
            &[export, good.bytes.clone()].concat(),
            "is not a hod bundle: it is the file system of a container, as `docker export` writes it",
        );
    }
    for path in ["/etc/passwd", "../x", "docker/registry/v2/"] {
        let evil = [entry(path, EntryType::Regular, b""), good.bytes.clone()].concat();
        check(
            &evil,
            &format!("is not a hod bundle: its first member is `{path}`"),
        );
    }
}

#[test]
fn no_byte_of_a_bundle_can_change_unnoticed() {
    let good = good();
    let path = good.sample.path("changed.tar");
    // Every offset in turn would take a minute; a stride that is prime to all lengths finds all
    // kinds of places.
    for offset in (0..good.bytes.len() as u64).step_by(41) {
        let bit = 1 << (offset % 8);
        hod_fsx::write_file(&path, &good.change(offset, bit)).unwrap();
        match check(&path) {
            Ok(outcome) => assert_ne!(outcome.problems, [""; 0], "bit {bit} of byte {offset}"),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

#[test]
fn a_sink_may_leave_content_and_its_error_is_passed_on() {
    struct Lazy(usize);
    #[derive(Debug)]
    enum Failure {
        Bundle,
        Sink,
    }
    impl From<BundleError> for Failure {
        fn from(_: BundleError) -> Self {
            Self::Bundle
        }
    }
    impl StreamSink for Lazy {
        type Error = Failure;
        fn start(&mut self, _: &BundleManifest) -> Result<(), Failure> {
            Ok(())
        }
        fn blob(&mut self, _: &BundleBlob, content: &mut dyn Read) -> Result<(), Failure> {
            // Only the start, and of an empty blob nothing.
            content.read(&mut [0; 1]).map_err(|_| Failure::Bundle)?;
            self.0 = self.0.checked_sub(1).ok_or(Failure::Sink)?;
            Ok(())
        }
        fn finish(&mut self, _: &BundleManifest) -> Result<(), Failure> {
            Ok(())
        }
    }
    let good = good();
    for check in [BlobCheck::Reader, BlobCheck::Sink] {
        let path = Path::new("good.tar");
        read_stream(
            &good.bytes[..],
            path,
            &Trust::default(),
            check,
            &mut Lazy(4),
        )
        .unwrap();
        let error = read_stream(
            &good.bytes[..],
            path,
            &Trust::default(),
            check,
            &mut Lazy(3),
        )
        .unwrap_err();
        assert!(matches!(error, Failure::Sink));
        let bad = good.change(good.members[good.find(README)].offset, 1);
        let error =
            read_stream(&bad[..], path, &Trust::default(), check, &mut Lazy(4)).unwrap_err();
        assert!(matches!(error, Failure::Bundle));
    }
}
