//! Archives with members that no bundle has.

use tar::{EntryType, Header};

use hod_testkit::env::TestEnv;
use hod_testkit::images::{image, menagerie};
use hod_testkit::tree::{assert_same, exists, read, tree};

/// A member of a tar, with its headers, content and padding.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) path: String,
    pub(super) bytes: Vec<u8>,
    /// Where its last header is.
    header: usize,
}

/// Cuts a tar into its members.
pub(super) fn cut(tar: &[u8]) -> Vec<Piece> {
    let mut archive = tar::Archive::new(tar);
    let mut start = 0;
    let mut pieces = Vec::new();
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        let at = |offset: u64| usize::try_from(offset).unwrap();
        let end = at(entry.raw_file_position() + entry.size().next_multiple_of(512));
        pieces.push(Piece {
            path: String::from_utf8(entry.path_bytes().into_owned()).unwrap(),
            bytes: tar[start..end].to_vec(),
            header: at(entry.raw_header_position()) - start,
        });
        start = end;
    }
    pieces
}

/// Makes a tar of members.
pub(super) fn join(pieces: &[Piece]) -> Vec<u8> {
    let mut tar: Vec<u8> = pieces
        .iter()
        .flat_map(|piece| piece.bytes.clone())
        .collect();
    tar.extend([0; 1024]);
    tar
}

impl Piece {
    /// A member as an attacker writes it, whatever its path.
    fn new(path: &str, kind: EntryType, content: &[u8]) -> Self {
        Self::to(path, kind, (content, ""))
    }

    fn to(path: &str, kind: EntryType, (content, target): (&[u8], &str)) -> Self {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        Self {
            path: path.to_owned(),
            bytes,
            header: 0,
        }
    }

    /// The same with another header, whose checksum is right.
    fn changed(mut self, change: impl FnOnce(&mut Header)) -> Self {
        let at = self.header;
        let mut header = Header::from_byte_slice(&self.bytes[at..at + 512]).clone();
        change(&mut header);
        header.set_cksum();
        self.bytes[at..at + 512].copy_from_slice(header.as_bytes());
        self
    }

    /// The same behind another piece's bytes, as an extended header is.
    fn behind(mut self, lead: &Self) -> Self {
        self.bytes = [&lead.bytes[..], &self.bytes[..]].concat();
        self.header += lead.bytes.len();
        self
    }
}

/// A place with a bundle, `good.tar`, and a store with something else, `kept`.
pub(super) fn site() -> (TestEnv, Vec<u8>) {
    let env = TestEnv::in_memory();
    let store = env.store("store");
    for (kind, image) in menagerie() {
        image.put_in(&store, &format!("zoo/{kind}:1"));
    }
    image(900).put_in(&env.store("kept"), "app/kept:1");
    drop(store);
    let _ = env.run_line("pack store --output good.tar").success();
    let bytes = read(&env.path("good.tar"));
    (env, bytes)
}

/// Checks that the archive is refused by every way in, with the name in question (or another, after
/// a `|`), and that nothing is left of the attempt anywhere.
#[track_caller]
pub(super) fn check_refused(env: &TestEnv, tar: &[u8], (what, name): (&str, &str)) {
    let compressed = zstd::encode_all(tar, 1).unwrap();
    for (file, bytes) in [("evil.tar", tar), ("evil.tar.zst", &compressed[..])] {
        env.write(file, bytes);
        let before = tree(&env.work());
        for line in [
            "verify EVIL",
            "unpack EVIL --output new",
            "unpack EVIL --output kept",
        ] {
            let line = line.replace("EVIL", file);
            let output = env.run_line(&line);
            let text = format!("{}{}", output.stdout, output.stderr);
            assert!(
                matches!(output.code, Some(1 | 2 | 4)),
                "{what}: {line}: {text}"
            );
            let is_named = name.split('|').any(|name| text.contains(name));
            let text: String = text.chars().take(1000).collect();
            assert!(is_named, "{what}: {line} names no {name}: {text}");
        }
        assert!(!exists(&env.path("new")), "{what}");
        assert_same(&tree(&env.work()), &before, what);
    }
}

#[test]
fn members_that_no_bundle_has_are_refused_by_name() {
    let (env, good) = site();
    let pieces = cut(&good);
    assert!(join(&pieces) == good, "the cutting itself does no harm");
    let outside = env.path("escaped").to_str().unwrap().to_owned();
    let file = |path: &str| Piece::new(path, EntryType::Regular, b"evil");
    let link = |path: &str, kind, target: &str| Piece::to(path, kind, (b"", target));
    let pax = |record: &str| {
        let len = record.len() + 3;
        let record = format!("{len} {record}\n");
        Piece::new("PaxHeaders/x", EntryType::XHeader, record.as_bytes())
    };
    let gnu = |kind, text: &str| Piece::new("././@LongLink", kind, text.as_bytes());
    let blob = pieces.iter().find(|piece| piece.path.ends_with("/data"));
    let blob = blob.unwrap().clone();
    let twice = format!("{}|it is missing", blob.path);
    let evil = [
        ("absolute", file(&outside), &*outside),
        ("climbing", file("../escaped"), "../escaped"),
        (
            "climbing inside",
            file("docker/../../escaped"),
            "docker/../../escaped",
        ),
        ("dot", file("./escaped"), "./escaped"),
        ("backslash", file("..\\escaped"), "escaped"),
        ("control", file("esc\naped"), "esc\\naped"),
        (
            "symlink",
            link("docker/evil", EntryType::Symlink, &outside),
            "docker/evil",
        ),
        (
            "symlink in place of the tree",
            link("docker", EntryType::Symlink, &outside),
            "`docker`",
        ),
        (
            "hardlink",
            link("docker/evil", EntryType::Link, "hod/bundle.json"),
            "docker/evil",
        ),
        ("device", link("evil", EntryType::Char, ""), "evil"),
        ("block", link("evil", EntryType::Block, ""), "evil"),
        ("pipe", link("evil", EntryType::Fifo, ""), "evil"),
        (
            "sparse",
            file("evil").changed(|h| h.set_entry_type(EntryType::GNUSparse)),
            "evil",
        ),
        (
            "unknown kind",
            file("evil").changed(|h| h.set_entry_type(EntryType::new(b'Z'))),
            "evil",
        ),
        ("unknown", file("extra.txt"), "extra.txt"),
        (
            "unknown in the tree",
            file("docker/registry/v2/repositories/zoo/evil/_manifests/tags/1/current/link"),
            "zoo/evil",
        ),
        (
            "directory",
            Piece::new("evil/", EntryType::Directory, b""),
            "evil/",
        ),
        (
            "long name",
            file("innocent").behind(&gnu(EntryType::GNULongName, "../escaped\0")),
            "../escaped",
        ),
        (
            "long link",
            link("evil", EntryType::Symlink, "x").behind(&gnu(EntryType::GNULongLink, &outside)),
            "evil",
        ),
        (
            "pax path",
            file("innocent").behind(&pax("path=../escaped")),
            "innocent",
        ),
        (
            "pax size",
            file("innocent").behind(&pax("size=999999")),
            "innocent",
        ),
        (
            "global pax",
            Piece::new(
                "pax_global_header",
                EntryType::XGlobalHeader,
                b"21 path=../escaped12\n",
            ),
            "pax_global_header",
        ),
        // Too early, it is taken for what should be there.
        ("duplicate", blob.clone(), &*twice),
        ("duplicate head", pieces[1].clone(), "hod/bundle.json"),
    ];
    let first_blob = pieces
        .iter()
        .position(|piece| piece.path == blob.path)
        .unwrap();
    for (what, piece, name) in &evil {
        for at in [2, first_blob + 3, pieces.len()] {
            let mut pieces = pieces.clone();
            pieces.insert(at, piece.clone());
            check_refused(&env, &join(&pieces), (what, name));
        }
    }
}

#[test]
fn members_that_are_not_as_they_should_be_are_refused_by_name() {
    let (env, good) = site();
    let pieces = cut(&good);
    let place = |end: &str| pieces.iter().position(|p| p.path.ends_with(end)).unwrap();
    let is_layer = |piece: &&Piece| piece.path.ends_with("/data") && piece.bytes.len() > 20_000;
    let layer = pieces.iter().find(is_layer).unwrap().path.clone();
    for end in ["README.txt", &layer, "current/link", "_layers/"] {
        let at = place(end);
        let piece = &pieces[at];
        let path = piece.path.as_str();
        let name = path.strip_suffix("/data").unwrap_or(path);
        // A blob is also named by its digest.
        let name = format!("{path}|sha256:{}", name.rsplit('/').next().unwrap());
        let check = |what: &str, changed: Vec<Piece>| {
            let what = format!("{what}: {path}");
            check_refused(&env, &join(&changed), (&what, &name));
        };
        let with = |piece: Piece| {
            let mut pieces = pieces.clone();
            pieces[at] = piece;
            pieces
        };
        let set = |change: fn(&mut Header)| with(piece.clone().changed(change));
        check(
            "longer than it is",
            set(|h| h.set_size(h.size().unwrap() + 1)),
        );
        check("much longer", set(|h| h.set_size(1 << 40)));
        check("endless", set(|h| h.as_old_mut().size = [b'7'; 12]));
        check("huge", set(|h| h.as_old_mut().size = [0xff; 12]));
        check("no number", set(|h| h.as_old_mut().size = *b"not a number"));
        check("a symlink", set(|h| h.set_entry_type(EntryType::Symlink)));
        check("a hardlink", set(|h| h.set_entry_type(EntryType::Link)));
        check("a device", set(|h| h.set_entry_type(EntryType::Char)));
        check("set-uid", set(|h| h.set_mode(0o4755)));
        check("someone's", set(|h| h.set_uid(1000)));
        if !path.ends_with('/') {
            check(
                "shorter than it is",
                set(|h| h.set_size(h.size().unwrap() - 1)),
            );
            check("empty", set(|h| h.set_size(0)));
            let mut other = piece.clone();
            let content = other.header + 512;
            other.bytes[content] ^= 1;
            check("other content", with(other));
        }
        let mut missing = pieces.clone();
        missing.remove(at);
        check("missing", missing);
        let mut renamed = piece.clone().changed(|h| h.as_old_mut().name[0] = b'x');
        renamed.path = "x".to_owned();
        let output_name = format!("x{}", &path[1..]);
        let changed = join(&with(renamed));
        if path.len() < 100 {
            check_refused(&env, &changed, ("renamed", &output_name));
        }
        let mut swapped = pieces.clone();
        swapped.swap(at, at + 1);
        let name = format!("{path}|{}", pieces[at + 1].path);
        check_refused(&env, &join(&swapped), ("out of order", &name));
    }
}

#[test]
fn other_files_are_no_bundles() {
    let (env, _) = site();
    let random = hod_testkit::images::noise(1, 5000);
    let bomb = zstd::encode_all(&vec![0; 64 << 20][..], 1).unwrap();
    let cases: [(&str, &[u8]); 6] = [
        ("empty", b""),
        ("text", b"a text\n"),
        ("noise", &random),
        ("zeros", &[0; 20_480]),
        ("bomb", &bomb),
        ("half a magic", &[0x28, 0xb5, 0x2f, 0xfd]),
    ];
    for (what, bytes) in cases {
        for file in ["evil.tar", "evil.tar.zst"] {
            env.write(file, bytes);
            let before = tree(&env.work());
            for line in [
                "verify EVIL",
                "ls EVIL",
                "unpack EVIL --output new",
                "unpack EVIL --output kept",
                "export EVIL --output new",
                "push EVIL 127.0.0.1:1",
            ] {
                let line = line.replace("EVIL", file);
                let output = env.run_line(&line);
                let text = &output.stderr;
                assert!(matches!(output.code, Some(1 | 2 | 4)), "{what}: {output:?}");
                assert!(
                    text.contains(file) || text.contains("hod/"),
                    "{what}: {text}"
                );
            }
            assert_same(&tree(&env.work()), &before, what);
            hod_fsx::remove_file(&env.path(file)).unwrap();
        }
    }
}
